"""ELAN files: what pympi and the format's description say is read, written, and added to a lab's own file."""

import time
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings

from tests.tier_documents import CONTEXT, FIND, OUTPUT, coded, documents, said
from threers.errors import InputError
from threers.formats import Reader, import_files
from threers.formats.documents import Context, Document, Line, Mark
from threers.formats.elan import FORMAT
from threers.formats.files import File

EXAMPLES = Path(__file__).parent / "formats"
SESSION, SUBDIVIDED = EXAMPLES / "session.eaf", EXAMPLES / "subdivided.eaf"


def file(content: bytes) -> File:
    return File(Path("x.eaf"), content)


def read(content: bytes, context: Context = CONTEXT) -> Document:
    (document,) = FORMAT.read(file(content), context)
    return document


def eaf(tiers: str) -> bytes:
    slots = "".join(f'<TIME_SLOT TIME_SLOT_ID="ts{n}" TIME_VALUE="{n * 1000}"/>' for n in range(1, 10))
    return f"<ANNOTATION_DOCUMENT><HEADER/><TIME_ORDER>{slots}</TIME_ORDER>{tiers}</ANNOTATION_DOCUMENT>".encode()


def tier(name: str, *annotations: tuple, **attributes: str) -> str:
    """A tier of (first slot, last slot, text), or (id of the annotation above, text)."""
    inner = ""
    for n, (*where, text) in enumerate(annotations):
        kind, at = "ALIGNABLE", f'TIME_SLOT_REF1="ts{where[0]}" TIME_SLOT_REF2="ts{where[-1]}"'
        if len(where) == 1:
            kind, at = "REF", f'ANNOTATION_REF="{where[0]}"'
        value = f"<ANNOTATION_VALUE>{text}</ANNOTATION_VALUE>"
        one = f'<{kind}_ANNOTATION ANNOTATION_ID="{name}{n}" {at}>{value}</{kind}_ANNOTATION>'
        inner += f"<ANNOTATION>{one}</ANNOTATION>"
    more = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return f'<TIER TIER_ID="{name}"{more}>{inner}</TIER>'


def test_every_line_and_mark_of_a_file_from_pympi_is_read():
    document = read(SESSION.read_bytes())
    assert said(document) == [
        ("T", "Where would you like to begin?", 0, 2400),
        ("P", "It doesn't matter, אין לי מושג 🙂.", 2400, 6500),
        ("T", "You sound annoyed — with me?", 6000, 9000),
        ("P", "No, I'm fine, really.", 9100, 12000),
        ("T", "mhm", 11000, 11800),
    ]
    assert [(m.coder, m.code, m.lines, m.start, m.end) for m in document.marks] == [
        ("Anna", "W2", (1, 1), 2.4, 6.5),
        ("Anna", "W1", (1, 1), 2.4, 6.5),
        ("Anna", "Denial", (3, 3), 9.1, 12.0),
        ("Anna", "R1", (2, 2), 6.0, 9.0),
        ("Ben", "W1", (3, 3), 9.1, 12.0),
    ]
    assert document.notes == []


def test_times_come_from_neighbours_and_from_the_tier_above():
    document = read(SUBDIVIDED.read_bytes())
    assert said(document) == [
        ("P", "Well, fine.", 0, 3000),
        ("T", "How was it to come here today?", 1000, 6000),
        ("P", "If you must know.", 6500, 7500),
        ("P", "It is the same every week.", 7500, 8500),
    ]
    assert [(m.row, m.coder, m.code, m.lines, m.start, m.end) for m in document.marks] == [
        (8, "Zoë", "W2", (0, 0), 2.0, 3.0),
        (9, "Max", "Denial", (2, 2), 7.0, 7.5),
        (10, "Max", "C1", (2, 2), 6.5, 7.0),
        (12, "Max", "R1", None, 3.5, 6.0),
    ]
    assert document.notes == [
        (None, "no time: 3 time slots have none; placed evenly between their neighbours"),
        (11, "damaged reference: it names a time slot or annotation that is not there; left out"),
        (None, "dependent tier: tier 3 of the file holds text below a tier of speech; its 2 values were left out"),
    ]


