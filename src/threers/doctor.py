"""What is installed, what would be used, what is missing. Layer 3."""

from __future__ import annotations

from importlib import metadata

from threers.errors import InputError
from threers.settings import Backbone, from_mapping
from threers.shipped import read_yaml

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
    training, scoring = choose(training=True), choose()
    findings.append(("training would use", f"{training.device}, {training.precision} ({training.reason})"))
    findings.append(("scoring would use", f"{scoring.device}, {scoring.precision} ({scoring.reason})"))
    rate = matrix_rate(torch.float32, scoring.device)
    threads = f"{torch.get_num_threads()} threads"
    findings.append(("matrix rate", f"{rate:.0f} GFLOP/s in float32 on {scoring.device}, {threads}"))
    findings += [(f"backbone {name}", _backbone_state(name)) for name in ("minilm", "mpnet")]
    return findings


def shipped_backbone(name: str) -> Backbone:
    """The settings of a backbone under configs/backbone."""
    return from_mapping(Backbone, read_yaml("backbone", name)[0])


def _backbone_state(name: str) -> str:
    from threers.backbones import locate

    try:
        locate(shipped_backbone(name))
    except InputError as error:
        return f"missing: {error}"
    return "ready, hash as expected"
