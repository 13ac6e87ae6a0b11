"""Who scores the shards of a run: this process, several on this machine, or a cluster. Layer 3."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from threers import cluster, workers
from threers.hardware import Hardware, choose
from threers.jobs import ScoreRun
from threers.scoring import Way, score_here
from threers.streams import Source
from threers.tagger import Tagger


@contextmanager
def engine(run: ScoreRun, tagger: Tagger, source: Source, threads: int = 0) -> Iterator[tuple[Hardware, Way]]:
    """Device and precision of a run, and the way its shards are scored; a cluster is joined for the time of the block.

    `threads`: of the run that this one goes on with, so that all of it has the same last bits; 0: it begins.

    Raises:
        InputError: the cluster cannot be reached.
        SettingsError: a device that is not there, or an engine that cannot score this source.

    """
    folder = Path(run.tagger).expanduser().absolute()
    count = run.engine.workers
    if run.engine.kind == "ray":
        cluster.require_corpus(source)
        with cluster.joined():
            hardware = cluster.choose(run.device, run.precision, reduced=tagger.keeps_tags)
            hardware = replace(hardware, threads=threads or cluster.threads(count, hardware))
            yield hardware, partial(cluster.score_on_cluster, folder, source.table.absolute(), count)
        return
    hardware = choose(run.device, run.precision, reduced=tagger.keeps_tags)
    count = count or workers.workers_on(hardware)
    before = torch.get_num_threads()
    if hardware.device == "cpu":
        hardware = replace(hardware, threads=threads or max(1, before // count))
    if count > 1:
        yield hardware, partial(workers.score_with_workers, folder, count)
    else:
        tagger.lower(hardware)
        hardware.use_threads()
        try:
            yield hardware, partial(score_here, tagger)
        finally:
            torch.set_num_threads(before)
