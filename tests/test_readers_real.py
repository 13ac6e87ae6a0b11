"""The shipped readers on the real corpora, which lie beside the checkout and never in it."""

import json
from pathlib import Path

import pandas as pd
import pytest

from threers.corpus import Corpus, grouped_folds
from threers.formats import import_files

DATA = Path(__file__).parents[2] / "shared" / "data"


def read(name: str, source: str) -> Corpus:
    if not (DATA / source).exists():
        pytest.skip(f"real corpus not there: {DATA / source}")
    corpus = import_files(DATA / source, name)
    corpus.check()
    return corpus


@pytest.fixture(scope="module")
def annomi() -> Corpus:
    return read("annomi", "annomi/annomi.csv")


@pytest.fixture(scope="module")
def wikitactics() -> Corpus:
    return read("wikitactics", "wikitactics/wikitactics.json")


@pytest.fixture(scope="module")
def talkmoves() -> Corpus:
    return read("talkmoves", "talkmoves/sessions")


def kinds(corpus: Corpus) -> dict[str, int]:
    return corpus.describe()["counts"]["rejects"]


def test_annomi_is_read_whole(annomi):
    raw = pd.read_csv(DATA / "annomi/annomi.csv", dtype=str, keep_default_na=False)
    counts = annomi.describe()["counts"]
    assert (counts["sessions"], counts["utterances"], counts["coders"]) == (107, 8395, 10)
    assert counts["roles"] == {"therapist": 4226, "client": 4169}
    for column in ("main_therapist_behaviour", "client_talk_type"):
        for code, number in raw.loc[raw[column] != "n/a", column].value_counts().items():
            assert (annomi.codings["code"] == code).sum() == number
    assert len(annomi.codings) == len(raw)


def test_annomi_keeps_every_coder_on_the_crossed_transcripts(annomi):
    coders = annomi.codings.groupby("session_id")["coder_id"].nunique()
    assert sorted(coders.index[coders == 10]) == ["55", "56", "66", "7"]
    assert (coders[coders < 10] == 1).all()


def test_annomi_is_grouped_by_video(annomi):
    raw = pd.read_csv(DATA / "annomi/annomi.csv", dtype=str, keep_default_na=False)
    video = raw.drop_duplicates("transcript_id").set_index("transcript_id")["video_url"]
    assert (annomi.sessions["group_id"] == annomi.sessions["session_id"].map(video)).all()
    assert annomi.sessions["group_id"].nunique() == 95
    assert {"topic", "mi_quality"} <= set(annomi.sessions.columns)


def test_annomi_rejects_explain_themselves(annomi):
    assert kinds(annomi) == {"time goes backwards": 6, "time not readable": 1}
    odd = annomi.rejects[annomi.rejects["reason"].str.startswith("time not readable")]
    assert odd.to_numpy().tolist() == [
        ["annomi.csv", 2671, "time not readable: start '00:09:025'; row kept without it"]
    ]
    assert annomi.utterances["start"].isna().sum() == 1


def test_annomi_folds_are_even(annomi):
    fold = grouped_folds(annomi, 5, seed=1)
    share = annomi.utterances["session_id"].map(fold).value_counts(normalize=True)
    assert share.between(0.18, 0.22).all()
    units = annomi.codings.drop_duplicates(["session_id", "unit_id", "code"])
    for code in annomi.codebook.codes:
        share = units.loc[units["code"] == code, "session_id"].map(fold).value_counts(normalize=True)
        assert share.between(0.15, 0.25).all(), code


def test_wikitactics_is_read_whole(wikitactics):
    counts = wikitactics.describe()["counts"]
    assert (counts["sessions"], counts["utterances"], counts["roles"]) == (213, 3865, {"participant": 3865})
    assert kinds(wikitactics) == {}
    raw = json.loads((DATA / "wikitactics/wikitactics.json").read_text())
    labels = [
        {*turn["rebuttal_labels"], *turn["coordination_labels"]} for dispute in raw for turn in dispute["utterances"]
    ]
    assert wikitactics.codings["code"].notna().sum() == sum(map(len, labels))
    assert wikitactics.coders == ["consensus"]
    assert wikitactics.codings["code"].nunique() == 18


def test_wikitactics_long_labels_mean_the_same_codes(wikitactics):
    raw = json.loads((DATA / "wikitactics/wikitactics.json").read_text())
    long = "DH5: Counterargument with new evidence / reasoning"
    session = next(d["conv_id"] for d in raw for turn in d["utterances"] if long in turn["rebuttal_labels"])
    coded = wikitactics.codings[wikitactics.codings["session_id"] == session]
    assert (coded["code"] == "counterargument").sum() == 8


def test_wikitactics_keeps_what_is_known_of_a_dispute(wikitactics):
    assert wikitactics.sessions["split"].nunique() == 3
    assert set(wikitactics.sessions["escalation_label"]) == {0, 1}


def test_every_talkmoves_workbook_is_imported_and_every_row_accounted_for(talkmoves):
    files = sorted((DATA / "talkmoves/sessions").glob("*.xlsx"))
    assert sorted(talkmoves.sessions["source_file"]) == [file.name for file in files]
    raw = pd.concat([pd.read_excel(f, engine="calamine") for f in files], ignore_index=True)
    dropped = talkmoves.rejects["reason"].str.endswith("row dropped").sum()
    assert len(talkmoves.utterances) + dropped == len(raw) == 15558
    assert dropped == raw["Sentence"].isna().sum() == 4
    filled = raw.loc[raw["Sentence"].notna(), ["Teacher Tag", "Student Tag"]].notna().sum().sum()
    refused = talkmoves.rejects["reason"].str.endswith("coding dropped").sum()
    assert talkmoves.codings["code"].notna().sum() + refused == filled


def test_talkmoves_typos_numbers_and_names_are_understood(talkmoves):
    assert kinds(talkmoves) == {
        "illegal role": 477,
        "minutes typed as hours": 11,
        "time goes backwards": 7,
        "no text": 4,
    }
    assert (talkmoves.codings["code"] == "students_relate").sum() == 108 + 21 + 19 + 6
    assert talkmoves.describe()["counts"]["roles"] == {"teacher": 12110, "student": 3434, "other": 9, "unknown": 1}
    left = import_files(DATA / "talkmoves/sessions", "talkmoves", roles={"*": "unknown"}, every_role=True)
    assert left.describe()["counts"]["roles"] == talkmoves.describe()["counts"]["roles"]
    assert talkmoves.utterances["start"].max() < 2 * 3600
    assert set(talkmoves.sessions["group_id"]) >= {"Carroll", "Gibson", "Smith"}


@pytest.mark.parametrize(
    ("source", "reader"),
    [
        ("annomi/annomi.csv", "annomi"),
        ("wikitactics/wikitactics.json", "wikitactics"),
        ("talkmoves/sessions", "talkmoves"),
    ],
)
def test_auto_finds_the_shipped_reader(source, reader):
    assert read("auto", source).manifest["reader"] == reader
