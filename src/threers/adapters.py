"""Low-rank adapters: what a large backbone learns, in a few hundredths of its weights. Layer 3.

Beside each linear layer stands a product of two thin matrices, which alone is trained (Hu et al. 2022, "LoRA: low-rank
adaptation of large language models"); afterwards it is added to the layer, and the backbone looks as it did before. All
linear layers have one, and the scale does not grow with the rank, so that one learning rate, about ten times that of
full training, suits every rank (Schulman et al. 2025, "LoRA without regret").
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from torch import nn
from transformers.pytorch_utils import Conv1D

from threers.errors import InputError
from threers.freezing import freeze_lower_layers

#: What the adapters add is scaled by this over their rank.
ALPHA = 32


def require_peft() -> None:
    """Raise InputError unless the package that makes adapters is installed."""
    if find_spec("peft") is None:
        raise InputError("backbone.lora_rank: needs the package peft; run: pip install -e '.[lora]', or set it to 0")


def add(encoder: Any, rank: int, frozen_layers: int = 0) -> None:
    """Put an adapter beside every linear layer of an encoder but those of its lowest `frozen_layers` layers, and freeze
    all else. What the encoder says stays the same, because an adapter begins at zero.

    Raises:
        InputError: no linear layer is left.

    """
    from peft import LoraConfig, inject_adapter_in_model

    freeze_lower_layers(encoder, frozen_layers)
    layers = _learning_linear_layers(encoder)
    if not layers:
        raise InputError(
            f"backbone.frozen_layers={frozen_layers}: leaves no layer to put an adapter beside; set it lower, or "
            "backbone.lora_rank=0"
        )
    config = LoraConfig(r=rank, lora_alpha=ALPHA, target_modules=layers)
    inject_adapter_in_model(config, encoder)


def merge(encoder: Any) -> None:
    """Add what the adapters learnt to the layers beside which they stand, and take them away."""
    from peft.tuners.lora import LoraLayer

    for name, layer in list(encoder.named_modules()):
        if isinstance(layer, LoraLayer):
            layer.merge()
            encoder.set_submodule(name, layer.get_base_layer())


def _learning_linear_layers(encoder: Any) -> list[str]:
    return [
        name
        for name, part in encoder.named_modules()
        if isinstance(part, (nn.Linear, Conv1D)) and part.weight.requires_grad and "pooler" not in name
    ]