def test_what_elan_itself_wrote_is_read_with_its_subdivisions_and_the_gestures_as_codes():
    document = read((EXAMPLES / "elan.eaf").read_bytes(), Context(find=FIND, code_tiers=("gest*",)))
    assert [(line.row, *one) for line, one in zip(document.lines, said(document), strict=True)] == [
        (1, "text", "The quick brown fox 001", 2000, 5000),
        (2, "text", "The quick brown fox 002", 5000, 8000),
        (3, "text", "The quick brown fox 003", 8000, 11000),
    ]
    phases = [("prep", 1.8, 2.4), ("hold", 3.0, 3.6), ("stroke", 4.2, 4.8), ("retr", 4.8, 5.4), ("prep", 6.0, 6.6)]
    phases += [("hold", 7.2, 7.8), ("hold", 7.8, 8.4), ("stroke", 9.0, 9.6), ("hold", 10.2, 10.8)]
    alone = [mark for mark in document.marks if mark.row < 43]
    assert [(mark.code, mark.start, mark.end) for mark in alone] == phases
    below = [(mark.code, mark.lines) for mark in document.marks if mark.row >= 43]
    assert [lines for _, lines in below] == [(line, line) for line in (0, 0, 0, 1, 1, 1, 2, 2, 2)]
    assert [code for code, _ in below] == ["hold", "hold", "stroke"] * 3
    left_out = "tier {} of the file holds text below a tier of speech; its {} values were left out"
    assert [reason for _, reason in document.notes] == [
        "no time: 4 time slots have none; placed evenly between their neighbours",
        *(f"dependent tier: {left_out.format(tier, held)}" for tier, held in ((2, 15), (3, 15), (6, 3))),
    ]


def test_the_lab_says_which_tiers_hold_codes_and_whose():
    tiers = tier("P", (1, 2, "hm"), (2, 3, "no")) + tier("Rupture_anna", (1, 2, "W77; W1"), (2, 3, ""))
    tiers += tier("Rupture_ben", (1, 3, "C1 | C2"), ANNOTATOR="Benjamin") + tier("old", (1, 2, "W1"))
    document = read(eaf(tiers), Context(find=FIND, code_tiers=("rupture_{coder}", "x*")))
    assert [(m.coder, m.code, m.lines) for m in document.marks] == [
        ("anna", "W77", (0, 0)),
        ("anna", "W1", (0, 0)),
        ("Benjamin", "C1", (0, 1)),
        ("Benjamin", "C2", (0, 1)),
    ]
    assert document.notes == [
        (
            None,
            "code tier not named: tier 4 of the file holds codes, but code_tiers does not fit it; its 1 values were "
            "left out",
        )
    ]


def test_a_tier_of_text_and_codes_is_speech_and_the_codes_are_counted():
    document = read(eaf(tier("P", (1, 2, "hm"), (2, 3, "W1"), (3, 4, "C1, C2"))))
    assert [line.text for line in document.lines] == ["hm", "W1", "C1, C2"]
    assert document.notes == [
        (None, "codes in speech: 2 of 3 values of tier 1 of the file are codes; all kept as speech")
    ]


GESTURES = [(1, 2, "prep"), (2, 3, "hold"), (3, 4, "Prep"), (4, 5, "hold"), (5, 6, "stroke"), (6, 7, "hold")]


def test_few_short_values_of_someone_who_speaks_elsewhere_are_not_taken_for_speech():
    tiers = tier("P", (1, 2, "hm"), (2, 3, "no"), PARTICIPANT="P") + tier("gest", *GESTURES, PARTICIPANT="P")
    document = read(eaf(tiers))
    assert [line.text for line in document.lines] == ["hm", "no"]
    assert [reason for _, reason in document.notes] == [
        "unclear tier: tier 2 of the file repeats few short values, and its participant speaks on another tier; its 6 "
        "values were left out"
    ]
    spoken = tier("P", (1, 2, "hm"), PARTICIPANT="P")
    assert len(read(eaf(spoken + tier("gest", *GESTURES, PARTICIPANT="T"))).lines) == 7, "T speaks nowhere else"
    assert len(read(eaf(spoken + tier("P mhm", (3, 4, "mhm"), PARTICIPANT="P"))).lines) == 2, "nothing comes back"


