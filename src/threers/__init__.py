"""threers: tag psychotherapy transcripts with rupture and resolution codes, and measure agreement with coders.

`from threers import Corpus, Codebook, Tagger, agreement` works without Hydra; only `Tagger` needs torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["Codebook", "Corpus", "Tagger", "agreement"]

_HOMES = {"Codebook": "threers.codebook", "Corpus": "threers.corpus", "Tagger": "threers.tagger"}


def __getattr__(name: str) -> Any:
    # Loaded when asked for, so that `threers --help` answers at once and statistics need no torch.
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name == "agreement":
        return import_module("threers.agreement")
    raise AttributeError(f"module 'threers' has no attribute {name!r}")
