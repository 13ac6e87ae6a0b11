"""Attention in bfloat16 on a CPU as matrix products that stay in its caches. Layer 2.

PyTorch's own kernel reaches a quarter of the rate that a CPU has for matrix products; row by row, with the scores of
one row at a time, plain products reach 1.4 times as much (docs/measured.md). The scores are rounded to bfloat16 on the
way, which `precision.py` takes in when it asks whether a tagger keeps its tags.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from threers.hardware import Hardware

NAME = "threers_rows"
#: In shorter rows the calls cost more than the products.
SHORTEST_ROW = 96


def suit(encoder: Any, hardware: Hardware) -> None:
    """Let an encoder attend by `rows` where that is faster on this hardware, else by PyTorch's kernel."""
    fast = hardware.device == "cpu" and hardware.precision == "bfloat16"
    before, after = ("sdpa", NAME) if fast else (NAME, "sdpa")
    if encoder.config._attn_implementation == before:
        AttentionInterface.register(NAME, rows)
        AttentionMaskInterface.register(NAME, sdpa_mask)
        encoder.set_attn_implementation(after)


def rows(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention (batch, length, heads, width) of query, key and value (batch, heads, length, width).

    `attention_mask`: bool, True where a token is seen, (batch, 1, length, length); None: all are. What this way does
    not suit, such as a mask that hides the future, goes to PyTorch's kernel. Places of padding are left at zero.
    """
    batch, heads, length, width = query.shape
    suits = query.dtype == torch.bfloat16 and key.shape == value.shape == query.shape and length >= SHORTEST_ROW
    plain = suits and not dropout and not torch.is_grad_enabled() and _is_plain(module, attention_mask, kwargs)
    sizes = _sizes(attention_mask, batch, length) if plain else None
    if sizes is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **kwargs)
    scale = width**-0.5 if scaling is None else scaling
    found = torch.zeros(batch, length, heads, width, dtype=query.dtype)
    for row, size in enumerate(sizes):
        q, k, v = (states[row, :, :size] for states in (query, key, value))
        scores = torch.matmul(q * scale, k.transpose(-1, -2))
        torch.softmax(scores, -1, out=scores)
        found[row, :size] = torch.matmul(scores, v).transpose(0, 1)
    return found, None


def _is_plain(module: torch.nn.Module, mask: torch.Tensor | None, more: dict[str, Any]) -> bool:
    """Does nothing but query, key, value and mask decide what is attended to?"""
    causal = more.get("is_causal")
    if causal is None:
        causal = getattr(module, "is_causal", True)  # as PyTorch's kernel is called
    # Tensors: position biases, sinks, and what is not known yet.
    return not (mask is None and causal) and not any(isinstance(value, torch.Tensor) for value in more.values())


def _sizes(mask: torch.Tensor | None, batch: int, length: int) -> list[int] | None:
    """Tokens of each row before its padding; None where the mask hides something else than padding behind them."""
    if mask is None:
        return [length] * batch
    if mask.dtype != torch.bool or mask.shape[:2] != (batch, 1):
        return None
    seen = mask[:, 0, 0]
    sizes = seen.sum(dim=1)
    behind = torch.arange(length, device=mask.device) < sizes[:, None]
    plain = torch.equal(seen, behind) and bool((mask[:, 0] == seen[:, None]).all())
    return sizes.tolist() if plain and int(sizes.min()) > 0 else None
