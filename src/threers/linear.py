"""Linear logits of a codebook's codes: a child code learnt only where its parent is present. Layer 2, no torch."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from threers.codebook import Codebook
from threers.decisions import family_columns
from threers.targets import Targets

#: Logit of a code of an exclusive family that no training utterance has.
NEVER = float(np.log(1e-3))


def fit_linear(
    x: Any, targets: Targets, weight: np.ndarray, codebook: Codebook, strength: float
) -> tuple[np.ndarray, np.ndarray]:
    """Ridge-penalised logistic regression per family (exclusive: one softmax) or code.

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
