"""What is installed, what would be used, what is missing. Layer 3."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from threers.errors import InputError
from threers.mapping import from_mapping
from threers.settings import Backbone
from threers.shipped import read_yaml
from threers.stored import read_mapping

#: Share of the machine's matrix rate that scoring reached where it was measured (docs/measured.md).
USUAL_SHARE = 0.7
#: Tokens of a session of about an hour.
SESSION_TOKENS = 12_000
VERSIONED = ("threers", "torch", "transformers", "datasets", "accelerate", "scikit-learn", "pandas", "numpy")


def versions() -> dict[str, str]:
    """Versions of the packages that results depend on."""
    found = {}
    for name in VERSIONED:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = f"missing; run: pip install {name}"
    return found


def examine() -> list[tuple[str, str]]:
    """(what, finding) in reading order: versions, device and precision with the reason, backbones."""
    import torch

    from threers.hardware import choose, matrix_rate

    findings = list(versions().items())
    hardware = choose(reduced=True)
    findings.append(("training would use", f"{hardware.device}, {hardware.precision} ({hardware.reason})"))
    findings.append(("scoring would use", "the same with a tagger whose tags bfloat16 keeps, else float32"))
    rate = matrix_rate(getattr(torch, hardware.precision), hardware.device)
    threads = f"{torch.get_num_threads()} threads"
    findings.append(("matrix rate", f"{rate:.0f} GFLOP/s in {hardware.precision} on {hardware.device}, {threads}"))
    findings += [(f"scoring with {name}", _expectation(name, rate)) for name in ("minilm", "mpnet")]
    findings += [(f"backbone {name}", _backbone_state(name)) for name in ("minilm", "mpnet")]
    return findings


def _expectation(name: str, rate: float) -> str:
    from threers.hardware import operations_per_token
    from threers.pretrained import DEPTH

    backbone = shipped_backbone(name)
    try:
        config = _config(backbone)
    except InputError:
        return "unknown until the backbone is there"
    depth = config["num_hidden_layers"]
    used = backbone.layers or depth
    # A token is read by the encoder, again where chunks overlap, and by the lower layers of the untrained backbone.
    passes = used * backbone.chunk_tokens / (backbone.chunk_tokens - backbone.overlap_tokens)
    passes = (passes + (backbone.read_layers or DEPTH * used)) / depth
    seconds = passes * operations_per_token(config, backbone.chunk_tokens) / (rate * 1e9 * USUAL_SHARE)
    return f"about {1 / seconds:,.0f} tokens of transcript per second, {SESSION_TOKENS * seconds:.1f} s for an hour"


def shipped_backbone(name: str) -> Backbone:
    """The settings of a backbone under configs/backbone."""
    return from_mapping(Backbone, read_yaml("backbone", name)[0])


def _config(backbone: Backbone) -> Any:
    """The config.json of a backbone. Raises InputError where that or the weights are not there, or damaged."""
    from threers.backbones import locate

    sizes = dict.fromkeys(("num_hidden_layers", "hidden_size", "intermediate_size"), int)
    return read_mapping(locate(backbone) / "config.json", sizes, f"install it again: {backbone.install}")


def _backbone_state(name: str) -> str:
    try:
        _config(shipped_backbone(name))
    except InputError as error:
        return f"missing: {error}"
    return "ready, hash as expected"