def test_an_import_asks_what_an_unclear_tier_is_and_says_what_it_took_for_codes(tmp_path, caplog):
    tiers = tier("P", (1, 2, "hm"), (2, 3, "no"), PARTICIPANT="P") + tier("gest", *GESTURES, PARTICIPANT="P")
    (tmp_path / "s.eaf").write_bytes(eaf(tiers))
    given = {"codebook": "3rs-2015", "roles": {"P": "patient"}, "every_role": True}
    with pytest.raises(
        InputError, match=r"s\.eaf: unclear tier: tier 2 .* \(1 such tiers\).*name the tiers in speech_t"
    ):
        import_files(tmp_path / "s.eaf", **given)
    lab = Reader.load("transcript")
    assert len(import_files(tmp_path, replace(lab, speech_tiers=("p",)), **given).utterances) == 2
    assert len(import_files(tmp_path, replace(lab, speech_tiers=("P", "gest*")), **given).utterances) == 8
    assert not caplog.records
    (tmp_path / "t.eaf").write_bytes(eaf(tier("P", (1, 2, "hm")) + tier("a", (1, 2, "W1")) + tier("b", (1, 2, "W1"))))
    with caplog.at_level("INFO"):
        import_files(tmp_path / "t.eaf", **given)
    assert caplog.messages[0].startswith("2 tiers hold nothing but codes and were taken for codings. If not: Say")
    (tmp_path / "t.eaf").unlink()
    given["roles"]["gest"] = "other"
    assert len(import_files(tmp_path, **given).utterances) == 8, "a name with a role is a speaker's"


def test_the_lab_says_which_tiers_are_speech():
    tiers = tier("words", (1, 3, "hm no")) + tier("P", ("words0", "hm"), ("words0", "no"), PARENT_REF="words")
    document = read(eaf(tiers), Context(find=FIND, speech_tiers=("p",)))
    assert [line.text for line in document.lines] == ["hm", "no"]
    assert [reason for _, reason in document.notes] == [
        "tier not named: tier 1 of the file holds text, but speech_tiers does not fit it; its 1 values were left out"
    ]


def test_segments_have_a_tier_of_their_own_and_are_no_utterances():
    lines = [Line(row=1, text="hm", speaker="P", start=0, end=300)]
    mark = Mark(row=1, code="W1", coder="anna", start=0, end=300)
    written = FORMAT.write([Document(lines=lines, marks=[replace(mark, segment=0)])], OUTPUT)
    assert b'"threers segments: anna"' in written
    assert [(m.coder, m.code, m.lines, m.start, m.end) for m in read(written).marks] == [("anna", "W1", None, 0, 300)]


def test_separators_alone_are_no_codes():
    assert [line.text for line in read(eaf(tier("P", (1, 2, ";"), (2, 3, "W1")))).lines] == [";", "W1"]


def test_a_file_nested_a_hundred_thousand_times_is_refused_when_it_should_be_written():
    deep = eaf("<a>" * 100_000 + "</a>" * 100_000 + tier("P", (1, 2, "hm")))
    document = read(deep)
    with pytest.raises(InputError, match="nested too deeply"):
        FORMAT.write([document], replace(OUTPUT, original=file(deep)))


def test_a_reference_tier_gives_way_to_the_speech_below_it():
    tiers = tier("ref", (1, 2, ".001"), (2, 3, ".002")) + tier("said", ("ref0", "hm"), ("ref1", "no"), PARENT_REF="ref")
    document = read(eaf(tiers))
    assert said(document) == [("said", "hm", 1000, 2000), ("said", "no", 2000, 3000)]
    assert "reference tier" in document.notes[0][1]


def test_overlapping_lines_are_told_apart_by_the_tier_above():
    tiers = tier("P", (1, 3, "hm")) + tier("T", (1, 3, "yes")) + tier("alone", (1, 3, "W1"))
    tiers += tier("below", (1, 3, "W2"), PARENT_REF="T") + tier("reference", ("P0", "W3"), PARENT_REF="P")
    tiers += tier("further", ("below0", "C1"), PARENT_REF="below")
    assert [(m.code, m.lines) for m in read(eaf(tiers)).marks] == [
        ("W1", None),
        ("W2", (1, 1)),
        ("W3", (0, 0)),
        ("C1", (1, 1)),
    ]


