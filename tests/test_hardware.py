"""What is chosen on a machine, and that nothing but the machine decides it."""

import pytest
import torch

from threers import hardware
from threers.hardware import choose


def test_a_busy_machine_does_not_change_the_precision(monkeypatch):
    if torch.cuda.is_available():
        pytest.skip("a GPU's precision is not measured")

    def wall_clock():
        raise AssertionError("the time on the wall says how busy the machine is")

    monkeypatch.setattr(hardware.time, "perf_counter", wall_clock)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        chosen = choose("cpu", reduced=True)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert chosen.precision in ("float32", "bfloat16")
    assert chosen.reason.startswith("a thread measured")


@pytest.mark.parametrize(("half", "precision"), [(119, "float32"), (121, "bfloat16")])
def test_bfloat16_has_to_be_clearly_faster(half, precision, monkeypatch):
    monkeypatch.setattr(hardware, "_rates_of_a_thread", lambda: (100.0, float(half)))
    assert choose("cpu", reduced=True).precision == precision
    assert choose("cpu", reduced=False).precision == "float32"
    assert choose("cpu", "float32", reduced=True).precision == "float32"
