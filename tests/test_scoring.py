import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tests.conftest import local_backbone
from threers import scoring, streams
from threers.codebook import Codebook
from threers.errors import InputError, OutputExistsError, Stopped
from threers.folders import claim, owned
from threers.hardware import choose
from threers.scores import read_scores, scores_to_codings, write_parquet, write_parquet_parts
from threers.settings import Engine
from threers.streams import Source
from threers.summary import summarise_segments, summarise_sessions
from threers.tagger import Tagger

CPU = choose("cpu", "float32")


@pytest.fixture(scope="module")
def tagger(tiny_folder):
    torch.manual_seed(0)
    return Tagger.start(tiny_folder, local_backbone(tiny_folder), Codebook.load("annomi"), 0.1)


@pytest.fixture
def corpus(annomi_like, tmp_path):
    return annomi_like.save(tmp_path / "corpus")


def read(folder):
    return {part.name: part.read_bytes() for part in sorted((folder / "utterances").glob("part-*.parquet"))}


def rows(folder):
    return pd.concat(
        [pd.read_parquet(part) for part in sorted((folder / "utterances").glob("part-*.parquet"))], ignore_index=True
    )


def score(tagger, source, out, shard_sessions=4):
    out.mkdir(exist_ok=True)
    if isinstance(source, Path):
        source = Source(source, tagger.codebook)
    engine = Engine(batch_tokens=512, shard_sessions=shard_sessions)
    return scoring.score_to_folder(tagger, source, out, engine, CPU, include_text=False)


def changed(corpus, change):
    """The corpus folder after `change` was made to its utterances, without the checks of saving."""
    table = pd.read_parquet(corpus / "utterances.parquet")
    change(table).to_parquet(corpus / "utterances.parquet", index=False)
    return corpus


def interrupt(monkeypatch, number, act):
    """Call `act` when the shard with this number, from 1 on, is about to be written."""
    real, calls = scoring.write_parquet, []

    def write(table, path):
        calls.append(path)
        if len(calls) == number:
            act()
        real(table, path)

    monkeypatch.setattr(scoring, "write_parquet", write)
    return calls


def test_a_run_that_was_cut_off_ends_with_the_same_bytes(tagger, corpus, tmp_path, monkeypatch):
    score(tagger, corpus, tmp_path / "whole")

    def cut_off():
        raise KeyboardInterrupt

    calls = interrupt(monkeypatch, 3, cut_off)
    with pytest.raises(KeyboardInterrupt):
        score(tagger, corpus, tmp_path / "cut")
    assert len(read(tmp_path / "cut")) == 2
    calls[:] = range(10)
    tally = score(tagger, corpus, tmp_path / "cut")
    assert tally.resumed
    assert len(calls) - 10 == 6 - 2, "what was there is not scored again"
    assert tally.sessions == 24
    assert read(tmp_path / "cut") == read(tmp_path / "whole")


def test_a_torn_journal_and_a_lost_part_are_made_good(tagger, corpus, tmp_path):
    score(tagger, corpus, tmp_path / "whole")
    score(tagger, corpus, tmp_path / "cut")
    journal = tmp_path / "cut" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-30])
    (tmp_path / "cut" / "utterances" / "part-00001.parquet").unlink()
    score(tagger, corpus, tmp_path / "cut")
    assert read(tmp_path / "cut") == read(tmp_path / "whole")


def test_sigterm_finishes_the_shard_and_stops(tagger, corpus, tmp_path, monkeypatch):
    score(tagger, corpus, tmp_path / "whole")
    listener = signal.getsignal(signal.SIGTERM)
    interrupt(monkeypatch, 2, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Stopped):
        score(tagger, corpus, tmp_path / "cut")
    assert len(read(tmp_path / "cut")) == 2
    assert signal.getsignal(signal.SIGTERM) == listener
    monkeypatch.undo()
    score(tagger, corpus, tmp_path / "cut")
    assert read(tmp_path / "cut") == read(tmp_path / "whole")


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file size are POSIX")
def test_a_full_disk_ends_the_run_so_that_it_can_go_on(tagger, corpus, tmp_path, monkeypatch):
    import resource

    score(tagger, corpus, tmp_path / "whole")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    interrupt(monkeypatch, 3, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard)))
    try:
        with pytest.raises(OSError, match="File too large"):
            score(tagger, corpus, tmp_path / "cut")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(read(tmp_path / "cut")) == 2
    monkeypatch.undo()
    score(tagger, corpus, tmp_path / "cut")
    assert read(tmp_path / "cut") == read(tmp_path / "whole")


