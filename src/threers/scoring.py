"""The batch engine: a stream of sessions in, shards of scores out, resumable. Layer 3."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch
from rich.console import Console
from rich.progress import Progress

from threers.abstention import Limits, left_open
from threers.chunks import SessionTokens, lengths, tokenise
from threers.corpus import session_hashes
from threers.errors import InputError, SettingsError, Stopped
from threers.hardware import Hardware
from threers.journal import Entry, Journal, Tally
from threers.scores import PARTS, part_file, score_table, write_parquet
from threers.settings import Engine
from threers.shards import Shard, drop_outdated, missing_shards
from threers.streams import Source
from threers.tagger import Tagger

logger = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class Job:
    """How shards are scored, and the folder of the parts they are written to."""

    parts: Path
    hardware: Hardware
    batch_tokens: int
    include_text: bool
    limits: Limits | None = None
    """What is left to humans; None: nothing, and the scores do not speak of it."""


#: Shards as they get finished, in any order, each with its entry; its part is written.
Finished = Generator[tuple[Shard, Entry]]
#: Scores shards until there are no more, or, soon after the event was set, none but those at hand.
Way = Callable[[Iterator[Shard], Job, threading.Event], Finished]


def score_sessions(
    tagger: Tagger, utterances: pd.DataFrame, hardware: Hardware, tally: Tally | None = None
) -> pd.DataFrame:
    """Score utterances (session_id, utterance_id, role, start, end, text; sorted) in memory; the scores table."""
    table, counts = _score(tagger, utterances, tokenise(utterances, tagger.tokenizer), hardware)
    if tally:
        tally.add(counts)
    return table


def score_to_folder(
    tagger: Tagger,
    source: Source,
    out: Path,
    engine: Engine,
    hardware: Hardware,
    *,
    include_text: bool,
    limits: Limits | None = None,
    way: Way | None = None,
) -> Tally:
    """Score a stream of sessions, shard by shard, into `out/utterances/part-*.parquet`.

    A session that was scored as it is now, in this folder, is not scored again; one that has changed is scored into a
    new part and taken out of its old one. `limits`: what is left to humans, see `abstention`. `way`: who scores the
    shards; None: this process.

    Raises:
        InputError: nothing could be scored, or the source is gone.
        SettingsError: a forward pass does not fit into the device's memory.
        Stopped: SIGTERM came; the shards at hand were finished.

    """
    journal = Journal(out, out / PARTS)
    resumed = bool(journal.entries)
    job = Job(journal.parts.absolute(), hardware, engine.batch_tokens, include_text, limits)
    present: dict[str, str] = {}
    shards = missing_shards(source, journal, present, engine.shard_sessions, tagger.codebook)
    way = way or partial(score_here, tagger)
    with _sigterm() as stop, _Progress() as progress, closing(way(shards, job, stop)) as finished:
        for shard, entry in finished:
            if entry.sessions:
                journal.add(entry)
            else:  # nothing to go on with
                part_file(journal.parts, entry.part).unlink()
            for session_id in shard.contents.keys() - entry.sessions.keys():
                source.rejects.add("", None, f"the tagger gives no number; session {session_id!r} was not scored")
            progress.show(Tally(**entry.tally), shard.read)
        if stop.is_set():
            raise Stopped
    drop_outdated(journal, present)
    if not journal.entries:
        raise InputError(
            f"source {source.path}: no session could be scored; expected transcripts; {source.rejects.most_common()}"
        )
    total = Tally(resumed=resumed)
    for _, entry in sorted(journal.entries.items()):
        total.add(Tally(**entry.tally))
    return total


def score_here(tagger: Tagger, shards: Iterator[Shard], job: Job, stop: threading.Event) -> Finished:
    """Score shards in this process; while the model is at work on one, the next is read and tokenised."""
    prepared = ((shard, tokenise(shard.utterances, tagger.tokenizer)) for shard in shards)
    with _ahead(prepared) as ready:
        for shard, tokens in ready:
            if stop.is_set():
                return
            yield shard, score_shard(tagger, shard, tokens, job)


def score_shard(tagger: Tagger, shard: Shard, tokens: list[SessionTokens], job: Job) -> Entry:
    """Score a shard and write its part. The entry lacks sessions for which the tagger gave no finite number."""
    table, tally = _score(tagger, shard.utterances, tokens, job.hardware, job.batch_tokens, job.limits)
    if job.include_text:
        keys = ["session_id", "utterance_id"]
        table = table.merge(shard.utterances[[*keys, "text"]], on=keys, how="left", validate="one_to_one")
    path = part_file(job.parts, shard.part)
    write_parquet(table, path)
    tally.learnt_from = _learnt_from(shard.utterances[shard.utterances["session_id"].isin(table["session_id"])], tagger)
    scored = {session_id: shard.contents[session_id] for session_id in table["session_id"].unique()}
    return Entry(shard.part, scored, asdict(tally))


def _score(
    tagger: Tagger,
    utterances: pd.DataFrame,
    tokens: list[SessionTokens],
    hardware: Hardware,
    batch_tokens: int = 0,
    limits: Limits | None = None,
) -> tuple[pd.DataFrame, Tally]:
    start = time.monotonic()
    try:
        report = tagger.logits(tokens, hardware, batch_tokens)
    except torch.OutOfMemoryError as error:
        raise SettingsError(
            f"engine.batch_tokens={batch_tokens or hardware.batch_tokens}: a forward pass does not fit into the memory "
            f"of {hardware.device}; try half of it"
        ) from error
    p, tags = tagger.tags(report.logits, utterances["role"].tolist())
    seconds = time.monotonic() - start
    abstained = None if limits is None else left_open(p, tags, limits, tagger.codebook)
    table = score_table(utterances, p, tags, tagger.codebook, abstained)
    if tagger.ratings is not None and report.vectors is not None:
        ratings = tagger.ratings.rate(report.vectors, lengths(tokens), utterances, tagger.codebook)
        table = pd.concat([table, ratings], axis=1)
    broken = table["session_id"].isin(table.loc[~np.isfinite(report.logits).all(axis=1), "session_id"])
    if broken.any():
        table = table[~broken].reset_index(drop=True)
    tally = Tally(
        sessions=table["session_id"].nunique(),
        utterances=len(table),
        unknown_role=int((table["role"] == "unknown").sum()),
        tokens=report.tokens,
        padded_tokens=report.padded_tokens,
        seconds=seconds,
    )
    return table, tally


def _learnt_from(utterances: pd.DataFrame, tagger: Tagger) -> list[str]:
    learnt = set(tagger.manifest.get("learnt_from", []))
    return [session for session, text in session_hashes(utterances).items() if text in learnt]


@contextmanager
def _ahead(items: Iterator[T]) -> Iterator[Iterator[T]]:
    """The same items, each prepared by a thread while the one before is in use."""
    end = object()

    def drawn() -> Iterator[T]:
        waiting = pool.submit(next, items, end)
        while (item := waiting.result()) is not end:
            waiting = pool.submit(next, items, end)
            yield item  # type: ignore[misc]

    with ThreadPoolExecutor(1) as pool:
        yield drawn()


@contextmanager
def _sigterm() -> Iterator[threading.Event]:
    """An event that SIGTERM sets: a cluster's scheduler or a shutdown asks for the machine."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = signal.signal(signal.SIGTERM, lambda *_: asked.set())
    try:
        yield asked
    finally:
        signal.signal(signal.SIGTERM, before)


class _Progress:
    """A bar on a terminal, elsewhere a line now and then: sessions, tokens per second, padding, time left."""

    SECONDS_BETWEEN_LINES = 30.0

    def __enter__(self) -> _Progress:
        self.started = self.said = time.monotonic()
        self.tally, self.read = Tally(), 0.0
        self.bar = Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
        self.bar.start()
        self.task = self.bar.add_task("scoring", total=1.0)
        return self

    def __exit__(self, *_: Any) -> None:
        self.bar.stop()

    def show(self, tally: Tally, read: float) -> None:
        """Take a shard's tally in; `read`: share of the source that has been read with it."""
        self.tally.add(tally)
        self.read = max(self.read, read)
        now = time.monotonic()
        passed = now - self.started
        line = (
            f"{self.tally.sessions} sessions, {self.tally.tokens / max(passed, 1e-6):,.0f} tokens per second, "
            f"{self.tally.to_dict()['padding']:.0%} padding, "
            f"about {_minutes(passed * (1 - self.read) / max(self.read, 1e-6))} left"
        )
        self.bar.update(self.task, completed=self.read, description=line)
        if self.bar.disable and now - self.said > self.SECONDS_BETWEEN_LINES:
            logger.info(line)
            self.said = now


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