def test_damaged_references_and_circles_are_notes():
    tiers = tier("P", (1, 2, "hm"), (1, 77, "lost"), (4, 3, "back"))
    tiers += tier("a", ("a0", "W1"), PARENT_REF="b") + tier("b", ("nobody", "W1"), PARENT_REF="a")
    document = read(eaf(tiers))
    assert [(line.text, line.start, line.end) for line in document.lines] == [("hm", 1.0, 2.0), ("back", 3.0, 4.0)]
    assert [row for row, _ in document.notes] == [2, 3, 4, 5]
    assert document.marks == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (SESSION.read_bytes()[:2000], "not well-formed XML"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><ANNOTATION_DOCUMENT>&b;</ANNOTATION_DOCUMENT>', "declares entities"),
        (b'<ANNOTATION_DOCUMENT><HEADER TIME_UNITS="PAL-frames"/></ANNOTATION_DOCUMENT>', "milliseconds"),
        (b"<html><body>hm</body></html>", "expected ANNOTATION_DOCUMENT"),
        (b"\0\0\0", "the file is empty"),
    ],
)
def test_files_that_are_damaged_or_no_elan_files_say_so(content, message):
    with pytest.raises(InputError, match=message):
        read(content)


def test_the_content_tells_an_elan_file_whatever_its_name():
    assert FORMAT.fits(File(Path("a.txt"), SESSION.read_bytes()))
    assert not FORMAT.fits(file(b"<ANNOTATION/>"))
    assert not FORMAT.fits(file(b"\0\xff"))


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


def test_annotations_of_one_tier_never_overlap():
    lines = [Line(row=n, text="hm", speaker="P", start=n, end=n + 2) for n in range(4)]
    marks = [Mark(row=n, code="W1", coder="anna", lines=(n, min(n + 1, 3))) for n in range(4)]
    root = ElementTree.fromstring(FORMAT.write([Document(lines=lines, marks=marks)], OUTPUT))
    times = {slot.get("TIME_SLOT_ID"): int(slot.get("TIME_VALUE")) for slot in root.iter("TIME_SLOT")}
    assert list(times.values()) == sorted(times.values())
    names = []
    for one in root.iter("TIER"):
        names.append(one.get("TIER_ID"))
        ends = [times[a.get(f"TIME_SLOT_REF{n}")] for a in one.iter("ALIGNABLE_ANNOTATION") for n in (1, 2)]
        assert ends == sorted(ends)
    assert names[:4] == ["P", "P (tier 2)", "threers codes: anna", "threers codes: anna (tier 2)"]


def test_codes_are_added_to_a_labs_own_file_and_all_else_stays():
    original = file(SUBDIVIDED.read_bytes())
    document = read(original.content)
    more = [Mark(row=0, code="W1", coder="tagger", lines=(0, 0)), Mark(row=0, code="R1", coder="tagger", lines=(1, 3))]
    document.marks += more
    written = FORMAT.write([document], replace(OUTPUT, original=original))
    back = read(written)
    assert said(back) == said(document)
    assert coded(back) == coded(document)
    before, after = (ElementTree.fromstring(content) for content in (original.content, written))
    assert [one.tag for one in after] == [
        *["HEADER", "TIME_ORDER"],
        *["TIER"] * 8,
        *["LINGUISTIC_TYPE"] * 5,
        *["LANGUAGE", "CONSTRAINT", "CONSTRAINT", "CONSTRAINT", "CONTROLLED_VOCABULARY", "EXTERNAL_REF"],
    ]
    kept = [ElementTree.tostring(one).strip() for one in after]
    for one in before:
        if one.tag not in ("HEADER", "TIME_ORDER"):
            assert ElementTree.tostring(one).strip() in kept
    assert after.find("HEADER/PROPERTY").text == "15"
    assert sum(slot.get("TIME_VALUE") is None for slot in after.iter("TIME_SLOT")) == 2
    again = read(FORMAT.write([back], replace(OUTPUT, original=file(written))))
    assert coded(again) == coded(document)
    assert FORMAT.write([back], replace(OUTPUT, original=file(written))) == written


