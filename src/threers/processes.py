"""Processes that work side by side, and never outlive or outvote the one that started them. Layer 3."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

#: A forked process could not use CUDA.
SPAWN = multiprocessing.get_context("spawn")
#: Signals that ask a run to stop.
STOPPING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def process_pool(count: int, begin: Callable[..., None], *given: Any) -> Generator[ProcessPoolExecutor]:
    """`count` processes, each of which calls `begin(*given)` first; gone when the block is left, however it is left."""
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(count, SPAWN, _start, (begin, given))
    try:
        yield pool
        pool.shutdown()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in set(multiprocessing.active_children()) - others:
            worker.kill()
        raise


@contextmanager
def signals_held() -> Generator[None]:
    """Keep a terminal's or a scheduler's signals waiting, also for a process started meanwhile, until it knows them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def is_worker() -> bool:
    """Is this one of them?"""
    return multiprocessing.parent_process() is not None


def _start(begin: Callable[..., None], given: tuple[Any, ...]) -> None:
    # Both signals reach every process of a terminal or a batch job; what they ask for, the parent decides.
    for asked in STOPPING:
        signal.signal(asked, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    begin(*given)


def _end_with_parent() -> None:
    """Leave when the parent was killed: a worker that lived on would write into a folder that is another run's."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
