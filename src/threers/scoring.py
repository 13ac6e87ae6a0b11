"""The batch engine: sessions in, shards of scores out, resumable. Layer 3."""

from __future__ import annotations

import hashlib
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.progress import Progress

from threers.chunks import tokenise
from threers.hardware import Hardware
from threers.scores import PARTS, read_json, score_table, write_json, write_parquet
from threers.settings import Engine
from threers.tagger import Tagger

logger = logging.getLogger(__name__)


@dataclass
class Tally:
    """What a run did, for its manifest."""

    sessions: int = 0
    utterances: int = 0
    tokens: int = 0
    padded_tokens: int = 0
    seconds: float = 0.0
    resumed: bool = False

    @classmethod
    def total(cls, parts: Sequence[Tally], resumed: bool) -> Tally:
        """The sum of several."""
        sums = {key: sum(getattr(part, key) for part in parts) for key in asdict(cls()) if key != "resumed"}
        return cls(**sums, resumed=resumed)

    def to_dict(self) -> dict[str, Any]:
        """Counts with the rates that follow from them; `padding` is the share of computed positions that were
        padding.
        """
        return {
            "sessions": self.sessions,
            "utterances": self.utterances,
            "tokens": self.tokens,
            "tokens_per_second": self.tokens / self.seconds if self.seconds else None,
            "padding": 1 - self.tokens / self.padded_tokens if self.padded_tokens else None,
            "seconds": self.seconds,
            "resumed": self.resumed,
        }


def score_sessions(
    tagger: Tagger, utterances: pd.DataFrame, hardware: Hardware, batch_tokens: int, tally: Tally | None = None
) -> pd.DataFrame:
    """Score utterances (session_id, utterance_id, role, start, end, text; sorted) in memory; the scores table."""
    return _score(tagger, utterances, hardware, batch_tokens, tally or Tally())


def score_to_folder(
    tagger: Tagger, utterances: pd.DataFrame, out: Path, engine: Engine, hardware: Hardware, *, include_text: bool
) -> Tally:
    """Score shard by shard into `out/utterances/part-*.parquet`; a shard whose sessions are unchanged is not scored
    twice.

    `out/journal.json` has, for each finished shard, the hash of its input and its tally; an entry is taken out before
    its shard is written and put in after. Returns the tally of all shards, whenever they were scored.
    """
    journal_file = out / "journal.json"
    journal: dict[str, Any] = read_json(journal_file) if journal_file.is_file() else {}
    resumed = bool(journal)
    shards = list(_shards(utterances, engine.shard_sessions))
    names = [f"part-{number:05d}.parquet" for number in range(len(shards))]
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("scoring", total=len(utterances))
        for name, shard in zip(names, shards, strict=True):
            part, content = out / PARTS / name, _content_hash(shard)
            if journal.get(name, {}).get("content") != content or not part.is_file():
                if journal.pop(name, None):
                    write_json(journal, journal_file)
                tally = Tally()
                scores = _score(tagger, shard, hardware, engine.batch_tokens, tally)
                if include_text:
                    scores["text"] = shard["text"].to_numpy()
                write_parquet(scores, part)
                journal[name] = {"content": content, "tally": asdict(tally)}
                write_json(journal, journal_file)
                if not sys.stderr.isatty():
                    logger.info("scored %s of %d", name, len(shards))
            bar.advance(task, len(shard))
    for stale in (out / PARTS).glob("part-*.parquet"):
        if stale.name not in names:
            stale.unlink()
    return Tally.total([Tally(**journal[name]["tally"]) for name in names], resumed)


def _score(
    tagger: Tagger, utterances: pd.DataFrame, hardware: Hardware, batch_tokens: int, tally: Tally
) -> pd.DataFrame:
    start = time.monotonic()
    report = tagger.logits(tokenise(utterances, tagger.tokenizer), hardware, batch_tokens)
    p, tags = tagger.tags(report.logits, utterances["role"].tolist())
    tally.sessions += utterances["session_id"].nunique()
    tally.utterances += len(utterances)
    tally.tokens += report.tokens
    tally.padded_tokens += report.padded_tokens
    tally.seconds += time.monotonic() - start
    return score_table(utterances, p, tags, tagger.codebook)


def _shards(utterances: pd.DataFrame, size: int) -> Iterator[pd.DataFrame]:
    """Runs of `size` whole sessions, in their order; sessions stand together in the table."""
    number = (utterances["session_id"] != utterances["session_id"].shift()).cumsum() - 1
    for _, shard in utterances.groupby(number // size, sort=True):
        yield shard.reset_index(drop=True)


def _content_hash(shard: pd.DataFrame) -> str:
    rows = pd.util.hash_pandas_object(
        shard[["session_id", "utterance_id", "role", "start", "end", "text"]], index=False
    )
    return hashlib.sha256(rows.to_numpy().tobytes()).hexdigest()
