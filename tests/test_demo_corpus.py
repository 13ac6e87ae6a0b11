"""The bundled synthetic corpus keeps what its data card says."""

import re
from collections import defaultdict
from pathlib import Path

import pandas as pd
import pytest

from threers.agreement import agree
from threers.codebook import Codebook
from threers.corpus import Corpus
from threers.demonstration import NEW_PATIENTS
from threers.formats import import_files
from threers.screen import show_import
from threers.targets import build_targets

DATA = Path(__file__).parents[1] / "data"
FAMILIES = {"W": "patient", "C": "patient", "R": "therapist"}


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return import_files(DATA / "demo" / "**" / "*.csv", DATA / "demo" / "reader.yaml")


@pytest.fixture(scope="module")
def marked(corpus: Corpus) -> pd.DataFrame:
    """Share of the coders who marked each code, a row per utterance."""
    targets = build_targets(corpus.utterances, corpus.codings, corpus.codebook)
    return pd.DataFrame(targets.share, columns=corpus.codebook.tag_codes(), index=corpus.utterances.index)


def test_sessions_patients_and_therapists_are_as_many_as_promised(corpus: Corpus):
    sessions = corpus.sessions
    lengths = corpus.utterances.groupby("session_id").size()
    per_patient = sessions.groupby("patient_id").size()
    assert len(sessions) >= 40
    assert lengths.min() >= 60
    assert len(corpus.utterances) >= 2400
    assert len(per_patient) >= 14
    assert per_patient.between(2, 4).all()
    assert sessions["therapist_id"].nunique() >= 6
    assert not len(corpus.rejects)


def test_the_data_card_has_the_right_counts(corpus: Corpus):
    card = (DATA / "README.md").read_text(encoding="utf-8")
    found = re.search(
        r"holds (\d+) therapy sessions of (\d+) patients with (\d+) therapists, ([\d,]+) utterances", card
    )
    assert found is not None
    counts = [int(number.replace(",", "")) for number in found.groups()]
    sessions = corpus.sessions
    assert counts == [
        len(sessions),
        sessions["patient_id"].nunique(),
        sessions["therapist_id"].nunique(),
        len(corpus.utterances),
    ]


@pytest.mark.parametrize(("page", "name", "new"), [("train", "corpus", False), ("compare", "new_corpus", True)])
def test_the_tutorials_show_what_the_import_says(corpus: Corpus, page: str, name: str, new: bool, capsys):
    sessions = corpus.sessions
    show_import(
        corpus.select(sessions.loc[sessions["patient_id"].isin(NEW_PATIENTS) == new, "session_id"]), f"practice/{name}"
    )
    assert capsys.readouterr().out.strip() in (DATA.parent / "docs" / "tutorials" / f"{page}.md").read_text("utf-8")


@pytest.mark.parametrize(("code", "low", "high"), [("W", 0.10, 0.18), ("C", 0.03, 0.07), ("R", 0.06, 0.12)])
def test_base_rates_are_like_lifes(corpus: Corpus, marked: pd.DataFrame, code: str, low: float, high: float):
    own = marked.loc[corpus.utterances["role"] == FAMILIES[code], code]
    assert low <= own.mean() <= high


def test_every_code_is_frequent_and_spread(corpus: Corpus, marked: pd.DataFrame):
    patient = corpus.utterances["session_id"].map(corpus.sessions.set_index("session_id")["patient_id"])
    for code in Codebook.load("3rs-2015").tag_codes():
        present = marked[code] >= 0.5
        assert present.sum() >= 12, code
        assert corpus.utterances.loc[present, "session_id"].nunique() >= 6, code
        assert patient[present].nunique() >= 4, code


def test_every_session_has_two_coders_and_sixteen_have_three(corpus: Corpus):
    coders = corpus.codings[corpus.codings["unit"] == "utterance"].groupby("session_id")["coder_id"].nunique()
    assert set(coders.index) == set(corpus.sessions["session_id"])
    assert coders.min() == 2
    assert (coders == 3).sum() == 16
    ratings = corpus.codings[corpus.codings["unit"] == "session"]
    assert set(ratings["code"]) == {"resolution_extent", "therapist_contribution"}
    assert len(ratings) == 2 * coders.sum()


def test_coders_agree_as_far_as_people_do(corpus: Corpus):
    """On the sessions that all three coded: mean pairwise kappa of each family between 0.45 and 0.85."""
    own = corpus.codings[corpus.codings["unit"] == "utterance"]
    crossed = own.groupby("session_id")["coder_id"].nunique().loc[lambda n: n == 3].index
    part = corpus.select(list(crossed))
    groups = part.group_of
    table = agree(part.codings, part.utterances, groups, part.codebook, resamples=2)
    of_coders = (table["level"] == "utterance") & (table["statistic"] == "kappa") & (table["rater_b"] == "coders")
    kappa = table[of_coders].set_index("code")["estimate"]
    for code in FAMILIES:
        assert 0.45 <= kappa[code] <= 0.85, (code, kappa[code])


def test_sessions_share_no_sentences(corpus: Corpus):
    """Under 1 % of the utterances longer than a backchannel have eight words running in common with another session."""
    words = corpus.utterances["text"].str.lower().str.findall(r"[\w']+")
    seen = defaultdict(set)
    for session, own in zip(corpus.utterances["session_id"], words, strict=True):
        for eight in zip(*(own[k:] for k in range(8)), strict=False):
            seen[eight].add(session)
    spoken = words[words.str.len() > 3]
    repeats = [any(len(seen[eight]) > 1 for eight in zip(*(own[k:] for k in range(8)), strict=False)) for own in spoken]
    assert sum(repeats) < 0.01 * len(spoken)


@pytest.mark.parametrize("path", sorted((DATA / "formats").iterdir()), ids=lambda path: path.suffix)
def test_the_same_sessions_come_from_every_kind_of_table(corpus: Corpus, path: Path):
    found = import_files(path, "auto", corpus.codebook).utterances
    expected = corpus.utterances[corpus.utterances["session_id"].isin(found["session_id"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(found.drop(columns="speaker"), expected.drop(columns="speaker"))
    assert found["session_id"].nunique() == 2
    assert not len(corpus.rejects)


def test_times_never_go_back_within_a_session(corpus: Corpus):
    start, end = corpus.utterances["start"], corpus.utterances["end"]
    assert (start.groupby(corpus.utterances["session_id"]).diff().dropna() >= 0).all()
    assert (end > start).all()