def test_a_source_that_vanishes_ends_the_run_so_that_it_can_go_on(tagger, annomi_like, tmp_path, monkeypatch):
    folder = tmp_path / "in"
    folder.mkdir()
    for session_id, part in annomi_like.utterances.groupby("session_id"):
        part.rename(columns={"session_id": "session", "utterance_id": "order"}).to_csv(
            folder / f"{session_id}.csv", index=False
        )
    roles = {"T": "therapist", "C": "client"}

    def transcripts():
        return Source(folder, tagger.codebook, "long", roles)

    score(tagger, transcripts(), tmp_path / "whole")
    assert len(rows(tmp_path / "whole")) == len(annomi_like.utterances)
    interrupt(monkeypatch, 2, lambda: folder.rename(tmp_path / "away"))
    with pytest.raises(InputError, match="no longer there"):
        score(tagger, transcripts(), tmp_path / "cut")
    assert read(tmp_path / "cut")
    (tmp_path / "away").rename(folder)
    monkeypatch.undo()
    score(tagger, transcripts(), tmp_path / "cut")
    assert read(tmp_path / "cut") == read(tmp_path / "whole")


def test_a_changed_session_is_scored_again_and_others_are_not(tagger, corpus, tmp_path, monkeypatch):
    score(tagger, corpus, tmp_path / "out")
    before = rows(tmp_path / "out").set_index(["session_id", "utterance_id"])
    scored = []
    real = Tagger.logits
    monkeypatch.setattr(
        Tagger,
        "logits",
        lambda self, sessions, *rest: scored.extend(s.session_id for s in sessions) or real(self, sessions, *rest),
    )

    def say(table):
        table.loc[0, "text"] = "angry"
        return table

    changed(corpus, say)
    tally = score(tagger, corpus, tmp_path / "out")
    assert scored == ["s000"]
    after = rows(tmp_path / "out").set_index(["session_id", "utterance_id"])
    assert not after.index.duplicated().any()
    assert set(after.index) == set(before.index)
    p = [column for column in before if column.startswith("p_")]
    same = (after.loc[before.index, p].fillna(-1) == before[p].fillna(-1)).all(axis=1)
    assert same[before.index.get_level_values(0) != "s000"].all()
    assert not same.loc[("s000", 0)]
    assert tally.sessions == 24
    assert tally.utterances == len(before)
    score(tagger, corpus, tmp_path / "out")
    assert scored == ["s000"]


def test_sessions_that_are_gone_leave_no_scores_behind(tagger, corpus, tmp_path):
    score(tagger, corpus, tmp_path / "out")
    score(tagger, changed(corpus, lambda table: table[table["session_id"] < "s007"]), tmp_path / "out")
    assert sorted(rows(tmp_path / "out")["session_id"].unique()) == [f"s00{n}" for n in range(7)]
    assert sorted(read(tmp_path / "out")) == ["part-00000.parquet", "part-00001.parquet"]


def test_a_bad_session_is_listed_and_the_rest_go_on(tagger, corpus, tmp_path):
    def spoil(table):
        table.loc[table["session_id"] == "s003", "role"] = "ghost"
        table.loc[table.index[table["session_id"] == "s005"][2], "text"] = None
        table.loc[table["session_id"] == "s007", "utterance_id"] = 1
        return pd.concat([table, table[table["session_id"] == "s009"]])

    source = Source(changed(corpus, spoil), tagger.codebook)
    score(tagger, source, tmp_path / "out")
    assert rows(tmp_path / "out")["session_id"].nunique() == 24 - 3
    assert not rows(tmp_path / "out").duplicated(["session_id", "utterance_id"]).any()
    reasons = dict(
        zip(("s003", "s005", "s007", "s009"), ("role", "no text", "does not rise", "two places"), strict=True)
    )
    listed = list(source.rejects.frame()["reason"])
    assert len(listed) == 4
    for session, reason in reasons.items():
        assert any(f"'{session}'" in line and reason in line for line in listed)


def test_a_session_without_finite_scores_is_listed(tagger, corpus, tmp_path, monkeypatch):
    real = Tagger.logits

    def broken(self, sessions, *rest):
        report = real(self, sessions, *rest)
        report.logits[0] = np.nan
        return report

    monkeypatch.setattr(Tagger, "logits", broken)
    source = Source(corpus, tagger.codebook)
    first = score(tagger, source, tmp_path / "out", shard_sessions=100)
    assert rows(tmp_path / "out")["session_id"].nunique() == first.sessions == 23
    assert "'s000' was not scored" in source.rejects.frame()["reason"].item()
    again = score(tagger, Source(corpus, tagger.codebook), tmp_path / "out", shard_sessions=100)
    assert (again.sessions, again.utterances) == (first.sessions, first.utterances)
    assert len(list((tmp_path / "out" / "utterances").iterdir())) == 1


