"""Coefficients of two raters against published examples, scikit-learn and their own symmetries."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics

from threers.agreement import pairs, panel

EXAMPLES = json.loads((Path(__file__).parent / "reference" / "worked_examples.json").read_text(encoding="utf-8"))
JUDGEMENTS = hnp.arrays(np.int8, st.tuples(st.just(2), st.integers(2, 40)), elements=st.integers(0, 3))


def table_of(a, b, q=4):
    group = np.zeros(len(a), int)
    return pairs.contingency(np.array([a]), np.array([b]), group, q, 1)[0, 0]


def values_of(example):
    return np.array([[-1 if value is None else value for value in row] for row in example["values"]])


@pytest.mark.parametrize("name", ["krippendorff_2011", "krippendorff_2011_binary"])
def test_alpha_equals_published_examples(name):
    values = values_of(EXAMPLES[name])
    coincidences = panel.coincidences(values[None], np.zeros(values.shape[1], int), 6, 1)[0, 0]
    assert pairs.krippendorff_alpha(coincidences) == pytest.approx(EXAMPLES[name]["alpha"]["nominal"], abs=5e-4)


def test_kappa_equals_published_examples():
    cohen, paradox = EXAMPLES["cohen_1960"], EXAMPLES["feinstein_cicchetti_1990"]
    assert pairs.cohen_kappa(np.array(cohen["table"])) == pytest.approx(cohen["kappa"], abs=5e-4)
    assert pairs.cohen_kappa(np.array(paradox["tables"])) == pytest.approx(paradox["kappa"], abs=5e-3)


@given(JUDGEMENTS)
def test_accuracy_and_kappa_equal_scikit_learn(judgements):
    a, b = judgements
    table = table_of(a, b)
    assert pairs.accuracy(table) == pytest.approx(metrics.accuracy_score(b, a), abs=1e-12)
    if len(np.unique(judgements)) > 1:
        assert pairs.cohen_kappa(table) == pytest.approx(metrics.cohen_kappa_score(a, b), abs=1e-9)
    else:
        assert np.isnan(pairs.cohen_kappa(table))


@given(hnp.arrays(np.int8, st.tuples(st.just(2), st.integers(1, 40)), elements=st.integers(0, 1)))
def test_binary_measures_equal_scikit_learn_where_they_are_defined(judgements):
    a, b = judgements
    table = table_of(a, b, q=2)
    for ours, theirs in (
        (pairs.precision, metrics.precision_score),
        (pairs.recall, metrics.recall_score),
        (pairs.f1, metrics.f1_score),
    ):
        assert ours(table) == pytest.approx(theirs(b, a, zero_division=np.nan), abs=1e-9, nan_ok=True)


@given(JUDGEMENTS, st.permutations(range(4)))
def test_order_of_raters_and_names_of_values_do_not_count(judgements, names):
    a, b = judgements
    renamed = np.array(names)[judgements]
    for coefficient in (pairs.cohen_kappa, pairs.alpha_of_pair, pairs.accuracy):
        expected = coefficient(table_of(a, b))
        assert coefficient(table_of(b, a)) == pytest.approx(expected, abs=1e-12, nan_ok=True)
        assert coefficient(table_of(*renamed)) == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_undefined_is_nan_and_known_zero_is_zero():
    both_constant, one_constant = np.array([[5, 0], [0, 0]]), np.array([[3, 2], [0, 0]])
    assert np.isnan(pairs.cohen_kappa(both_constant))
    assert np.isnan(pairs.alpha_of_pair(both_constant))
    assert np.isnan(pairs.f1(both_constant))
    assert pairs.cohen_kappa(one_constant) == 0
    assert pairs.f1(one_constant) == 0
    assert np.isnan(pairs.precision(one_constant))


def test_contingency_counts_by_group_and_leaves_missing_out():
    a, b = np.array([[0, 1, 1, -1, 2]]), np.array([[0, 2, 2, 1, -1]])
    tables = pairs.contingency(a, b, np.array([0, 1, 1, 0, 0]), 3, 2)
    assert tables.shape == (2, 1, 3, 3)
    assert tables[0, 0, 0, 0] == 1 and tables[1, 0, 1, 2] == 2 and tables.sum() == 3
