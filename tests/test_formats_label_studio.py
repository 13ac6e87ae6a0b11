"""Label Studio: exports read, and tasks written that read back equal."""

import json
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.annotations import CONTEXT, CROSSES, EXAMPLES, SAID, marks, read, reasons, said
from threers.errors import InputError
from threers.formats import label_studio
from threers.formats.documents import Document, Line, Mark, Output
from threers.formats.files import File

OUTPUT = Output(titles={}, roles=())
ANNA = [("W2", "", (1, 1)), ("C1", "", (3, 3)), ("R1", "", (4, 4))]


def tasks(*found: object) -> bytes:
    return json.dumps(found).encode()


def test_label_studio_reads_a_dialogue_with_times_ratings_and_who_marked_nothing():
    first, second = read(label_studio, EXAMPLES / "label_studio_dialogue.json")
    assert (first.session, second.session) == ("s1", "s2")
    assert first.facts == second.facts == {"patient": "p7"}
    assert said(first) == SAID and said(second) == SAID[:2]
    assert [(line.row, line.start, line.end) for line in second.lines] == [(1, 0.0, 2.5), (2, 3.0, 6.25)]
    assert marks(first) == [("1", "W2", "", (1, 1)), ("1", "C1", "4", (3, 3)), ("2", "C2", "", (3, 5))]
    assert marks(second) == [("1", "", "", (0, 1))]
    assert reasons(first) == [CROSSES, "not a coding: the annotator skipped this task; left out"]
    assert reasons(second) == []


def test_label_studio_reads_its_short_export_alike():
    first, second = read(label_studio, EXAMPLES / "label_studio_dialogue_min.json")
    assert said(first) == SAID and said(second) == SAID[:2]
    assert sorted(marks(first)) == [("1", "C1", "4", (3, 3)), ("1", "W2", "", (1, 1)), ("2", "C2", "", (3, 5))]
    assert marks(second) == [("1", "", "", (0, 1))]


def test_label_studio_reads_a_text_with_stretches_and_a_choice_for_all_of_it():
    [document] = read(label_studio, EXAMPLES / "label_studio_text.json")
    assert document.session == "" and said(document) == SAID
    assert marks(document) == [("1", *mark) for mark in ANNA] + [
        ("2", "W2", "", (1, 1)),
        ("2", "C2", "", (3, 3)),
        ("2", "C1", "", (3, 3)),
        ("2", "C1", "", None),
    ]


def labels(start: int, end: int, code: str, **more: object) -> dict:
    return {"type": "labels", "value": {"start": start, "end": end, "labels": [code], **more}}


def test_label_studio_places_of_older_versions_are_told_by_the_quoted_words():
    text = "P: 🙂🙂 a\nT: b"
    older, newer = labels(13, 14, "R1", text="b"), labels(11, 12, "W1", text="b")
    task = {
        "data": {"text": text},
        "completions": [{"completed_by": {"id": 3, "email": "a@b.c"}, "result": [older, newer]}],
    }
    [document] = read(label_studio, Path("s.json"), tasks(task))
    assert marks(document) == [("a@b.c", "R1", "", (1, 1)), ("a@b.c", "W1", "", (1, 1))]


def test_label_studio_regions_of_a_web_page_are_listed_and_their_coder_is_not_taken_for_one_who_marked_nothing():
    web = {"start": "/p[1]/text()[1]", "end": "/p[1]/text()[1]", "startOffset": 0, "endOffset": 2}
    result = [{"id": "a", "type": "hypertextlabels", "value": {**web, "hypertextlabels": ["W1"]}}]
    coded = [{"completed_by": 1, "result": result}, {"completed_by": 2, "result": []}]
    [document] = read(label_studio, Path("s.json"), tasks({"data": {"text": "P: no\nT: why"}, "annotations": coded}))
    assert marks(document) == [("2", "", "", (0, 1))]
    why = "place not readable: 1 regions have no numbers for it, as those of the tag HyperText; codings dropped"
    assert document.notes == [(1, why)]


def test_label_studio_tasks_without_a_number_stay_apart():
    short = {"id": None, "annotation_id": 1, "annotator": 1, "label": [{"start": 3, "end": 5, "labels": ["W1"]}]}
    [document] = read(label_studio, Path("s.json"), tasks(short | {"text": "P: a b"}, short | {"text": "P: c d"}))
    assert said(document) == [("P", "a b"), ("P", "c d")]


def test_label_studio_reads_choices_for_a_region_taxonomies_and_models_of_ours_only():
    region = {"id": "x", "type": "paragraphlabels", "value": {"start": "1", "end": "1", "paragraphlabels": ["C2"]}}
    choice = {"id": "x", "type": "choices", "value": {"choices": ["C1"]}}
    taxonomy = {
        "id": "y",
        "type": "taxonomy",
        "value": {"start": 0, "end": 0, "taxonomy": [["C", "C1", "much"], ["W1"]]},
    }
    others = [{"type": "relation"}, {"type": "textarea", "value": {"text": ["so"]}}, {"type": "a secret", "value": 3}]
    beyond = {"type": "paragraphlabels", "value": {"start": "7", "end": "9", "paragraphlabels": ["C1"]}}
    task = {
        "data": {"turns": [{"speaker": "T", "text": "hm", "start": 1, "duration": 2}, {"speaker": "P", "text": "no"}]},
        "annotations": [{"completed_by": 5, "result": [region, choice, taxonomy, *others, beyond]}],
        "predictions": [
            {"model_version": "model:x", "result": [region]},
            {"model_version": "other", "result": [region]},
        ],
    }
    [document] = read(label_studio, Path("s.json"), tasks(task))
    assert (document.lines[0].start, document.lines[0].end) == (1.0, 3.0)
    assert sorted(marks(document)) == [
        ("5", "C1", "", (0, 0)),
        ("5", "C1", "", (1, 1)),
        ("5", "C2", "", (1, 1)),
        ("5", "W1", "", (0, 0)),
        ("model:x", "C2", "", (1, 1)),
    ]
    assert reasons(document) == [
        "not a coding: 1 results of type relation; left out",
        "not a coding: 1 results of type textarea; left out",
        "not a coding: 1 results of type unknown; left out",
        "not a coding: a prediction of some model; left out",
        "no such utterance: a region beyond the dialogue; coding dropped",
    ]


