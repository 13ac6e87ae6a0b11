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
BLOCK = 64


def auroc(p: np.ndarray, y: np.ndarray, group: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Area under the ROC curve: chance that a marked unit has a higher p than an unmarked one, ties counting half.

    (Hanley & McNeil 1982.) Resamples need no sorting: with W[g, h] the number of pairs that a marked unit of group g
    wins over an unmarked one of group h, the numerator is w' W w. NaN when all or no units are marked. Misleads for a
    rare code: most pairs are easy ones, and a high area goes with many false alarms; read it with `average_precision`.
    """
    order, level = np.unique(p, return_inverse=True)
    shape = (len(order), weights.shape[1])
    marked, unmarked = np.zeros(shape), np.zeros(shape)
    np.add.at(marked, (level[y], group[y]), 1)
    np.add.at(unmarked, (level[~y], group[~y]), 1)
    wins = marked.T @ (np.cumsum(unmarked, axis=0) - unmarked / 2)
    pairs = (weights @ marked.sum(axis=0)) * (weights @ unmarked.sum(axis=0))
    return ratio(((weights @ wins) * weights).sum(axis=1), pairs)


def average_precision(p: np.ndarray, y: np.ndarray, group: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Area under the precision-recall curve as a sum of steps: sum (R_i - R_i-1) P_i over falling thresholds.

    Chance level is the share of marked units, so figures of codes with different prevalence do not compare. NaN when
    nothing is marked. No interpolation (Davis & Goadrich 2006 say why).
    """
    order = np.argsort(-p, kind="stable")
    y, group = y[order], group[order]
    ends = np.flatnonzero(np.append(np.diff(p[order]) != 0, True)) if len(p) else np.array([], int)
    found = []
    for start in range(0, len(weights), BLOCK):
        drawn = weights[start : start + BLOCK][:, group]
        flagged = np.cumsum(drawn, axis=1)[:, ends]
        hits = np.cumsum(drawn * y, axis=1)[:, ends]
        steps = np.diff(hits, axis=1, prepend=0)
        precision = np.nan_to_num(ratio(hits, flagged))
        found.append(ratio((steps * precision).sum(axis=1), (drawn * y).sum(axis=1)))
    return np.concatenate(found)


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
    cell = np.minimum((p * BINS).astype(int), BINS - 1) + BINS * group
    gap = np.bincount(cell, weights=p - y, minlength=BINS * weights.shape[1]).reshape(-1, BINS)
    units = np.bincount(group, minlength=weights.shape[1])
    return ratio(np.abs(resample(gap, weights)).sum(axis=1), weights @ units)
