"""Linear logits of a codebook's codes: a child code learnt only where its parent is present. Layer 2, no torch."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.linear_model import LogisticRegression

from threers.codebook import Codebook, Family
from threers.decisions import family_columns, of_family, parents_first
from threers.pooling import surprise
from threers.segments import Segments
from threers.targets import Targets

#: Logit of a code of an exclusive family that no training utterance has.
NEVER = float(np.log(1e-3))
#: The first guess of a code's frequency lies this far from 0 and 1 at least.
EVER = 1e-3
#: Where the fit to segments ends: its likelihood may have a long flat valley.
OPTIONS = {"maxiter": 200, "ftol": 3e-7, "gtol": 1e-3}
#: How much weaker the penalty is there: what a long segment merely holds needs that, and it costs others little.
EASED = 3.0


def fit_linear(
    x: Any, targets: Targets, weight: np.ndarray, codebook: Codebook, strength: float
) -> tuple[np.ndarray, np.ndarray]:
    """Ridge-penalised logistic regression per family (exclusive: one softmax) or code.

    Where segments were coded, it is fitted to what was said of these and of utterances together, see `pooling`.

    Args:
        x: array or sparse matrix (n_utterances, n_features).
        targets: of each utterance.
        weight: of each coding, (n_utterances, n_codes); 0 = not coded.
        codebook: the codes.
        strength: inverse strength of the penalty (scikit-learn's C).

    Returns:
        Weights float32 (n_features, n_codes) and intercepts float32 (n_codes,).

    """
    share = targets.share
    weights = np.zeros((x.shape[1], share.shape[1]), dtype=np.float32)
    intercept = np.zeros(share.shape[1], dtype=np.float32)
    for family, columns in family_columns(codebook):
        if targets.segments is not None and targets.segments.legal[:, columns].any():
            weights[:, columns], intercept[columns] = _fit_jointly(
                x, targets, weight, family, columns, codebook, strength
            )
            continue
        if family.kind == "exclusive":
            rows = weight[:, columns[0]] > 0
            best = share[rows][:, columns].argmax(axis=1)
            present = np.unique(best)
            intercept[columns] = NEVER
            w, b = _regress(x[rows], best, weight[rows, columns[0]], strength, multinomial=True)
            weights[:, columns[present]], intercept[columns[present]] = w, b
            continue
        for column in columns:
            rows = (weight[:, column] > 0) & (targets.given[:, column] >= 0.5)
            w, b = _regress(x[rows], share[rows, column] >= 0.5, weight[rows, column], strength, multinomial=False)
            weights[:, column], intercept[column] = w[:, 0], b[0]
    return weights, intercept


def _fit_jointly(
    x: Any,
    targets: Targets,
    weight: np.ndarray,
    family: Family,
    columns: np.ndarray,
    codebook: Codebook,
    strength: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Weights (n_features, k) and intercepts (k,) of a family of k codes, from utterances and segments."""
    assert targets.segments is not None
    rows = np.logical_or(weight > 0, targets.segments.legal)[:, columns].any(axis=1)
    x, own, segments, weight = x[rows], targets.rows(rows), targets.segments.rows(rows), weight[rows][:, columns]
    shape, strength = (x.shape[1], len(columns)), EASED * strength

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights, intercept = flat[: -shape[1]].reshape(shape), flat[-shape[1] :]
        logits = (x @ weights.astype(np.float32)).astype(np.float64) + intercept
        value, slope = _of_utterances(logits, own.share[:, columns], own.given[:, columns], weight, family)
        of_segments, by_logit = _of_segments(logits, segments, family, columns, codebook)
        slope += by_logit
        by_weight = x.T @ slope.astype(np.float32) + weights / strength
        ridge = (weights**2).sum() / (2 * strength)
        return value + of_segments + ridge, np.concatenate([by_weight.ravel(), slope.sum(axis=0)])

    start = np.concatenate([np.zeros(shape).ravel(), _first_guess(own, weight, family, columns, codebook)])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options=OPTIONS).x
    return found[: -shape[1]].reshape(shape).astype(np.float32), found[-shape[1] :].astype(np.float32)


def _of_utterances(
    logits: np.ndarray, share: np.ndarray, given: np.ndarray, weight: np.ndarray, family: Family
) -> tuple[float, np.ndarray]:
    """Minus the log-likelihood of what was said of utterances, and its gradient by the logits."""
    if family.kind == "exclusive":
        value = -(weight * share * log_softmax(logits, axis=1)).sum()
        return float(value), weight * (softmax(logits, axis=1) - share)
    value = -(weight * (share * log_expit(logits) + (given - share) * log_expit(-logits))).sum()
    return float(value), weight * (given * expit(logits) - share)


def _of_segments(
    logits: np.ndarray, segments: Segments, family: Family, columns: np.ndarray, codebook: Codebook
) -> tuple[float, np.ndarray]:
    """The same of what was said of segments."""
    p = of_family(logits, family, codebook)
    value, by_p = surprise(p, segments, columns)
    if family.kind == "exclusive":
        return value, p * (by_p - (p * by_p).sum(axis=1, keepdims=True))
    own = expit(logits)
    by_own = by_p.copy()
    for place, parent in reversed(parents_first(family, codebook)):
        if parent is not None:
            by_p[:, parent] += by_p[:, place] * own[:, place]
            by_own[:, place] = by_p[:, place] * p[:, parent]
        else:
            by_own[:, place] = by_p[:, place]
    return value, by_own * own * (1 - own)


def _first_guess(
    targets: Targets, weight: np.ndarray, family: Family, columns: np.ndarray, codebook: Codebook
) -> np.ndarray:
    """Intercepts from how often each code was marked at least: a code that occurs, once per segment."""
    segments = targets.segments
    assert segments is not None
    held = segments.known[:, columns]
    at_least = np.where(np.isnan(segments.tally), segments.present, segments.tally)[:, columns]
    marks = (weight * targets.share[:, columns]).sum(axis=0) + np.where(held, at_least, 0).sum(axis=0)
    judged = (weight > 0).sum(axis=0) + segments.legal[:, columns].sum(axis=0)
    frequency = np.clip((marks + 1) / (judged + 2), EVER, 1 - EVER)
    if family.kind == "exclusive":
        return np.log(frequency / frequency.sum())
    result = frequency.copy()
    for place, parent in parents_first(family, codebook):
        if parent is not None:
            result[place] = min(frequency[place] / frequency[parent], 1 - EVER)
    return np.log(result) - np.log1p(-result)


def _regress(
    x: Any, y: np.ndarray, weight: np.ndarray, strength: float, *, multinomial: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Weights (n_features, n_outputs) and intercepts (n_outputs,): one output per class met, or one for a binary
    code.
    """
    classes = np.unique(y)
    if not x.shape[1] or len(classes) < 2:
        # Nothing to tell utterances apart by: the frequencies alone, with one imagined coding each.
        counts = np.array([weight[y == code].sum() for code in (classes if multinomial else (False, True))]) + 1
        logs = np.log(counts / counts.sum())
        intercept = logs if multinomial else logs[1:] - logs[:1]
        return np.zeros((x.shape[1], len(intercept))), intercept
    fitted = LogisticRegression(C=strength, max_iter=1000).fit(x, y, sample_weight=weight)
    weights, intercept = fitted.coef_.T, fitted.intercept_
    if multinomial and len(classes) == 2:
        return np.hstack([-weights, weights]) / 2, np.concatenate([-intercept, intercept]) / 2
    return weights, intercept
