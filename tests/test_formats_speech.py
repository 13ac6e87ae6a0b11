"""Transcripts as text, web pages, RTF and OpenDocument: who speaks, what is said, what is left out."""

import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from threers.codebook import Codebook
from threers.errors import InputError
from threers.formats import html, odt, plain, rtf, srt
from threers.formats.documents import Context
from threers.formats.files import File
from threers.formats.speech import read_speech

EXAMPLES = Path(__file__).parent / "formats"
CONTEXT = Context(find=Codebook.load("3rs-2015").find)
FORMATS = {one.FORMAT.name: one.FORMAT for one in (html, odt, rtf, plain)}
CONVERTED = [
    ("T", "How was the week? Take your time."),
    ("P", "It was “fine”, Grüße, 😀. (looks away)"),
    ("T", "Only just fine?"),
    ("P", "And then she said: no. That was all."),
    ("T", "I see."),
    ("P", "Yes."),
]
OLD = [
    ("Th.", "Wie geht\u2019s Ihnen heute?"),
    ("Pat.", "Müde … und, naja, „geht so“. Schöne Grüße übrigens."),
    ("Th.", "Für wen?"),
    ("Pat.", "Für Sie."),
]
HEADER = "header: text before the first speaker (2 such in this session); left out"


def read(name, content=None):
    """The session, read by the one format that its content fits."""
    file = File(EXAMPLES / name, content.encode() if isinstance(content, str) else content)
    [form] = [form for form in FORMATS.values() if form.fits(file)]
    [session] = form.read(file, CONTEXT)
    session.notes += file.notes
    return session


def said(session):
    return [(line.speaker, line.text) for line in session.lines]


def spoken(text, pattern=None):
    return [(one.line.speaker, one.line.text) for one in read_speech(text, pattern).spoken]


def timed(text):
    return [(one.line.speaker, one.line.text, one.line.start, one.line.end) for one in read_speech(text).spoken]


@pytest.mark.parametrize(
    "text",
    [
        "T: a\nP: b\nT: c",
        "T : a\nP : b\nT : c",
        "T:\ta\nP:\tb\nT:\tc",
        "T\ta\nP\tb\nT\tc",
        "T - a\nP - b\nT \u2013 c",
        "T:\na\nP:\n\nb\n\nT:\nc",
        "12 T: a\n13 P: b\n14. T: c",
        "**T:** a\n\n**P:** b\n\n**T:** c",
        "[T]: a\n[P]: b\n[T]: c",
        "\u200fT: a\r\nP: b\r\nT: c\r\n",
        "T\uff1aa\nP\uff1ab\nT\uff1ac",
    ],
)
def test_speakers_stand_in_front_of_speech_in_many_ways(text):
    assert spoken(text) == [("T", "a"), ("P", "b"), ("T", "c")]


@pytest.mark.parametrize(
    "name", ["Therapist", "PAT 2", "Dr. Weiss", "מטופל", "Frau von Berg", "Zoë", "P_1", "Th.", "SPEAKER_00"]
)
def test_names_of_every_kind_are_speakers(name):
    assert spoken(f"{name}: a\nT: b\n{name}: c") == [(name, "a"), ("T", "b"), (name, "c")]


@pytest.mark.parametrize(
    "text",
    [
        "[00:01:02] T: a\n[00:01:05] P: b",
        "00:01:02 T: a\n00:01:05 P: b",
        "T [00:01:02]: a\nP (00:01:05): b",
        "T: [00:01:02] a\nP: #00:01:05# b",
        "[1:02] T: a\n[1:05] P: b",
        "T 1:02\na\nP 1:05\nb",
        "[00:01:02]\nT: a\n[00:01:05]\nP: b",
    ],
)
def test_a_time_in_front_of_speech_is_its_start(text):
    assert timed(text) == [("T", "a", 62.0, None), ("P", "b", 65.0, None)]


def test_a_role_may_end_in_a_mere_dot():
    assert spoken("Th. a\nPat. b\nDr. c\nTh. d") == [("Th.", "a"), ("Pat.", "b Dr. c"), ("Th.", "d")]


def test_two_times_are_start_and_end():
    text = "[00:00:01.500 \u2013 00:00:02.833] T: a\n[00:00:03 --> 00:00:04,5] P: b"
    assert timed(text) == [("T", "a", 1.5, 2.833), ("P", "b", 3.0, 4.5)]


