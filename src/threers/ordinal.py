"""Proportional-odds regression with a ridge penalty: how probable each step of a rating scale is. Layer 2, no torch.

McCullagh (1980), "Regression models for ordinal data": the log odds of a rating at or below a step are a threshold of
that step minus one linear score. So few sessions have to tell one direction only, not one per step.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

#: Probabilities are kept off 0 by this when their logarithm is taken.
EDGE = 1e-12
#: How close to the lowest loss the fit ends.
OPTIONS = {"maxiter": 1000, "ftol": 1e-12, "gtol": 1e-6}


def fit_ordinal(x: np.ndarray, share: np.ndarray, weight: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Fit by penalised maximum likelihood (L-BFGS); thresholds are not penalised.

    Args:
        x: (n, n_features).
        share: (n, n_steps), the share of the coders who gave each step; rows sum to 1, and every step was given.
        weight: (n,), of each row.
        strength: inverse strength of the penalty; infinite: none.

    Returns:
        Weights (n_features,) and ascending thresholds (n_steps - 1,).

    """
    width = x.shape[1]
    given = share * weight[:, None]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights, free = flat[:width], flat[width:]
        thresholds = _ascending(free)
        below = expit(thresholds - (x @ weights)[:, None])
        slope = below * (1 - below)
        p = np.maximum(_differences(below), EDGE)
        pulled = given / p
        by_threshold = -(pulled[:, :-1] - pulled[:, 1:]) * slope
        value = -(given * np.log(p)).sum() + (weights**2).sum() / (2 * strength)
        by_weight = -x.T @ by_threshold.sum(axis=1) + weights / strength
        # A step's gap moves its own threshold and all above it.
        by_free = by_threshold.sum(axis=0)[::-1].cumsum()[::-1]
        by_free[1:] *= np.exp(free[1:])
        return float(value), np.concatenate([by_weight, by_free])

    usual = logit(given.sum(axis=0).cumsum()[:-1] / given.sum())
    start = np.concatenate([np.zeros(width), usual[:1], np.log(np.diff(usual))])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options=OPTIONS).x
    return found[:width], _ascending(found[width:])


def step_probabilities(score: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Probabilities (n, n_steps) of the steps, from linear scores (n,) and thresholds (n_steps - 1,)."""
    return _differences(expit(thresholds - score[:, None]))


def _ascending(free: np.ndarray) -> np.ndarray:
    """Thresholds from the first one and the logarithms of the gaps."""
    return np.cumsum(np.concatenate([free[:1], np.exp(free[1:])]))


def _differences(below: np.ndarray) -> np.ndarray:
    """From the probabilities at or below all steps but the last, (n, n_steps - 1), to those of the steps."""
    return np.diff(below, axis=1, prepend=0.0, append=1.0)
