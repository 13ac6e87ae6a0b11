"""Which device and precision to use, decided in one place, with the reason. Layer 2."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from threers.errors import SettingsError

#: Measurements of each precision before one is chosen.
ROUNDS = 2


@dataclass(frozen=True)
class Hardware:
    """The choice and its reason, for the manifest and the screen."""

    device: str
    precision: str
    reason: str
    threads: int = 0
    """Of a CPU's matrix products, per process; with another number the last bits may differ. 0: as PyTorch has them."""

    def use_threads(self) -> None:
        """Let PyTorch use `threads` from now on."""
        if self.threads:
            torch.set_num_threads(self.threads)

    @property
    def batch_tokens(self) -> int:
        """Tokens per forward pass that suit the device: what a CPU's caches hold, what keeps a GPU busy."""
        return 2048 if self.device == "cpu" else 32_768

    @property
    def autocast(self) -> torch.autocast:
        """Context in which the encoder runs; does nothing in float32."""
        return torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.precision == "bfloat16")


def choose(device: str = "auto", precision: str = "auto", *, reduced: bool = False) -> Hardware:
    """Pick device and precision.

    `auto` takes CUDA when there is one, and bfloat16 where `reduced` allows it and the device is faster with it; on a
    CPU a short measurement says whether it is. `reduced`: for training, and for scoring with a tagger whose tags stay
    the same.

    Raises:
        SettingsError: CUDA was asked for and is not there.

    """
    if device == "cuda" and not torch.cuda.is_available():
        raise SettingsError("device=cuda: no CUDA device is available here; use device=cpu or device=auto")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if precision != "auto":
        return Hardware(device, precision, "as asked")
    if not reduced:
        return Hardware(device, "float32", "bfloat16 is not known to keep this tagger's tags")
    if device == "cuda":
        good = torch.cuda.is_bf16_supported()
        return Hardware(
            device, "bfloat16" if good else "float32", "the GPU has bfloat16" if good else "no bfloat16 on the GPU"
        )
    full, half = _rates_of_a_thread()
    chosen = "bfloat16" if half > 1.2 * full else "float32"
    return Hardware(device, chosen, f"a thread measured {full:.0f} GFLOP/s in float32, {half:.0f} in bfloat16")


def matrix_rate(
    dtype: torch.dtype,
    device: str = "cpu",
    size: int = 1024,
    repeats: int = 5,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Measured rate of a matrix product of `size` in GFLOP/s; the best of `repeats`."""
    a = torch.ones(size, size, dtype=dtype, device=device)
    best = float("inf")
    for _ in range(repeats):
        start = clock()
        (a @ a).sum().item()
        best = min(best, clock() - start)
    return 2 * size**3 / best / 1e9


def _rates_of_a_thread() -> tuple[float, float]:
    """GFLOP per second of processor time, in float32 and bfloat16.

    One thread, and its processor time: what else the machine is doing must not decide, or two folds of one evaluation
    would be trained in different precisions.
    """
    threads, full, half = torch.get_num_threads(), 0.0, 0.0
    torch.set_num_threads(1)
    try:
        for _ in range(ROUNDS):
            full = max(full, matrix_rate(torch.float32, clock=time.process_time))
            half = max(half, matrix_rate(torch.bfloat16, clock=time.process_time))
    finally:
        torch.set_num_threads(threads)
    return full, half


def operations_per_token(config: Mapping[str, Any], length: int) -> float:
    """Floating-point operations of an encoder's forward pass per token, in rows of `length` tokens.

    Matrix products only, two operations per multiply-add: the weights of `num_hidden_layers` layers, and attention over
    the row. `config`: an encoder's config.json.
    """
    layers, width = config["num_hidden_layers"], config["hidden_size"]
    inner = config["intermediate_size"]
    # ModernBERT-like layers split the first product of the inner layer into a gate and a value.
    gated = 3 if config.get("model_type") == "modernbert" else 2
    return float(layers * (2 * (4 * width**2 + gated * width * inner) + 4 * length * width))
