"""An encoder's linear layers in bfloat16, laid out as the device multiplies them fastest. Layer 2.

On a CPU, oneDNN wants weights in an order of its own, and puts them into it for every product unless that was done
beforehand; and it applies GELU to what it has just summed, in float32, where a pass of its own takes half as long as
the product and rounds twice (docs/measured.md).
"""

from __future__ import annotations

import torch
from torch import nn
from transformers.activations import GELUActivation

from threers.hardware import Hardware


def lower(encoder: nn.Module, hardware: Hardware) -> None:
    """Keep the weights of linear layers in the precision they are used in; autocast would cast them every time.

    The encoder cannot go back to float32, and is for scoring only. Does nothing in float32.
    """
    if hardware.precision != "bfloat16":
        return
    if hardware.device == "cpu" and packs():
        _pack(encoder)
        return
    for module in encoder.modules():
        if isinstance(module, nn.Linear):
            module.to(torch.bfloat16)


def packs() -> bool:
    """Has this processor oneDNN's products in bfloat16? It refuses them where it would have to imitate them."""
    return bool(torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported())


class PackedLinear(nn.Module):
    """A linear layer, followed by GELU or by nothing; from (…, n_in) to bfloat16 (…, n_out)."""

    def __init__(self, linear: nn.Linear, *, gelu: bool) -> None:
        super().__init__()
        half = linear.to(torch.bfloat16)
        # Not a buffer: what casts or moves a model knows nothing of oneDNN's layouts.
        self.weight = torch.ops.mkldnn._reorder_linear_weight(half.weight.detach().contiguous(), None)
        self.bias = None if half.bias is None else half.bias.detach()
        self.after: tuple[str, list[float], str] = ("gelu", [], "none") if gelu else ("none", [], "")

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """The layer's output."""
        return torch.ops.mkldnn._linear_pointwise(states.to(torch.bfloat16), self.weight, self.bias, *self.after)


def _pack(encoder: nn.Module) -> None:
    for module in list(encoder.modules()):
        gelu = _inner_layer_with_gelu(module)
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Linear):
                setattr(module, name, PackedLinear(child, gelu=gelu))
        if gelu:
            module.intermediate_act_fn = nn.Identity()


def _inner_layer_with_gelu(module: nn.Module) -> bool:
    """BERT and its kin (RoBERTa, MPNet, DeBERTa, ELECTRA): `dense`, then `intermediate_act_fn`."""
    found = dict(module.named_children())
    activation = found.get("intermediate_act_fn")
    exact = isinstance(activation, GELUActivation) and activation.act is nn.functional.gelu
    return set(found) == {"dense", "intermediate_act_fn"} and exact
