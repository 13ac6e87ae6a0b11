"""Corpora in which nobody coded an utterance: segments with codes and ratings, or rated sessions alone."""

import numpy as np
import pandas as pd
import pytest

from tests.lab_tables import load
from threers import agreement
from threers.agreement import ratings
from threers.codebook import Codebook
from threers.corpus import Corpus
from threers.errors import InputError
from threers.jobs import AgreeRun
from threers.runs import agree
from threers.screen import show_agreement

NEW = Codebook.load("3rs-2022")
OLD = Codebook.load("3rs-2015")
ONLY_RATINGS = Codebook.from_dict(
    {
        "name": "alliance",
        "title": "Alliance",
        "roles": ["patient", "therapist"],
        "families": {
            "bond": {
                "title": "Bond",
                "kind": "rating",
                "unit": "session",
                "scale": [1, 7],
                "codes": {"B": {"title": "B"}},
            }
        },
    }
)
SESSIONS = [f"p{patient}s{number}" for patient in range(9) for number in (1, 2)]
GROUPS = pd.Series({name: name[:2] for name in SESSIONS})


def said(minutes: int = 20) -> pd.DataFrame:
    rows = [
        (name, number, ("patient", "therapist")[number % 2], "x", 60.0 * number, 60.0 * number + 50, "Words.")
        for name in SESSIONS
        for number in range(minutes)
    ]
    return pd.DataFrame(rows, columns=["session_id", "utterance_id", "role", "speaker", "start", "end", "text"])


def codings(rows: list[tuple]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["session_id", "unit", "unit_id", "coder_id", "code", "value"])
    return frame.astype({"unit_id": "Int64", "value": "float64"})


def of_sessions(code: str, seed: int = 0) -> list[tuple]:
    rng = np.random.default_rng(seed)
    rows = []
    for name in SESSIONS:
        about = rng.integers(1, 6)
        rows += [(name, "session", 0, who, code, float(np.clip(about + rng.integers(-1, 2), 1, 5))) for who in "ab"]
    return rows


def of_segments(seed: int = 1) -> list[tuple]:
    rng = np.random.default_rng(seed)
    rows = []
    for name in SESSIONS:
        for segment in range(4):
            about, avoids = int(rng.integers(1, 6)), rng.random() < 0.4
            for who in "ab":
                rows.append((name, "segment", segment, who, "WD_P", float(np.clip(about + rng.integers(-1, 2), 1, 5))))
                if avoids != (rng.random() < 0.1):
                    rows.append((name, "segment", segment, who, "avoiding", 1.0))
    return rows


def figure(table: pd.DataFrame, code: str, statistic: str) -> pd.Series:
    found = table[(table["code"] == code) & (table["statistic"] == statistic) & (table["rater_a"] == "coders")]
    return found[found["rater_b"] == "coders"].iloc[0]


def matrix(rows: list[tuple], code: str) -> np.ndarray:
    frame = codings(rows)
    frame = frame[frame["code"] == code]
    return frame.pivot_table(index=["session_id", "unit_id"], columns="coder_id", values="value", dropna=False).dropna()


@pytest.mark.parametrize(
    ("codebook", "code"), [(NEW, "resolution_extent"), (OLD, "resolution_extent"), (ONLY_RATINGS, "B")]
)
def test_sessions_that_were_only_rated_are_compared(codebook, code):
    rows = of_sessions(code)
    table = agreement.agree(codings(rows), said(), GROUPS, codebook, resamples=100)
    x = np.array([[value for *_, who, _, value in rows if who == rater] for rater in "ab"]).T
    expected = ratings.intraclass_correlations(x)["ICC(A,1)"].estimate
    row = figure(table, code, "rating_icc_a1")
    assert row["estimate"] == pytest.approx(expected)
    assert (row["n_units"], row["n_groups"]) == (18, 9)
    assert row["low"] < row["estimate"] < row["high"]
    assert set(table["level"]) == {"session"}


def test_rated_sessions_count_beside_coded_ones():
    rows = of_sessions("resolution_extent")
    coded = [(SESSIONS[n], "utterance", 0, who, "W1", None) for n in range(6) for who in "ab"]
    table = agreement.agree(codings([*rows, *coded]), said(), GROUPS, OLD, resamples=100)
    alone = agreement.agree(codings(rows), said(), GROUPS, OLD, resamples=100)
    pd.testing.assert_series_equal(
        figure(table, "resolution_extent", "rating_icc_a1"),
        figure(alone, "resolution_extent", "rating_icc_a1"),
        check_names=False,
    )
    assert figure(table, "W1", "kappa")["n_groups"] == 3


def test_codes_of_segments_are_compared_where_a_coder_rated_the_segment():
    rows = of_segments()
    table = agreement.agree(codings(rows), said(), GROUPS, NEW, resamples=100)
    marked = {who: {row[:3] for row in rows if row[3] == who and row[4] == "avoiding"} for who in "ab"}
    every = [(name, "segment", segment) for name in SESSIONS for segment in range(4)]
    a, b = (np.array([one in marked[who] for one in every]) for who in "ab")
    by_chance = a.mean() * b.mean() + (1 - a.mean()) * (1 - b.mean())
    row = figure(table, "avoiding", "kappa")
    assert row["estimate"] == pytest.approx(((a == b).mean() - by_chance) / (1 - by_chance))
    assert (row["level"], row["n_units"]) == ("segment", 72)
    assert figure(table, "WD_P", "rating_icc_a1")["n_units"] == 72


@pytest.mark.parametrize(("codebook", "rows"), [(NEW, of_segments()), (ONLY_RATINGS, of_sessions("B"))])
def test_screen_and_page_show_what_there_is(codebook, rows, tmp_path, capsys):
    facts = {"therapist_id": None, "session_number": None, "source_file": "x", "source_sha256": "x"}
    sessions = GROUPS.rename("group_id").rename_axis("session_id").reset_index()
    sessions = sessions.assign(patient_id=sessions["group_id"], **facts)
    Corpus(utterances=said(), sessions=sessions, codings=codings(rows), codebook=codebook).save(tmp_path / "corpus")
    table, _ = agree(AgreeRun(corpus=str(tmp_path / "corpus"), out=str(tmp_path / "out"), resamples=100))
    show_agreement(table, codebook)
    told = capsys.readouterr().out
    assert "ICC(A,1)" in told
    assert ("no utterance was coded" in told) == (codebook is NEW)
    page = (tmp_path / "out" / "agreement.html").read_text()
    assert "Ratings of whole sessions or segments" in page
    assert "because no times are known" not in page
    assert ("Segments were coded with" in page, "Sessions were rated with" in page) == (
        codebook is NEW,
        codebook is not NEW,
    )
    assert ("gave ratings and no codes" in page) == (codebook is not NEW)


def test_a_table_of_ratings_of_sessions_needs_no_numbers(tmp_path):
    files = {
        "said.csv": "session,order,speaker,text\ns1,0,P,Yes.\n",
        "rated.csv": "session,coder,unit,code,value\ns1,anna,session,resolution_extent,4\n",
    }
    corpus = load(tmp_path, files, "auto")
    assert corpus.codings[["unit", "code", "value"]].to_numpy().tolist() == [["session", "resolution_extent", 4.0]]
    assert corpus.rejects.empty


def test_a_corpus_that_nobody_coded_or_rated_is_refused():
    with pytest.raises(InputError, match="no codings by a person"):
        agreement.agree(codings([]), said(), GROUPS, NEW)
