"""Each coder's own threshold for each code, learnt beside the tagger and left out of it. Layer 3."""

from __future__ import annotations

import logging

import numpy as np
import torch
from torch import nn

from threers.corpus import Corpus
from threers.targets import each_coder

#: Share, given and weight of each judgement.
Tables = tuple[np.ndarray, np.ndarray, np.ndarray]

logger = logging.getLogger(__name__)

#: Coded utterances below which a coder gets no threshold of their own.
FEWEST = 50
#: Standard deviation of the coders' thresholds that the penalty expects, in logits.
EXPECTED_SPREAD = 1.0
#: How much faster than the head thresholds learn: there are few of them, and each step moves one by about the rate.
FASTER = 10.0


class CoderHeads(nn.Module):
    """What each coder adds to the tagger's logits, one figure per code, drawn towards zero.

    The figures of a code sum to 0 over coders, so that the tagger alone speaks for the mean coder. A coder with a
    threshold of their own and no more is the simplest head per annotator (Davani, Diaz & Prabhakaran 2022); that coders
    respond to the same unit by rules of their own is Dawid and Skene's (1979) idea. Holds numbers of coders, no ids.

    `weight`: float (n_utterances, n_coders, n_codes), the parts of the coders as `start_heads` gives them.
    """

    known: torch.Tensor
    penalty_weight: torch.Tensor

    def __init__(self, weight: np.ndarray) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.zeros(weight.shape[1:]))
        known = (weight > 0).any(axis=2).sum(axis=0) >= FEWEST
        self.register_buffer("known", torch.from_numpy(known).float()[:, None], persistent=False)
        # A normal prior, on the scale of a loss that is a mean over judgements.
        penalty = 1 / (2 * EXPECTED_SPREAD**2 * np.maximum(weight.sum(axis=(0, 1)), 1))
        self.register_buffer("penalty_weight", torch.from_numpy(penalty).float(), persistent=False)
        self.coders = int(known.sum())
        if self.coders < 2:
            logger.warning(
                "training.coder_heads: %d of %d coders with at least %d coded utterances; it takes two to make a "
                "difference",
                self.coders,
                len(known),
                FEWEST,
            )

    def offsets(self) -> torch.Tensor:
        """Shape (n_coders, n_codes); 0 for coders with too few utterances."""
        return (self.offset - (self.offset * self.known).sum(dim=0) / max(self.coders, 1)) * self.known

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        """From the tagger's logits (n, n_codes) to each coder's (n * n_coders, n_codes)."""
        return (logits[:, None] + self.offsets()).flatten(0, 1)

    def penalty(self) -> torch.Tensor:
        """What the offsets cost, to be added to the loss."""
        return (self.penalty_weight * self.offsets() ** 2).sum()


def start_heads(corpus: Corpus, weight: np.ndarray) -> tuple[Tables, CoderHeads]:
    """What each coder said of these utterances, and heads that have learnt nothing yet.

    Share, given and weight are float32 (n_utterances, n_coders, n_codes). `weight`: of each cell, (n_utterances,
    n_codes); the coders who spoke have equal parts in it.
    """
    each = list(each_coder(corpus.utterances, corpus.codings, corpus.codebook))
    share, given, spoke = (np.stack([getattr(own, name) for own in each], 1) for name in ("share", "given", "coders"))
    parts = spoke * (weight / np.maximum(spoke.sum(axis=1), 1))[:, None]
    return (share, given, parts), CoderHeads(parts)
