"""Agreement on segments and sessions, and the model in a coder's place."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from tests.test_agreement import TALK, codings_of, groups_of, one, utterances_of
from tests.test_agreement import random_codings as codings_at_random
from threers import agreement
from threers.agreement import counts, ratings
from threers.agreement.segments import segment_numbers
from threers.codebook import Codebook

COLUMNS = ["session_id", "unit", "unit_id", "coder_id", "code", "value"]
RATED = Codebook.load("3rs-2015")


def timed(sessions: int = 4, length: int = 6, seconds: float = 60.0) -> pd.DataFrame:
    utterances = utterances_of(sessions, length)
    start = utterances["utterance_id"] * seconds
    return utterances.assign(start=start, end=start + seconds)


def random_codings(utterances: pd.DataFrame, raters: list[str], seed: int = 0) -> pd.DataFrame:
    return codings_at_random(utterances[["session_id", "utterance_id", "role"]], raters, seed)


def run(codings: pd.DataFrame, utterances: pd.DataFrame, **options) -> pd.DataFrame:
    return agreement.agree(codings, utterances, groups_of(utterances), TALK, **{"resamples": 200, **options})


def coded(sessions: int, rater: str, marked: dict[tuple[int, int], str]) -> list[tuple]:
    """Rows of a rater who read every odd unit of six and marked some."""
    return [(f"s{s}", u, rater, marked.get((s, u))) for s in range(sessions) for u in (1, 3, 5)]


def test_every_figure_and_each_resample_equals_the_plain_formula_on_copied_rows():
    rng = np.random.default_rng(0)
    names = {"ICC(1,1)": "icc_1", "ICC(A,1)": "icc_a1", "ICC(C,1)": "icc_c1"}
    names |= {"ICC(1,k)": "icc_1k", "ICC(A,k)": "icc_ak", "ICC(C,k)": "icc_ck"}
    checked = 0
    for _ in range(10):
        n = int(rng.integers(5, 40))
        a = rng.poisson(6, n)
        b, group = a + rng.poisson(2, n) - 1, rng.integers(0, 5, n)
        weights = np.vstack([np.ones((1, 5)), rng.multinomial(5, [0.2] * 5, size=10)])
        found = dict(zip(counts.OF_TARGETS, counts.of_targets(a, b, group, weights), strict=True))
        for row, drawn in enumerate(weights):
            copied = np.repeat(np.arange(n), drawn[group].astype(int))
            if len(set(copied)) < 3:
                continue
            x, y = a[copied], b[copied]
            for theirs, ours in names.items():
                expected = ratings.intraclass_correlations(np.column_stack([x, y]))[theirs].estimate
                assert found[ours][row] == pytest.approx(expected, abs=1e-9, nan_ok=True)
            limits = ratings.bland_altman(y, x)
            assert found["lin_concordance"][row] == pytest.approx(ratings.lin_concordance(x, y).estimate, abs=1e-9)
            assert found["spearman"][row] == pytest.approx(ratings.spearman(x, y), abs=1e-9, nan_ok=True)
            assert found["bias"][row] == pytest.approx(limits.bias.estimate, abs=1e-9)
            assert found["lower_limit"][row] == pytest.approx(limits.lower_limit.estimate, abs=1e-9)
            assert found["upper_limit"][row] == pytest.approx(limits.upper_limit.estimate, abs=1e-9)
            checked += 1
    assert checked > 50


def test_a_correlation_at_its_least_has_no_reliability_of_the_mean():
    found = ratings.intraclass_correlations(np.array([[1.0, 2.0], [2.0, 1.0]]))
    assert found["ICC(1,1)"].estimate == -1
    assert np.isnan(found["ICC(1,k)"].estimate)


def test_an_utterance_belongs_to_the_segment_in_which_it_starts():
    assert segment_numbers(np.array([0.0, 299.9, 300.0, np.nan]), 5).tolist() == [0, 0, 1, -1]


def test_a_segment_holds_what_any_of_its_utterances_holds():
    rows = coded(2, "a", {(0, 1): "W1", (1, 5): "W2"}) + coded(2, "b", {(0, 3): "W1"})
    table = run(
        codings_of(rows), timed(2, seconds=75)
    )  # utterances 0 to 3 in the first five minutes, 4 and 5 in the next
    row = one(table, level="segment", code="W1", statistic="kappa", rater_a="a", rater_b="b")
    assert (row["n_units"], row["n_positive"], row["estimate"]) == (4, 1, 1.0)
    assert one(table, code="W1", statistic="kappa", rater_a="a", rater_b="b")["estimate"] < 0


def test_codes_that_people_gave_to_segments_count_instead_and_mark_the_parent():
    rows = codings_of(coded(1, "a", {(0, 1): "W1"}) + coded(1, "b", {}))
    own = codings_of([("s0", 0, "b", "W2")]).assign(unit="segment")
    table = run(pd.concat([rows, own], ignore_index=True), timed(1))
    parent = one(table, level="segment", code="W", statistic="accuracy", rater_a="a", rater_b="b")
    child = one(table, level="segment", code="W1", statistic="accuracy", rater_a="a", rater_b="b")
    # The minutes after the fifth hold utterance 5, which both left unmarked.
    assert (parent["estimate"], child["estimate"]) == (1.0, 0.5)


def test_coders_of_segments_alone_can_be_compared():
    rows = [
        (f"s{s}", "segment", n, rater, "W1" if (s + n) % 2 else None, 1.0)
        for s in range(4)
        for n in (0, 1)
        for rater in "ab"
    ]
    codings = pd.DataFrame(rows, columns=COLUMNS)
    table = run(codings, timed(4))
    row = one(table, level="segment", code="W1", statistic="kappa", rater_a="a", rater_b="b")
    assert (row["n_units"], row["estimate"]) == (8, 1.0)
    assert "utterance" not in set(table["level"])


def test_counts_of_a_session_are_of_units_that_both_judged():
    rows = coded(3, "a", {(0, 1): "W1", (0, 3): "W1", (1, 1): "W1"}) + coded(3, "b", {(0, 1): "W1", (1, 3): "W1"})
    rows = [row for row in rows if row[:3] != ("s2", 5, "b")]
    table = run(codings_of(rows), timed(3))
    row = one(table, level="session", code="W1", statistic="count_bias", rater_a="a", rater_b="b")
    assert (row["n_units"], row["n_positive"]) == (3, 2)
    assert row["estimate"] == pytest.approx(1 / 3)
    expected = ratings.intraclass_correlations(np.array([[2, 1], [1, 1], [0, 0]]))["ICC(A,1)"].estimate
    found = one(table, level="session", code="W1", statistic="count_icc_a1", rater_a="a", rater_b="b")
    assert found["estimate"] == pytest.approx(expected)
    # Six minutes each.
    rate = one(table, level="session", code="W1", statistic="rate_bias", rater_a="a", rater_b="b")
    assert rate["estimate"] == pytest.approx(1 / 3 / 6 * 5)


def test_without_times_there_are_counts_but_no_rates_and_no_segments():
    table = run(random_codings(utterances_of(), ["a", "b"]), utterances_of())
    assert "segment" not in set(table["level"])
    names = set(table.loc[table["level"] == "session", "statistic"])
    assert "count_icc_a1" in names
    assert not any(name.startswith(("rate", "segments")) for name in names)


def test_a_rate_counts_only_the_sessions_whose_length_is_known():
    utterances = timed(4)
    utterances.loc[utterances["session_id"] != "s0", ["start", "end"]] = np.nan
    table = run(random_codings(utterances, ["a", "b"]), utterances)
    keys = {"level": "session", "code": "W1", "rater_a": "a", "rater_b": "b"}
    sizes = ["n_units", "n_groups"]
    assert one(table, statistic="count_bias", **keys)[sizes].tolist() == [4, 4]
    for quantity in ("rate", "segments"):
        row = one(table, statistic=f"{quantity}_bias", **keys)
        assert row[sizes].tolist() == [1, 1]
        assert np.isnan(row["low"]), "one group has no interval"


def test_ratings_of_sessions_are_compared():
    values = {"a": [1, 2, 3, 5], "b": [1, 3, 3, 4]}
    rows = [
        (f"s{n}", "session", 0, rater, "resolution_extent", float(value))
        for rater, own in values.items()
        for n, value in enumerate(own)
    ]
    utterances = timed(4).assign(role="patient")
    codings = pd.concat([codings_of(coded(4, "a", {}) + coded(4, "b", {})), codings_of([])], ignore_index=True)
    own = pd.DataFrame(rows, columns=COLUMNS)
    codings = pd.concat([codings, own], ignore_index=True)
    table = agreement.agree(codings, utterances, groups_of(utterances), RATED, resamples=100)
    expected = ratings.intraclass_correlations(np.array(list(zip(*values.values(), strict=True))))
    for statistic, name in (("rating_icc_a1", "ICC(A,1)"), ("rating_icc_ck", "ICC(C,k)")):
        found = one(table, level="session", code="resolution_extent", statistic=statistic, rater_a="a", rater_b="b")
        assert found["estimate"] == pytest.approx(expected[name].estimate)
    kappa = one(table, level="session", code="resolution_extent", statistic="rating_kappa_quadratic", rater_a="coders")
    assert kappa["estimate"] == pytest.approx(
        metrics.cohen_kappa_score(values["a"], values["b"], weights="quadratic", labels=[1, 2, 3, 4, 5])
    )


def test_a_coders_twin_in_the_coders_place_changes_nothing_and_noise_costs_agreement():
    utterances = timed(30)
    codings = random_codings(utterances, ["a"], seed=3)
    twins = [codings.assign(coder_id=name) for name in ("a", "b", "model:twin")]
    noise = random_codings(utterances, ["model:noise"], seed=4)
    table = run(pd.concat([*twins, noise], ignore_index=True), utterances)
    for level, statistic in (("utterance", "drop_in_alpha_change"), ("session", "drop_in_count_icc_a1_change")):
        keys = {"level": level, "code": "W1", "statistic": statistic, "rater_b": "coders"}
        twin, other = (one(table, rater_a=name, **keys) for name in ("model:twin", "model:noise"))
        assert (twin["estimate"], twin["low"], twin["high"]) == (0, 0, 0)
        assert other["high"] < 0


@pytest.fixture(scope="module")
def judged() -> pd.DataFrame:
    """Two coders who agree, a model that is one of them, one that is noise; 40 groups."""
    utterances = timed(40, 30)
    codings = random_codings(utterances, ["a"], seed=5)
    parts = [codings.assign(coder_id=name) for name in ("a", "b", "model:twin")]
    parts.append(random_codings(utterances, ["model:noise"], seed=6))
    table = run(pd.concat(parts, ignore_index=True), utterances)
    return agreement.verdicts(table)


def test_a_verdict_for_every_model_and_code_with_its_figures(judged: pd.DataFrame):
    assert len(judged) == 2 * len(TALK.tag_codes())
    by = judged.set_index(["model", "code"])
    assert by.loc[("model:twin", "W1"), "verdict"] == "as good as a coder"
    assert "0.00 [0.00, 0.00]" in by.loc[("model:twin", "W1"), "why"]
    assert by.loc[("model:noise", "W1"), "verdict"] == "not automatable with these data"
    assert "recall" in by.loc[("model:noise", "W1"), "why"]


def test_coders_who_share_a_few_patients_only_make_nobody_as_good_as_a_coder():
    utterances = timed(40, 30)
    codings = random_codings(utterances, ["a"], seed=5)
    b = codings[codings["session_id"].isin(["s0", "s1", "s2"])].assign(coder_id="b")
    table = run(pd.concat([codings, b, codings.assign(coder_id="model:twin")], ignore_index=True), utterances)
    assert set(agreement.verdicts(table)["verdict"]) == {"usable for group statistics"}


def test_little_evidence_gets_no_verdict_but_the_numbers_that_are_needed():
    utterances = timed(12, 40)
    codings = random_codings(utterances, ["a"], seed=7)
    parts = [codings.assign(coder_id=name) for name in ("a", "b")]
    parts.append(random_codings(utterances, ["model:noise"], seed=8))
    table = run(pd.concat(parts, ignore_index=True), utterances)
    few = agreement.verdicts(table[table["code"] == "W1"].assign(n_positive=3))
    assert few["verdict"].tolist() == ["not enough evidence"]
    assert "at least 20 marks in 10 groups" in few["why"].iloc[0]
    wide = table[table["code"] == "W1"].copy()
    wide.loc[wide["statistic"] == "kappa", ["low", "high"]] = (-0.4, 0.4)
    found = agreement.verdicts(wide)
    assert "at least 48 groups" in found["why"].iloc[0]


def test_marks_of_a_coder_called_consensus_are_no_evidence_of_the_consensus():
    utterances = timed(12, 8)
    coders = ["consensus", "b", "c"]
    rows = [
        (session, unit, rater, "W1" if rater == "consensus" else None)
        for session, unit, role in utterances[["session_id", "utterance_id", "role"]].itertuples(index=False)
        if role == "patient"
        for rater in [*coders, "model:m"]
    ]
    found = agreement.verdicts(run(codings_of(rows), utterances)).set_index("code")
    assert found.loc["W1", "why"].startswith("0 marks in 12 groups")


def test_a_kappa_that_is_undefined_is_not_said_to_have_a_wide_interval():
    utterances = timed(12, 8)
    patients = utterances[utterances["role"] == "patient"]
    keys = patients[["session_id", "utterance_id"]].itertuples(index=False, name=None)
    rows = [(*key, rater, "W1") for key in keys for rater in ("a", "model:m")]
    found = agreement.verdicts(run(codings_of(rows), utterances)).set_index("code")
    assert found.loc["W1", "why"] == (
        "48 marks in 12 groups; kappa undefined: it has no interval; more groups with this code are needed"
    )


@pytest.mark.parametrize(("share", "marked"), [(0.0, [1, 1, 1, 0]), (0.5, [1, 1, 0, 0]), (1.0, [1, 0, 0, 0])])
def test_the_consensus_takes_the_share_of_coders_that_it_is_told(share: float, marked: list[int]):
    counts = [3, 2, 1, 0]  # of three coders, in four utterances of one session each
    rows = [
        (f"s{s}", 1, rater, "W1" if place < number else None)
        for s, number in enumerate(counts)
        for place, rater in enumerate("abc")
    ]
    rows += [(f"s{s}", 1, "model:m", "W1") for s in range(4)]
    table = run(codings_of(rows), timed(4), consensus_share=share)
    row = one(table, code="W1", statistic="precision", rater_a="model:m", rater_b="consensus")
    assert (row["n_units"], row["n_positive"]) == (4, sum(marked))
    assert f"{share:.0%}" in table.attrs["consensus"]["multilabel"]


def test_a_mark_two_utterances_away_is_met():
    rows = coded(2, "a", {(0, 1): "W1", (1, 1): "W1"}) + coded(2, "b", {(0, 3): "W1", (1, 5): "W1"})
    table = run(codings_of(rows), timed(2))
    keys = {"code": "W1", "rater_a": "a", "rater_b": "b"}
    assert one(table, statistic="f1", **keys)["estimate"] == 0
    found = one(table, statistic="f1_within_2", **keys)
    assert (found["estimate"], found["n_units"], found["n_positive"]) == (0.5, 6, 2)


def test_among_coders_precision_within_two_does_not_hang_on_their_names():
    rows = coded(1, "a", {(0, 1): "W1"}) + coded(1, "b", {(0, 1): "W1", (0, 5): "W1"})
    table = run(codings_of(rows), timed(1))
    keys = {"code": "W1", "rater_a": "coders", "rater_b": "coders"}
    found = {
        name: one(table, statistic=f"{name}_within_2", **keys)["estimate"] for name in ("precision", "recall", "f1")
    }
    assert found == {"precision": 0.75, "recall": 0.75, "f1": pytest.approx(2 / 3)}
