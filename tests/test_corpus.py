import json
import os
import stat

import numpy as np
import pandas as pd
import pytest

from threers.codebook import Codebook
from threers.corpus import Corpus, conform, grouped_folds, grouped_split, require_disjoint, table_hash
from threers.errors import InputError, LeakError, OutputExistsError


def small(groups: int = 6, sessions_each: int = 2, utterances_each: int = 10) -> Corpus:
    """Sessions of a few patients; W1 stands once per session, C1 in every third group only."""
    sessions, utterances, codings = [], [], []
    for number in range(groups * sessions_each):
        session, group = f"s{number}", number // sessions_each
        sessions.append({"session_id": session, "group_id": f"p{group}", "source_file": "a.csv", "source_sha256": "0"})
        for i in range(utterances_each):
            role = "patient" if i % 2 else "therapist"
            utterances.append(
                {"session_id": session, "utterance_id": i, "role": role, "speaker": role, "text": f"t{i}"}
            )
            code = "W1" if i == 1 else "C1" if i == 3 and group % 3 == 0 else None
            value = 1.0 if code else np.nan
            codings.append([session, "utterance", i, "anna", code, value])
    columns = ["session_id", "unit", "unit_id", "coder_id", "code", "value"]
    return Corpus(
        utterances=conform(pd.DataFrame(utterances), "utterances"),
        sessions=conform(pd.DataFrame(sessions), "sessions"),
        codings=conform(pd.DataFrame(codings, columns=columns), "codings"),
        codebook=Codebook.load("3rs-2015"),
    )


@pytest.fixture
def corpus() -> Corpus:
    return small()


def test_a_saved_corpus_loads_the_same(corpus, tmp_path):
    corpus.sessions["outcome"] = 1.5
    corpus.rejects = pd.DataFrame([["a.csv", None, "file not read: x"], ["a.csv", 7, "no text: y"]])
    corpus.rejects.columns = ["file", "row", "reason"]
    corpus.save(tmp_path / "c")
    again = Corpus.load(tmp_path / "c")
    for name in ("utterances", "sessions", "codings"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(corpus, name))
    assert again.hash == corpus.hash
    assert again.coders == ["anna"]
    assert again.rejects["row"].tolist() == [pd.NA, 7]
    assert again.codebook == corpus.codebook


def test_the_manifest_counts_and_hashes(corpus, tmp_path):
    corpus.manifest = {"reader": "long"}
    corpus.save(tmp_path / "c")
    manifest = json.loads((tmp_path / "c" / "manifest.json").read_text())
    assert manifest["reader"] == "long"
    assert manifest["counts"]["utterances"] == 120
    assert manifest["counts"]["groups"] == 6
    assert manifest["counts"]["roles"] == {"therapist": 60, "patient": 60}
    assert manifest["hashes"]["codings"] == table_hash(corpus.codings)
    assert {"threers", "pandas"} <= set(manifest["versions"])


def test_the_hash_follows_the_content(corpus):
    before = corpus.hash
    assert small().hash == before
    corpus.utterances.loc[3, "text"] = "another"
    assert corpus.hash != before


def test_only_the_owner_may_read_the_folder(corpus, tmp_path):
    old = os.umask(0)
    try:
        folder = corpus.save(tmp_path / "c")
    finally:
        os.umask(old)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}


def test_an_existing_corpus_is_kept_unless_told_otherwise(corpus, tmp_path):
    corpus.save(tmp_path / "c")
    with pytest.raises(OutputExistsError, match="exists already; name another folder or say overwrite=true"):
        corpus.save(tmp_path / "c")
    corpus.select(["s1"]).save(tmp_path / "c", overwrite=True)
    assert Corpus.load(tmp_path / "c").sessions["session_id"].tolist() == ["s1"]
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_overwrite_never_replaces_another_folder(corpus, tmp_path):
    (tmp_path / "thesis.docx").write_text("years of work")
    with pytest.raises(OutputExistsError, match="holds something else than a corpus"):
        corpus.save(tmp_path, overwrite=True)
    assert (tmp_path / "thesis.docx").is_file()


