import numpy as np
import pandas as pd
import pytest
import torch

from tests.conftest import local_backbone, make_corpus
from threers import scoring
from threers.codebook import Codebook
from threers.errors import InputError, OutputExistsError
from threers.hardware import choose
from threers.scores import claim, read_scores, scores_to_codings
from threers.settings import Engine
from threers.summary import summarise_segments, summarise_sessions
from threers.tagger import Tagger

CPU = choose("cpu", "float32")


@pytest.fixture(scope="module")
def tagger(tiny_folder):
    torch.manual_seed(0)
    return Tagger.start(tiny_folder, local_backbone(tiny_folder), Codebook.load("annomi"), 0.1)


def read(folder):
    return {part.name: part.read_bytes() for part in sorted((folder / "utterances").glob("part-*.parquet"))}


def score(tagger, utterances, out, shard_sessions=4):
    engine = Engine(batch_tokens=512, shard_sessions=shard_sessions)
    return scoring.score_to_folder(tagger, utterances, out, engine, CPU, include_text=False)


def test_a_run_that_was_cut_off_ends_with_the_same_bytes(tagger, annomi_like, tmp_path, monkeypatch):
    score(tagger, annomi_like.utterances, tmp_path / "whole")
    real, calls = scoring.write_parquet, []

    def cut_off(table, path):
        calls.append(path)
        if len(calls) == 3:
            raise KeyboardInterrupt
        real(table, path)

    monkeypatch.setattr(scoring, "write_parquet", cut_off)
    with pytest.raises(KeyboardInterrupt):
        score(tagger, annomi_like.utterances, tmp_path / "cut")
    assert len(read(tmp_path / "cut")) == 2
    calls.clear()
    monkeypatch.setattr(scoring, "write_parquet", lambda table, path: (calls.append(path), real(table, path)))
    tally = score(tagger, annomi_like.utterances, tmp_path / "cut")
    assert tally.resumed
    assert len(calls) == 6 - 2, "what was there is not scored again"
    assert tally.sessions == 24
    assert read(tmp_path / "cut") == read(tmp_path / "whole")


def test_a_changed_session_is_scored_again_and_others_are_not(tagger, annomi_like, tmp_path):
    score(tagger, annomi_like.utterances, tmp_path)
    before = {part.name: part.stat().st_mtime_ns for part in (tmp_path / "utterances").iterdir()}
    changed = annomi_like.utterances.copy()
    changed.loc[0, "text"] = "angry"
    score(tagger, changed, tmp_path)
    after = {part.name: part.stat().st_mtime_ns for part in (tmp_path / "utterances").iterdir()}
    assert {name for name in after if after[name] != before[name]} == {"part-00000.parquet"}


def test_sessions_that_are_gone_leave_no_scores_behind(tagger, annomi_like, tmp_path):
    score(tagger, annomi_like.utterances, tmp_path)
    fewer = annomi_like.utterances[annomi_like.utterances["session_id"] < "s008"]
    score(tagger, fewer, tmp_path)
    scores = pd.concat([pd.read_parquet(part) for part in (tmp_path / "utterances").iterdir()])
    assert scores["session_id"].nunique() == 8


def test_each_utterance_is_scored_once_and_shards_change_nothing(tagger, annomi_like, tmp_path):
    score(tagger, annomi_like.utterances, tmp_path / "small", 1)
    score(tagger, annomi_like.utterances, tmp_path / "large", 100)
    tables = []
    for name in ("small", "large"):
        parts = sorted((tmp_path / name / "utterances").glob("part-*.parquet"))
        tables.append(pd.concat([pd.read_parquet(part) for part in parts], ignore_index=True))
    key = ["session_id", "utterance_id"]
    assert tables[0][key].equals(annomi_like.utterances[key])
    p = [column for column in tables[0] if column.startswith("p_")]
    assert np.allclose(tables[0][p], tables[1][p], atol=1e-5, equal_nan=True)
    assert tables[0]["tags"].map(list).equals(tables[1]["tags"].map(list))


def test_a_folder_belongs_to_one_run(tmp_path):
    assert claim(tmp_path / "o", {"a": 1}, "out", overwrite=False) is False
    assert claim(tmp_path / "o", {"a": 1}, "out", overwrite=False) is True
    with pytest.raises(OutputExistsError, match="results of another run"):
        claim(tmp_path / "o", {"a": 2}, "out", overwrite=False)
    assert claim(tmp_path / "o", {"a": 2}, "out", overwrite=True) is False
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "diary.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match="no run of threers wrote"):
        claim(tmp_path / "notes", {"a": 1}, "out", overwrite=True)
    assert (tmp_path / "notes" / "diary.txt").exists()


def test_scores_that_are_not_there_or_not_finished_are_named(tmp_path):
    with pytest.raises(InputError, match="no scores"):
        read_scores(tmp_path)
    claim(tmp_path / "cut", {"a": 1}, "out", overwrite=False)
    with pytest.raises(InputError, match="its run was cut off"):
        read_scores(tmp_path / "cut")


def some_scores():
    book = Codebook.load("3rs-2015")
    p = {f"p_{code}": [0.25, 0.5, np.nan] for code in book.tag_codes()}
    table = pd.DataFrame(
        {
            "session_id": "s",
            "utterance_id": [0, 1, 2],
            "role": ["patient", "therapist", "unknown"],
            "start": [0.0, 310.0, np.nan],
            "end": [2.0, 320.0, np.nan],
            **p,
        }
    )
    table["tags"] = [["W", "W2"], [], []]
    return book, table


def test_tags_become_codings_and_unmarked_units_stay_in_the_frame():
    book, table = some_scores()
    codings = scores_to_codings(table, book, "model:m")
    assert codings["unit_id"].tolist() == [0, 0, 1], "an unknown speaker is not coded at all"
    assert codings["code"].tolist()[:2] == ["W", "W2"]
    assert codings["code"].isna().tolist() == [False, False, True]
    assert codings["value"].tolist() == [1, 1, 0]


def test_summaries_count_tags_and_expect_counts():
    book, table = some_scores()
    segments = summarise_segments(table, book, 5)
    assert segments[["segment", "start", "end", "n_utterances", "n_W2"]].values.tolist() == [
        [0, 0, 300, 1, 1],
        [1, 300, 600, 1, 0],
    ]
    sessions = summarise_sessions(table, book)
    assert sessions["minutes"].item() == pytest.approx(320 / 60)
    assert sessions["n_utterances"].item() == 3
    assert sessions["n_patient"].item() == 1
    assert sessions["expected_W2"].item() == pytest.approx(0.75)
    assert sessions["rate_W2"].item() == pytest.approx(5 / (320 / 60))


def test_sessions_without_times_have_counts_but_no_rates():
    book, table = some_scores()
    table[["start", "end"]] = np.nan
    assert len(summarise_segments(table, book, 5)) == 0
    sessions = summarise_sessions(table, book)
    assert sessions["n_W"].item() == 1
    assert np.isnan(sessions["rate_W"].item())


def test_another_process_of_the_same_corpus_gives_the_same_shards(tagger, tmp_path):
    score(tagger, make_corpus(4).utterances, tmp_path / "a")
    score(tagger, make_corpus(4).utterances, tmp_path / "b")
    assert read(tmp_path / "a") == read(tmp_path / "b")
