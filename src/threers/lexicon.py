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
from sklearn.preprocessing import normalize

from threers.codebook import Codebook
from threers.linear import fit_linear
from threers.targets import Targets

#: A word or pair that fewer groups use is left out: it says little of other patients, and might name one.
FEWEST_GROUPS = 2
#: Inverse strength of the ridge penalty.
STRENGTH = 3.0


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
        """Fit by `linear.fit_linear`.

        Args:
            tokens: token ids of each utterance.
            groups: int (n_utterances,), the group of each.
            targets: of each utterance.
            weight: of each coding, (n_utterances, n_codes); 0 = not coded.
            codebook: the codes.

        """
        features, idf = _shared_features(tokens, groups)
        weights, intercept = fit_linear(_tf_idf(tokens, features, idf), targets, weight, codebook, STRENGTH)
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
    flat = np.concatenate(keys)
    place = np.minimum(np.searchsorted(features, flat), max(len(features) - 1, 0))
    known = features[place] == flat if len(features) else np.zeros(len(flat), dtype=bool)
    counts = csr_matrix((np.ones(known.sum(), np.float32), (rows[known], place[known])), (len(keys), len(features)))
    counts.sum_duplicates()
    counts.data = (1 + np.log(counts.data)) * idf[counts.indices]
    return normalize(counts) if len(features) else counts
