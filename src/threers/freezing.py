"""What of an encoder learns, and how deep in it that lies. Layer 3."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

from threers.backbones import layers_of

#: Names of what reads the uppermost layer, in the encoders of transformers.
_ON_TOP = re.compile(r"pooler|final|(^|encoder\.)(norm|ln_f|norm_f)\.")


def layers_above(encoder: Any) -> dict[nn.Parameter, int]:
    """How many layers lie above each parameter: none above what reads the uppermost one, all of them above embeddings
    and what the layers share.
    """
    depth = encoder.config.num_hidden_layers
    layers = enumerate(layers_of(encoder) or [], start=1)
    above = {parameter: depth - number for number, layer in layers for parameter in layer.parameters()}
    return {
        parameter: above.get(parameter, 0 if _ON_TOP.search(name) else depth)
        for name, parameter in encoder.named_parameters()
    }


def freeze_lower_layers(encoder: Any, count: int) -> None:
    """Keep the lowest `count` layers, and all below them, as they are; 0 leaves everything as it is."""
    for parameter, above in layers_above(encoder).items():
        if count and above >= encoder.config.num_hidden_layers - count:
            parameter.requires_grad_(False)