def test_sessions_come_whole_however_the_table_is_cut(annomi_like, corpus, monkeypatch):
    whole = {session.session_id: session for session in Source(corpus, annomi_like.codebook)}
    assert len(whole) == 24
    for size in (1, 7, 16, 17):
        monkeypatch.setattr(streams, "READ_AT_ONCE", size)
        cut = list(Source(corpus, annomi_like.codebook))
        assert [session.session_id for session in cut] == list(whole)
        assert all(session.content == whole[session.session_id].content for session in cut)
        assert cut[-1].read == 1.0
        assert all(a.read < b.read for a, b in pairwise(cut))


def test_each_utterance_is_scored_once_and_shards_change_nothing(tagger, annomi_like, corpus, tmp_path):
    score(tagger, corpus, tmp_path / "small", 1)
    score(tagger, corpus, tmp_path / "large", 100)
    small, large = rows(tmp_path / "small"), rows(tmp_path / "large")
    key = ["session_id", "utterance_id"]
    assert small[key].equals(annomi_like.utterances[key])
    p = [column for column in small if column.startswith("p_")]
    assert np.allclose(small[p], large[p], atol=1e-5, equal_nan=True)
    assert small["tags"].map(list).equals(large["tags"].map(list))


def test_a_second_run_in_the_same_folder_is_refused(tmp_path):
    out = tmp_path / "o"
    with owned(out, {"a": 1}, "out", overwrite=False):
        done = subprocess.run(
            [
                *(sys.executable, "-c"),
                "import sys; from pathlib import Path; from threers.folders import owned\n"
                "with owned(Path(sys.argv[1]), {'a': 1}, 'out', overwrite=True): pass",
                str(out),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert "another run is at work there" in done.stderr
    with owned(out, {"a": 1}, "out", overwrite=False):
        pass


def test_a_folder_belongs_to_one_run(tmp_path):
    assert claim(tmp_path / "o", {"a": 1}, "out", overwrite=False) is False
    assert claim(tmp_path / "o", {"a": 1}, "out", overwrite=False) is True
    with pytest.raises(OutputExistsError, match="results of another run"):
        claim(tmp_path / "o", {"a": 2}, "out", overwrite=False)
    assert claim(tmp_path / "o", {"a": 2}, "out", overwrite=True) is False
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed" / ".run.json.tmp").write_text("{")
    assert claim(tmp_path / "killed", {"a": 1}, "out", overwrite=False) is False
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "diary.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match="no run of threers wrote"):
        claim(tmp_path / "notes", {"a": 1}, "out", overwrite=True)
    assert (tmp_path / "notes" / "diary.txt").exists()


def test_scores_that_are_not_there_or_not_finished_are_named(tmp_path):
    with pytest.raises(InputError, match="no scores"):
        read_scores(tmp_path, Codebook.load("annomi"))
    claim(tmp_path / "cut", {"a": 1}, "out", overwrite=False)
    with pytest.raises(InputError, match="its run was cut off"):
        read_scores(tmp_path / "cut", Codebook.load("annomi"))


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
    assert sessions["utterances_patient"].item() == 1
    assert sessions["expected_W2"].item() == pytest.approx(0.75)
    assert sessions["rate_W2"].item() == pytest.approx(5 / (320 / 60))


def test_sessions_without_times_have_counts_but_no_rates():
    book, table = some_scores()
    table[["start", "end"]] = np.nan
    assert len(summarise_segments(table, book, 5)) == 0
    sessions = summarise_sessions(table, book)
    assert sessions["n_W"].item() == 1
    assert np.isnan(sessions["rate_W"].item())


def test_summaries_of_parts_make_one_table(tmp_path):
    book, table = some_scores()
    untimed = table.assign(session_id="a", start=np.nan, end=np.nan, role="therapist")
    for summarise in (lambda part: summarise_segments(part, book, 5), lambda part: summarise_sessions(part, book)):
        write_parquet_parts(map(summarise, [untimed, table]), tmp_path / "x.parquet")
        whole = pd.read_parquet(tmp_path / "x.parquet")
        apart = pd.concat([summarise(untimed), summarise(table)], ignore_index=True)
        pd.testing.assert_frame_equal(whole, apart, check_dtype=False)
    assert whole["session_id"].tolist() == ["a", "s"]


def test_parts_without_any_tag_can_be_read_beside_others(tmp_path):
    for number, tags in enumerate(([[], []], [["W1"], []])):
        write_parquet(pd.DataFrame({"session_id": ["a", "b"], "tags": tags}), tmp_path / f"part-{number}.parquet")
    assert [list(tags) for tags in pd.read_parquet(tmp_path)["tags"]] == [[], [], ["W1"], []]
