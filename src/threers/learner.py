"""What the tagger learns from: soft targets, weighed, through the codebook's tree. Layer 3."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from threers.codebook import Codebook
from threers.decisions import family_columns
from threers.errors import InputError
from threers.network import SpanTagger
from threers.targets import Targets

#: A rare code weighs at most this many times more than it would unbalanced.
LARGEST_WEIGHT = 10.0


class Learner(nn.Module):
    """The tagger's network with its loss, in the shape that Trainer calls.

    `code_weight`: float (n_codes,), how much a present code weighs. Its logarithm is added to the logits inside the
    loss, so that the network's own logits still estimate the unweighted probabilities (logit adjustment, Menon et
    al. 2021).
    """

    average: Any
    code_weight: torch.Tensor

    def __init__(self, model: SpanTagger, average: nn.Module, codebook: Codebook, code_weight: np.ndarray) -> None:
        super().__init__()
        self.model = model
        # Here, so that Trainer's checkpoints hold both and cannot disagree.
        self.average = average.requires_grad_(False)
        self.families = [(family.kind, torch.from_numpy(columns)) for family, columns in family_columns(codebook)]
        self.register_buffer("code_weight", torch.from_numpy(code_weight).float(), persistent=False)
        self._losses: list[float] = []

    def forward(
        self, share: torch.Tensor, given: torch.Tensor, weight: torch.Tensor, **batch: torch.Tensor
    ) -> dict[str, Any]:
        """Loss of one batch. `share`, `given`, `weight`: (n_pieces, n_codes); the rest as `SpanTagger.pool` takes it.

        Raises:
            InputError: the loss is not a number any more.

        """
        pooled = self.model.pool(**batch)
        logits = self.model.classify(pooled).float() + self.code_weight.log()
        losses = [self._family_loss(*family, logits, share, given, weight) for family in self.families]
        loss = torch.stack(losses).sum()
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
        z, y, w, balance = logits[:, columns], share[:, columns], weight[:, columns], self.code_weight[columns]
        if kind == "exclusive":
            loss = -w[:, 0] * (balance * y * functional.log_softmax(z, dim=1)).sum(dim=1)
        else:
            # The chain rule: a child is judged only where its parent is present, as far as the coders say it is.
            absent = given[:, columns] - y
            loss = -(w * (balance * y * functional.logsigmoid(z) + absent * functional.logsigmoid(-z))).sum(dim=1)
        return loss.sum() / w.amax(dim=1).sum().clamp(min=1e-6)


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
