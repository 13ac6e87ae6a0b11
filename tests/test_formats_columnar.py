"""Folders that Hugging Face's datasets wrote: tables like any other, labels by their names."""

import pandas as pd
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Sequence, Value

from tests.lab_tables import ROLES
from threers.errors import InputError
from threers.formats import import_files

ROWS = {
    "session": ["a", "a", "a", "a"],
    "patient": ["p1", "p1", "p1", "p1"],
    "speaker": ["T", "P", "P", "P"],
    "text": ["How was it?", "Fine.", "Nothing to tell.", "You never listen."],
    "coder_anna": [-1, 1, None, 2],
}
LABELS = ClassLabel(names=["R4", "W2", "C1"])
TEXTS = {name: Value("string") for name in ("session", "patient", "speaker", "text")}


def dataset(**columns):
    label = {"coder_anna": LABELS, "coder_ben": Sequence(LABELS)}
    data = ROWS | columns
    return Dataset.from_dict(data, features=Features(TEXTS | {name: label[name] for name in label if name in data}))


def load(source):
    return import_files(source, "wide", "3rs-2015", ROLES)


def marks(corpus):
    coded = corpus.codings.dropna(subset="code")
    return [(row.unit_id, row.coder_id, row.code) for row in coded.itertuples()]


def test_a_folder_of_datasets_is_read_and_its_labels_have_their_names(tmp_path):
    dataset(coder_ben=[[], [1, 2], [1], []]).save_to_disk(tmp_path)
    corpus = load(tmp_path)
    assert corpus.utterances["text"].tolist() == ROWS["text"]
    found = {(1, "anna", "W2"), (3, "anna", "C1"), (1, "ben", "W2"), (1, "ben", "C1"), (2, "ben", "W2")}
    assert set(marks(corpus)) == found
    assert corpus.rejects.empty, "what only describes the dataset is no file that could not be read"


def test_the_parts_of_a_dataset_are_one_corpus(tmp_path):
    other = dataset(session=["b"] * 4, patient=["p2"] * 4)
    DatasetDict({"train": dataset(), "test": other}).save_to_disk(tmp_path)
    corpus = load(tmp_path)
    assert sorted(corpus.sessions["session_id"]) == ["a", "b"]
    assert corpus.rejects.empty
    assert corpus.manifest["files"] == {"found": 2, "imported": 2}


def test_a_file_called_state_without_a_dataset_is_read(tmp_path):
    pd.DataFrame({"speaker": ["T"], "text": ["hello"]}).to_json(tmp_path / "state.json", orient="records")
    assert load(tmp_path).utterances["text"].tolist() == ["hello"]


@pytest.mark.parametrize("kept", [0, 8, 0.5, 0.95])
def test_an_arrow_file_that_is_cut_off_is_refused(kept, tmp_path):
    dataset().save_to_disk(tmp_path)
    file = next(tmp_path.glob("*.arrow"))
    content = file.read_bytes()
    file.write_bytes(content[: int(kept * len(content)) if kept < 1 else kept])
    with pytest.raises(InputError, match=r"\.arrow: .*(not a readable Arrow file|the file is empty)"):
        load(file)
