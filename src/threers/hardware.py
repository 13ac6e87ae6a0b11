"""Which device and precision to use, decided in one place, with the reason. Layer 2."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from threers.errors import SettingsError


@dataclass(frozen=True)
class Hardware:
    """The choice and its reason, for the manifest and the screen."""

    device: str
    precision: str
    reason: str

    @property
    def autocast(self) -> torch.autocast:
        """Context in which the encoder runs; does nothing in float32."""
        return torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.precision == "bfloat16")


def choose(device: str = "auto", precision: str = "auto", *, training: bool = False) -> Hardware:
    """Pick device and precision.

    `auto` takes CUDA when there is one. In training `auto` takes bfloat16 wherever a short measurement shows it to be
    faster; in scoring on a CPU it takes float32, so that tags do not depend on the machine.

    Raises:
        SettingsError: CUDA was asked for and is not there.

    """
    if device == "cuda" and not torch.cuda.is_available():
        raise SettingsError("device=cuda: no CUDA device is available here; use device=cpu or device=auto")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if precision != "auto":
        return Hardware(device, precision, "as asked")
    if device == "cuda":
        good = torch.cuda.is_bf16_supported()
        return Hardware(
            device, "bfloat16" if good else "float32", "the GPU has bfloat16" if good else "no bfloat16 on the GPU"
        )
    if not training:
        return Hardware(device, "float32", "scoring on a CPU keeps float32 unless told otherwise")
    full, half = matrix_rate(torch.float32), matrix_rate(torch.bfloat16)
    chosen = "bfloat16" if half > 1.2 * full else "float32"
    return Hardware(device, chosen, f"measured {full:.0f} GFLOP/s in float32, {half:.0f} in bfloat16")


def matrix_rate(dtype: torch.dtype, device: str = "cpu", size: int = 1024, repeats: int = 5) -> float:
    """Measured rate of a matrix product of `size` in GFLOP/s; the best of `repeats`."""
    a = torch.ones(size, size, dtype=dtype, device=device)
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        (a @ a).sum().item()
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best / 1e9
