"""From the probabilities of utterances to what a segment of them holds, and back. Layer 2, numpy and scipy only.

A segment's utterances have a code independently of each other, each with its own probability. Then the number of those
that have it follows the Poisson-binomial distribution. "It occurs" is a number above 0, whose probability is 1 - the
product of (1 - p): noisy-or. A tally is the number itself. So both are learnt from as one likelihood, whose gradient
tells what each utterance probably is, given what is known of its segment. docs/measured.md compares other poolings.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit

from threers.segments import Segments

#: Probabilities are kept off 0 and 1 by this.
EDGE = 1e-6
#: Steps towards the tilt of a tally: Newton's where they stay inside the interval, else half of it.
STEPS = 40
#: So close to its tally the expected number of a segment has to come.
CLOSE = 1e-7


def surprise(p: np.ndarray, segments: Segments, columns: np.ndarray) -> tuple[float, np.ndarray]:
    """Minus the log-likelihood of what the coders said of segments, and its gradient by the probabilities.

    Args:
        p: (n_utterances, k), probabilities of the codes `columns`.
        segments: what was said.
        columns: (k,), places of these codes in `codebook.tag_codes()`.

    Returns:
        The sum over segments and codes, and float64 (n_utterances, k), 0 where nothing is known.

    """
    total, gradient = 0.0, np.zeros(p.shape)
    for place, column in enumerate(columns):
        rows = np.flatnonzero(segments.legal[:, column])
        if len(rows):
            numbers, member = np.unique(segments.member[rows], return_inverse=True)
            own = np.clip(p[rows, place].astype(np.float64), EDGE, 1 - EDGE)
            tally = segments.tally[numbers, column]
            counted = ~np.isnan(tally)
            value, slope = _occurs(own, member, segments.present[numbers, column])
            if counted.any():
                of_tally, tallied = _tally(own, member, np.where(counted, tally, 0))
                value, slope = np.where(counted, of_tally, value), np.where(counted[member], tallied, slope)
            total += float(value.sum())
            gradient[rows, place] = slope
    return total, gradient


def posterior(p: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Probabilities of utterances given what is known of their segments, from what `surprise` took and gave."""
    return np.clip(p - p * (1 - p) * gradient, 0, 1)


def _occurs(p: np.ndarray, member: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Noisy-or: value per segment and slope per utterance. `share`: of the coders who say that the code occurs."""
    log_absent = np.bincount(member, np.log1p(-p))
    present = np.maximum(-np.expm1(log_absent), EDGE)
    value = -share * np.log(present) - (1 - share) * log_absent
    return value, ((1 - share) - share * np.exp(log_absent) / present)[member] / (1 - p)


def _tally(p: np.ndarray, member: np.ndarray, tally: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Poisson-binomial by saddlepoint approximation (Daniels 1954): value per segment, slope per utterance.

    The odds of all utterances of a segment are multiplied by one number, so that they expect as many marks as were
    counted; exact where all or none are marked. More marks than utterances count as all.
    """
    n = np.bincount(member)
    tally = np.minimum(tally, n).astype(np.float64)
    none, every = tally < EDGE, tally > n - EDGE
    between = ~(none | every)
    tilt = _tilt(logit(p), member, np.where(between, tally, n / 2))
    q = expit(logit(p) + tilt[member])
    spread = q * (1 - q)
    variance = np.bincount(member, spread)
    skew = np.bincount(member, spread * (1 - 2 * q)) / variance
    growth = np.bincount(member, np.log1p(p * np.expm1(tilt[member])))
    value = tilt * tally - growth + 0.5 * np.log(2 * np.pi * variance)
    value = np.where(none, -np.bincount(member, np.log1p(-p)), np.where(every, -np.bincount(member, np.log(p)), value))
    slope = (p - q + 0.5 * spread * (1 - 2 * q - skew[member]) / variance[member]) / (p * (1 - p))
    return value, np.where(none[member], 1 / (1 - p), np.where(every[member], -1 / p, slope))


def _tilt(odds: np.ndarray, member: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """What to add to the log odds of each segment's utterances so that the sum of their probabilities is `wanted`."""
    middle = logit(wanted / np.bincount(member))
    low, high = middle - odds.max(), middle - odds.min()
    tilt = middle - np.bincount(member, odds) / np.bincount(member)
    for _ in range(STEPS):
        q = expit(odds + tilt[member])
        error = np.bincount(member, q) - wanted
        if np.abs(error).max() < CLOSE:
            break
        low, high = np.where(error < 0, tilt, low), np.where(error > 0, tilt, high)
        step = tilt - error / np.maximum(np.bincount(member, q * (1 - q)), EDGE)
        tilt = np.where((step > low) & (step < high), step, (low + high) / 2)
    return tilt
