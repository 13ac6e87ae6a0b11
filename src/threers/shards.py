"""Which sessions are still to be scored, in shards; scores of sessions that are gone, taken out. Layer 1, no torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pandas as pd

from threers.codebook import Codebook
from threers.errors import InputError
from threers.journal import Entry, Journal
from threers.scores import part_file, write_parquet
from threers.stored import read_parquet
from threers.streams import Rows, Session

#: What to do about a damaged part of the scores that a run goes on with.
DELETE = "delete it, and the same command scores its sessions again"


@dataclass(frozen=True)
class Shard:
    """Sessions that are scored and written together.

    `utterances`: their rows. `contents`: session_id -> hash of its content. `read`: share of the source that has been
    read with it. `rows`: where they lie in a corpus's table, in order.
    """

    part: int
    utterances: pd.DataFrame
    contents: dict[str, str]
    read: float
    rows: list[Rows]


def missing_shards(
    source: Iterable[Session], journal: Journal, present: dict[str, str], size: int, codebook: Codebook
) -> Iterator[Shard]:
    """Shards of `size` sessions that are still to be scored; `present` gets every session's content.

    Raises:
        InputError: nobody in the first shard of a new run has a role that may speak a code.

    """
    free = 0
    waiting: list[Session] = []

    def shard() -> Shard:
        nonlocal free
        part = journal.free(free)
        utterances = pd.concat([session.utterances for session in waiting], ignore_index=True)
        if free == 0 and not journal.entries:
            _require_legal_roles(utterances, codebook)
        free = part + 1
        contents = {session.session_id: present[session.session_id] for session in waiting}
        return Shard(part, utterances, contents, waiting[-1].read, _joined(session.rows for session in waiting))

    for session in source:
        content = present[session.session_id] = session.content
        if journal.has(session.session_id, content):
            continue
        waiting.append(session)
        if len(waiting) == size:
            yield shard()
            waiting.clear()
    if waiting:
        yield shard()


def drop_outdated(journal: Journal, present: dict[str, str]) -> None:
    """Take scores of sessions out that are gone from the source, or were scored again; `present`: id -> content."""
    for number, sessions in journal.outdated(present).items():
        path, entry = part_file(journal.parts, number), journal.entries[number]
        table = read_parquet(path, DELETE)
        kept = table[~table["session_id"].isin(sessions)]
        if kept.empty:
            journal.replace(number, None)
            path.unlink()
            continue
        write_parquet(kept, path)
        contents = {session: content for session, content in entry.sessions.items() if session not in sessions}
        counts = {
            "sessions": len(contents),
            "utterances": len(kept),
            "unknown_role": int((kept["role"] == "unknown").sum()),
            "learnt_from": [session for session in entry.tally["learnt_from"] if session in contents],
        }
        journal.replace(number, Entry(number, contents, entry.tally | counts))


def _joined(ranges: Iterable[Rows]) -> list[Rows]:
    """Ranges of rows in order, neighbours made one."""
    joined: list[Rows] = []
    for start, stop in ranges:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], stop)
        else:
            joined.append((start, stop))
    return joined


def _require_legal_roles(utterances: pd.DataFrame, codebook: Codebook) -> None:
    roles = utterances["role"]
    if not codebook.legal_mask(roles.unique()).any():
        raise InputError(
            f"no utterance has a role that may speak a code of codebook {codebook.name}: found "
            f"{', '.join(sorted(roles.unique()))}, expected {', '.join(codebook.roles)}. Say who is who, as in "
            f"'roles={{A: {codebook.roles[0]}}}'"
        )
