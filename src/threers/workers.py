"""Several processes on one machine that score shards, each with a tagger and a device of its own. Layer 3."""

from __future__ import annotations

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
from threers.processes import SPAWN, process_pool, signals_held
from threers.scoring import Finished, Job, score_shard
from threers.shards import Shard
from threers.tagger import Tagger

#: Shards that a worker has before it at most: the one it scores, and the next.
AT_HAND = 2

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
                with signals_held():  # a worker starts with a submission
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
    numbers = SPAWN.SimpleQueue()
    for number in range(count):
        numbers.put(number)
    if hardware.device == "cpu" and not hardware.threads:
        hardware = replace(hardware, threads=max(1, torch.get_num_threads() // count))
    with process_pool(count, _begin, folder, hardware, numbers) as pool:
        yield pool


def _begin(folder: Path, hardware: Hardware, numbers: Any) -> None:
    number = numbers.get()
    if hardware.device == "cuda":
        torch.cuda.set_device(number % torch.cuda.device_count())
    hardware.use_threads()
    global _tagger
    _tagger = Tagger.load(folder)
    _tagger.lower(hardware)


def _score(shard: Shard, job: Job) -> Entry:
    return score_shard(_tagger, shard, tokenise(shard.utterances, _tagger.tokenizer), job)
