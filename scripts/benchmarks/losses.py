"""Other losses than the learner's own, for the ablation: each a `Learner` whose families lose in another way.

The learner's own weighs a present code by (1 / its frequency) ** balance and adds the weight's logarithm to the logits,
so that these stay those of the corpus. Class weights without that, and logit adjustment without weights (Menon et al.
2021), are the same two losses, this one and that with balance 0, with a constant left in the logits: where offsets are
fitted afterwards, as here, they need no row of their own.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from threers.learner import Learner

#: Power by which what is told apart already counts less (Lin et al. 2017, "Focal loss for dense object detection").
FOCUS = 2.0
#: The power for what is absent, and how probable it may be before it counts at all (Ridnik et al. 2021, "Asymmetric
#: loss for multi-label classification").
FOCUS_ABSENT, MARGIN = 4.0, 0.05


class Focal(Learner):
    """What is told apart already counts less."""

    @staticmethod
    def losses_of(
        kind: str, z: torch.Tensor, y: torch.Tensor, absent: torch.Tensor, w: torch.Tensor, balance: torch.Tensor
    ) -> torch.Tensor:
        """See `Learner.losses_of`."""
        if kind == "exclusive":
            log_p = functional.log_softmax(z, dim=1)
            return -w[:, 0] * (balance * y * (1 - log_p.exp()) ** FOCUS * log_p).sum(dim=1)
        p = torch.sigmoid(z)
        marked = balance * y * (1 - p) ** FOCUS * functional.logsigmoid(z)
        return -(w * (marked + absent * p**FOCUS * functional.logsigmoid(-z))).sum(dim=1)


class Asymmetric(Learner):
    """Every code by itself, also of an exclusive family; what is absent, and known to be, counts next to nothing."""

    @staticmethod
    def losses_of(
        kind: str, z: torch.Tensor, y: torch.Tensor, absent: torch.Tensor, w: torch.Tensor, balance: torch.Tensor
    ) -> torch.Tensor:
        """See `Learner.losses_of`."""
        p = (torch.sigmoid(z) - MARGIN).clamp(min=0)
        return -(w * (y * functional.logsigmoid(z) + absent * p**FOCUS_ABSENT * torch.log1p(-p))).sum(dim=1)
