"""Intervals from resampling whole groups (patients): utterances of one patient are not independent.

Every statistic here is a function of tables that add up over groups. A resample is therefore a vector that says how
often each group was drawn, and all resamples of a table are one matrix product; rows of data are never resampled.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, t

from threers.agreement.undefined import ratio
from threers.errors import SettingsError

#: Below this many groups a bootstrap interval is too narrow to be trusted, and the caller is warned.
FEWEST_GROUPS = 15
#: Share of the resamples in which a statistic may be undefined before its interval is given up.
LARGEST_UNDEFINED_SHARE = 0.5
#: Kinds of interval; the first is the default.
METHODS = ("expanded", "percentile", "bca")


def draw(groups: int, resamples: int, seed: int) -> np.ndarray:
    """How often each group is drawn in each resample, shape (resamples, groups); each row sums to `groups`.

    The same arguments give the same draws on every machine, so that statistics computed apart can be compared in pairs.
    """
    return np.random.default_rng(seed).multinomial(groups, np.full(groups, 1 / groups), size=resamples)


@dataclass(frozen=True)
class Plan:
    """How often each group counts, in one matrix: for the estimate, for each resample, without each group."""

    weights: np.ndarray
    """(n, groups): ones; the draws; for BCa, ones without one group each."""
    resamples: int
    method: str

    def interval(self, samples: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find the 95 % interval of each statistic: `samples` (k, rows of the weights) -> low and high, each (k,).

        `groups`: (k,) how many groups each statistic rests on. Over one group there is no interval: every resample of
        it is the same, so both ends are NaN.
        """
        drawn, jackknife = np.split(samples, [1 + self.resamples], axis=1)
        if self.method == "expanded":
            low, high = expanded_interval(drawn, groups)
        else:
            low, high = percentile_interval(drawn) if self.method == "percentile" else bca_interval(drawn, jackknife)
        return np.where(groups < 2, np.nan, low), np.where(groups < 2, np.nan, high)


def plan(groups: int, resamples: int, seed: int, method: str = METHODS[0]) -> Plan:
    """Draw the resamples that all statistics share; `method` is one of `METHODS`."""
    if method not in METHODS:
        raise SettingsError(f"interval: found {method!r}; expected one of {', '.join(METHODS)}")
    if resamples < 1:
        raise SettingsError(f"resamples: found {resamples}; expected at least 1, such as 2000")
    jackknife = 1.0 - np.eye(groups) if method == "bca" else np.empty((0, groups))
    return Plan(np.vstack([np.ones((1, groups)), draw(groups, resamples, seed), jackknife]), resamples, method)