def test_a_time_that_is_none_is_a_note():
    speech = read_speech("[00:99:99] T: a\nP: b\n")
    assert speech.spoken[0].line.start is None
    assert speech.notes == [(1, "time not readable (1 such in this session); utterance kept without it")]


def test_a_time_or_an_address_in_speech_names_nobody():
    text = "T: When?\nAt 10:30\n10:30 it was\nhttps://example.org\nP: No\n"
    assert spoken(text) == [("T", "When? At 10:30 10:30 it was https://example.org"), ("P", "No")]


def test_words_with_a_colon_name_nobody():
    text = "Anna: a\nAnd then she said: no\nNote: x\nBen: b\nMother: you must\nAnna: c\nBen: d\n"
    speech = read_speech(text)
    assert [one.line.speaker for one in speech.spoken] == ["Anna", "Ben", "Anna", "Ben"]
    assert speech.notes == [
        (5, "perhaps a speaker: a line begins like one, too rarely (1 such in this session); kept as text")
    ]


def test_stuttering_is_no_speaker():
    text = "I: How?\nP: Well\nI - I don't know\nI: No?\nP: No\n"
    assert spoken(text)[1] == ("P", "Well I - I don't know")


def test_a_text_without_speakers_is_an_utterance_a_line():
    speech = read_speech("One: line\n\n  And then she said: no\n[00:01:02] third\n")
    assert [(one.line.speaker, one.line.text, one.line.start) for one in speech.spoken] == [
        ("", "One: line", None),
        ("", "And then she said: no", None),
        ("", "third", 62.0),
    ]
    assert speech.notes == [(None, "no speakers: no line begins with one; every line kept as an utterance of nobody")]


def test_one_line_like_a_speakers_among_many_does_not_swallow_the_text():
    assert len(read_speech("just words\n" * 50 + "Patient: 12\n" + "just words\n" * 50).spoken) == 101


def test_words_that_come_back_with_a_colon_are_no_speaker_by_themselves():
    text = "I said: no\nSo we talked\nand more\n" * 30
    assert len(read_speech(text).spoken) == 90
    assert len(read_speech(text + "mother: a\nfather: b\n" * 99).spoken) > 190


def test_a_form_above_the_speech_is_a_header():
    text = "Interview\nDate: 3 May\nPatient: 12\nTherapist: A. B.\n\nT: a\nP: b\nT: c\nP: d\n"
    speech = read_speech(text)
    assert [one.line.row for one in speech.spoken] == [6, 7, 8, 9]
    assert speech.notes == [(1, HEADER.replace("2 such", "4 such"))]


def test_comments_stay_in_the_text():
    text = "T: a (coughs)\n(silence)\n\nP: (cries)\nT (quietly): b\nM (she/her): c\nM (she/her): d"
    assert spoken(text) == [
        *[("T", "a (coughs) (silence)"), ("P", "(cries)"), ("T", "(quietly) b")],
        *[("M (she/her)", "c"), ("M (she/her)", "d")],
    ]


def test_a_speaker_who_says_nothing_is_a_note():
    speech = read_speech("T: a\nP:\nT: b\nP: \n")
    assert len(speech.spoken) == 2
    assert speech.notes == [(2, "no text: a speaker says nothing (2 such in this session); left out")]


def test_an_empty_cell_of_a_table_is_a_speaker_who_says_nothing():
    speech = read_speech("T\ta\t\nP\t\t\nT\tb\t\nP\tc\t\n")
    assert [one.line.text for one in speech.spoken] == ["a", "b", "c"]
    assert speech.notes[0][0] == 2


def test_a_labs_own_pattern_goes_before_evidence():
    pattern = re.compile(r"^(?P<speaker>[A-Z]{1,3})(?P<start>\d\d:\d\d)(?:-(?P<end>\d\d:\d\d))? ")
    [first, second] = read_speech("Title: x\nMW01:02-01:03 a\nT: b\nP01:05 c\n", pattern).spoken
    assert (first.line.speaker, first.line.text, first.line.start, first.line.end) == ("MW", "a T: b", 62.0, 63.0)
    assert (second.line.row, second.line.start) == (4, 65.0)
    assert read_speech("T: a\n", pattern).notes[0][1].startswith("no speakers: no line fits speaker_pattern")


