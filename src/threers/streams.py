"""Sessions to score, read one after the other, so that memory does not grow with the input. Layer 1, no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from threers.codebook import EXTRA_ROLES, Codebook
from threers.errors import InputError, SettingsError
from threers.formats import Rejects, choose_reader, find_files, import_files, names_apart
from threers.scores import whole_sessions
from threers.stored import open_parquet, read_batches, read_parquet, readable
from threers.tables import AGAIN, TABLES, impossible_times, typed

COLUMNS = ["session_id", "utterance_id", "role", "start", "end", "text"]

#: Rows of a table that are in memory as it is read.
READ_AT_ONCE = 1024

#: First row of a table, and the row after the last.
Rows = tuple[int, int]


@dataclass(frozen=True)
class Session:
    """One session to score.

    `utterances`: its rows of the utterances table, with `COLUMNS`. `read`: share of the source that has been read
    with it, 0 to 1. `rows`: where they lie in the table of a corpus, or in that of a file.
    """

    session_id: str
    utterances: pd.DataFrame
    read: float
    rows: Rows

    @property
    def content(self) -> str:
        """SHA-256 over all that scores depend on."""
        # Without categorize=False the same numbers take twice as long.
        rows = pd.util.hash_pandas_object(self.utterances[COLUMNS], index=False, categorize=False)
        return hashlib.sha256(rows.to_numpy().tobytes()).hexdigest()


class Source:
    """A corpus, or transcript files: iterate once for its sessions, each whole; what cannot be used is in `rejects`.

    `is_corpus`: which of the two; a corpus has all its utterances in `table`.

    Args:
        path: a corpus folder, or a file, folder or glob pattern of transcripts.
        codebook: says which roles there are.
        reader: as for `import_files`; a corpus takes none.
        roles: as for `import_files`; a corpus takes none.
        columns: as for `import_files`; a corpus takes none.

    Raises:
        InputError: nothing is there, or the corpus cannot be read.
        SettingsError: a fault in reader, roles or columns, or one of them for a corpus.

    """

    def __init__(
        self,
        path: str | Path,
        codebook: Codebook,
        reader: str = "auto",
        roles: Mapping[str, str] | str | None = None,
        columns: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = Path(path).expanduser()
        self.codebook = codebook
        self.rejects = Rejects()
        self._seen: set[str] = set()
        self.table = self.path / "utterances.parquet"
        self.is_corpus = self.table.is_file()
        if self.is_corpus:
            if roles or columns or reader != "auto":
                raise SettingsError(
                    f"source={path}: is a corpus; reader, roles and columns were settled when it was imported"
                )
            _open(self.table)
            return
        self._files = find_files(path)
        self._names = names_apart(self._files)
        self._reader = choose_reader(self._files, reader, roles, columns)

    def groups(self) -> pd.Series:
        """By session_id its group; of files, of which nobody says it, each session is its own.

        Raises:
            InputError: the sessions of a corpus cannot be read.

        """
        if not self.is_corpus:
            return pd.Series(dtype=str)
        file = self.path / "sessions.parquet"
        known = read_parquet(file, AGAIN, ["session_id", "group_id"])
        known = typed(known, file, {"session_id": "str", "group_id": "str"})
        if known["session_id"].duplicated().any() or known.isna().any(axis=None):
            raise InputError(f"{file}: a session stands twice, or has no group; {AGAIN}")
        with readable(self.table, AGAIN):
            there = pq.read_table(self.table, columns=["session_id"], read_dictionary=["session_id"])["session_id"]
        unknown = set(there.unique().to_pylist()) - {None, *known["session_id"]}
        if unknown:
            raise InputError(f"{file}: lacks {len(unknown)} of the sessions of {self.table.name}; {AGAIN}")
        return known.set_index("session_id")["group_id"]

    def __iter__(self) -> Iterator[Session]:
        """The sessions, in their order.

        Raises:
            InputError: the source is no longer there.

        """
        for session, file in self._from_table() if self.is_corpus else self._from_files():
            fault = self._fault(session)
            if fault:
                self.rejects.add(file, None, f"{fault}; session {session.session_id!r} was not scored")
                continue
            self._seen.add(session.session_id)
            yield session

    def _from_table(self) -> Iterator[tuple[Session, str]]:
        with _open(self.table) as table:
            total = max(1, table.metadata.num_rows)
            done = 0
            for rows in whole_sessions(read_batches(_batches(table), self.table, AGAIN)):
                for session in _sessions(rows, done, total, self.table):
                    yield session, self.table.name
                done += len(rows)

    def _from_files(self) -> Iterator[tuple[Session, str]]:
        for number, file in enumerate(self._files):
            try:
                corpus = import_files(file, self._reader, self.codebook)
            except InputError as error:
                if not file.exists() and not file.parent.exists():
                    raise InputError(f"source {self.path}: {file.parent} is no longer there") from error
                self.rejects.add(self._names[file], None, f"file not read: {error}")
                continue
            sheets = corpus.rejects["file"].str.removeprefix(file.name)
            self.rejects.extend(corpus.rejects.assign(file=self._names[file] + sheets))
            for session in _sessions(corpus.utterances, 0, len(corpus.utterances), file):
                yield replace(session, read=(number + session.read) / len(self._files)), self._names[file]

    def _fault(self, session: Session) -> str | None:
        """What keeps a session from being scored."""
        rows = session.utterances
        if session.session_id in self._seen:
            return "session stands in two places: expected its rows together, in one file"
        if not rows["utterance_id"].is_monotonic_increasing or rows["utterance_id"].duplicated().any():
            return "utterance_id does not rise from row to row"
        if rows["text"].isna().any():
            return "an utterance has no text"
        if impossible_times(rows).any():
            return "start or end is no time in seconds"
        roles = (*self.codebook.roles, *EXTRA_ROLES)
        if not rows["role"].isin(roles).all():
            return f"a role is not one of {', '.join(roles)}"
        return None


def read_rows(table: Path, ranges: Sequence[Rows]) -> list[Session]:
    """The sessions in these rows of a corpus's table, as a `Source` gives them; `ranges` are in order.

    Raises:
        InputError: the table is not there, cannot be read, or has fewer rows.

    """
    with _open(table) as file:
        total = file.metadata.num_rows
        found: list[Session] = []
        ends = group_ends(file)
        for start, stop in ranges:
            if stop > total:
                raise InputError(f"{table}: has {total} rows; expected {stop}; it was changed during the run")
            with readable(table, AGAIN):
                rows = rows_between(file, ends, (start, stop), COLUMNS)
            found += _sessions(rows, start, total, table)
        return found


def group_ends(file: pq.ParquetFile) -> np.ndarray:
    """Number of rows before each row group, and in all."""
    return np.cumsum([0, *(file.metadata.row_group(n).num_rows for n in range(file.num_row_groups))])


def rows_between(file: pq.ParquetFile, ends: np.ndarray, rows: Rows, columns: Sequence[str]) -> pd.DataFrame:
    """Some rows of a table, of which no more is read than the row groups that hold them; `ends`: see `group_ends`."""
    start, stop = rows
    first, last = np.searchsorted(ends, [start, stop - 1], side="right") - 1
    groups = file.read_row_groups(list(range(first, last + 1)), columns=list(columns))
    return groups.slice(start - ends[first], stop - start).to_pandas()


def _batches(table: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    # One row group after the other: asked for all at once, Arrow keeps what it has read of the file.
    for number in range(table.num_row_groups):
        yield from table.iter_batches(batch_size=READ_AT_ONCE, row_groups=[number], columns=COLUMNS)


def _open(path: Path) -> pq.ParquetFile:
    return open_parquet(path, AGAIN, COLUMNS)


def _sessions(rows: pd.DataFrame, start: int, total: int, file: Path) -> Iterator[Session]:
    """Sessions made of neighbouring rows; `start`: where the rows lie in a `file` with a table of `total` rows."""
    types = {column: kind for column, kind in TABLES["utterances"].items() if column in COLUMNS}
    rows = typed(rows[COLUMNS], file, types)
    firsts = np.flatnonzero(rows["session_id"] != rows["session_id"].shift())
    for first, last in pairwise([*firsts, len(rows)]):
        table = rows[first:last].reset_index(drop=True)
        stop = start + int(last)
        yield Session(str(table["session_id"].iloc[0]), table, stop / total, (start + int(first), stop))
