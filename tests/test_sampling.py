"""Which sessions are drawn for people to code, and whether their sheets come back."""

import csv
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.conftest import make_corpus
from threers import runs
from threers.codebook import Codebook
from threers.errors import InputError, OutputExistsError, SettingsError
from threers.jobs import ImportRun, SampleRun
from threers.sampling import doubt_of_sessions, draw, uncoded_sessions
from threers.scores import score_table


def frame(sizes):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    return pd.DataFrame({"session_id": [f"s{n}" for n in range(len(groups))], "group_id": groups.astype(str)})


SIZES = [1, 1, 2, 3, 5, 8, 10]


@pytest.mark.parametrize("how", ["random", "by_patient"])
def test_every_session_is_drawn_as_often_as_it_says_and_totals_are_unbiased(how):
    sessions = frame(SIZES)
    rng = np.random.default_rng(0)
    marks = pd.Series(rng.poisson(3 + 5 * sessions["group_id"].astype(int)), index=sessions["session_id"])
    draws, times, totals = 1500, pd.Series(0, index=sessions["session_id"]), []
    for seed in range(draws):
        found = draw(sessions, 7, how, seed)
        assert found["session_id"].is_unique
        times[found["session_id"]] += 1
        totals.append((marks[found["session_id"]].to_numpy() / found["inclusion_probability"]).sum())
    chance = 7 / 30
    assert (abs(times / draws - chance) < 4 * math.sqrt(chance * (1 - chance) / draws)).all()
    assert abs(np.mean(totals) - marks.sum()) < 4 * np.std(totals) / math.sqrt(draws)


def test_a_sample_by_patient_is_spread_over_them_and_so_more_exact():
    sessions = frame(SIZES)
    marks = pd.Series(
        np.repeat(np.arange(7.0) ** 2, SIZES), index=sessions["session_id"]
    )  # patients differ, all else equal
    spread = {}
    for how in ("random", "by_patient"):
        totals = []
        for seed in range(300):
            found = draw(sessions, 10, how, seed)
            totals.append(3 * marks[found["session_id"]].sum())
            if how == "by_patient":
                own = sessions.set_index("session_id").loc[found["session_id"], "group_id"].value_counts()
                share = np.array(SIZES) / 3
                counts = own.reindex([str(g) for g in range(7)]).fillna(0).to_numpy()
                assert ((counts >= np.floor(share)) & (counts <= np.ceil(share))).all()
        spread[how] = np.std(totals)
    assert spread["by_patient"] < 0.5 * spread["random"]


def test_the_most_doubtful_sessions_come_from_as_many_patients_as_there_are():
    sessions = frame([4, 4, 2])
    doubt = pd.Series(np.linspace(0.5, 0.05, 10), index=sessions["session_id"])  # all of the first patient's come first
    found = draw(sessions, 3, "uncertain", 1, doubt)
    assert found["session_id"].tolist() == ["s0", "s4", "s8"]
    assert draw(sessions, 5, "uncertain", 1, doubt)["session_id"].tolist() == ["s0", "s1", "s4", "s5", "s8"]
    assert len(draw(sessions, 10, "uncertain", 1, doubt)) == 10
    assert found["inclusion_probability"].isna().all()


def test_more_sessions_than_there_are_cannot_be_drawn():
    with pytest.raises(InputError, match="there are 3 sessions"):
        draw(frame([3]), 4, "random", 1)


def test_doubt_is_the_probability_that_an_answer_is_wrong():
    codebook = Codebook.load("annomi")
    codes = list(codebook.tag_codes())
    p = np.full((3, len(codes)), np.nan)
    client = [codes.index(code) for code in codebook.families[1].codes]
    p[0, client] = 0.2, 0.3, 0.5
    p[1, client] = 0.9, 0.05, 0.05
    tags = np.zeros(p.shape, dtype=bool)
    tags[0, client[1]] = tags[1, client[0]] = True  # a tag need not be the most probable code
    utterances = pd.DataFrame(
        {"session_id": ["a", "a", "b"], "utterance_id": [0, 1, 0], "role": ["client", "client", "other"]}
    ).assign(start=None, end=None)
    found = doubt_of_sessions(score_table(utterances, p, tags, codebook), codebook)
    assert found["a"] == pytest.approx((0.7 + 0.1) / 2)
    assert np.isnan(found["b"])  # nothing was decided there


@pytest.fixture
def corpus(tmp_path):
    """Sixteen sessions of eight patients, the first patient's coded."""
    made = make_corpus(8)
    made.codings = made.codings[made.codings["session_id"].isin(["s000", "s001"])].reset_index(drop=True)
    made.sessions["patient_id"] = made.sessions["group_id"]
    made.manifest["grouped_by"] = "patient"
    made.save(tmp_path / "corpus")
    return made


