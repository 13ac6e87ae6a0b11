"""Resampling of groups, and its intervals against scipy on the same resamples."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from threers.agreement import bootstrap
from threers.errors import SettingsError


@given(st.integers(1, 50), st.integers(1, 30), st.integers(0, 5))
def test_draws_are_resamples_of_groups_and_repeat_by_seed(groups, resamples, seed):
    draws = bootstrap.draw(groups, resamples, seed)
    assert draws.shape == (resamples, groups)
    assert (draws.sum(axis=1) == groups).all()
    assert np.array_equal(draws, bootstrap.draw(groups, resamples, seed))


def test_resample_is_the_sum_of_the_drawn_tables():
    per_group = np.arange(24).reshape(3, 2, 2, 2)
    weights = np.array([[1, 1, 1], [0, 3, 0]])
    found = bootstrap.resample(per_group, weights)
    assert np.array_equal(found[0], per_group.sum(axis=0))
    assert np.array_equal(found[1], 3 * per_group[1])


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_intervals_equal_scipy_on_the_same_resamples(method):
    values = np.random.default_rng(0).exponential(size=25)
    plan = bootstrap.plan(25, 999, 1, method)
    samples = (plan.weights @ values) / plan.weights.sum(axis=1)
    given_draws = SimpleNamespace(bootstrap_distribution=samples[1:1000])
    theirs = stats.bootstrap(
        (values,), np.mean, method=method, n_resamples=0, bootstrap_result=given_draws
    ).confidence_interval
    low, high = plan.interval(samples[None], np.array([25]))
    assert (low[0], high[0]) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_the_expanded_interval_of_a_mean_is_students_where_the_bootstrap_is_normal():
    values = np.random.default_rng(2).normal(size=12)
    plan = bootstrap.plan(12, 200_000, 1, "expanded")
    samples = (plan.weights @ values) / plan.weights.sum(axis=1)
    low, high = plan.interval(samples[None], np.array([12]))
    student = stats.t.interval(0.95, 11, values.mean(), stats.sem(values))
    # A resampled mean has lighter tails than Student's, so that a few per cent of the width are missing.
    assert (high - low)[0] == pytest.approx(student[1] - student[0], rel=0.06)
    narrow = bootstrap.percentile_interval(samples[None])
    assert (high - low)[0] > 1.1 * (narrow[1] - narrow[0])[0]


@pytest.mark.parametrize("method", bootstrap.METHODS)
def test_undefined_resamples_are_left_out_until_they_are_the_majority(method):
    plan = bootstrap.plan(10, 100, 1, method)
    samples = np.tile(np.linspace(0, 1, len(plan.weights)), (3, 1))
    samples[:, 0] = 0.5
    samples[0, 1:41], samples[1, 1:71], samples[2, 0] = np.nan, np.nan, np.nan
    low, high = plan.interval(samples, np.full(3, 10))
    assert low[0] < high[0]
    assert np.isnan([low[1:], high[1:]]).all()


@pytest.mark.parametrize("method", bootstrap.METHODS)
def test_a_constant_statistic_has_a_point_interval(method):
    plan = bootstrap.plan(10, 100, 1, method)
    low, high = plan.interval(np.ones((1, len(plan.weights))), np.array([10]))
    assert (low[0], high[0]) == (1, 1)


@pytest.mark.parametrize("method", bootstrap.METHODS)
def test_one_group_has_no_interval(method):
    plan = bootstrap.plan(5, 100, 1, method)
    low, high = plan.interval(np.ones((2, len(plan.weights))), np.array([1, 2]))
    assert np.isnan([low[0], high[0]]).all() and (low[1], high[1]) == (1, 1)


def test_unknown_methods_and_no_resamples_are_named():
    with pytest.raises(SettingsError, match="'studentised'; expected one of expanded, percentile, bca"):
        bootstrap.plan(3, 10, 1, "studentised")
    with pytest.raises(SettingsError, match="resamples: found 0; expected at least 1"):
        bootstrap.plan(3, 0, 1)
