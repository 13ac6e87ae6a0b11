"""Counts and ratings of two raters with resamples: intraclass correlations, concordance, limits of agreement.

The same statistics as in `ratings`, which gives their F and t intervals; here every one is computed for each resample
of the groups, because sessions of one patient are not independent. Shapes: `a` and `b` (n_targets,), `group`
(n_targets,), `weights` (n, groups) from a `bootstrap.Plan`; every statistic is (n,). Targets that one of them did not
judge do not belong in them. Undefined is NaN: below two targets, or where the divisor is 0.
"""

from __future__ import annotations

import numpy as np

from threers.agreement.undefined import ratio

#: Names of the figures that `of_targets` gives, in its order.
OF_TARGETS = (
    *("icc_1", "icc_a1", "icc_c1", "icc_1k", "icc_ak", "icc_ck"),
    *("lin_concordance", "spearman", "bias", "lower_limit", "upper_limit"),
)
#: Standard deviations around the bias within which 95 % of normal differences lie.
LIMIT = 1.959963984540054


def of_targets(a: np.ndarray, b: np.ndarray, group: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """All figures of `OF_TARGETS`, shape (figures, n); bias and limits are of a - b, b being the reference.

    A resample that draws a group twice has its targets twice, as copies.
    """
    drawn = weights[:, group]
    found = intraclass(np.stack([a, b]).astype(float), drawn) | _differences(a, b, drawn)
    found["spearman"] = _spearman(a, b, drawn)
    return np.stack([found[name] for name in OF_TARGETS])


def intraclass(x: np.ndarray, drawn: np.ndarray) -> dict[str, np.ndarray]:
    """Shrout & Fleiss 1979, McGraw & Wong 1996: formulas in `ratings.intraclass_correlations`; x is (k, n_targets)."""
    k, n = len(x), drawn.sum(axis=1)
    # Around the overall mean the sums of squares lose no digits.
    x = x - x.mean()
    target, rater = x.mean(axis=0), ratio(drawn @ x.T, n[:, None])
    grand = rater.mean(axis=1)
    between = k * (drawn @ target**2 - n * grand**2)
    raters = n * ((rater - grand[:, None]) ** 2).sum(axis=1)
    total = drawn @ (x**2).sum(axis=0) - n * k * grand**2
    rows, columns = ratio(between, n - 1), raters / (k - 1)
    within = ratio(total - between, n * (k - 1))
    error = ratio(total - between - raters, (n - 1) * (k - 1))
    single = {
        "1": ratio(rows - within, rows + (k - 1) * within),
        "a": ratio(rows - error, rows + (k - 1) * error + ratio(k * (columns - error), n)),
        "c": ratio(rows - error, rows + (k - 1) * error),
    }
    enough = (drawn > 0).sum(axis=1) >= 2
    found = {}
    for form, icc in single.items():
        icc = np.where(enough & (total > 1e-12 * n), icc, np.nan)
        found["icc_1" if form == "1" else f"icc_{form}1"] = icc
        found[f"icc_{form}k"] = ratio(k * icc, 1 + (k - 1) * icc)
    return found


def _differences(a: np.ndarray, b: np.ndarray, drawn: np.ndarray) -> dict[str, np.ndarray]:
    """Lin 1989 and Bland & Altman 1986: formulas in `ratings`."""
    n, enough = drawn.sum(axis=1), (drawn > 0).sum(axis=1) >= 2
    a, b = a - np.mean(a), b - np.mean(a)
    mean_a, mean_b = ratio(drawn @ a, n), ratio(drawn @ b, n)
    var_a, var_b = ratio(drawn @ a**2, n) - mean_a**2, ratio(drawn @ b**2, n) - mean_b**2
    shared = ratio(drawn @ (a * b), n) - mean_a * mean_b
    bias = mean_a - mean_b
    spread = np.maximum(var_a + var_b - 2 * shared, 0.0)
    sd = np.sqrt(ratio(n * spread, n - 1))
    concordance = ratio(2 * shared, _without_noise(var_a + var_b + bias**2))
    found = {"lin_concordance": concordance, "bias": bias, "lower_limit": bias - LIMIT * sd}
    found["upper_limit"] = bias + LIMIT * sd
    return {name: np.where(enough, values, np.nan) for name, values in found.items()}


def _spearman(a: np.ndarray, b: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Pearson's correlation of mid-ranks, ranked anew in every resample."""
    n = drawn.sum(axis=1)
    rank_a, rank_b = _midranks(a, drawn), _midranks(b, drawn)
    middle = (n[:, None] + 1) / 2
    da, db = rank_a - middle, rank_b - middle
    of_a, of_b = (drawn * da**2).sum(axis=1), (drawn * db**2).sum(axis=1)
    return ratio((drawn * da * db).sum(axis=1), np.sqrt(_without_noise(of_a) * _without_noise(of_b)))


def _midranks(x: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Mean rank of each target in each resample, ties sharing theirs; (n, n_targets)."""
    _, place, times = np.unique(x, return_inverse=True, return_counts=True)
    counts = np.add.reduceat(drawn[:, np.argsort(place)], np.cumsum(times) - times, axis=1)
    below = np.cumsum(counts, axis=1) - counts
    return (below + (counts + 1) / 2)[:, place]


def _without_noise(squares: np.ndarray) -> np.ndarray:
    """Put sums of squares that are 0 but for rounding at 0, so that a ratio by them is undefined."""
    return np.where(squares > 1e-12, squares, 0.0)
