"""WebVTT and SRT: who speaks, where one utterance ends, what is repaired; codes come back as they were written."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from threers.codebook import Codebook
from threers.errors import InputError
from threers.formats import srt, webvtt
from threers.formats.cues import folded
from threers.formats.documents import Context, Document, Line, Mark, Output
from threers.formats.files import File

EXAMPLES = Path(__file__).parent / "formats"
CONTEXT = Context(find=Codebook.load("3rs-2015").find)
OUTPUT = Output(titles={}, roles=("patient", "therapist"))
OVERLAP = "times overlap: a cue begins before the one above it has ended (1 such in this session); kept"


def read(name, content=None):
    file = File(EXAMPLES / name, content.encode() if isinstance(content, str) else content)
    form = srt.FORMAT if file.suffix == ".srt" else webvtt.FORMAT
    assert form.fits(file)
    (session,) = form.read(file, CONTEXT)
    return session


def said(session):
    return [(line.speaker, line.text, line.start, line.end) for line in session.lines]


def test_zoom_names_every_cue_and_a_speakers_cues_are_one_utterance_up_to_a_silence():
    session = read("zoom.vtt")
    assert said(session) == [
        ("Dr. Vale", "How was the week since we last met?", 3.12, 9.07),
        ("M (she/her)", "It was fine. Note: nothing happened.", 10.2, 12.96),
        ("M (she/her)", "I don't want to talk about it.", 19.0, 21.5),
        ("Dr. Vale", "Okay.", 21.1, 23.0),
    ]
    assert [line.row for line in session.lines] == [4, 12, 16, 20]
    assert session.notes == [(20, OVERLAP)]


def test_a_long_name_that_comes_back_names_its_cues_and_a_long_phrase_does_not():
    name = "Dr. Maria von der Heide Praxis Nord"
    texts = [f"{name}: How are you?", "Ann: Fine.", f"{name}: Then", "Ann: I told him all I knew then and there: no"]
    texts.append("and so I told him all about it: no")
    cues = [f"{n}\n00:00:0{n}.000 --> 00:00:0{n}.900\n{text}\n" for n, text in enumerate(texts, start=1)]
    assert [(speaker, text) for speaker, text, *_ in said(read("x.vtt", "WEBVTT\n\n" + "\n".join(cues)))] == [
        *[(name, "How are you?"), ("Ann", "Fine."), (name, "Then")],
        ("Ann", "I told him all I knew then and there: no and so I told him all about it: no"),
    ]


def test_teams_has_voices_and_cue_identifiers():
    session = read("teams.vtt")
    assert said(session) == [
        ("Vale, Robin [Clinic]", "How are you today? Take your time.", 3.204, 7.404),
        ("Müller", "Tired & a bit annoyed with you.", 8.0, 11.324),
        ("Vale, Robin [Clinic]", "I am glad you say so.", 11.0, 13.5),
    ]


def test_the_teams_layout_without_names_keeps_the_text_below_an_empty_line():
    text = "WEBVTT\n\n-0:0:2.5 --> 0:0:1.0\n\nHello.\n\n0:0:1.500 --> 0:0:5.80\n\nHow are you?\n"
    session = read("teams.vtt", text)
    assert said(session) == [("", "Hello.", None, 1.0), ("", "How are you?", 1.5, 5.08)]
    assert session.notes[0][1].startswith("time not readable: a cue lacks its start or its end (1 such")


def test_voices_of_one_cue_share_its_times_and_a_cue_without_voice_goes_on():
    session = read("voices.vtt")
    assert said(session) == [
        ("Therapist", "How are you?", 1.0, 2.5),
        ("Patient", "Fine.", 3.0, 4.0),
        ("Therapist", "Really?", 3.0, 4.0),
        ("Therapist", "You look tired & sad. So it seems.", 8.0, 10.0),
    ]
    assert session.notes == []


@pytest.mark.parametrize("name", ["whisper.vtt", "whisper.srt"])
def test_a_file_without_speakers_keeps_one_cue_a_line(name):
    session = read(name)
    assert said(session) == [
        ("", "How was the week?", 0.0, 2.4),
        ("", "I said: fine.", 2.4, 4.0),
        ("", "Just fine.", 9.5, 3661.25),
    ]
    assert [note for _, note in session.notes] == [
        "perhaps a speaker: a text begins with words and a colon, too rare for a speaker (1 such in this session); "
        "kept as text"
    ]


@pytest.mark.parametrize("name", ["whisperx.vtt", "whisperx.srt"])
def test_whisperx_names_speakers_in_brackets(name):
    assert said(read(name)) == [
        ("SPEAKER_00", "How was the week? Take your time.", 0.5, 3.36),
        ("SPEAKER_01", "It was fine. Only fine?", 5.0, 6.96),
        ("SPEAKER_01", "I don't know.", 12.0, 13.45),
    ]


def test_services_name_a_speaker_where_the_turn_begins():
    assert said(read("speakers.srt")) == [
        ("Speaker 1", "How was the week? It seems long to me.", 3.0, 8.25),
        ("Speaker 2", "Fine.", 9.0, 11.25),
        ("Speaker 1", "Fine?", 12.0, 14.25),
        ("Speaker 2", "I said so.", 15.0, 17.25),
    ]


def test_words_with_a_colon_do_not_swallow_a_session():
    cues = [f"{n}\n00:00:{n:02d},000 --> 00:00:{n:02d},900\ntext {n}\n" for n in range(1, 50)]
    cues[7] = cues[7].replace("text", "I said: text")
    cues[20] = cues[20].replace("text", "I said: text")
    cues[30] = cues[30].replace("text", "[Music] text")
    session = read("x.srt", "\n".join(cues))
    assert len(session.lines) == 49
    assert {line.speaker for line in session.lines} == {""}


def test_a_labs_own_pattern_says_who_speaks():
    file = File(EXAMPLES / "x.srt", b"1\n00:00:01,000 --> 00:00:02,000\n#T# Hello: you\n")
    context = Context(find=CONTEXT.find, speaker=re.compile(r"#(?P<speaker>\w)#\s*"))
    assert said(srt.read(file, context)[0]) == [("T", "Hello: you", 1.0, 2.0)]


def test_untidy_subtitles_are_read_and_every_repair_is_noted():
    text = (
        "00:00:01.5 --> 00:00:03,000\n- T: <i>Hello</i><br>you\n- P: {\\an8}Hi <laughs> &lt;3\n\n"
        "7\n00:00:03,500 \u2192 00:00:02,000\nP: I\n\n23\n\nthings\n8\n--> 00:00:09,000\nT: ends\n\n"
        "9\nT: has no times\n\n10\n00:99:00,000 --> 00:00:10,000\nP: odd\n\n11\n00:00:00,500 --> 00:00:01,000\n\n"
    )
    session = read("x.srt", text)
    assert said(session) == [
        ("T", "Hello you", 1.5, 3.0),
        ("P", "Hi <laughs> <3 I 23 things", 1.5, 3.0),
        ("T", "ends has no times", None, 9.0),
        ("P", "odd", None, 10.0),
    ]
    assert [note for _, note in session.notes] == [
        "time not readable: a cue lacks its start or its end (3 such in this session); kept without it",
        "no text: a cue is empty (1 such in this session); left out",
        "time not readable: a cue ends before it begins (1 such in this session); kept without the end",
    ]


def test_a_brace_that_is_never_closed_takes_no_cue_with_it():
    text = "1\n00:00:01,000 --> 00:00:02,000\nT: {\\an8 a\n\n2\n00:00:03,000 --> 00:00:04,000\nP: b} c\n"
    assert said(read("x.srt", text)) == [("T", "{\\an8 a", 1.0, 2.0), ("P", "b} c", 3.0, 4.0)]


def test_backward_times_are_kept_with_a_note_and_end_an_utterance():
    text = "WEBVTT\n\n00:05.000 --> 00:06.000\n<v A>late\n\n00:01.000 --> 00:02.000\n<v A>early\n"
    session = read("x.vtt", text)
    assert said(session) == [("A", "late", 5.0, 6.0), ("A", "early", 1.0, 2.0)]
    assert session.notes == [
        (6, "time goes backwards: a cue begins before the one above it (1 such in this session); kept")
    ]


def test_styles_regions_notes_settings_and_direction_marks_are_no_speech():
    text = (
        "\ufeffWEBVTT - a title\nKind: captions\n\nSTYLE\n::cue { color: red }\n\nREGION\nid:a\n\nNOTE to self\r\n\r\n"
        "a name\r\n00:01.000 --> 01:00:02.000 align:start line:0\r\n\u200f<v.x.y \u05d3\u05e0\u05d4>NOTE &amp;&lrm;"
        " this&nbsp;&copyright</v> \U0001f642\r\n"
    )
    session = read("x.vtt", text)
    assert said(session) == [("\u05d3\u05e0\u05d4", "NOTE &\u200e this &copyright \U0001f642", 1.0, 3602.0)]
    assert session.notes == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.vtt", "WEBVTT\n\nNOTE nothing\n"),
        ("x.vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\n\n"),
        ("x.srt", "1\n00:00:01,000 --> 00:00:02,000\n"),
    ],
)
def test_a_file_without_speech_is_an_error(name, content):
    with pytest.raises(InputError, match="expected"):
        read(name, content)


def test_other_files_do_not_fit():
    for content in (b"T: hello\nP: hi --> there\n", b"{}", b"PK\x03\x04\0\0", b"\0\1\2"):
        file = File(EXAMPLES / "x", content)
        assert not srt.FORMAT.fits(file) and not webvtt.FORMAT.fits(file)


@pytest.mark.parametrize(
    "piece", ["<v ", "<v  a", "<c.", "[", "&", "a\n\n", "1\n", "-->", "a: ", "{\\", "<br ", "00:01 --> "]
)
def test_large_hostile_files_are_read_in_no_time(piece):
    body = piece * (1_000_000 // len(piece))
    for name, head in (("x.srt", ""), ("x.vtt", "WEBVTT\n\n")):
        content = f"{head}00:00:01.000 --> 00:00:02.000\nx {body}\n"
        assert read(name, content).lines


def test_ten_thousand_cues_of_one_speaker_become_one_utterance():
    cues = "".join(
        f"{n // 60:02d}:{n % 60:02d}.000 --> {n // 60:02d}:{n % 60:02d}.900\n<v A>word\n\n" for n in range(5990)
    )
    session = read("x.vtt", f"WEBVTT\n\n{cues}")
    assert len(session.lines) == 1 and len(session.lines[0].text.split()) == 5990


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["zoom.vtt", "teams.vtt", "voices.vtt", "speakers.srt", "own.vtt"]), st.data())
def test_damaged_files_are_read_or_refused(name, data):
    content = webvtt.write([CODED], OUTPUT) if name == "own.vtt" else (EXAMPLES / name).read_bytes()
    at = data.draw(st.integers(0, len(content)))
    until = data.draw(st.integers(at, len(content)))
    damaged = content[:at] + data.draw(st.binary(max_size=20)) + content[until:]
    try:
        file = File(EXAMPLES / name, damaged)
        form = srt.FORMAT if file.suffix == ".srt" else webvtt.FORMAT
        form.fits(file)
        assert form.read(file, CONTEXT)[0].lines
    except InputError as error:
        assert "\n" not in str(error)


def line(text, speaker="", start=0.0, end=None):
    return Line(row=1, text=text, speaker=speaker, start=start, end=end)


def mark(code, coder="", value="", lines=None, start=None, end=None):
    return Mark(row=1, code=code, coder=coder, value=value, lines=lines, start=start, end=end)


CODED = Document(
    session="A/1",
    lines=[line("I don't know.", "Patient", 1, 2.5), line("Hm.", "Patient", 2.6, 3), line("So <b>?", "T & co", 4)],
    marks=[
        mark("W2", "model:mpnet", lines=(0, 0)),
        mark("W3", "model:mpnet", "2", lines=(0, 1)),
        mark("W2", "anna", lines=(0, 1)),
        mark("R1 (a, b)", "", lines=(2, 2)),
        mark("", "anna", lines=(2, 2)),
        mark("C1", "x-->y", start=1.0, end=2.0),
    ],
)


def marks(session):
    return sorted((m.coder, m.code, m.value, m.lines or (), m.start or 0, m.end or 0) for m in session.marks)


def test_codes_stand_below_the_text_where_players_show_them():
    text = webvtt.write([CODED], OUTPUT).decode()
    assert text.split("\n\n", 2)[2] == (
        "1\n00:00:01.000 --> 00:00:02.500\n<v Patient>I don't know.</v>\n"
        "<c.codes>[W2, W3=2 (1/2) \u2013 model:mpnet]</c>\n<c.codes>[W2 (1/2) \u2013 anna]</c>\n\n"
        "2\n00:00:02.600 --> 00:00:03.000\n<v Patient>Hm.</v>\n"
        "<c.codes>[W3=2 (2/2) \u2013 model:mpnet]</c>\n<c.codes>[W2 (2/2) \u2013 anna]</c>\n\n"
        "3 end unknown\n00:00:04.000 --> 00:00:06.000\n<v T &amp; co>So &lt;b&gt;?</v>\n"
        "<c.codes>[R1 %28a%2C b%29]</c>\n"
    )
    session = read("own.vtt", text)
    assert session.session == "A/1" and session.notes == []
    assert said(session) == said(CODED)
    assert marks(session) == marks(CODED)


def test_webvtt_that_threers_wrote_is_webvtt_to_others():
    others = pytest.importorskip("webvtt")
    cues = others.from_string(webvtt.write([CODED], OUTPUT).decode()).captions
    assert [(cue.start, cue.voice) for cue in cues][:2] == [("00:00:01.000", "Patient"), ("00:00:02.600", "Patient")]
    assert "[W2, W3=2 (1/2) \u2013 model:mpnet]" in cues[0].text


def test_a_coder_may_correct_the_codes_in_an_editor():
    text = webvtt.write([CODED], OUTPUT).decode()
    text = text.replace("[W2, W3=2 (1/2) \u2013 model:mpnet]", "[W4 - model:mpnet]").replace("\u2013 anna", "- anna")
    session = read("own.vtt", text)
    shown = [(m.coder, m.code, m.value, m.lines) for m in session.marks if m.lines and m.code]
    assert shown == [
        ("model:mpnet", "W4", "", (0, 0)),
        ("anna", "W2", "", (0, 1)),
        ("model:mpnet", "W3", "2", (1, 1)),
        ("", "R1 (a, b)", "", (2, 2)),
    ]
    assert session.notes == [
        (13, "coding incomplete: not all its utterances are there (1 such in this session); kept on those that are")
    ]


def test_a_damaged_comment_loses_only_what_it_held():
    text = webvtt.write([CODED], OUTPUT).decode()
    session = read("own.vtt", text.replace('{"session"', '{session"'))
    assert len(session.marks) == 4
    assert session.notes[-1][1].startswith("comment not readable")
    moved = read("own.vtt", text.replace('"lines": [2, 2]', '"lines": [2, 9]'))
    assert [note.partition(":")[0] for _, note in moved.notes] == ["no such utterance"]


def test_utterances_without_times_cannot_be_written():
    with pytest.raises(InputError, match="1 utterances have no time"):
        webvtt.write([Document(lines=[line("a"), line("b", start=None)])], OUTPUT)


WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
NASTY = st.sampled_from(
    ["[W2 \u2013 anna]", "<c.codes>[W2]</c>", "NOTE x", "1", "\u2192 00:01", "a --> b", "%41", "{\\an8}"]
)
TEXTS = WORDS | NASTY
TIMES = st.integers(0, 10**7).map(lambda milliseconds: milliseconds / 1000)


@st.composite
def sessions(draw):
    lines = []
    for _ in range(draw(st.integers(1, 5))):
        start = draw(TIMES)
        end = draw(st.none() | st.integers(0, 9999).map(lambda more, start=start: start + more / 1000))
        lines.append(line(draw(TEXTS), draw(TEXTS), start, end))
    number = st.integers(0, len(lines) - 1)
    spans = st.tuples(number, number).map(lambda pair: (min(pair), max(pair)))
    field = st.sampled_from(["W2", "anna", "W2 (1/2)", "a - b", "-"]) | WORDS
    coded = st.builds(mark, field.filter(bool), field, field, st.none() | spans)
    return Document(session=draw(WORDS), lines=lines, marks=draw(st.lists(coded, max_size=6)))


@settings(max_examples=80, deadline=None)
@given(sessions())
def test_what_is_written_comes_back(session):
    (again,) = webvtt.read(File(EXAMPLES / "own.vtt", webvtt.write([session], OUTPUT)), CONTEXT)
    assert again.session == session.session
    for before, after in zip(session.lines, again.lines, strict=True):
        assert (folded(before.speaker), folded(before.text)) == (after.speaker, after.text)
        assert after.start == pytest.approx(before.start, abs=0.0005)
        assert (after.end is None) == (before.end is None)
        assert before.end is None or after.end == pytest.approx(before.end, abs=0.0006)
    assert marks(again) == marks(session)
