"""Praat TextGrids: every form that Praat saves is read, or refused in words; what is written is read the same."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings

from tests.tier_documents import CONTEXT, FIND, OUTPUT, coded, documents, said
from threers.errors import InputError
from threers.formats.documents import Context, Document, Line, Mark
from threers.formats.files import File
from threers.formats.textgrid import FORMAT

EXAMPLES = Path(__file__).parent / "formats"
LONG = (EXAMPLES / "long.TextGrid").read_bytes()
NAMED = Context(find=FIND, code_tiers=("Codes_{coder}", "Events"))


def file(content: bytes) -> File:
    return File(Path("x.TextGrid"), content)


def read(content: bytes, context: Context = CONTEXT) -> Document:
    (document,) = FORMAT.read(file(content), context)
    return document


def short(*tiers: str) -> bytes:
    return "\n".join(['File type = "ooTextFile"\n"TextGrid"\n0\n9\n<exists>', str(len(tiers)), *tiers]).encode()


@pytest.mark.parametrize(
    ("name", "last"), [("long", '"TextTier" Well.'), ("short", '"TextTier" Well.'), ("utf16", '"TextTier" Schön 🙂.')]
)
def test_every_line_and_mark_that_praat_saved_is_read(name, last):
    document = read((EXAMPLES / f"{name}.TextGrid").read_bytes(), NAMED)
    assert said(document) == [
        ("Therapist", 'What comes to mind when I say "next week"?', 250, 3500),
        ("Patient", f"Nothing. item [2]: {last}", 3123, 6000),
        ("Patient", "I don't see the point of this.", 6000, 9000),
    ]
    assert [(m.coder, m.code, m.lines, m.start, m.end) for m in document.marks] == [
        ("anna", "W2", (1, 1), 3.123456789, 6),
        ("anna", "W1", (1, 1), 3.123456789, 6),
        ("ben", "C1", (1, 2), 3.123456789, 9),
        ("", "C2", None, 7.5, 7.5),
    ]
    assert document.notes == []


def test_without_names_of_tiers_those_that_hold_only_codes_are_found():
    document = read(LONG)
    assert [(m.coder, m.code) for m in document.marks] == [("", "W2"), ("", "W1"), ("", "C1"), ("", "C2")]
    assert len(document.lines) == 3


def test_a_tier_with_the_name_of_a_speaker_is_speech_whatever_its_words():
    content = short('"IntervalTier" "P" 0 9 1 0 9 "W2"', '"IntervalTier" "T" 0 9 1 0 9 "So?"')
    assert [mark.code for mark in read(content).marks] == ["W2"], "nothing but its words tells what it is"
    document = read(content, replace(CONTEXT, knows=lambda name: name == "P"))
    assert ([line.speaker for line in document.lines], document.marks) == (["P", "T"], [])
    assert document.notes[0][1].startswith("codes in speech: 1 of 1 values")


def test_points_that_are_no_codes_are_no_speech():
    document = read(short('"TextTier" "events" 0 9 2 1 "W1" 2 "door slams"', '"IntervalTier" "P" 0 9 1 0 9 "hm"'))
    assert [line.text for line in document.lines] == ["hm"]
    assert document.notes == [
        (None, "point tier: tier 1 of the file holds points that are not all codes; its 2 values were left out")
    ]


def test_times_that_go_backwards_are_exchanged_and_noted():
    document = read(short('"IntervalTier" "P" -1 9 2 5 -1e0 "hm" 5 9 " "'))
    assert said(document) == [("P", "hm", -1000, 5000)]
    assert document.notes[0][0] == 1
    assert document.notes[0][1].startswith("time goes backwards")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ((EXAMPLES / "binary.TextGrid").read_bytes(), "binary or chronological form; open it in Praat"),
        ((EXAMPLES / "chronological.TextGrid").read_bytes(), "binary or chronological form; open it in Praat"),
        (LONG[:900], "ends too early"),
        (LONG[: LONG.index(b"next week")], "ends too early"),
        (LONG.replace(b"xmin = 3.5", b"xmin = three"), "damaged at line 27: expected a number"),
        (LONG.replace(b'"IntervalTier"', b'"PitchTier"'), "unknown kind"),
        (LONG.replace(b"size = 5", b"size = 1e300"), "ends too early"),
        (LONG.replace(b"xmax = 12.5", b"xmax = 1e999"), "time that no recording has"),
        (LONG.replace(b"size = 3", b"size = 99999999999999999999"), "expected a number"),
        (b"just words", "ends too early"),
        (b'"words" "TextGrid"', "does not begin"),
        (b"\0\xffbinary\0", "TextGrid|text"),
    ],
)
def test_files_that_are_damaged_or_no_textgrids_say_so(content, message):
    with pytest.raises(InputError, match=message):
        read(content)


def test_the_content_tells_a_textgrid_whatever_its_name():
    for path in EXAMPLES.glob("*.TextGrid"):
        assert FORMAT.fits(File(Path("a.txt"), path.read_bytes()))
    assert not FORMAT.fits(file(b'File type = "ooTextFile"\nObject class = "PitchTier"\n'))
    assert not FORMAT.fits(file(b"\0\xff"))


@pytest.mark.parametrize("junk", [b'"', b"!", b"<", b"1", b'""', b'"a', b" 1", b"\n", b"= ", b"1.", b"<a>"])
def test_megabytes_of_one_thing_take_no_time(junk):
    begin = time.process_time()
    for content in (short(f'"IntervalTier" "P" 0 9 1 0 9 "{"hm " * 99_999}"'), LONG[:150] + junk * 1_000_000):
        try:
            read(content)
        except InputError:
            pass
    assert time.process_time() - begin < 3


@settings(max_examples=60, deadline=None)
@given(documents())
def test_what_is_written_is_read_the_same(document):
    back = read(FORMAT.write([document], OUTPUT))
    assert said(back) == said(document)
    assert coded(back) == coded(document)
    assert back.notes == []
    assert FORMAT.write([back], OUTPUT) == FORMAT.write([document], OUTPUT)


@settings(max_examples=40, deadline=None)
@given(documents())
def test_what_is_added_to_a_file_is_read_the_same_however_often(document):
    speech = FORMAT.write([replace(document, marks=[])], OUTPUT)
    once = FORMAT.write([document], replace(OUTPUT, original=file(speech)))
    back = read(once)
    assert said(back) == said(document)
    assert coded(back) == coded(document)
    assert FORMAT.write([back], replace(OUTPUT, original=file(once))) == once


def test_intervals_of_a_written_tier_cover_all_of_the_time():
    lines = [
        Line(row=1, text='"so"', speaker="P", start=1.5, end=2),
        Line(row=2, text="hm", speaker="T", start=3, end=4),
    ]
    written = FORMAT.write([Document(lines=lines, marks=[Mark(row=1, code="W1", coder="anna", lines=(0, 1))])], OUTPUT)
    text = written.decode()
    assert 'name = "threers codes: anna"' in text
    assert 'text = """so"""' in text
    times = [line.split("=")[1].strip() for line in text.splitlines() if line.startswith(" " * 12 + "xm")]
    assert times == ["0", "1.5", "1.5", "2", "2", "4", "0", "3", "3", "4", "0", "1.5", "1.5", "4"]


def test_codes_are_added_to_a_labs_own_file_and_all_else_stays():
    original = file(LONG)
    document = read(LONG, NAMED)
    document.marks.append(Mark(row=0, code="R1", coder="tagger", lines=(0, 0)))
    written = FORMAT.write([document], replace(OUTPUT, original=original))
    text = written.decode()
    assert text[: text.index("    item [6]")] == LONG.decode().replace("size = 5", "size = 6")
    back = read(written, NAMED)
    assert said(back) == said(document)
    assert coded(back) == coded(document)
    assert FORMAT.write([back], replace(OUTPUT, original=file(written))) == written
    changed = replace(back, marks=[Mark(row=0, code="C1", coder="tagger", lines=(1, 2))])
    again = FORMAT.write([changed], replace(OUTPUT, original=file(written)))
    assert [(m.code, m.lines) for m in read(again, NAMED).marks if m.coder == "tagger"] == [("C1", (1, 2))]


def test_names_that_only_threers_may_give_are_refused():
    for name in ("threers codes: x", "P (tier 2)", "(nobody)"):
        line = Line(row=1, text="hm", speaker=name, start=0, end=1)
        with pytest.raises(InputError, match="another name"):
            FORMAT.write([Document(lines=[line])], OUTPUT)
    with pytest.raises(InputError, match="line 1 of the session has no start and end"):
        FORMAT.write([Document(lines=[Line(row=1, text="hm")])], OUTPUT)


def test_a_long_session_is_read_and_written_at_once():
    lines = [Line(row=n, text="hm", speaker="PT"[n % 2], start=n * 0.5, end=n * 0.5 + 0.7) for n in range(10_000)]
    marks = [Mark(row=n, code="W1", coder="anna", lines=(n, min(n + n % 3, 9_999))) for n in range(10_000)]
    begin = time.process_time()
    back = read(FORMAT.write([Document(lines=lines, marks=marks)], OUTPUT))
    assert len(back.lines) == len(back.marks) == 10_000
    assert time.process_time() - begin < 5
