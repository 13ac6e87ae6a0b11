"""Counts and ratings: intraclass correlations, Bland-Altman, Lin's concordance, Spearman.

Shapes: ratings are (n targets, k raters). A target that any rater did not rate (NaN) is left out of everything here:
these statistics need complete rows; for incomplete ones there is Krippendorff's alpha with an interval metric.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

from threers.agreement.undefined import ratio


class Interval(NamedTuple):
    """An estimate with its interval; of 95 %, unless another coverage is asked for."""

    estimate: float
    low: float
    high: float


class BlandAltman(NamedTuple):
    """Bias (mean of b - a) and the limits within which 95 % of the differences lie, with their intervals."""

    bias: Interval
    lower_limit: Interval
    upper_limit: Interval


UNDEFINED = Interval(np.nan, np.nan, np.nan)


def intraclass_correlations(ratings: np.ndarray, coverage: float = 0.95) -> dict[str, Interval]:
    """Six intraclass correlations with F intervals (Shrout & Fleiss 1979; McGraw & Wong 1996, tables 4 and 7).

    With mean squares between targets MSR, within targets MSW, between raters MSC and residual MSE:
        ICC(1,1) = (MSR - MSW) / (MSR + (k-1) MSW)                        raters differ from target to target
        ICC(A,1) = (MSR - MSE) / (MSR + (k-1) MSE + k (MSC - MSE) / n)    the same raters, their level counts
        ICC(C,1) = (MSR - MSE) / (MSR + (k-1) MSE)                        the same raters, only the order counts
    and the same with k for the mean of the k raters. ICC(A,1) is Shrout & Fleiss' (2,1), ICC(C,1) their (3,1).

    The intervals take targets as independent and errors as normal: with sessions nested in patients they are too narrow
    (bootstrap over patients instead), and with skewed counts they are off. An ICC rises with the spread of the sample,
    and one of session counts says nothing about agreement on single utterances. NaN when all ratings are the same, with
    fewer than 2 targets or 2 raters.

    Args:
        ratings: (n, k).
        coverage: nominal coverage of the intervals.

    Returns:
        Keys ICC(1,1), ICC(A,1), ICC(C,1), ICC(1,k), ICC(A,k), ICC(C,k).

    """
    x = _complete(ratings)
    n, k = x.shape
    names = ("ICC(1,1)", "ICC(A,1)", "ICC(C,1)", "ICC(1,k)", "ICC(A,k)", "ICC(C,k)")
    if n < 2 or k < 2 or np.ptp(x) == 0:
        return dict.fromkeys(names, UNDEFINED)
    rows = k * x.mean(axis=1).var(ddof=1)
    columns = n * x.mean(axis=0).var(ddof=1)
    within = x.var(axis=1, ddof=1).mean()
    residual = x - x.mean(axis=1, keepdims=True) - x.mean(axis=0) + x.mean()
    error = (residual**2).sum() / ((n - 1) * (k - 1))
    tail = (1 + coverage) / 2
    one_way = _from_f(rows, within, n - 1, n * (k - 1), k, tail)
    consistency = _from_f(rows, error, n - 1, (n - 1) * (k - 1), k, tail)
    agreement = _absolute(rows, columns, error, n, k, tail)
    single = (one_way, agreement, consistency)
    return dict(zip(names, (*single, *(_of_mean(form, k) for form in single)), strict=True))


def _complete(ratings: np.ndarray) -> np.ndarray:
    x = np.asarray(ratings, float)
    return x[~np.isnan(x).any(axis=1)]


def _from_f(rows: float, rest: float, df_rows: int, df_rest: int, k: int, tail: float) -> Interval:
    if rest == 0:
        return Interval(1.0, 1.0, 1.0)
    f = rows / rest
    low, high = f / stats.f.ppf(tail, df_rows, df_rest), f * stats.f.ppf(tail, df_rest, df_rows)
    return Interval(*(float((value - 1) / (value + k - 1)) for value in (f, low, high)))


def _absolute(rows: float, columns: float, error: float, n: int, k: int, tail: float) -> Interval:
    icc = float(ratio(rows - error, rows + (k - 1) * error + k * (columns - error) / n))
    if np.isnan(icc):
        return UNDEFINED
    if icc == 1:
        return Interval(1.0, 1.0, 1.0)
    a, b = k * icc / (n * (1 - icc)), 1 + k * icc * (n - 1) / (n * (1 - icc))
    v = (a * columns + b * error) ** 2 / ((a * columns) ** 2 / (k - 1) + (b * error) ** 2 / ((n - 1) * (k - 1)))
    spread = k * columns + (k * n - k - n) * error
    f_low, f_high = stats.f.ppf(tail, n - 1, v), stats.f.ppf(tail, v, n - 1)
    low = n * (rows - f_low * error) / (f_low * spread + n * rows)
    high = n * (f_high * rows - error) / (spread + n * f_high * rows)
    return Interval(float(icc), float(low), float(high))


def _of_mean(single: Interval, k: int) -> Interval:
    """Reliability of the mean of k raters from that of one (Spearman-Brown), which is exact for all three forms.

    NaN where one rater's is at its least, -1 / (k - 1): the mean of the raters is the same for every target then.
    """
    return Interval(*(float(ratio(k * value, 1 + (k - 1) * value)) for value in np.array(single)))


def bland_altman(a: np.ndarray, b: np.ndarray, coverage: float = 0.95) -> BlandAltman:
    """Bias and 95 % limits of agreement of b - a (Bland & Altman 1986): mean ± 1.96 SD of the differences.

    Intervals: t with n - 1 degrees; for the limits with standard error sqrt(1/n + 1.96^2 / (2 (n-1))) SD. Misleads when
    the differences grow with the size of the counts (look at the plot, or take logarithms) and when targets are nested
    in patients. NaN below 2 pairs.

    Args:
        a: (n,) counts or ratings of one rater.
        b: (n,) of the other; a pair with a NaN is left out.
        coverage: nominal coverage of the intervals.

    """
    x = _complete(np.column_stack([a, b]))
    n = len(x)
    if n < 2:
        return BlandAltman(UNDEFINED, UNDEFINED, UNDEFINED)
    difference = x[:, 1] - x[:, 0]
    bias, sd = difference.mean(), difference.std(ddof=1)
    z, t = stats.norm.ppf(0.975), stats.t.ppf((1 + coverage) / 2, n - 1)

    def around(value: float, error: float) -> Interval:
        return Interval(float(value), float(value - t * error), float(value + t * error))

    of_limit = sd * np.sqrt(1 / n + z**2 / (2 * (n - 1)))
    return BlandAltman(around(bias, sd / np.sqrt(n)), around(bias - z * sd, of_limit), around(bias + z * sd, of_limit))


def lin_concordance(a: np.ndarray, b: np.ndarray, coverage: float = 0.95) -> Interval:
    """Lin's concordance (Lin 1989): 2 s_ab / (s_a^2 + s_b^2 + (mean a - mean b)^2), moments divided by n.

    Interval by Fisher's z with Lin's variance as corrected in 2000, divisor n - 2. It mixes precision and bias in one
    number and rises with the spread of the sample. NaN below 3 pairs or when both are constant; no interval where the
    variance is not defined (no correlation).
    """
    x = _complete(np.column_stack([a, b]))
    n = len(x)
    if n < 3:
        return UNDEFINED
    (va, vab), (_, vb) = np.cov(x, rowvar=False, ddof=0)
    shift = x[:, 0].mean() - x[:, 1].mean()
    if va + vb + shift**2 == 0:
        return UNDEFINED
    rho = 2 * vab / (va + vb + shift**2)
    if vab == 0 or abs(rho) >= 1:
        return Interval(float(rho), np.nan, np.nan)
    r = vab / np.sqrt(va * vb)
    u = shift / (va * vb) ** 0.25
    variance = (
        (1 - r**2) * rho**2 / ((1 - rho**2) * r**2)
        + 2 * rho**3 * (1 - rho) * u**2 / (r * (1 - rho**2) ** 2)
        - rho**4 * u**4 / (2 * r**2 * (1 - rho**2) ** 2)
    ) / (n - 2)
    half = stats.norm.ppf((1 + coverage) / 2) * np.sqrt(max(variance, 0.0))
    return Interval(float(rho), float(np.tanh(np.arctanh(rho) - half)), float(np.tanh(np.arctanh(rho) + half)))


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation, ties sharing their mean rank; pairs with a NaN are left out.

    It ignores bias: a rater who counts everything twice has 1. NaN when one rater is constant or below 2 pairs.
    """
    x = _complete(np.column_stack([a, b]))
    if len(x) < 2 or np.ptp(x[:, 0]) == 0 or np.ptp(x[:, 1]) == 0:
        return float("nan")
    ranks = stats.rankdata(x, axis=0)
    return float(np.corrcoef(ranks, rowvar=False)[0, 1])
