"""What the tagger learns from: soft targets, weighed, through the codebook's tree. Layer 3."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from threers.codebook import Codebook
from threers.coder_heads import CoderHeads
from threers.decisions import family_columns, of_family, parents_first
from threers.errors import InputError
from threers.network import SpanTagger
from threers.pooling import posterior, surprise
from threers.targets import Targets

#: A rare code weighs at most this many times more than it would unbalanced.
LARGEST_WEIGHT = 10.0


class Learner(nn.Module):
    """The tagger's network with its loss, in the shape that Trainer calls.

    `code_weight`: float (n_codes,), how much a present code weighs. Its logarithm is added to the logits inside the
    loss, so that the network's own logits still estimate the unweighted probabilities (logit adjustment, Menon et
    al. 2021). `heads`: each coder's own threshold, if these are learnt.
    """

    average: Any
    code_weight: torch.Tensor

    def __init__(
        self,
        model: SpanTagger,
        average: nn.Module,
        codebook: Codebook,
        code_weight: np.ndarray,
        heads: CoderHeads | None = None,
    ) -> None:
        super().__init__()
        self.model, self.heads = model, heads
        # Here, so that Trainer's checkpoints hold both and cannot disagree.
        self.average = average.requires_grad_(False)
        self.families = [(family.kind, torch.from_numpy(columns)) for family, columns in family_columns(codebook)]
        self.register_buffer("code_weight", torch.from_numpy(code_weight).float(), persistent=False)
        self._losses: list[float] = []

    def forward(
        self, share: torch.Tensor, given: torch.Tensor, weight: torch.Tensor, **batch: torch.Tensor
    ) -> dict[str, Any]:
        """Loss of one batch. `share`, `given`, `weight`: (n_pieces, n_codes), with heads (n_pieces, n_coders, n_codes);
        the rest as `SpanTagger.pool` takes it.

        Raises:
            InputError: the loss is not a number any more.

        """
        pooled = self.model.pool(**batch)
        logits = self.model.classify(pooled).float() + self.code_weight.log()
        if self.heads is not None:
            logits = self.heads(logits)
            share, given, weight = (table.flatten(0, 1) for table in (share, given, weight))
        losses = [self._family_loss(*family, logits, share, given, weight) for family in self.families]
        loss = torch.stack(losses).sum() + (0 if self.heads is None else self.heads.penalty())
        if not torch.isfinite(loss):
            raise InputError("training diverged: the loss is not a number; set backbone.learning_rate to half")
        self._losses.append(float(loss.detach()))
        return {"loss": loss}

    def take_loss(self) -> float:
        """Mean loss per batch since the last call."""
        losses, self._losses = self._losses, []
        return float(np.mean(losses)) if losses else float("nan")

    def _family_loss(
        self,
        kind: str,
        columns: torch.Tensor,
        logits: torch.Tensor,
        share: torch.Tensor,
        given: torch.Tensor,
        weight: torch.Tensor,
    ) -> torch.Tensor:
        y, w = share[:, columns], weight[:, columns]
        # The chain rule: a child is judged only where its parent is present, as far as the coders say it is.
        absent = given[:, columns] - y
        each = self.losses_of(kind, logits[:, columns], y, absent, w, self.code_weight[columns])
        return each.sum() / w.amax(dim=1).sum().clamp(min=1e-6)

    @staticmethod
    def losses_of(
        kind: str, z: torch.Tensor, y: torch.Tensor, absent: torch.Tensor, w: torch.Tensor, balance: torch.Tensor
    ) -> torch.Tensor:
        """Loss (n,) of each piece in a family of k codes: cross-entropy, present codes weighed by `balance` (k,).

        `z`: logits; `y`, `absent`: shares of the coders who say that the code is there, and that it is not though its
        parent is; `w`: weights; each (n, k).
        """
        if kind == "exclusive":
            return -w[:, 0] * (balance * y * functional.log_softmax(z, dim=1)).sum(dim=1)
        return -(w * (balance * y * functional.logsigmoid(z) + absent * functional.logsigmoid(-z))).sum(dim=1)


def spread(logits: np.ndarray, targets: Targets, codebook: Codebook) -> Targets:
    """Soft targets for the utterances of coded segments: how probably each has the code, given what is known of its
    segment, if `logits` (n_utterances, n_codes) are right. Those coded themselves keep what was said of them.

    One step of expectation-maximisation (Dempster, Laird & Rubin 1977): what learns from this maximises.
    """
    segments = targets.segments
    if segments is None:
        return targets
    share, given, coders = targets.share.copy(), targets.given.copy(), targets.coders.copy()
    for family, columns in family_columns(codebook):
        inside = segments.legal[:, columns]
        p = of_family(logits[:, columns].astype(np.float64), family, codebook)
        likely = posterior(p, surprise(p, segments, columns)[1])
        above = np.ones_like(likely)
        if family.kind == "exclusive":
            likely /= np.maximum(likely.sum(axis=1, keepdims=True), 1e-9)
        else:
            for place, parent in reversed(parents_first(family, codebook)):
                if parent is not None:
                    likely[:, parent] = np.maximum(likely[:, parent], likely[:, place])
            for place, parent in parents_first(family, codebook):
                above[:, place] = 1 if parent is None else likely[:, parent]
        share[:, columns] = np.where(inside, likely, share[:, columns])
        given[:, columns] = np.where(inside, above, given[:, columns])
        coders[:, columns] = np.where(inside, segments.coders[segments.member][:, columns], coders[:, columns])
    return Targets(share, coders, given)


def code_weights(targets: Targets, weight: np.ndarray, codebook: Codebook, balance: float) -> np.ndarray:
    """Weight of each code when present, float (n_codes,); `weight`: of each coding, (n_utterances, n_codes).

    Exclusive: (1 / frequency) ** balance, scaled to mean 1 over the codings. Multilabel: (odds against) ** balance,
    given the parent. Both at most LARGEST_WEIGHT.
    """
    frequency = code_frequency(targets, weight)
    result = np.ones(len(frequency))
    for family, columns in family_columns(codebook):
        own = frequency[columns]
        if family.kind == "exclusive":
            raw = own**-balance
            result[columns] = raw / (raw * own / own.sum()).sum()
        else:
            result[columns] = np.maximum((1 - own) / own, 1.0) ** balance
    return np.minimum(result, LARGEST_WEIGHT)


def prior_logits(targets: Targets, weight: np.ndarray, codebook: Codebook) -> np.ndarray:
    """Logits (n_codes,) that give each code its frequency: heads that start here waste no step on finding it."""
    frequency = code_frequency(targets, weight)
    result = np.log(frequency)
    for family, columns in family_columns(codebook):
        if family.kind != "exclusive":
            result[columns] -= np.log1p(-frequency[columns])
    return result.astype(np.float32)


def code_frequency(targets: Targets, weight: np.ndarray) -> np.ndarray:
    """How often a code is present, given its parent, (n_codes,); one imagined coding each keeps it off 0 and 1."""
    return ((weight * targets.share).sum(axis=0) + 1) / ((weight * targets.given).sum(axis=0) + 2)
