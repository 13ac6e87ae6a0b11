"""What a scoring run has finished: one line per shard, by session and content. Layer 1, no torch."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from threers.atomic import whole_file
from threers.scores import part_file

FILE = "journal.jsonl"


@dataclass
class Tally:
    """What a run did, for its manifest."""

    sessions: int = 0
    utterances: int = 0
    unknown_role: int = 0
    """Utterances whose speaker has no role."""
    tokens: int = 0
    padded_tokens: int = 0
    seconds: float = 0.0
    """Time of the model's work; of several workers, the sum."""
    learnt_from: list[str] = field(default_factory=list)
    """Sessions whose texts the tagger has learnt from."""
    resumed: bool = False

    def add(self, other: Tally) -> None:
        """Add what another one counted."""
        for key in asdict(self):
            if key != "resumed":
                setattr(self, key, getattr(self, key) + getattr(other, key))

    def to_dict(self) -> dict[str, Any]:
        """Counts with the rates that follow from them; `padding` is the share of computed positions that were
        padding.
        """
        return asdict(self) | {
            "tokens_per_second": self.tokens / self.seconds if self.seconds else None,
            "padding": 1 - self.tokens / self.padded_tokens if self.padded_tokens else None,
        }


@dataclass(frozen=True)
class Entry:
    """A finished shard: its part's number, its sessions with the hash of their content, and what it took."""

    part: int
    sessions: dict[str, str]
    tally: dict[str, Any]


class Journal:
    """The finished shards in `folder`; an entry is written after its part, so that what it says is there.

    A line that was being written when the run was cut off is taken out; so is the entry of a part that is gone.
    """

    def __init__(self, folder: Path, parts: Path) -> None:
        self.file, self.parts = folder / FILE, parts
        self.entries: dict[int, Entry] = {}
        self.home: dict[str, int] = {}
        if self.file.is_file():
            for line in self.file.read_bytes().split(b"\n"):
                self._take(line)
            self._write()

    def _take(self, line: bytes) -> None:
        # What is damaged is as good as unwritten: its sessions are scored again.
        try:
            entry = Entry(**json.loads(line))
        except (ValueError, TypeError, RecursionError):
            return
        if _is_whole(entry) and part_file(self.parts, entry.part).is_file():
            self._keep(entry)

    def _keep(self, entry: Entry) -> None:
        self.entries[entry.part] = entry
        self.home |= dict.fromkeys(entry.sessions, entry.part)

    def has(self, session_id: str, content: str) -> bool:
        """Has this session been scored as it is now?"""
        home = self.home.get(session_id)
        return home is not None and self.entries[home].sessions[session_id] == content

    def free(self, number: int) -> int:
        """The lowest number of a part, from `number` on, that has no entry."""
        while number in self.entries:
            number += 1
        return number

    def add(self, entry: Entry) -> None:
        """Add a finished shard, and sync it to disk."""
        self._keep(entry)
        with self.file.open("ab") as file:
            file.write(_line(entry))
            file.flush()
            os.fsync(file.fileno())

    def outdated(self, present: dict[str, str]) -> dict[int, list[str]]:
        """Sessions per part that are gone from the source, or scored again elsewhere; `present`: id -> content."""
        found = {}
        for number, entry in self.entries.items():
            gone = [
                session
                for session, content in entry.sessions.items()
                if present.get(session) != content or self.home[session] != number
            ]
            if gone:
                found[number] = gone
        return found

    def replace(self, number: int, entry: Entry | None) -> None:
        """Put another entry in a part's place, or none."""
        old = self.entries.pop(number)
        for session in old.sessions:
            if self.home[session] == number:
                del self.home[session]
        if entry:
            self._keep(entry)
        self._write()

    def _write(self) -> None:
        with whole_file(self.file) as scratch:
            scratch.write_bytes(b"".join(map(_line, self.entries.values())))


def _is_whole(entry: Entry) -> bool:
    blank = asdict(Tally())
    if not (isinstance(entry.sessions, dict) and isinstance(entry.tally, dict) and entry.tally.keys() == blank.keys()):
        return False
    kinds = {key: int | float if isinstance(value, float) else type(value) for key, value in blank.items()}
    counted = all(isinstance(value, kinds[key]) for key, value in entry.tally.items())
    named = all(isinstance(content, str) for content in entry.sessions.values())
    return type(entry.part) is int and entry.part >= 0 and counted and named


def _line(entry: Entry) -> bytes:
    return json.dumps(asdict(entry), ensure_ascii=False).encode() + b"\n"
