"""The learning curve: nested shares of the training groups, the same tests, and what it says of more coding."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch

from tests.conftest import local_backbone, make_corpus
from threers import agreement, runs
from threers.agreement.curve import learning_curve, power_law
from threers.crossvalidation import SHARES, some_groups
from threers.jobs import EvaluateRun
from threers.settings import Training


def test_a_power_law_is_found_again():
    sizes = np.array([10.0, 20.0, 30.0, 40.0])
    law = 1 - 0.9 * sizes[:, None] ** np.array([-0.3, -0.6])
    assert power_law(sizes, law, 80.0) == pytest.approx(1 - 0.9 * 80 ** np.array([-0.3, -0.6]))
    rough = law[:, 0] + [0.02, -0.01, 0.0, 0.01]
    slope, level = np.polyfit(np.log(sizes), np.log(1 - rough), 1)  # another implementation
    assert power_law(sizes, rough[:, None], 80.0).item() == pytest.approx(1 - np.exp(level + slope * np.log(80)))
    assert np.isnan(power_law(np.full(4, 2.0), law, 4.0)).all()


def test_a_larger_share_holds_the_smaller_and_another_seed_draws_others():
    groups = pd.Series([f"g{n // 2}" for n in range(40)])
    drawn = [some_groups(groups, share, (1, 0)) for share in (*SHARES, 1.0)]
    assert [len(part) for part in drawn] == [5, 10, 15, 20]
    assert all(smaller < larger for smaller, larger in pairwise(drawn))
    assert some_groups(groups, 0.25, (1, 1)) != drawn[0]
    assert len(some_groups(pd.Series(["a", "b", "c"]), 0.25, (1, 0))) == 2


def test_points_and_gain_are_those_of_the_agreement_table():
    corpus = make_corpus()
    rng = np.random.default_rng(0)
    gold = corpus.codings[corpus.codings["coder_id"] == "A"].reset_index(drop=True)
    machines = {}
    for share, noise in ((0.25, 0.5), (0.5, 0.3), (1.0, 0.1)):
        other = gold["code"].sample(frac=1, random_state=1).to_numpy()
        same_role = gold["code"].map(_role).to_numpy() == pd.Series(other).map(_role).to_numpy()
        machines[share] = gold.assign(code=np.where(same_role & (rng.random(len(gold)) < noise), other, gold["code"]))
    group = corpus.group_of
    learnt = pd.Series({0.25: 3.0, 0.5: 6.0, 1.0: 12.0})
    curve = learning_curve(corpus.codings, machines, learnt, corpus.utterances, group, corpus.codebook, 200)
    named = [table.assign(coder_id=f"model:{share}") for share, table in machines.items()]
    codings = pd.concat([corpus.codings, *named], ignore_index=True)
    table = agreement.agree(codings, corpus.utterances, group, corpus.codebook, resamples=200)
    for family in ("all", "client_talk"):
        own = curve[curve["family"] == family].set_index(["statistic", "share"])
        for share in machines:
            of_table = table[
                (table["level"] == "utterance")
                & (table["rater_a"] == f"model:{share}")
                & (table["rater_b"] == "consensus")
                & (table["family"] == family)
                & (table["statistic"] == "macro_f1")
            ].iloc[0]
            found = own.loc[("macro_f1", share), ["estimate", "low", "high"]]
            assert found.tolist() == pytest.approx(of_table[["estimate", "low", "high"]].tolist())
        gain = agreement.macro_f1_difference(
            codings, corpus.utterances, group, corpus.codebook, "model:1.0", "model:0.5", family, resamples=200
        )
        assert own.loc[("gain_of_last_step", 1.0), ["estimate", "low", "high"]].tolist() == pytest.approx(gain)
        assert gain.low > 0
        assert own.loc[("macro_f1_guessed", 2.0), "groups_learnt_from"] == 24


def test_the_curve_counts_only_groups_whose_utterances_were_judged():
    corpus = make_corpus()
    own, group = corpus.codings, corpus.group_of
    in_segments = own["session_id"].map(group).isin(sorted(group.unique())[:3])
    codings = own.assign(unit=own["unit"].mask(in_segments, "segment")).drop_duplicates()
    tags = own[own["coder_id"] == "A"].drop_duplicates()
    machines, learnt = {0.5: tags, 1.0: tags}, pd.Series({0.5: 3.0, 1.0: 6.0})
    curve = learning_curve(codings, machines, learnt, corpus.utterances, group, corpus.codebook, 20)
    assert (curve["n_groups"] == group.nunique() - 3).all()


def _role(code):
    return "client" if code in ("change", "neutral", "sustain") else "therapist"


@pytest.fixture
def one_thread():
    """With another number of threads the last bits of a trained weight may differ."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_an_evaluation_with_a_curve_goes_on_where_it_was_cut_off_with_more_workers(tiny_folder, tmp_path):
    corpus = make_corpus(8).save(tmp_path / "corpus")
    run = EvaluateRun(
        corpus=str(corpus),
        out=str(tmp_path / "out"),
        folds=2,
        resamples=100,
        curve=True,
        backbone=local_backbone(tiny_folder),
        training=Training(
            epochs=1,
            batch_tokens=1024,
            validation_share=0.3,
            lexical_share=0.0,
            pretrained_share=0.0,
            device="cpu",
            precision="float32",
        ),
    )
    table = runs.evaluate(run)
    folds = tmp_path / "out" / "folds"
    assert "Learning curve" in (tmp_path / "out" / "agreement.html").read_text(encoding="utf-8")
    first = (tmp_path / "out" / "curve.csv").read_bytes()
    curve = pd.read_csv(tmp_path / "out" / "curve.csv")
    own = curve[(curve["family"] == "all") & (curve["statistic"] == "macro_f1")]
    assert own["groups_learnt_from"].tolist() == [2, 2, 3, 4]
    of_table = table[
        (table["rater_a"] == "model:tiny") & (table["rater_b"] == "consensus") & (table["family"] == "all")
    ]
    expected = of_table[of_table["statistic"] == "macro_f1"].query("level == 'utterance'")["estimate"].item()
    assert own["estimate"].iloc[-1] == pytest.approx(expected)  # the whole is the evaluation's own
    kept = {file.name: file.stat().st_mtime_ns for file in folds.glob("*.parquet")}
    for lost in ("curve-75-1.parquet", "scores-0.parquet", "scores-1.parquet"):
        (folds / lost).unlink()
    runs.evaluate(replace(run, workers=2))
    now = {file.name: file.stat().st_mtime_ns for file in folds.glob("*.parquet")}
    assert {name for name in kept if now[name] != kept[name]} == {
        "curve-75-1.parquet",
        *(f"{what}-{fold}.parquet" for what in ("scores", "floors") for fold in (0, 1)),
    }
    assert (tmp_path / "out" / "curve.csv").read_bytes() == first
