"""CHAT: who speaks and when, what was said without the signs of CHAT, and codes below and behind it."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from threers.codebook import Codebook
from threers.errors import InputError
from threers.formats import chat
from threers.formats.documents import Context
from threers.formats.files import File

EXAMPLES = Path(__file__).parent / "formats"
CONTEXT = Context(find=Codebook.load("3rs-2015").find)


def read(name, content=None, context=CONTEXT):
    file = File(EXAMPLES / name, None if content is None else content.encode())
    assert chat.FORMAT.fits(file)
    (session,) = chat.read(file, context)
    return session


def marks(session):
    return [(mark.row, mark.coder, mark.code, mark.value, mark.lines) for mark in session.marks]


@pytest.mark.parametrize(
    ("name", "patient", "therapist", "rows"),
    [
        ("therapy.cha", "Patient", "Therapist", [9, 10, 11, 13, 16, 17]),
        ("session.cha", "Participant", "Investigator", [9, 10, 11, 12, 15, 16]),
    ],
)
def test_roles_times_text_and_codes_are_read(name, patient, therapist, rows):
    session = read(name)
    r1, r2, r3, r4, r5, r6 = rows
    assert [(line.row, line.speaker, line.text, line.start, line.end) for line in session.lines] == [
        (r1, therapist, "how have you been um since last week last month?", 1.2, 3.9),
        (r3, patient, "I (.) don't know [sighs] because I'm not sure about any of this...", 4.0, 8.65),
        (r5, therapist, "mhm.", 6.0, 6.4),
        (r6, patient, "this isn't helping!", None, None),
    ]
    assert marks(session) == [
        (r2, "anna", "R1", "", (0, 0)),
        (r2, "anna", "R8", "", (0, 0)),
        (r4, "anna", "W2", "", (1, 1)),
        (r6, "anna", "C1", "", (3, 3)),
    ]
    assert session.notes == [
        (None, "tiers without codes or without an utterance: %com (1), %xsev (1); left out"),
        (8, "header not needed: a comment, a place, a date or the like (1 such in this session); left out"),
    ]


def test_what_talkbanks_own_library_writes_is_read():
    session = read("talkbank.cha")
    assert [(line.row, line.speaker, line.text, line.start, line.end) for line in session.lines] == [
        (9, "Therapist", "how have you been um since last week last month?", 1.2, 3.9),
        (11, "Participant", "I (.) don't know [sighs] because I'm not sure about any of this...", 4.0, 8.65),
        (14, "Therapist", "mhm.", 6.0, 6.4),
        (15, "Participant", "this isn't helping!", 9.0, 9.9),
    ]
    assert marks(session) == [
        (10, "", "R1", "", (0, 0)),
        (10, "", "R8", "", (0, 0)),
        (12, "", "W2", "", (1, 1)),
        (15, "", "C1", "", (3, 3)),
    ]
    assert session.notes == [
        (None, "tiers without codes or without an utterance: %com (1); left out"),
        (8, "header not needed: a comment, a place, a date or the like (1 such in this session); left out"),
    ]


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("<I want> [/] I want [//] I need it .", "I want I want I need it."),
        ("well [= a sigh] gonna [: going to] goed [* m] there [?] .", "well gonna goed there."),
        ("(be)cause goin(g) (laughs) (.) (2.5) no .", "because going (laughs) (.) (2.5) no."),
        ("&-um &+w &~gaga &um we &=laughs go &=imit:dog .", "um w gaga um we [laughs] go [imit dog]."),
        ("I [=! crying] see &*THE:mhm &{l=sings it &}l=sings .", "I [crying] see [THE: mhm] it."),
        ("and then +...", "and then..."),
        ("really +..?", "really...?"),
        ("you +!?", "you!?"),
        ("but I +/.", "but I -"),
        ("but I +//.", "but I -"),
        ("did you +/?", "did you -?"),
        ('she said +"/.', "she said."),
        ('+" come here . [+ q]', "come here."),
        ("++ of me .", "of me."),
        ("xxx yyy www 0 .", "xxx yyy www 0."),
        ("0 [=! laughs] .", "[laughs]."),
        ("0 &=sighs .", "[sighs]."),
        ("0.5 hours .", "0.5 hours."),
        ("he 0is home@s:eng x@l lala@si .", "he home x lala."),
        ("ice+cream Mister_X no:o:: rhi^no \u2191yes\u2193 \u2021 oh .", "ice cream Mister X noo rhino yes, oh."),
        ("at 3:20 , 5+5 me@home.org a & b .", "at 3:20, 5+5 me@home.org a & b."),
        ('see \x15%pic:"a.jpg"\x15 this \u20225_90\u2022 .', "see this."),
        ("\u05e9\u05dc\u05d5\u05dd \U0001f642 [>1] .", "\u05e9\u05dc\u05d5\u05dd \U0001f642."),
    ],
)
def test_signs_become_readable_text(said, text):
    assert chat.readable(said) == text


def test_times_are_those_of_the_first_and_the_last_bullet():
    old = '*PAT:\ta \x15%snd:"tape_1_2"_100_200\x15 b .\x15300_4500\x15\n'
    (line,) = read("x.cha", f"@Begin\n{old}@End\n").lines
    assert (line.text, line.start, line.end) == ("a b.", 0.1, 4.5)


def test_a_speaker_is_the_role_that_no_other_has():
    text = (
        "@UTF8\n@Begin\n@ID:\teng|lab|AAA|||||Patient|||\n@Participants:\tBBB Ann Therapist, CCC Therapist, DDD\n"
        "*AAA:\ta .\n*BBB:\tb .\n*CCC:\tc .\n*DDD:\td .\n*new one:\te .\n@End\n"
    )
    assert [line.speaker for line in read("x.cha", text).lines] == ["Patient", "BBB", "CCC", "DDD", "new one"]


CODED = (
    "@Begin\n*PAT:\ta .\n%cod:\t$W1$C2 <w2> W3=2, shrug\n%spa:\tXX\n%xben:\tW4\n%xeva:\tsad\n%com:\tC1\n"
    "*PAT:\tb .\n%xben:\tC1\n%com:\tno idea\n@End\n"
)


def test_tiers_of_nothing_but_codes_hold_codes():
    session = read("x.cha", CODED)
    assert marks(session) == [
        (3, "", "W1", "", (0, 0)),
        (3, "", "C2", "", (0, 0)),
        (3, "", "W3", "2", (0, 0)),
        (3, "", "shrug", "", (0, 0)),
        (4, "", "XX", "", (0, 0)),
        (5, "", "W4", "", (0, 0)),
        (9, "", "C1", "", (1, 1)),
    ]
    assert session.notes == [(None, "tiers without codes or without an utterance: %com (2), %xeva (1); left out")]


def test_a_lab_names_its_tiers_of_codes_and_their_coders():
    session = read("x.cha", CODED, Context(find=CONTEXT.find, code_tiers=("%x{coder}",)))
    assert [(coder, code) for _, coder, code, _, _ in marks(session)][-3:] == [
        ("ben", "W4"),
        ("eva", "sad"),
        ("ben", "C1"),
    ]


def test_untidy_files_are_read_and_every_repair_is_noted():
    text = (
        "@Begin\r\n%cod:\tW1\r\n*PAT:\tone\r\n  two\r\nthree .\r\n*THE:\t.\r\n%cod:\tR1\r\n*PAT no colon\r\n"
        "*PAT:\tno [+ bch] .\r\n"
    )
    session = read("x.cha", text)
    assert [line.text for line in session.lines] == ["one two three.", "no."]
    assert session.marks == []
    assert session.notes == [
        (5, "line not readable: it begins with none of @ * % (2 such in this session); added to the one above"),
        (6, "no text: an utterance has no words (1 such in this session); left out with its codes"),
        (None, "tiers without codes or without an utterance: %cod (2), [+ ] (1); left out"),
        (None, "file cut off: it has no @End; read as far as it goes"),
    ]


def test_who_says_nothing_has_no_utterance():
    text = "@Begin\n*PAT:\tyes .\n*THE:\t0 .\n%cod:\tR1\n*PAT:\t0 [=! laughs] .\n@End\n"
    assert [line.text for line in read("x.cha", text).lines] == ["yes.", "[laughs]."]


def test_a_file_in_which_nobody_speaks_is_an_error():
    with pytest.raises(InputError, match="expected CHAT"):
        read("x.cha", "@UTF8\n@Begin\n@End\n")


@pytest.mark.parametrize("content", [b"T: hello", b"WEBVTT", b"@home", b"\0\0\1"])
def test_other_files_do_not_fit(content):
    assert not chat.FORMAT.fits(File(EXAMPLES / "x.cha", content))


@pytest.mark.parametrize(
    "piece", ["[", "<", "(a", "&=", "\x15", "a:", "\u2022 1", "@s:", "+", " ", "_a", "\n\t", "0a", "[+ a"]
)
def test_large_hostile_lines_are_read_in_no_time(piece):
    assert read("x.cha", f"@Begin\n*PAT:\tword {piece * (400_000 // len(piece))} .\n%cod:\t{piece * 10_000}\n").lines


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_files_are_read_or_refused(data):
    content = (EXAMPLES / "therapy.cha").read_bytes()
    at = data.draw(st.integers(0, len(content)))
    until = data.draw(st.integers(at, len(content)))
    try:
        file = File(EXAMPLES / "x.cha", content[:at] + data.draw(st.binary(max_size=20)) + content[until:])
        chat.FORMAT.fits(file)
        assert chat.read(file, CONTEXT)[0].lines
    except InputError as error:
        assert "\n" not in str(error)