def test_label_studio_tasks_of_one_utterance_each_are_one_session():
    def task(number: int, speaker: str, text: str, *codes: str) -> dict:
        results = [{"type": "choices", "value": {"choices": list(codes)}}] if codes else []
        data = {"session": "s9", "speaker": speaker, "text": text}
        return {
            "id": number,
            "data": data,
            "annotations": [{"completed_by": 1, "result": results}] if number < 4 else [],
        }

    found = [task(1, "T", "hm", "R1"), task(2, "P", "hm"), task(3, "P", "hm", "W1", "C1"), task(4, "T", "well")]
    [document] = read(label_studio, Path("s.json"), tasks(*found))
    assert document.session == "s9"
    assert said(document) == [("T", "hm"), ("P", "hm"), ("P", "hm"), ("T", "well")]
    assert [mark[1:] for mark in marks(document)] == [
        ("R1", "", (0, 0)),
        ("", "", (1, 1)),
        ("W1", "", (2, 2)),
        ("C1", "", (2, 2)),
    ]


def test_label_studio_tasks_without_a_text_are_notes_and_nothing_else_is_an_error():
    good = {"data": {"text": "P: no\nT: why"}}
    [document] = read(label_studio, Path("s.json"), tasks(good, {"data": {"image": 3}}, 7, {"annotations": []}))
    assert document.notes == [
        (3, "not readable: no task of Label Studio; task dropped"),
        (4, "not readable: a task without data; task dropped"),
        (2, "no text: the task holds neither a text nor a dialogue; task dropped"),
    ]
    with pytest.raises(InputError, match="no tasks with a text or a dialogue"):
        read(label_studio, Path("s.json"), tasks({"data": {}, "annotations": []}))


WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(str.strip)
TIMES = st.none() | st.integers(0, 7_200_000).map(lambda milliseconds: milliseconds / 1000)
CODERS = st.sampled_from(["anna@lab.example", "7", "07", "model:tagger", "model:x y", "ben", ""])


@st.composite
def documents(draw):
    lines = [
        Line(row=row, text=text, speaker=speaker, start=start, end=end)
        for row, (text, speaker, start, end) in enumerate(
            draw(st.lists(st.tuples(WORDS, st.sampled_from(["P", "T", ""]), TIMES, TIMES), min_size=1, max_size=6)), 1
        )
    ]
    place = st.none() | st.tuples(st.integers(0, len(lines) - 1), st.integers(0, len(lines) - 1)).map(sorted).map(tuple)
    mark = st.builds(
        Mark, row=st.just(1), code=WORDS, coder=CODERS, value=st.sampled_from(["", "3", "0.25"]), lines=place
    )
    return Document(session=draw(WORDS), lines=lines, marks=draw(st.lists(mark, max_size=8)), facts={"patient": "p1"})


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(documents(), min_size=1, max_size=3))
def test_what_is_written_for_label_studio_reads_back_equal(written):
    file = File(Path("x.json"), label_studio.FORMAT.write(written, OUTPUT))
    assert label_studio.FORMAT.fits(file)
    found = label_studio.FORMAT.read(file, CONTEXT)
    assert len(found) == len(written)
    for one, other in zip(written, found, strict=True):
        assert (one.session, one.lines, one.facts) == (other.session, other.lines, other.facts)
        assert sorted(map(repr, marks(one))) == sorted(map(repr, marks(other)))
        assert not other.notes


def test_a_coded_time_is_written_for_the_lines_it_touches_and_not_without_them():
    lines = [Line(row=row, text="hm", start=row * 10.0, end=row * 10.0 + 8) for row in (1, 2, 3)]
    timed = Document(
        lines=lines, marks=[Mark(row=1, code="C1", coder="7", start=15, end=31), Mark(row=1, code="", coder="8")]
    )
    [document] = label_studio.FORMAT.read(File(Path("x.json"), label_studio.FORMAT.write([timed], OUTPUT)), CONTEXT)
    assert sorted(marks(document)) == [("7", "C1", "", (0, 2)), ("8", "", "", (0, 2))]
    timed.lines = [Line(row=1, text="hm")]
    with pytest.raises(InputError, match="expected utterances with times"):
        label_studio.FORMAT.write([timed], OUTPUT)


def test_the_labelling_interface_names_all_codes_and_is_well_formed():
    view = fromstring(label_studio.config(["W1", 'say "no" & <go>']))
    assert [one.get("value") for one in view.iter("Label")] == ["W1", 'say "no" & <go>']
    assert [one.get("value") for one in view.iter("Choice")] == ["W1", 'say "no" & <go>']