def resample(per_group: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Tables of every resample, from one table per group.

    Shapes: per_group (groups, ...), weights (n, groups) -> (n, ...).
    """
    flat = per_group.reshape(len(per_group), -1).astype(float)
    # Coders often share a few groups only; the empty ones would cost most of the product.
    used = np.flatnonzero(flat.any(axis=1))
    product = flat[used].T @ weights[:, used].T
    # In memory the resamples lie side by side, which makes every later sum over a small table several times faster.
    return np.moveaxis(product.reshape(*per_group.shape[1:], len(weights)), -1, 0)


def percentile_interval(samples: np.ndarray, coverage: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval of each statistic (Efron & Tibshirani 1993, chapter 13), linear between order statistics.

    Resamples in which the statistic is undefined (NaN) are left out; where they are more than half, the interval is
    NaN, as it is for a NaN estimate. Misleads with few groups (see `too_few_groups`) and for statistics near the end of
    their range, where it is too short on one side.

    Args:
        samples: (k, 1 + resamples); the first of each row is the estimate, as in a `Plan`.
        coverage: nominal coverage.

    Returns:
        low and high, each of shape (k,).

    """
    share = np.full(len(samples), (1 - coverage) / 2)
    return _between(samples, share, 1 - share)


def expanded_interval(samples: np.ndarray, groups: np.ndarray, coverage: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval expanded for few groups (Hesterberg 2015, The American Statistician 69, 371-386).

    A bootstrap of n groups is too narrow by sqrt((n - 1) / n), and takes its quantiles from the normal distribution
    where Student's is due. So instead of a share of (1 - coverage) / 2 each tail is left that which the normal
    distribution has beyond t(n - 1) * sqrt(n / (n - 1)): 1.6 % with 20 groups, 2.2 % with 60. Else as
    `percentile_interval`.

    Args:
        samples: (k, 1 + resamples); the first of each row is the estimate, as in a `Plan`.
        groups: (k,) the number of groups that each statistic rests on; below 2 the interval has no meaning.
        coverage: nominal coverage.

    Returns:
        low and high, each of shape (k,).

    """
    n = np.maximum(np.asarray(groups, float), 2)
    share = norm.cdf(-t.ppf((1 + coverage) / 2, n - 1) * np.sqrt(n / (n - 1)))
    return _between(samples, share, 1 - share)


def bca_interval(samples: np.ndarray, jackknife: np.ndarray, coverage: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Bias-corrected and accelerated interval of each statistic (Efron 1987; Efron & Tibshirani 1993, chapter 14).

    Corrects the percentile interval for a biased and skewed statistic: the share of resamples below the estimate, equal
    ones counting half, gives the bias, the estimates without one group each the acceleration. Undefined values are
    treated as in `percentile_interval`. With few groups the acceleration itself is uncertain.

    Args:
        samples: (k, 1 + resamples), the first of each row being the estimate.
        jackknife: (k, groups) estimates without one group each.
        coverage: nominal coverage.

    Returns:
        low and high, each of shape (k,).

    """
    estimate, drawn = samples[:, :1], samples[:, 1:]
    below = ((drawn < estimate) + 0.5 * (drawn == estimate)).sum(axis=1)
    defined = (~np.isnan(drawn)).sum(axis=1)
    # An estimate beyond all resamples would have no finite bias.
    share = np.clip(ratio(below, defined), 0.5 / drawn.shape[1], 1 - 0.5 / drawn.shape[1])
    known = ~np.isnan(jackknife)
    mean = ratio(np.where(known, jackknife, 0.0).sum(axis=1), known.sum(axis=1))
    influence = np.where(known, mean[:, None] - jackknife, 0.0)
    acceleration = np.nan_to_num(ratio((influence**3).sum(axis=1), 6 * (influence**2).sum(axis=1) ** 1.5))
    bias, tail = norm.ppf(share), norm.ppf((1 + coverage) / 2)
    low, high = (norm.cdf(bias + (bias + z) / (1 - acceleration * (bias + z))) for z in (-tail, tail))
    return _between(samples, low, high)


def _between(samples: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    drawn = np.sort(samples[:, 1:], axis=1)
    defined = (~np.isnan(drawn)).sum(axis=1)
    enough = (defined > 0) & (defined >= drawn.shape[1] * LARGEST_UNDEFINED_SHARE) & ~np.isnan(samples[:, 0])
    low, high = (_order_statistic(drawn, defined, np.where(enough, share, 0.5)) for share in (low, high))
    return np.where(enough, low, np.nan), np.where(enough, high, np.nan)


def _order_statistic(ordered: np.ndarray, defined: np.ndarray, quantile: np.ndarray) -> np.ndarray:
    position = quantile * np.maximum(defined - 1, 0)
    below = np.floor(position).astype(int)
    above = np.minimum(below + 1, np.maximum(defined - 1, 0))
    rows = np.arange(len(ordered))
    return ordered[rows, below] + (position - below) * (ordered[rows, above] - ordered[rows, below])


def too_few_groups(groups: int) -> bool:
    """Are there too few groups for a bootstrap interval to keep its promise?"""
    return groups < FEWEST_GROUPS
