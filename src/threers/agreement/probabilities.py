"""A model's probabilities of one code against the reference: ranking and calibration.

Shapes: `p` (n_units,) probabilities, `y` (n_units,) the reference's marks, bool, `group` (n_units,) the number of each
unit's group, `weights` (n, groups) how often each resample draws each group (`threers.agreement.bootstrap`). Every
function returns (n,). Units without a probability or a reference do not belong in them. Undefined is NaN.
"""

from __future__ import annotations

import numpy as np

from threers.agreement.bootstrap import resample
from threers.agreement.undefined import ratio

#: Bins of equal width in which `calibration_error` compares mean probability and frequency.
BINS = 10
#: Resamples that `average_precision` works on at a time; bounds its memory.
BLOCK = 256


def auroc(p: np.ndarray, y: np.ndarray, group: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Area under the ROC curve: chance that a marked unit has a higher p than an unmarked one, ties counting half.

    (Hanley & McNeil 1982.) Resamples need no sorting: with W[g, h] the number of pairs that a marked unit of group g
    wins over an unmarked one of group h, the numerator is w' W w. NaN when all or no units are marked. Misleads for a
    rare code: most pairs are easy ones, and a high area goes with many false alarms; read it with `average_precision`.
    """
    order, level = np.unique(p, return_inverse=True)
    shape = (len(order), weights.shape[1])
    marked, unmarked = _count(level[y], group[y], shape), _count(level[~y], group[~y], shape)
    wins = marked.T @ (np.cumsum(unmarked, axis=0) - unmarked / 2)
    pairs = (weights @ marked.sum(axis=0)) * (weights @ unmarked.sum(axis=0))
    return ratio(((weights @ wins) * weights).sum(axis=1), pairs)


def average_precision(p: np.ndarray, y: np.ndarray, group: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Area under the precision-recall curve as a sum of steps: sum (R_i - R_i-1) P_i over falling thresholds.

    Chance level is the share of marked units, so figures of codes with different prevalence do not compare. NaN when
    nothing is marked. No interpolation (Davis & Goadrich 2006 say why).
    """
    # Only thresholds at which a marked unit appears add a step; everything between two of them is counted together.
    thresholds = np.unique(p[y])
    shape = (len(thresholds), weights.shape[1])
    reached = np.searchsorted(thresholds, p, side="right") - 1
    marked = _count(reached[y], group[y], shape)
    flagged = _from_top(_count(reached[reached >= 0], group[reached >= 0], shape))
    hits = _from_top(marked)
    found = []
    for start in range(0, len(weights), BLOCK):
        drawn = weights[start : start + BLOCK].T
        steps = marked @ drawn
        precision = np.nan_to_num(ratio(hits @ drawn, flagged @ drawn))
        found.append(ratio((steps * precision).sum(axis=0), steps.sum(axis=0)))
    return np.concatenate(found)


def _count(level: np.ndarray, group: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Count units by level and group, shape (levels, groups)."""
    return np.bincount(level * shape[1] + group, minlength=shape[0] * shape[1]).reshape(shape).astype(float)


def _from_top(counts: np.ndarray) -> np.ndarray:
    return np.cumsum(counts[::-1], axis=0)[::-1]


def brier(p: np.ndarray, y: np.ndarray, group: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean of (p - y)^2 (Brier 1950): 0 is perfect; the share of marked units m gives m (1 - m) to whoever says m.

    It joins calibration and ranking; for a rare code it is small whatever the model does.
    """
    groups = weights.shape[1]
    loss = np.bincount(group, weights=(p - y) ** 2, minlength=groups)
    return ratio(weights @ loss, weights @ np.bincount(group, minlength=groups))


def calibration_error(p: np.ndarray, y: np.ndarray, group: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Compare mean probability and frequency within `BINS` bins of equal width: sum over bins |sum p - sum y| / n.

    The expected calibration error (Naeini et al. 2015), 0 at best.
    It depends on the bins, is biased upwards in small samples (and more so in resamples, so that its interval can lie
    above the estimate), and is small for a rare code that is always given a small p.
    """
    return _mean_gap(bins_of(p), p, y, group, weights)


def bins_of(p: np.ndarray) -> np.ndarray:
    """Which of the `BINS` bins of equal width each probability lies in, (n_units,); 1 lies in the last."""
    return np.minimum((p * BINS).astype(int), BINS - 1)


def equal_mass_error(p: np.ndarray, y: np.ndarray, group: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """As `calibration_error`, with `BINS` bins of equally many units (Nguyen & O'Connor 2015; equal p stay together).

    For a rare code nearly all units lie in one bin of equal width, whose means agree even where p says nothing; bins of
    equal mass part them. Its mean over a family's codes is the class-wise error of Kull et al. (2019). Biased upwards
    like the other.
    """
    edges = np.quantile(p, np.arange(1, BINS) / BINS) if len(p) else np.empty(0)
    return _mean_gap(np.searchsorted(edges, p), p, y, group, weights)


def _mean_gap(place: np.ndarray, p: np.ndarray, y: np.ndarray, group: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sum over bins |sum p - sum y| / n, the bin of each unit being `place`."""
    gap = np.bincount(place + BINS * group, weights=p - y, minlength=BINS * weights.shape[1]).reshape(-1, BINS)
    units = np.bincount(group, minlength=weights.shape[1])
    return ratio(np.abs(resample(gap, weights)).sum(axis=1), weights @ units)