@pytest.mark.parametrize("sheets", ["csv", "xlsx"])
def test_sheets_come_back_with_texts_roles_patients_and_what_the_coder_wrote(corpus, tmp_path, sheets):
    run = SampleRun(corpus=str(tmp_path / "corpus"), out=str(tmp_path / "out"), n=4, sheets=sheets)
    runs.sample(run)
    listed = pd.read_csv(tmp_path / "out" / "sampling.csv")
    assert listed["inclusion_probability"].tolist() == [4 / 14] * 4
    assert not set(listed["session_id"]) & {"s000", "s001"}
    files = sorted((tmp_path / "out" / "sheets").iterdir())
    assert [file.name for file in files] == listed["sheet"].tolist()
    fill = {"csv": _fill_csv, "xlsx": _fill_xlsx}[sheets]
    for file in files:
        fill(file, {0: "question", 1: "change"})
    back = runs.import_corpus(
        ImportRun(source=f"{tmp_path}/out/sheets/*", corpus=str(tmp_path / "back"), codebook="annomi")
    )
    sent = corpus.select(listed["session_id"])
    columns = ["session_id", "utterance_id", "role", "text"]
    pd.testing.assert_frame_equal(back.utterances[columns], sent.utterances[columns])
    groups = [made.group_of.to_dict() for made in (back, sent)]
    assert groups[0] == groups[1]
    marks = back.codings.dropna(subset="code")
    assert set(zip(marks["unit_id"], marks["coder_id"], marks["code"], strict=True)) == {
        (0, "anna", "question"),
        (1, "anna", "change"),
    }
    assert len(marks) == 8


def _fill_csv(file, codes):
    with file.open(encoding="utf-8-sig", newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert not any(row["code"] or row["coder"] or row["value"] for row in rows)  # blind to everybody's codes
    for number, code in codes.items():
        rows[number] |= {"coder": "anna", "code": code}
    with file.open("w", encoding="utf-8-sig", newline="") as opened:
        writer = csv.DictWriter(opened, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def _fill_xlsx(file, codes):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.load_workbook(file)
    sheet = book.active
    column = {cell.value: cell.column for cell in sheet[1]}
    for number, code in codes.items():
        sheet.cell(number + 2, column["coder"], "anna")
        sheet.cell(number + 2, column["code"], code)
    book.save(file)


def test_uncertain_takes_the_scored_sessions_in_which_the_tagger_is_least_sure(corpus, tiny_tagger, tmp_path):
    from threers.jobs import ScoreRun
    from threers.scores import read_scores
    from threers.settings import Engine

    scored = tmp_path / "scores"
    runs.score(
        ScoreRun(
            tagger=str(tiny_tagger), source=str(tmp_path / "corpus"), out=str(scored), engine=Engine(), device="cpu"
        )
    )
    run = SampleRun(
        corpus=str(tmp_path / "corpus"), out=str(tmp_path / "out"), n=3, how="uncertain", scores=str(scored)
    )
    runs.sample(run)
    found = pd.read_csv(tmp_path / "out" / "sampling.csv")
    doubt = doubt_of_sessions(read_scores(scored, corpus.codebook)[0], corpus.codebook)
    frame = uncoded_sessions(corpus)
    best = frame.assign(doubt=frame["session_id"].map(doubt)).groupby("group_id")["doubt"].max()
    assert found["doubt"].to_numpy() == pytest.approx(best.sort_values(ascending=False).head(3).to_numpy())
    assert found["inclusion_probability"].isna().all()
    assert not [name for name in found if name.startswith("p_")]


def test_another_sample_does_not_replace_the_first(corpus, tmp_path):
    run = SampleRun(corpus=str(tmp_path / "corpus"), out=str(tmp_path / "out"), n=3)
    runs.sample(run)
    before = (tmp_path / "out" / "sampling.csv").read_bytes()
    sheet = tmp_path / "out" / "sheets" / "sheet-001.csv"
    sheet.write_text("a coder's work")
    runs.sample(run)
    assert (tmp_path / "out" / "sampling.csv").read_bytes() == before
    assert sheet.read_text() == "a coder's work"
    with pytest.raises(OutputExistsError):
        runs.sample(replace(run, n=5))
    runs.sample(replace(run, n=5, overwrite=True))
    assert len(list((tmp_path / "out" / "sheets").iterdir())) == 5


def test_scores_are_asked_for_where_they_are_used_and_only_there():
    with pytest.raises(SettingsError, match="scores folder"):
        SampleRun(corpus="c", out="o", how="uncertain")
    with pytest.raises(SettingsError, match="does not look"):
        SampleRun(corpus="c", out="o", scores="s")


def test_sessions_that_somebody_coded_are_not_drawn(corpus):
    assert set(uncoded_sessions(corpus)["session_id"]) == set(corpus.sessions["session_id"]) - {"s000", "s001"}
