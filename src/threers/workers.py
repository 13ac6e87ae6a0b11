"""Several processes on one machine that score shards, each with a tagger and a device of its own. Layer 3."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import torch

from threers.chunks import tokenise
from threers.errors import InputError
from threers.hardware import Hardware
from threers.journal import Entry
from threers.scoring import Finished, Job, score_shard
from threers.shards import Shard
from threers.tagger import Tagger

#: Shards that a worker has before it at most: the one it scores, and the next.
AT_HAND = 2

#: Signals that ask a run to stop.
STOPPING = (signal.SIGINT, signal.SIGTERM)

#: A worker's own, loaded once.
_tagger: Tagger


def workers_on(hardware: Hardware) -> int:
    """How many workers suit this machine: one per GPU, else one."""
    return max(1, torch.cuda.device_count()) if hardware.device == "cuda" else 1


def score_with_workers(folder: Path, count: int, shards: Iterator[Shard], job: Job, stop: threading.Event) -> Finished:
    """Score shards in `count` processes with the tagger in `folder`.

    Raises:
        InputError: a worker died.

    """
    waiting: dict[Future[Entry], Shard] = {}

    def finished() -> Finished:
        for future in wait(waiting, return_when=FIRST_COMPLETED).done:
            yield waiting.pop(future), future.result()

    with _pool(folder, count, job.hardware) as pool:
        try:
            for shard in takewhile(lambda _: not stop.is_set(), shards):
                with _signals_held():  # a worker starts with a submission
                    waiting[pool.submit(_score, shard, job)] = shard
                if len(waiting) == AT_HAND * count:
                    yield from finished()
            while waiting:
                yield from finished()
        except BrokenProcessPool as error:
            raise InputError(
                "a worker died, perhaps for want of memory (engine.workers says how many there are); what was "
                "finished is kept, and the same command goes on from there"
            ) from error


@contextmanager
def _pool(folder: Path, count: int, hardware: Hardware) -> Generator[ProcessPoolExecutor]:
    """Workers that are gone when the block is left, however it is left."""
    # A forked process could not use CUDA.
    spawn = multiprocessing.get_context("spawn")
    numbers = spawn.SimpleQueue()
    for number in range(count):
        numbers.put(number)
    if hardware.device == "cpu" and not hardware.threads:
        hardware = replace(hardware, threads=max(1, torch.get_num_threads() // count))
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(count, spawn, _begin, (folder, hardware, numbers))
    try:
        yield pool
        pool.shutdown()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in set(multiprocessing.active_children()) - others:
            worker.kill()
        raise


@contextmanager
def _signals_held() -> Generator[None]:
    """Keep a terminal's or a scheduler's signals waiting, also for a process started meanwhile, until it knows them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(folder: Path, hardware: Hardware, numbers: Any) -> None:
    # Both signals reach every process of a terminal or a batch job; what they ask for, the parent decides.
    for asked in STOPPING:
        signal.signal(asked, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    number = numbers.get()
    if hardware.device == "cuda":
        torch.cuda.set_device(number % torch.cuda.device_count())
    hardware.use_threads()
    global _tagger
    _tagger = Tagger.load(folder)
    _tagger.lower(hardware)


def _end_with_parent() -> None:
    """Leave when the parent was killed: a worker that lived on would write into a folder that is another run's."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _score(shard: Shard, job: Job) -> Entry:
    return score_shard(_tagger, shard, tokenise(shard.utterances, _tagger.tokenizer), job)
