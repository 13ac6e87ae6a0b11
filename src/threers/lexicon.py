"""What single words and word pairs say of a code: a linear second opinion beside the encoder. Layer 2, no torch.

On small corpora its mistakes differ from the encoder's, so that the weighted mean of both logits is better than either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize

from threers.codebook import Codebook
from threers.decisions import family_columns
from threers.targets import Targets

#: A word or pair that fewer groups use is left out: it says little of other patients, and might name one.
FEWEST_GROUPS = 2
#: Inverse strength of the ridge penalty.
PENALTY = 3.0


@dataclass(frozen=True)
class Lexicon:
    """Linear logits from tf-idf weighted tokens and token pairs.

    `features`: int64 (n,), sorted; a token's id, or (first + 1) * 2**32 + second for a pair. `idf`: float32 (n,).
    `weights`: float32 (n, n_codes). `intercept`: float32 (n_codes,).
    """

    features: np.ndarray
    idf: np.ndarray
    weights: np.ndarray
    intercept: np.ndarray

    @classmethod
    def fit(
        cls, tokens: Sequence[np.ndarray], groups: np.ndarray, targets: Targets, weight: np.ndarray, codebook: Codebook
    ) -> Lexicon:
        """Fit by ridge-penalised logistic regression, a child code only where its parent is present.

        Args:
            tokens: token ids of each utterance.
            groups: int (n_utterances,), the group of each.
            targets: of each utterance.
            weight: of each coding, (n_utterances, n_codes); 0 = not coded.
            codebook: the codes.

        """
        share = targets.share
        features, idf = _shared_features(tokens, groups)
        x = _tf_idf(tokens, features, idf)
        weights = np.zeros((len(features), share.shape[1]), dtype=np.float32)
        intercept = np.zeros(share.shape[1], dtype=np.float32)
        for family, columns in family_columns(codebook):
            if family.kind == "exclusive":
                rows = weight[:, columns[0]] > 0
                best = share[rows][:, columns].argmax(axis=1)
                present = np.unique(best)
                intercept[columns] = np.log(1e-3)
                w, b = _regress(x[rows], best, weight[rows, columns[0]], multinomial=True)
                weights[:, columns[present]], intercept[columns[present]] = w, b
                continue
            for column in columns:
                rows = (weight[:, column] > 0) & (targets.given[:, column] >= 0.5)
                w, b = _regress(x[rows], share[rows, column] >= 0.5, weight[rows, column], multinomial=False)
                weights[:, column], intercept[column] = w[:, 0], b[0]
        return cls(features, idf, weights, intercept)

    def logits(self, tokens: Sequence[np.ndarray]) -> np.ndarray:
        """Logits float32 (n_utterances, n_codes), from the token ids of each utterance."""
        return (_tf_idf(tokens, self.features, self.idf) @ self.weights + self.intercept).astype(np.float32)

    def save(self, path: Path) -> None:
        """Write as safetensors."""
        save_file(dict(vars(self)), str(path))

    @classmethod
    def load(cls, path: Path) -> Lexicon:
        """Read what `save` wrote."""
        return cls(**load_file(str(path)))


def _keys(tokens: np.ndarray) -> np.ndarray:
    ids = tokens.astype(np.int64)
    return np.concatenate([ids, (ids[:-1] + 1) << 32 | ids[1:]])


def _shared_features(tokens: Sequence[np.ndarray], groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tokens and pairs that FEWEST_GROUPS groups share, sorted, with the smoothed inverse document frequency."""
    if not len(tokens):
        return np.zeros(0, np.int64), np.zeros(0, np.float32)
    per_utterance = [np.unique(_keys(own)) for own in tokens]
    keys, documents = np.unique(np.concatenate(per_utterance), return_counts=True)
    by_group = [
        np.unique(np.concatenate([per_utterance[i] for i in np.flatnonzero(groups == g)])) for g in np.unique(groups)
    ]
    spread = np.bincount(np.searchsorted(keys, np.concatenate(by_group)), minlength=len(keys))
    shared = spread >= FEWEST_GROUPS
    idf = np.log((1 + len(tokens)) / (1 + documents[shared])) + 1
    return keys[shared], idf.astype(np.float32)


def _tf_idf(tokens: Sequence[np.ndarray], features: np.ndarray, idf: np.ndarray) -> csr_matrix:
    """Rows of unit length, (1 + log count) * idf; unknown tokens and pairs count for nothing."""
    keys = [_keys(own) for own in tokens]
    rows = np.repeat(np.arange(len(keys)), [len(own) for own in keys])
    flat = np.concatenate(keys) if keys else np.zeros(0, np.int64)
    place = np.minimum(np.searchsorted(features, flat), max(len(features) - 1, 0))
    known = features[place] == flat if len(features) else np.zeros(len(flat), dtype=bool)
    counts = csr_matrix((np.ones(known.sum(), np.float32), (rows[known], place[known])), (len(keys), len(features)))
    counts.sum_duplicates()
    counts.data = (1 + np.log(counts.data)) * idf[counts.indices]
    return normalize(counts) if len(features) else counts


def _regress(x: csr_matrix, y: np.ndarray, weight: np.ndarray, *, multinomial: bool) -> tuple[np.ndarray, np.ndarray]:
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
    fitted = LogisticRegression(C=PENALTY, max_iter=300).fit(x, y, sample_weight=weight)
    weights, intercept = fitted.coef_.T, fitted.intercept_
    if multinomial and len(classes) == 2:
        return np.hstack([-weights, weights]) / 2, np.concatenate([-intercept, intercept]) / 2
    return weights, intercept
