"""Selections in a text become marks on the lines that they cover."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.annotations import CONTEXT
from threers.formats import brat, prodigy, webanno
from threers.formats.documents import Line
from threers.formats.files import File
from threers.formats.selections import Selection, from_utf16, marked
from threers.formats.speech import Spoken, read_speech

TEXT = "P: I had a long week.\nT: Tell me.\nP: No, I would rather not.\n"


def spoken(*places: tuple[int, int]) -> list[Spoken]:
    return [Spoken(Line(row=row, text="x" * (end - start)), start, end) for row, (start, end) in enumerate(places, 1)]


def lines_of(start: int, end: int, *places: tuple[int, int]) -> list[tuple[int, int]]:
    return [mark.lines for mark in marked(spoken(*places), [Selection(row=1, code="W1", start=start, end=end)]).marks]


def test_a_selection_keeps_coder_code_value_and_row():
    chosen = Selection(row=7, code="W1", coder="anna", value="3", start=TEXT.index("No"), end=len(TEXT))
    document = marked(read_speech(TEXT).spoken, [chosen], session="s1")
    assert document.session == "s1"
    assert [line.text for line in document.lines] == ["I had a long week.", "Tell me.", "No, I would rather not."]
    [mark] = document.marks
    assert (mark.row, mark.code, mark.coder, mark.value, mark.lines) == (7, "W1", "anna", "3", (2, 2))
    assert document.notes == []


def test_a_single_word_codes_its_line_and_many_lines_are_one_mark():
    places = ((3, 30), (34, 60), (64, 90))
    assert lines_of(5, 8, *places) == [(0, 0)]
    assert lines_of(3, 90, *places) == [(0, 2)]


def test_a_border_drawn_a_word_too_far_codes_no_neighbour_and_says_so():
    document = marked(spoken((3, 30), (34, 60), (64, 90)), [Selection(row=4, code="W1", start=26, end=66)])
    assert [mark.lines for mark in document.marks] == [(1, 1)]
    assert document.notes == [
        (4, "selection crosses utterances: covers one by less than half; coding given to the others")
    ]


def test_a_short_selection_across_a_border_lies_where_half_of_it_lies():
    assert lines_of(20, 36, (3, 30), (34, 60)) == [(0, 0)]
    assert lines_of(27, 37, (3, 30), (34, 60)) == [(0, 1)], "neither has half: both"


def test_a_selection_of_a_speakers_name_or_of_nothing_is_a_note_with_the_nearest_lines():
    chosen = [
        Selection(row=1, code="W1", start=22, end=24),
        Selection(row=2, code="W1", start=200, end=210),
        Selection(row=3, code="W1", start=5, end=5),
        Selection(row=4, code="W1", start=9, end=5),
    ]
    document = marked(read_speech(TEXT).spoken, chosen)
    assert document.marks == []
    assert [row for row, _ in document.notes] == [1, 2, 3, 4]
    assert document.notes[0][1] == (
        "no such utterance: the selection covers no speech, nearest: line 1 and line 2; coding dropped"
    )
    assert document.notes[1][1].endswith("nearest: line 3; coding dropped")
    assert document.notes[2][1].endswith("nearest: line 1; coding dropped")
    assert marked([], chosen[:1]).notes[0][1].endswith("nearest: none; coding dropped")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 9)), max_size=8), st.integers(-5, 99), st.integers(-5, 99))
def test_the_fast_way_gives_what_the_definition_says(gaps, start, end):
    places, at = [], 0
    for gap, length in gaps:
        places.append((at + gap, at + gap + length))
        at += gap + length
    shares = {
        number: covered / min(stop - begin, end - start)
        for number, (begin, stop) in enumerate(places)
        if (covered := min(stop, end) - max(begin, start)) > 0
    }
    half = [number for number, share in shares.items() if share >= 0.5] or list(shares)
    assert lines_of(start, end, *places) == ([(half[0], half[-1])] if half else [])


def test_ten_thousand_selections_of_everything_in_ten_thousand_lines_take_no_time():
    many = spoken(*((at * 10, at * 10 + 8) for at in range(10_000)))
    began = time.process_time()
    document = marked(many, [Selection(row=1, code="W1", start=0, end=10**6)] * 10_000)
    assert len(document.marks) == 10_000
    assert time.process_time() - began < 2


@given(st.text())
def test_places_counted_in_utf16_are_places_in_the_text(text):
    place_of = from_utf16(text)
    for place in range(len(text) + 1):
        unit = len(text[:place].encode("utf-16-le", "surrogatepass")) // 2
        assert place_of(unit) == place


@pytest.mark.parametrize(("module", "name"), [(brat, "s.ann"), (webanno, "s.tsv"), (prodigy, "s.jsonl")])
def test_what_stands_before_the_first_speaker_of_an_annotated_text_is_listed(module, name, tmp_path):
    text = "Patient 12, second recording\nT: How was it?\nP: Fine.\nT: Good.\nP: Yes.\n"
    (tmp_path / "s.txt").write_text(text)
    places = [(line, text.index(line)) for line in text.splitlines()]
    tsv = [f"#Text={line}\n{n}-1\t{at}-{at + 1}\t{line[0]}\t_\t" for n, (line, at) in enumerate(places, 1)]
    contents = {
        "s.ann": f"T1\tC1 {text.index('Fine')} {text.index('Fine') + 4}\tFine\n",
        "s.tsv": "#FORMAT=WebAnno TSV 3.3\n#T_SP=custom.Span|value\n\n\n" + "\n\n".join(tsv),
        "s.jsonl": json.dumps({"text": text, "answer": "accept"}),
    }
    [document] = module.FORMAT.read(File(tmp_path / name, contents[name].encode()), CONTEXT)
    assert [(line.speaker, line.text) for line in document.lines][:2] == [("T", "How was it?"), ("P", "Fine.")]
    assert document.notes == [(None, "header: text before the first speaker (1 such in this session); left out")]
