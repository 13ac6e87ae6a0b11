"""Who scores the shards of a run: this process, several on this machine, or a cluster. Layer 3."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from threers import cluster, workers
from threers.errors import InputError
from threers.folders import ANEW, MARKER, begun
from threers.hardware import Hardware, choose
from threers.jobs import ScoreRun
from threers.scoring import Way, score_here
from threers.settings import PRECISIONS
from threers.streams import Source
from threers.tagger import Tagger

#: More than any machine has.
MOST_THREADS = 1024


@contextmanager
def engine(run: ScoreRun, tagger: Tagger, source: Source, out: Path) -> Iterator[tuple[Hardware, Way]]:
    """Device and precision of a run, and the way its shards are scored; a cluster is joined for the time of the block.

    `out`: where the run may have begun; it goes on with the same threads, so that all of it has the same last bits.

    Raises:
        InputError: the cluster cannot be reached, or what the run noted when it began is damaged.
        SettingsError: a device that is not there, or an engine that cannot score this source.

    """
    precision, threads = _as_begun(run, out)
    reason = "as this run began" if precision != run.precision else ""
    folder = Path(run.tagger).expanduser().absolute()
    count = run.engine.workers
    if run.engine.kind == "ray":
        cluster.require_corpus(source)
        with cluster.joined():
            hardware = cluster.choose(run.device, precision, reduced=tagger.keeps_tags)
            hardware = replace(hardware, reason=reason or hardware.reason)
            hardware = replace(hardware, threads=threads or cluster.threads(count, hardware))
            yield hardware, partial(cluster.score_on_cluster, folder, source.table.absolute(), count)
        return
    hardware = choose(run.device, precision, reduced=tagger.keeps_tags)
    hardware = replace(hardware, reason=reason or hardware.reason)
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


def _as_begun(run: ScoreRun, out: Path) -> tuple[str, int]:
    """Precision and threads: a run goes on as it began, whatever the machine measures today."""
    before = {} if run.overwrite else begun(out)
    precision, threads = before.get("precision", "auto"), before.get("threads", 0)
    if precision not in PRECISIONS:
        raise InputError(
            f"{out / MARKER}: precision is {precision!r:.40}; expected one of {', '.join(PRECISIONS)}; {ANEW}"
        )
    if not isinstance(threads, int) or not 0 <= threads <= MOST_THREADS:
        raise InputError(f"{out / MARKER}: threads is {threads!r:.40}; expected 0 to {MOST_THREADS}; {ANEW}")
    return (precision if run.precision == "auto" else run.precision), threads
