"""Intervals from resampling whole groups (patients): utterances of one patient are not independent.

Every statistic here is a function of tables that add up over groups. A resample is therefore a vector that says how
often each group was drawn, and all resamples of a table are one matrix product; rows of data are never resampled.
"""

from __future__ import annotations

import numpy as np

#: Below this many groups a bootstrap interval is too narrow to be trusted, and the caller is warned.
FEWEST_GROUPS = 15
#: Share of the resamples in which a statistic may be undefined before its interval is given up.
LARGEST_UNDEFINED_SHARE = 0.5


def draw(groups: int, resamples: int, seed: int) -> np.ndarray:
    """How often each group is drawn in each resample, shape (resamples, groups); each row sums to `groups`.

    The same arguments give the same draws on every machine, so that statistics computed apart can be compared in pairs.
    """
    return np.random.default_rng(seed).multinomial(groups, np.full(groups, 1 / groups), size=resamples)


def with_estimate(draws: np.ndarray) -> np.ndarray:
    """Put a row of ones on top: row 0 of whatever is computed from it is the estimate, the others its resamples.

    Shape (resamples, groups) -> (1 + resamples, groups), float64.
    """
    return np.vstack([np.ones((1, draws.shape[1])), draws])


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
        samples: (k, 1 + resamples); the first of each row is the estimate, as `with_estimate` has it.
        coverage: nominal coverage.

    Returns:
        low and high, each of shape (k,).

    """
    drawn = np.sort(samples[:, 1:], axis=1)
    defined = (~np.isnan(drawn)).sum(axis=1)
    enough = (defined > 0) & (defined >= drawn.shape[1] * LARGEST_UNDEFINED_SHARE) & ~np.isnan(samples[:, 0])
    low, high = (_order_statistic(drawn, defined, q) for q in ((1 - coverage) / 2, (1 + coverage) / 2))
    return np.where(enough, low, np.nan), np.where(enough, high, np.nan)


def _order_statistic(ordered: np.ndarray, defined: np.ndarray, quantile: float) -> np.ndarray:
    position = quantile * np.maximum(defined - 1, 0)
    below = np.floor(position).astype(int)
    above = np.minimum(below + 1, np.maximum(defined - 1, 0))
    rows = np.arange(len(ordered))
    return ordered[rows, below] + (position - below) * (ordered[rows, above] - ordered[rows, below])


def too_few_groups(groups: int) -> bool:
    """Are there too few groups for a bootstrap interval to keep its promise?"""
    return groups < FEWEST_GROUPS