SPEECH = st.lists(
    st.sampled_from(
        [
            "T: a b",
            "P:  no",
            "P - x",
            "more",
            "",
            "(hm)",
            "  ",
            "#00:00:02-5#",
            "T: x #00:00:01-0#",
            "[0:01] T: z",
            "Th:",
        ]
    ),
    max_size=12,
)


@given(SPEECH, st.sampled_from(["\n", "\r\n", "\u2028"]))
def test_places_are_those_of_the_text(lines, ending):
    text = ending.join(lines)
    at = 0
    for one in read_speech(text).spoken:
        assert at <= one.start < one.end <= len(text)
        at = one.end
        assert not text[one.start].isspace() and not text[one.end - 1].isspace()
        words = re.sub(r"#[\d:-]+#|\[0:01\]", "", text[one.start : one.end])
        assert one.line.text.endswith(" ".join(words.split()))


@given(st.text(alphabet=st.sampled_from("TPa1 :.-\t\n[]()#\u2013\u05d0😀"), max_size=80))
def test_every_line_of_any_text_is_speech_or_noted(text):
    speech = read_speech(text)
    assert all(one.line.text == " ".join(one.line.text.split()) != "" for one in speech.spoken)
    assert speech.spoken or speech.notes


@pytest.mark.parametrize("piece", [" ", "a ", "a", "\t", "[00:01 ", "(", "T: x: ", "a.b-", ":", "#", "12 ", "*"])
def test_a_line_of_two_million_characters_takes_no_time(piece):
    began = time.process_time()
    read_speech("T: a\n" + piece * (2_000_000 // len(piece)))
    assert time.process_time() - began < 1


def test_ten_thousand_lines_go_on_quickly():
    began = time.process_time()
    one, *_ = read_speech(("T: a\n" + "b\n" * 10_000) * 2, re.compile(r"(?P<speaker>T): ")).spoken
    assert len(one.line.text) == 20_001
    assert time.process_time() - began < 2


def test_f4_has_the_end_of_each_paragraph_behind_it():
    session = read("f4.txt")
    assert [(line.row, line.speaker, line.text, line.start, line.end) for line in session.lines] == [
        (3, "T", "How was the week?", None, 4.2),
        (5, "P", "It was fine. I said: it was fine. (5 sec)", 4.2, 15.0),
        (9, "T", "Only fine?", 15.0, 16.5),
        (11, "P", "I don't want to talk about it.", 16.5, 80.0),
    ]
    assert session.notes == [(1, HEADER.replace("2 such", "1 such"))]


OLD_TEAMS = """0:0:0.0 --> 0:0:1.250
Jane Doe
How was the week?
0:0:2.80 --> 0:0:2.980
Jane Doe
Take your time.
0:0:6.90 --> 0:0:6.500
John Roe
Fine.
I said: fine.
0:0:17.80 --> 0:0:18.180
Jane Doe
Only fine?
0:1:19.0 --> 0:1:19.500
John Roe
Yes.
"""
OLD_TEAMS_SAID = [
    ("Jane Doe", "How was the week? Take your time.", 0.0, 2.98),
    ("John Roe", "Fine. I said: fine.", 6.09, 6.5),
    ("Jane Doe", "Only fine?", 17.08, 18.18),
    ("John Roe", "Yes.", 79.0, 79.5),
]


def test_teams_once_had_the_times_above_the_name_without_leading_zeros():
    assert timed(OLD_TEAMS) == OLD_TEAMS_SAID
    assert timed(OLD_TEAMS.replace("\n", "\n\n")) == OLD_TEAMS_SAID
    document = srt.read(File(Path("a.txt"), OLD_TEAMS.encode()), CONTEXT)[0]
    assert [(line.speaker, line.text, line.start, line.end) for line in document.lines] == OLD_TEAMS_SAID


def test_lines_below_times_that_do_not_come_back_name_nobody():
    text = OLD_TEAMS.replace("Jane Doe", "Well, Doctor", 1).replace("John Roe", "it was fine", 1)
    assert not any(speaker for speaker, *_ in timed(text.replace("Jane Doe", "Once again", 1)))
    assert srt.read(File(Path("a.srt"), text.encode()), CONTEXT)[0].lines[0].speaker == ""


def test_teams_says_who_had_it_transcribe_and_that_is_no_speech():
    text = (
        "Intake-20240101-Meeting Recording\n1 January 2024, 09:30am\n27m 42s\n\nJane Doe started transcription\n\n"
        "Jane Doe   0:03\nHow was it?\nMy father started transcription\n\nJohn Roe   1:00:19\nFine.\n\n"
        "Jane Doe stopped transcription\n"
    )
    assert timed(text) == [
        ("Jane Doe", "How was it? My father started transcription", 3.0, None),
        ("John Roe", "Fine.", 3619.0, None),
    ]
    assert [reason.partition(":")[0] for _, reason in read_speech(text).notes] == ["notice", "header"]


def test_teams_has_name_and_time_above_the_speech():
    session = read("teams.txt")
    assert [(line.speaker, line.text, line.start) for line in session.lines] == [
        ("Gale, Ada", "Hello, I leave you two alone.", 2.0),
        ("Vale, Robin", "How was the week? Take your time, it is 10:30", 3.0),
        ("M [External]", "It was fine.", 9.0),
        ("Vale, Robin", "Only fine?", 3612.0),
        ("M [External]", "Yes.", 3614.0),
    ]
    assert [reason for _, reason in session.notes] == [
        "notice: a program says that it transcribed (1 such in this session); left out",
        HEADER.replace("2 such", "4 such"),
    ]


@pytest.mark.parametrize(
    ("begins", "ends"),
    [
        ("Jo Roe Transkription gestartet", "Jo Roe Transkription beendet"),
        ("Jo Roe hat die Transkription gestartet", "Jo Roe hat die Transkription gestoppt"),
        ("Jo Roe inició la transcripción", "Jo Roe detuvo la transcripción"),
        ("Jane Doe started transcription", "Ada Lind (She/Her) stopped transcription"),
        ("", "Transcribed by https://otter.ai"),
    ],
)
def test_what_a_program_says_of_itself_is_no_speech_in_any_language(begins, ends):
    text = (
        f"{begins}\n\nJane Doe  0:03  \nHow was it?\n\nPat Ray  0:05  \nFine.\nThey stopped transcription\n\n{ends}\n"
    )
    assert timed(text) == [
        ("Jane Doe", "How was it?", 3.0, None),
        ("Pat Ray", "Fine. They stopped transcription", 5.0, None),
    ]


def test_who_speaks_only_once_may_be_the_first_and_an_entry_with_a_time_is_none():
    turns = (
        "Ada Lind   0:02\nHello.\nJane Doe   0:03\nHow?\nPat Ray   0:05\nSo.\nJane Doe   0:07\nYes.\nPat Ray   0:09\nA."
    )
    assert [one.line.speaker for one in read_speech(turns).spoken][:2] == ["Ada Lind", "Jane Doe"]
    assert read_speech(f"Begin 10:30\nPlace: here\n\n{turns}").spoken[0].line.speaker == "Ada Lind"


def test_captions_that_zoom_saved_have_names_in_brackets_with_dashes_too():
    text = (
        "[Ann Vale] 13:32:23\nB\n\n[P - phone] 13:32:28\nFine.\n\n[P - phone] 13:32:28\nSo.\n\n[Ann Vale] 13:33:00\nA."
    )
    assert [(one.line.speaker, one.line.start) for one in read_speech(text).spoken] == [
        *[("Ann Vale", 48743.0), ("P - phone", 48748.0), ("P - phone", 48748.0), ("Ann Vale", 48780.0)]
    ]
    assert spoken("[T] - a\n[P] - b\n[T] - c") == [("T", "a"), ("P", "b"), ("T", "c")]


@pytest.mark.parametrize(
    ("name", "notes"),
    [
        ("windows.txt", [(None, "encoding: not UTF-8; read as cp1252")]),
        ("macintosh.txt", [(None, "encoding: not UTF-8; read as mac_roman")]),
        ("utf16.txt", []),
    ],
)
def test_old_encodings_are_read_and_noted(name, notes):
    session = read(name)
    assert said(session) == OLD
    assert session.notes == notes


def test_only_text_is_plain_text():
    assert plain.FORMAT.fits(File(Path("notes"), b"T: a\nP: b\nT: c\n"))
    assert plain.FORMAT.fits(File(Path("notes.txt"), b"just words"))
    for content in (b"just words", b'{"a": 1}', b"<eaf><a/></eaf>", b"PK\3\4\0\0\0\0\0\0", b"{\\rtf1 T: a\\par P: b}"):
        assert not plain.FORMAT.fits(File(Path("notes"), content))


def test_nul_characters_are_noted_and_a_text_of_nothing_is_an_error():
    session = read("a.txt", b"T: a\0b\nP: c\n")
    assert said(session) == [("T", "ab"), ("P", "c")]
    assert session.notes == [(None, "NUL characters: 1 of them; left out")]
    with pytest.raises(InputError, match="no speech was found"):
        plain.FORMAT.read(File(Path("a.txt"), b"T:\nP:\n"), CONTEXT)


@pytest.mark.parametrize("suffix", ["odt", "rtf", "html"])
def test_what_libreoffice_writes_is_read(suffix):
    session = read(f"session.{suffix}")
    expected = list(CONVERTED)
    if suffix == "html":
        # LibreOffice itself lets a tracked deletion stand in a web page.
        expected[0] = ("T", "How was the weekreally? Take your time.")
    assert said(session) == expected
    left_out = [f"{what}: 1 in this file; left out" for what in ("tracked deletions", "comments", "footnotes")]
    assert [reason for _, reason in session.notes] == [HEADER, *(left_out if suffix != "html" else [])]


def test_a_web_page_is_read_whatever_its_name():
    session = read("page.doc")
    assert said(session) == [
        ("T", "Good morning, how are you?"),
        ("P", "Tired & a bit annoyed … with you, to be honest."),
        ("T", "With me?"),
        ("P", "Yes. (laughs) That is so <3"),
        ("T", "Grüße \u2013 bis nächste Woche"),
    ]
    assert [reason for _, reason in session.notes] == [
        "encoding: not UTF-8; read as cp1252, as the page says",
        "struck out: 1 in this file; left out",
    ]


def test_word_writes_bullets_as_letters_in_a_font_of_signs_and_they_are_no_words():
    session = read("word.doc")
    words = "Test 1|Here|We|Go|Again|Ok|That|Worked|But|It|Does|Not|Work|With|Bullet|Points|Now|It|Is|Working"
    assert said(session) == [("", line) for line in f"{words}|Try|It|Again|Do|It|Again|And".split("|")]
    assert [(line.row, line.start, line.end) for line in session.lines[:2]] == [(2, None, None), (3, None, None)]
    assert session.notes == [
        (None, "no speakers: no line begins with one; every line kept as an utterance of nobody"),
    ]
    sign = "<span style='font-size:8pt;font-family:&quot;Wingdings&quot;'>J</span>"
    page = f"<p>T: a {sign}b</p><p>{sign}P: <span style='font-family:\"Segoe UI Symbol\"'>\u263a</span></p>"
    assert said(read("a.html", page)) == [("T", "a b"), ("P", "\u263a")]


def test_codes_in_a_table_of_a_document_do_not_become_speech():
    rows = [
        ("1", "T", "How?", ""),
        ("2", "P", "Fine.", "W2, W3"),
        ("3", "P", "", "W1"),
        ("4", "T", "W2", "Well, I see."),
    ]
    cells = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    session = read("a.html", f"<table>{cells}</table>")
    assert said(session) == [("T", "How?"), ("P", "Fine."), ("T", "Well, I see.")]
    assert session.notes[-1][1].startswith("codes in a table: 3 cells hold only codes; left out")


def test_a_page_that_is_laid_out_in_a_table_keeps_its_lines():
    page = "<body><table><tr><td><p>T: a</p><p>P: b</p><table><tr><td>T<td>c</table></table></body>"
    assert said(read("a.html", page)) == [("T", "a"), ("P", "b"), ("T", "c")]


@pytest.mark.parametrize(
    "piece", ["<a b='", "<!--", "<a", "<table><tr><td>x<td>", "</table>", "<del>", "<pre>\n", "&#"]
)
def test_a_hostile_web_page_takes_no_time(piece):
    began = time.process_time()
    page = File(Path("a.html"), ("<p>T: a</p><p>P: b</p>" * 50 + piece * 20_000).encode())
    assert html.FORMAT.read(page, CONTEXT)[0].lines
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    "piece", ["{", "\\par ", "{\\field{\\*\\fldinst HYPERLINK ", "{\\fonttbl\\f1", "\\trowd\\cell", "\\u9 "]
)
def test_a_hostile_rtf_file_takes_no_time(piece):
    began = time.process_time()
    assert said(read("a.rtf", "{\\rtf1 T: a\\par " + piece * 20_000))[0][0] == "T"
    assert time.process_time() - began < 2


def test_rtf_knows_code_pages_fonts_and_unicode():
    content = (
        rb"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0\fcharset0 Arial;}{\f1\fcharset204 Arial;}}{\*\generator x;}{\info T: x}"
        rb"\f0 T: \'fc \u228?\u-10179?\u-8704? {\uc2\u8211\'2d\'2d}\tab\f1 \'ef\f0\line P: {\v}a\~b\{\}\bin3 T:}\par}"
    )
    assert said(read("a.rtf", content)) == [("T", "ü ä😀 \u2013 \u043f"), ("P", "a b{}")]


def test_bullets_and_numbers_of_an_rtf_list_hide_no_speaker():
    content = rb"{\rtf1{\listtext\'b7\tab}T: a\par{\listtext 2.\tab}P: b\par{\pntext\'b7\tab}T: c\par}"
    assert said(read("a.rtf", content)) == [("T", "a"), ("P", "b"), ("T", "c")]


@pytest.mark.parametrize("paragraph", [r"\pard\intbl ", r"\pard "])
def test_rows_of_an_rtf_table_that_are_laid_out_as_the_first_are_lines_of_their_own(paragraph):
    rows = (("T", "Hello", ""), ("P", "Hm", "W2"), ("T", "Well", ""))
    cells = [paragraph + "".join(rf"{cell}\cell " for cell in row) + r"\row " for row in rows]
    session = read("a.rtf", r"{\rtf1 \trowd\cellx1\cellx2\cellx3 " + "".join(cells) + r"\pard T\tab Bye\par}")
    coded = "" if "intbl" in paragraph else " W2"
    assert said(session) == [("T", "Hello"), ("P", f"Hm{coded}"), ("T", "Well"), ("T", "Bye")]


def test_a_cut_rtf_file_is_read_up_to_there():
    session = read("a.rtf", r"{\rtf1 T: a\par P: b\par {\b T: c")
    assert said(session) == [("T", "a"), ("P", "b"), ("T", "c")]
    assert session.notes == [(None, "damaged: the file ends in the middle; read up to there")]


def test_a_flat_opendocument_text_is_read_and_a_hostile_one_refused():
    names = 'xmlns:office="o" xmlns:text="t" office:mimetype="application/vnd.oasis.opendocument.text"'
    body = "<office:body><text:p>T: a<text:s text:c='999999999'/>b</text:p></office:body>"
    assert said(read("a.fodt", f"<office:document {names}>{body}</office:document>")) == [("T", "a b")]
    deep = "<text:span>" * 20_000 + "T: a" + "</text:span>" * 20_000
    assert said(read("a.fodt", f"<office:document {names}><text:p>{deep}</text:p></office:document>")) == [("T", "a")]
    bomb = '<!DOCTYPE office:document [<!ENTITY a "T: aaaa">]>'
    with pytest.raises(InputError, match="entities"):
        read("a.fodt", f"{bomb}<office:document {names}><text:p>&a;</text:p></office:document>")


@pytest.mark.parametrize(
    "name", ["session.odt", "session.rtf", "session.html", "page.doc", "word.doc", "f4.txt", "windows.txt"]
)
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(name, data):
    content = bytearray((EXAMPLES / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(0, len(content) - 1)))
        match data.draw(st.sampled_from(["flip", "cut", "insert"])):
            case "flip":
                content[at : at + 1] = bytes([data.draw(st.integers(0, 255))])
            case "cut":
                del content[at : at + data.draw(st.integers(1, 400))]
            case "insert":
                content[at:at] = data.draw(st.binary(min_size=1, max_size=9))
    try:
        file = File(EXAMPLES / name, bytes(content))
        for form in FORMATS.values():
            if form.fits(file):
                assert form.read(file, CONTEXT)[0].lines
    except InputError:
        pass