def test_codes_are_added_to_what_elan_itself_wrote_and_all_else_stays():
    original = file((EXAMPLES / "elan.eaf").read_bytes())
    document = read(original.content)
    document.marks.append(Mark(row=0, code="W1", coder="tagger", lines=(1, 1)))
    written = FORMAT.write([document], replace(OUTPUT, original=original))
    assert said(read(written)) == said(document) and coded(read(written)) == coded(document)
    before, after = (ElementTree.fromstring(content) for content in (original.content, written))
    kept = [ElementTree.tostring(one).strip() for one in after]
    assert [one.tag for one in before if ElementTree.tostring(one).strip() not in kept] == ["HEADER", "TIME_ORDER"]


def test_codings_that_the_labs_file_holds_already_are_not_written_again():
    original = file(SESSION.read_bytes())
    document = read(original.content)
    root = ElementTree.fromstring(FORMAT.write([document], replace(OUTPUT, original=original)))
    assert [one.get("TIER_ID") for one in root.iter("TIER")] == [
        "default",
        "Therapist",
        "Patient",
        "3RS anna",
        "Patient 3RS ben",
    ]


def test_what_a_coder_changed_since_replaces_what_was_written_before():
    original = file(SESSION.read_bytes())
    document = replace(read(original.content), marks=[Mark(row=0, code="W1", coder="tagger", lines=(1, 2))])
    first = FORMAT.write([document], replace(OUTPUT, original=original))
    changed = replace(document, marks=[Mark(row=0, code="C1", coder="tagger", lines=(3, 3))])
    second = FORMAT.write([changed], replace(OUTPUT, original=file(first)))
    assert [(m.code, m.lines) for m in read(second).marks if m.coder == "tagger"] == [("C1", (3, 3))]
    assert second.count(b"<TIME_SLOT ") == original.content.count(b"<TIME_SLOT ") + 2
    hanging = second.replace(b'TIER_ID="3RS anna"', b'TIER_ID="3RS anna" PARENT_REF="threers codes: tagger"')
    with pytest.raises(InputError, match="hangs below"):
        FORMAT.write([changed], replace(OUTPUT, original=file(hanging)))


def test_lines_named_by_number_are_checked_against_their_times():
    lines = [Line(row=1, text="hm", speaker=who, start=1.0, end=3.0) for who in "PT"]
    document = Document(lines=lines, marks=[Mark(row=1, code="W1", coder="anna", lines=(1, 1))])
    written = FORMAT.write([document], OUTPUT)
    assert b"W1 #2<" in written
    assert read(written).marks[0].lines == (1, 1)
    moved = read(written.replace(b"W1 #2<", b"W1 #7<"))
    assert [(m.code, m.lines) for m in moved.marks] == [("W1", None)]
    assert moved.notes[0][1].startswith("lines moved")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (Line(row=7, text="hm"), "line 7 of the session has no start and end"),
        (Line(row=7, text="hm", start=2.0, end=1.0), "ends before it begins"),
        (Line(row=7, text="hm", speaker="threers codes: x", start=1.0, end=2.0), "another name"),
    ],
)
def test_what_elan_cannot_hold_is_refused(line, message):
    with pytest.raises(InputError, match=message):
        FORMAT.write([Document(lines=[line])], OUTPUT)


def test_a_long_session_is_read_and_written_at_once():
    lines = [Line(row=n, text="hm", speaker="PT"[n % 2], start=n * 0.5, end=n * 0.5 + 0.7) for n in range(10_000)]
    marks = [Mark(row=n, code="W1", coder="anna", lines=(n, min(n + n % 3, 9_999))) for n in range(10_000)]
    begin = time.process_time()
    back = read(FORMAT.write([Document(lines=lines, marks=marks)], OUTPUT))
    assert len(back.lines) == len(back.marks) == 10_000
    assert time.process_time() - begin < 5
