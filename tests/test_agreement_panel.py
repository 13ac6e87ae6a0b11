"""Coefficients of many raters, ratings and probabilities against other implementations, pinned in reference/."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics
from sklearn.calibration import calibration_curve

from threers.agreement import bootstrap, pairs, panel, probabilities, ratings, weights

REFERENCE = Path(__file__).parent / "reference"
COMPUTED = json.loads((REFERENCE / "computed.json").read_text(encoding="utf-8"))
EXAMPLES = json.loads((REFERENCE / "worked_examples.json").read_text(encoding="utf-8"))
SCALE = np.arange(1, 6)


def judgements_of(name):
    rows = COMPUTED[name]["ratings"]
    return np.array([[-1 if value is None else value - 1 for value in row] for row in rows])


def one_group(units):
    return np.zeros(units, int)


@pytest.mark.parametrize("name", ["missing", "complete"])
@pytest.mark.parametrize("metric", weights.METRICS)
def test_alpha_equals_krippendorff(name, metric):
    values = judgements_of(name)
    found = panel.coincidences(values[None], one_group(values.shape[1]), 5, 1)[0, 0]
    expected = COMPUTED[name]["alpha"][metric]
    assert pairs.krippendorff_alpha(found, metric, SCALE) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("metric", weights.METRICS)
def test_alpha_equals_krippendorffs_own_example(metric):
    example = EXAMPLES["krippendorff_2011"]
    values = np.array([[-1 if value is None else value - 1 for value in row] for row in example["values"]])
    found = panel.coincidences(values[None], one_group(values.shape[1]), 5, 1)[0, 0]
    assert pairs.krippendorff_alpha(found, metric, SCALE) == pytest.approx(example["alpha"][metric], abs=5e-4)


@pytest.mark.parametrize("name", ["missing", "complete"])
@pytest.mark.parametrize("kind", weights.KINDS)
def test_many_raters_equal_irrcac(name, kind):
    values = judgements_of(name)
    tables = panel.panel_of(values[None], one_group(values.shape[1]), 1, weights.disagreement(kind, SCALE))
    for coefficient, key in ((panel.fleiss_kappa, "fleiss"), (panel.conger_kappa, "conger"), (panel.gwet_ac, "gwet")):
        assert coefficient(tables)[0, 0] == pytest.approx(COMPUTED[name][key][kind], abs=1e-9)
    if kind == "nominal":
        expected = COMPUTED[name]["percent_agreement"]
        assert panel.percent_agreement(tables)[0, 0] == pytest.approx(expected, abs=1e-9)


def test_fleiss_equals_statsmodels():
    values = judgements_of("complete")
    tables = panel.panel_of(values[None], one_group(30), 1, weights.disagreement("nominal", SCALE))
    assert panel.fleiss_kappa(tables)[0, 0] == pytest.approx(COMPUTED["complete"]["fleiss_statsmodels"], abs=1e-9)


@pytest.mark.parametrize("kind", weights.KINDS)
def test_two_raters_agree_with_the_panel_and_with_scikit_learn(kind):
    a, b, _ = judgements_of("complete")
    w = weights.disagreement(kind, SCALE)
    table = pairs.contingency(a[None], b[None], one_group(30), 5, 1)[0, 0]
    tables = panel.panel_of(np.array([[a, b]]), one_group(30), 1, w)
    pinned = COMPUTED["complete"]["kappa"]["None" if kind == "nominal" else kind]
    assert pairs.cohen_kappa(table, w) == pytest.approx(pinned, abs=1e-9)
    assert pairs.cohen_kappa(table, w) == pytest.approx(panel.conger_kappa(tables)[0, 0], abs=1e-12)
    assert pairs.scott_pi(table, w) == pytest.approx(panel.fleiss_kappa(tables)[0, 0], abs=1e-12)
    assert pairs.gwet_ac(table, w) == pytest.approx(panel.gwet_ac(tables)[0, 0], abs=1e-12)


def test_matthews_equals_scikit_learn():
    a, b, _ = judgements_of("complete")
    table = pairs.contingency(a[None], b[None], one_group(30), 5, 1)[0, 0]
    assert pairs.matthews(table) == pytest.approx(COMPUTED["complete"]["matthews"], abs=1e-9)


@given(hnp.arrays(np.int8, st.tuples(st.just(2), st.integers(2, 30)), elements=st.integers(0, 1)))
def test_binary_indices_are_those_of_their_definitions(judgements):
    a, b = judgements
    table = pairs.contingency(a[None], b[None], one_group(len(a)), 2, 1)[0, 0]
    assert pairs.pabak(table) == pytest.approx(2 * pairs.accuracy(table) - 1)
    assert pairs.bias_index(table) == pytest.approx(a.mean() - b.mean(), abs=1e-12)
    assert pairs.prevalence_index(table) == pytest.approx(a.mean() + b.mean() - 1, abs=1e-12)
    inverted = table[::-1, ::-1]
    assert pairs.negative_agreement(table) == pytest.approx(pairs.f1(inverted), nan_ok=True)
    assert pairs.specificity(table) == pytest.approx(pairs.recall(inverted), nan_ok=True)
    if len(set(b)) > 1:
        assert pairs.balanced_accuracy(table) == pytest.approx(metrics.balanced_accuracy_score(b, a))
        expected = metrics.matthews_corrcoef(b, a) if len(set(a)) > 1 else np.nan
        assert pairs.matthews(table) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("table", "kappa"),
    [
        ([[40, 9], [6, 45]], 0.70),
        ([[80, 10], [5, 5]], 0.32),
        ([[45, 15], [25, 15]], 0.13),
        ([[25, 35], [5, 35]], 0.26),
    ],
)
def test_published_kappas_follow_from_bias_and_prevalence(table, kappa):
    """The examples of Feinstein & Cicchetti (1990), by the decomposition of Byrt, Bishop & Carlin (1993)."""
    marked_first = np.array(table)[::-1, ::-1]
    bias, prevalence = pairs.bias_index(marked_first), pairs.prevalence_index(marked_first)
    pabak, moved = pairs.pabak(marked_first), bias**2 - prevalence**2
    assert (pabak + moved) / (1 + moved) == pytest.approx(kappa, abs=0.005)
    assert pairs.cohen_kappa(marked_first) == pytest.approx((pabak + moved) / (1 + moved), abs=1e-12)


def test_gwet_stays_high_where_kappa_does_not():
    table = np.array([[118, 5], [2, 0]])
    assert pairs.cohen_kappa(table) < 0
    assert pairs.gwet_ac(table) > 0.9


def test_panels_add_up_over_groups():
    values, rng = judgements_of("missing"), np.random.default_rng(0)
    group = rng.integers(0, 4, values.shape[1])
    w = weights.disagreement("linear", SCALE)
    split = panel.panel_of(values[None], group, 4, w).resample(np.array([[1, 1, 1, 1], [2, 0, 1, 1]]))
    whole = panel.panel_of(values[None], one_group(values.shape[1]), 1, w)
    twice = np.concatenate([values[:, group == 0], values[:, group == 0], values[:, group > 1]], axis=1)
    drawn = panel.panel_of(twice[None], one_group(twice.shape[1]), 1, w)
    for coefficient in (panel.fleiss_kappa, panel.conger_kappa, panel.gwet_ac):
        assert coefficient(split)[0, 0] == pytest.approx(coefficient(whole)[0, 0])
        assert coefficient(split)[1, 0] == pytest.approx(coefficient(drawn)[0, 0])


def test_wrong_weights_are_named():
    with pytest.raises(ValueError, match="'cubic'; expected one of nominal, linear, quadratic"):
        weights.disagreement("cubic", SCALE)
    with pytest.raises(ValueError, match="'polar'"):
        weights.squared_difference("polar", np.ones(3))


def test_intraclass_correlations_equal_shrout_and_fleiss():
    example = EXAMPLES["shrout_fleiss_1979"]
    found = ratings.intraclass_correlations(np.array(example["ratings"]))
    assert {form: round(value.estimate, 2) for form, value in found.items()} == example["icc"]


def test_intraclass_correlations_equal_pingouin():
    given_ratings = np.array(COMPUTED["complete"]["ratings"], float).T
    padded = np.vstack([given_ratings, [np.nan, 1, 2]])
    for form, found in ratings.intraclass_correlations(padded).items():
        pinned = COMPUTED["complete"]["icc"][form]
        assert found == pytest.approx((pinned["estimate"], *pinned["interval"]), abs=1e-9)


def test_intraclass_correlations_are_one_or_undefined_at_the_ends():
    perfect = np.array([[1, 1], [2, 2], [4, 4.0]])
    assert ratings.intraclass_correlations(perfect)["ICC(A,1)"].estimate == 1
    shifted = ratings.intraclass_correlations(perfect + np.array([0, 3]))
    assert shifted["ICC(C,1)"].estimate == pytest.approx(1)
    assert shifted["ICC(A,1)"].estimate < 0.5
    for undefined in (np.ones((5, 2)), np.ones((1, 2)), np.empty((0, 3))):
        assert np.isnan(ratings.intraclass_correlations(undefined)["ICC(A,1)"].estimate)


def test_measures_of_counts_are_those_of_their_definitions():
    a, b = (np.array(COMPUTED["counts"][rater]) for rater in "ab")
    assert ratings.spearman(a, b) == pytest.approx(COMPUTED["counts"]["spearman"], abs=1e-9)
    assert np.isnan(ratings.spearman(a, np.ones(len(a))))
    found = ratings.bland_altman(a, b)
    assert found.bias.estimate == pytest.approx((b - a).mean())
    assert found.upper_limit.estimate - found.lower_limit.estimate == pytest.approx(2 * 1.959964 * (b - a).std(ddof=1))
    assert found.bias.low < found.bias.estimate < found.bias.high
    concordance = ratings.lin_concordance(a, b)
    assert concordance.low < concordance.estimate < concordance.high
    assert concordance.estimate < np.corrcoef(a, b)[0, 1]
    assert ratings.lin_concordance(a, a).estimate == pytest.approx(1)
    assert np.isnan(ratings.lin_concordance(np.ones(5), np.ones(5)).estimate)
    assert np.isnan(ratings.bland_altman([1.0], [2.0]).bias.estimate)


def test_probabilities_equal_scikit_learn_in_the_estimate_and_in_resamples():
    y, p = np.array(COMPUTED["probabilities"]["y"]), np.array(COMPUTED["probabilities"]["p"])
    group = np.arange(len(y)) % 7
    drawn = bootstrap.plan(7, 5, 1).weights
    functions = {
        "auroc": (probabilities.auroc, metrics.roc_auc_score),
        "average_precision": (probabilities.average_precision, metrics.average_precision_score),
        "brier": (probabilities.brier, metrics.brier_score_loss),
    }
    for name, (ours, theirs) in functions.items():
        found = ours(p, y, group, drawn)
        assert found[0] == pytest.approx(COMPUTED["probabilities"][name], abs=1e-9)
        expected = [theirs(y, p, sample_weight=counts[group]) for counts in drawn]
        assert found == pytest.approx(expected, abs=1e-9)


def test_calibration_error_counts_bins():
    p, y = np.array([0.05, 0.05, 0.95, 1.0]), np.array([False, True, True, True])
    found = probabilities.calibration_error(p, y, np.zeros(4, int), np.ones((1, 1)))
    assert found[0] == pytest.approx((abs(0.1 - 1) + abs(1.95 - 2)) / 4)


def test_probabilities_are_undefined_without_marks():
    p, y, drawn = np.array([0.1, 0.2]), np.array([False, False]), np.ones((1, 1))
    group = np.zeros(2, int)
    assert np.isnan(probabilities.auroc(p, y, group, drawn))
    assert np.isnan(probabilities.average_precision(p, y, group, drawn))
    assert probabilities.brier(p, y, group, drawn) == pytest.approx(0.025)


def test_equal_mass_error_is_that_of_scikit_learns_quantile_bins():
    rng = np.random.default_rng(0)
    p = rng.beta(1, 8, size=1000)
    y = rng.random(1000) < p**0.8
    true, said = calibration_curve(y, p, n_bins=10, strategy="quantile")
    counts = np.histogram(p, np.quantile(p, np.arange(11) / 10))[0]
    found = probabilities.equal_mass_error(p, y, np.zeros(1000, int), np.ones((1, 1)))
    np.testing.assert_allclose(found, [np.sum(counts * abs(true - said)) / 1000], atol=1e-12)


def test_a_rare_code_that_is_always_given_its_frequency_is_calibrated_and_one_given_the_wrong_way_round_is_not():
    y = np.arange(1000) % 50 == 0
    right, wrong = np.full(1000, 0.02), np.where(y, 0.0, 0.04)
    errors = [
        probabilities.equal_mass_error(p, y, np.arange(1000) % 10, np.ones((1, 10))).item() for p in (right, wrong)
    ]
    assert errors[0] == pytest.approx(0)
    assert errors[1] > 0.01