def test_a_faulty_corpus_leaves_nothing_behind(corpus, tmp_path):
    corpus.utterances.loc[0, "role"] = "patent"
    with pytest.raises(
        InputError, match=r"utterances: role is not one of patient, therapist, other, unknown.*'patent'"
    ):
        corpus.save(tmp_path / "c")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_save_leaves_the_old_corpus(corpus, tmp_path, monkeypatch):
    corpus.save(tmp_path / "c")
    monkeypatch.setattr(Codebook, "save", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        corpus.select(["s1"]).save(tmp_path / "c", overwrite=True)
    assert len(Corpus.load(tmp_path / "c").sessions) == 12
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_loading_says_what_is_missing(corpus, tmp_path):
    with pytest.raises(InputError, match=r"corpus .*nowhere: no such folder; make it with threers import"):
        Corpus.load(tmp_path / "nowhere")
    folder = corpus.save(tmp_path / "c")
    corpus.codings.drop(columns=["coder_id", "value"]).to_parquet(folder / "codings.parquet")
    with pytest.raises(InputError, match=r"codings.parquet: columns missing: coder_id, value; it has session_id, unit"):
        Corpus.load(folder)
    (folder / "codings.parquet").write_text("not parquet")
    with pytest.raises(InputError, match="not a readable Parquet file"):
        Corpus.load(folder)
    (folder / "codings.parquet").unlink()
    with pytest.raises(InputError, match=r"codings.parquet missing"):
        Corpus.load(folder)


def edit(table: str, row: int, column: str, value: object) -> Corpus:
    corpus = small()
    frame = getattr(corpus, table)
    frame.loc[row, column] = value
    return corpus


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (edit("utterances", 1, "utterance_id", 0), "key session_id, utterance_id stands twice .row 1, session 's0'"),
        (edit("utterances", 1, "utterance_id", 50), "utterance_id goes down; sort by"),
        (edit("utterances", 119, "session_id", "s0"), "stands twice|not together"),
        (edit("sessions", 1, "session_id", "s0"), "sessions: the key session_id stands twice"),
        (edit("sessions", 1, "group_id", None), "sessions: group_id is empty .row 1"),
        (edit("codings", 5, "unit_id", 99), "codings: the coded utterance does not exist .*unit_id '99'"),
        (edit("codings", 5, "session_id", "s77"), "codings: session is not in sessions"),
        (edit("codings", 5, "unit", "word"), "unit is not one of utterance, segment, session .*'word'"),
        (edit("codings", 1, "code", "W99"), "code is not in codebook 3rs-2015 .*'W99'"),
        (edit("codings", 1, "value", None), "a code needs a value: 1 for present, else the rating .*'W1'"),
    ],
)
def test_check_names_the_first_fault(broken, message):
    with pytest.raises(InputError, match=message):
        broken.check()


def test_select_keeps_whole_sessions(corpus):
    part = corpus.select(["s3", "s1"])
    assert part.sessions["session_id"].tolist() == ["s1", "s3"]
    assert set(part.utterances["session_id"]) == set(part.codings["session_id"]) == {"s1", "s3"}
    assert part.utterances.index.tolist() == list(range(20))
    with pytest.raises(InputError, match="session 's99': not in this corpus"):
        corpus.select(["s1", "s99"])


def test_no_group_is_in_two_folds_and_each_fold_has_its_share(corpus):
    for seed in range(20):
        fold = grouped_folds(corpus, 3, seed)
        assert fold.index.tolist() == corpus.sessions["session_id"].tolist()
        groups = corpus.group_of
        assert (fold.groupby(groups).nunique() == 1).all()
        assert fold.value_counts().tolist() == [4, 4, 4]
        for number in range(3):
            require_disjoint(corpus.sessions, fold.index[fold != number], fold.index[fold == number])


def test_rare_codes_are_spread_over_the_folds(corpus):
    rare = corpus.codings.loc[corpus.codings["code"] == "C1", "session_id"]
    for seed in range(20):
        fold = grouped_folds(corpus, 2, seed)
        assert rare.map(fold).value_counts().tolist() == [2, 2]


def test_folds_depend_on_the_seed_alone(corpus):
    deals = [tuple(grouped_folds(corpus, 3, seed)) for seed in range(10)]
    assert deals == [tuple(grouped_folds(corpus, 3, seed)) for seed in range(10)]
    assert len(set(deals)) > 1


def test_fewer_groups_than_folds_is_an_error(corpus):
    with pytest.raises(InputError, match=r"7 folds from 6 groups \(12 sessions\).*ask for 2 to 6 folds"):
        grouped_folds(corpus, 7, 1)
    assert sorted(grouped_folds(corpus, 6, 1).unique()) == [0, 1, 2, 3, 4, 5]
    with pytest.raises(InputError, match="a split needs at least 2 groups, and there is 1"):
        grouped_split(corpus.select(["s0", "s1"]), 0.2, 1)


@pytest.mark.parametrize("share", [0.05, 0.12, 0.3, 0.45])
def test_the_inner_split_is_grouped_and_near_its_share(share):
    corpus = small(groups=20)
    train, held = grouped_split(corpus, share, 1)
    assert sorted(train + held) == sorted(corpus.sessions["session_id"])
    assert abs(len(held) / 40 - share) <= 0.05
    require_disjoint(corpus.sessions, train, held)
    assert len(grouped_split(small(groups=2), share, 1)[1]) == 2


def test_uncoded_corpora_are_split_too(corpus):
    corpus.codings = corpus.codings[:0]
    assert sorted(grouped_folds(corpus, 3, 1).value_counts()) == [4, 4, 4]


def test_a_leak_is_counted_but_not_named(corpus):
    with pytest.raises(LeakError, match="2 of 6 groups stand on both sides") as error:
        require_disjoint(corpus.sessions, ["s0", "s2", "s4"], ["s1", "s3", "s6"])
    assert "p0" not in str(error.value)
