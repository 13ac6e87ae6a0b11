"""doccano and Prodigy, and what all of JSON has in common: records as JSON, to lines and marks."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.annotations import CHANGES, CONTEXT, EXAMPLES, SAID, damage, marks, read, said
from threers.errors import InputError
from threers.formats import doccano, import_files, label_studio, prodigy
from threers.formats.files import File

WHO = ("lab-anna", "lab-ben")
ANNA = [("W2", "", (1, 1)), ("C1", "", (3, 3)), ("R1", "", (4, 4))]


def tasks(*found: object) -> bytes:
    return json.dumps(found).encode()


def records(*found: object) -> bytes:
    return "\n".join(json.dumps(one) for one in found).encode()


def test_doccano_reads_stretches_of_a_session_in_both_layouts():
    for name in ("doccano_spans.jsonl", "doccano_entities.jsonl"):
        [document] = read(doccano, EXAMPLES / name)
        assert document.session == "s1" and said(document) == SAID
        assert [mark[1:] for mark in marks(document)] == ANNA
        assert not document.notes


def test_doccano_reads_a_record_per_utterance_and_who_marked_nothing():
    [document] = read(doccano, EXAMPLES / "doccano_utterances.jsonl")
    assert document.session == "s1" and said(document) == SAID
    coded = [(code, lines[0]) for _, code, _, lines in marks(document)]
    assert coded == [("", 0), ("W2", 1), ("", 2), ("C1", 3), ("C2", 3), ("", 4), ("", 5)]


def test_doccano_records_without_any_label_were_read_by_nobody_and_odd_ones_are_notes():
    [document] = read(doccano, Path("s.jsonl"), records({"text": "a", "label": []}, {"text": "b", "label": []}))
    assert said(document) == [("", "a"), ("", "b")] and marks(document) == []
    odd = {"text": "P: a", "labels": ["C1", [1, 2], {"label": 3}], "relations": [{"id": 1}], "meta": {"session_id": 4}}
    [document] = read(doccano, Path("s.jsonl"), records(odd) + b"\nnot json\n" + records({"text": " "}))
    assert document.session == "4" and marks(document) == [("", "C1", "", (0, 0))]
    assert document.notes == [
        (1, "not a coding: 2 labels that are neither a name nor a place with a name; left out"),
        (1, "not a coding: relations between labels; left out"),
        (2, "not readable: no JSON object with a text; row dropped"),
        (3, "not readable: no JSON object with a text; row dropped"),
    ]


def test_a_session_in_one_long_line_is_told_by_the_whole_line():
    text = "".join(f"{'PT'[number % 2]}: utterance {number}\n" for number in range(5000))
    found = [{"id": number, "text": f"{text}P: {number}", "label": [[3, 5, "W1"]]} for number in (7, 8)]
    file = File(Path("s.jsonl"), records(*found))
    assert len(file.head) < len(text) and doccano.FORMAT.fits(file)
    assert [len(document.lines) for document in doccano.FORMAT.read(file, CONTEXT)] == [5001, 5001]


def test_equal_utterances_without_a_number_stay_apart():
    found = [{"id": None, "text": "P: hm", "label": ["W1"]}, {"id": None, "text": "P: hm", "label": ["W1"]}]
    [document] = read(doccano, Path("s.jsonl"), records(*found))
    assert said(document) == [("P", "hm")] * 2 and len(document.marks) == 2


def test_several_sessions_without_a_name_take_the_tools_number():
    two = [{"id": number, "text": f"P: a{number}\nT: b", "label": [[3, 5, "W1"]]} for number in (7, 8)]
    first, second = read(doccano, Path("s.jsonl"), records(*two))
    assert (first.session, second.session) == ("7", "8")
    assert marks(first) == marks(second) == [("", "W1", "", (0, 0))]


def test_prodigy_reads_choices_of_two_coders_on_the_same_utterances():
    [document] = read(prodigy, EXAMPLES / "prodigy_choice.jsonl")
    assert document.session == "s1" and said(document) == SAID
    coded = {coder: [(code, lines[0]) for who, code, _, lines in marks(document) if who == coder] for coder in WHO}
    assert coded["lab-anna"] == [("", 0), ("W2", 1), ("", 2), ("C1", 3), ("", 4), ("", 5)]
    assert coded["lab-ben"] == [("", 0), ("W2", 1), ("", 2), ("C1", 3), ("C2", 3), ("", 4)]
    assert document.notes == [(12, "not a coding: the answer is ignore; utterance kept without it")]


def test_what_a_coder_of_prodigy_ignored_or_was_not_shown_does_not_count_as_read(tmp_path):
    shutil.copy(EXAMPLES / "prodigy_choice.jsonl", tmp_path)
    lines = (tmp_path / "prodigy_choice.jsonl").read_text().splitlines()
    (tmp_path / "prodigy_choice.jsonl").write_text("\n".join(lines[:4] + lines[6:]) + "\n")
    corpus = import_files(tmp_path, "auto", codebook="3rs-2015", roles={"T": "therapist", "P": "patient"})
    read = corpus.codings.groupby("coder_id")["unit_id"].unique()
    assert set(read["lab-anna"]) == {0, 1, 2, 3}
    assert set(read["lab-ben"]) == {0, 1, 2, 3, 4}


def test_prodigy_asks_of_each_label_and_a_rejected_one_is_nothing_marked():
    [document] = read(prodigy, EXAMPLES / "prodigy_binary.jsonl")
    assert [text for _, text in said(document)] == [SAID[1][1], SAID[3][1], SAID[5][1]]
    assert [(code, lines) for _, code, _, lines in marks(document)] == [("W2", (0, 0)), ("C1", (1, 1)), ("", (2, 2))]


def test_prodigy_reads_stretches_of_a_session():
    [document] = read(prodigy, EXAMPLES / "prodigy_spans.jsonl")
    assert said(document) == SAID
    assert marks(document) == [("lab-anna", *mark) for mark in ANNA]


def test_prodigy_shows_stretches_to_who_chooses_among_options_and_they_are_no_codes(tmp_path):
    row = {
        "text": "P: no",
        "spans": [{"start": 3, "end": 5, "label": "C1"}],
        "options": [{"id": "W1", "html": "<b>W1</b>"}, {"id": "C2", "html": "C2"}],
        "accept": ["W1"],
        "answer": "accept",
        "_view_id": "choice",
        "_input_hash": 1,
    }
    (tmp_path / "s.jsonl").write_text(json.dumps(row))
    [document] = prodigy.FORMAT.read(File(tmp_path / "s.jsonl"), CONTEXT)
    assert [mark.code for mark in document.marks] == ["W1"]


def test_prodigy_leaves_out_what_was_rejected_as_a_whole_and_names_options_by_their_text():
    spans = {"text": "hm", "spans": [{"start": 0, "end": 2, "label": "C1"}, {"start": "x"}], "answer": "reject"}
    options = {
        "text": "no",
        "options": [{"id": 1, "text": "C1"}, 3],
        "accept": [1, {}],
        "answer": "accept",
        "_session_id": "a",
    }
    odd = {"text": "so", "answer": "perhaps"}
    [document] = read(prodigy, Path("s.jsonl"), records(spans, options, odd))
    assert marks(document) == [("a", "C1", "", (1, 1))]
    assert document.notes == [
        (1, "not a coding: the answer rejects more than one label; utterance kept without it"),
        (3, "not a coding: an answer that Prodigy does not give; utterance kept without it"),
    ]


def test_prodigy_labels_that_are_numbers_are_codes():
    label = {"text": "hm", "label": 3, "answer": "accept"}
    span = {"text": "no", "spans": [{"start": 0, "end": 2, "label": 4}], "answer": "accept"}
    [document] = read(prodigy, Path("s.jsonl"), records(label, span))
    assert [(mark.code, mark.lines) for mark in document.marks] == [("3", (0, 0)), ("4", (1, 1))]


def test_times_that_are_none_are_a_note():
    times = [{"start": "soon", "end": 2}, {"start": "00:00:03", "end": "4,5"}, {"start": -1, "end": ""}]
    rows = [{"text": f"a {n}", "label": "W1", "answer": "accept", "meta": meta} for n, meta in enumerate(times)]
    [document] = read(prodigy, Path("s.jsonl"), records(*rows))
    assert [(line.start, line.end) for line in document.lines] == [(None, 2.0), (3.0, 4.5), (None, None)]
    assert document.notes == [(1, "time not readable (2 such in this session); utterance kept without it")]


def test_equal_utterances_of_one_coder_stay_two():
    twice = [{"text": "hm", "label": code, "answer": "accept", "_annotator_id": "a"} for code in ("W1", "W1")]
    [document] = read(prodigy, Path("s.jsonl"), records(*twice))
    assert len(document.lines) == 2


def test_json_formats_and_tables_are_told_apart():
    for module, prefix in ((label_studio, "label_studio"), (doccano, "doccano"), (prodigy, "prodigy")):
        others = [path for path in EXAMPLES.iterdir() if path.is_file()]
        fitting = {path.name for path in others if module.FORMAT.fits(File(path))}
        assert fitting == {path.name for path in others if path.name.startswith(prefix) and path.suffix != ".py"}
        for table in ({"session": "1", "text": "hm", "label": "W1"}, {"segments": []}, {"text": 3, "label": []}, [], 7):
            assert not module.FORMAT.fits(File(Path("a.json"), tasks(table)))
            assert not module.FORMAT.fits(File(Path("a.jsonl"), records(table)))


def test_odd_letters_of_json_do_not_come_through():
    one = b'{"text": "P: a\\u0000b\\ud800", "label": ["C1\\udfff"], "speaker": "\\ud800"}'
    [document] = read(doccano, Path("s.jsonl"), one)
    assert repr(document).encode("utf-8") and "\\ud800" not in repr(document) and "\\x00" not in repr(document)


def test_deep_nesting_is_an_error():
    deep = b'[{"data": {"text": "a"}, "annotations": ' + b"[" * sys.getrecursionlimit() * 100
    with pytest.raises(InputError):
        read(label_studio, Path("s.json"), deep)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (label_studio, "label_studio_dialogue.json"),
        (label_studio, "label_studio_dialogue_min.json"),
        (label_studio, "label_studio_text.json"),
        (doccano, "doccano_entities.jsonl"),
        (doccano, "doccano_utterances.jsonl"),
        (prodigy, "prodigy_choice.jsonl"),
        (prodigy, "prodigy_spans.jsonl"),
    ],
)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(changes=CHANGES)
def test_damaged_bytes_are_read_or_refused_and_nothing_else(module, name, changes):
    try:
        file = File(EXAMPLES / name, damage((EXAMPLES / name).read_bytes(), changes))
        module.FORMAT.fits(file)
        module.FORMAT.read(file, CONTEXT)
    except InputError as error:
        assert "\n" not in str(error)


KEYS = [
    *(
        "text",
        "label",
        "labels",
        "entities",
        "answer",
        "accept",
        "options",
        "spans",
        "start",
        "end",
        "id",
        "meta",
        "type",
    ),
    *("data", "annotations", "result", "value", "choices", "paragraphlabels", "taxonomy", "completed_by", "author"),
    *("annotation_id", "predictions", "model_version", "session", "rating", "startOffset", "order", "duration"),
]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["C1", "P: a\nT: b", "accept", "labels", "0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("module", [label_studio, doccano, prodigy])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(found=st.lists(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=6), min_size=1, max_size=3))
def test_any_json_is_read_or_refused_and_nothing_else(module, found):
    file = File(Path("s.json"), json.dumps(found).encode())
    module.FORMAT.fits(file)
    try:
        module.FORMAT.read(file, CONTEXT)
    except InputError as error:
        assert "\n" not in str(error)
