"""Transcript and coding files to a corpus. One module per stage: tables, reader, binding, utterances, codings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from threers.codebook import Codebook
from threers.corpus import Corpus
from threers.errors import InputError, SettingsError
from threers.formats.binding import Bound, bind
from threers.formats.codings import codings_table, column_roles, read_marks
from threers.formats.reader import Reader, shipped_readers
from threers.formats.rejects import Rejects
from threers.formats.tables import Table, find_files, read_table
from threers.formats.utterances import keep_usable, sessions_table, utterances_table

__all__ = ["Reader", "import_files", "shipped_readers"]


def import_files(
    source: str | Path,
    reader: str | Path | Reader = "auto",
    codebook: str | Path | Codebook | None = None,
    roles: Mapping[str, str] | None = None,
    columns: Mapping[str, Any] | None = None,
) -> Corpus:
    """Read transcript and coding files into a corpus; what cannot be used is listed in `corpus.rejects`.

    Args:
        source: a file, a folder (with what is below it) or a glob pattern.
        reader: a shipped reader's name, a YAML file, a `Reader`, or `auto`: the shipped one whose columns are there.
        codebook: a shipped codebook's name, a YAML file or a `Codebook`; None: the one that the reader names.
        roles: speaker as written (or a pattern with `*`) -> role; goes before the reader's own.
        columns: field -> header or headers; goes before the reader's own (see `Reader.override`).

    Raises:
        InputError: nothing is there, nothing could be read, no column fits in any file, or no code is in the codebook.
        SettingsError: a fault in the reader, the codebook, the roles or the columns.

    """
    rejects = Rejects()
    files = find_files(source)
    reader = _choose(reader, files) if not isinstance(reader, Reader) else reader
    reader = reader.override(columns, roles)
    codebook = _codebook(codebook, reader)
    tables = _read_all(files, reader, rejects)
    bound = _bind_all(tables, reader, codebook, rejects)

    rows, marks = _stack(bound, reader, codebook)
    usable = keep_usable(rows, reader, rejects)
    usable = usable.assign(column_role=column_roles(marks, usable))
    utterances = utterances_table(usable, reader, codebook, rejects)
    if utterances.empty:
        raise InputError(f"source {source}: no utterance could be imported; {_most_common(rejects)}")
    sessions = sessions_table(usable, utterances["session_id"], reader, rejects)
    codings = codings_table(marks, usable, utterances, reader, codebook, rejects)
    return Corpus(
        utterances=utterances.reset_index(drop=True),
        sessions=sessions,
        codings=codings,
        codebook=codebook,
        rejects=rejects.frame(),
        manifest={
            "reader": reader.name,
            "codebook": codebook.name,
            "roles": dict(reader.roles),
            "columns": {name: list(headers) for name, headers in reader.columns.items()},
            "columns_not_imported": sorted({header for one in bound for header in one.unused}),
            "files": {"found": len(files), "imported": len(bound)},
            "rows": {"read": len(rows), "used": len(usable)},
        },
    )


def _choose(name: str | Path, files: list[Path]) -> Reader:
    if str(name) != "auto":
        return Reader.load(name)
    raise NotImplementedError


def _codebook(given: str | Path | Codebook | None, reader: Reader) -> Codebook:
    if isinstance(given, Codebook):
        return given
    if not given and reader.codebook is None:
        raise SettingsError(
            f"reader {reader.name} names no codebook; say which one the coders used, as in codebook=3rs-2015"
        )
    return Codebook.load(given or str(reader.codebook))


def _read_all(files: list[Path], reader: Reader, rejects: Rejects) -> list[Table]:
    tables = []
    for path in files:
        try:
            tables.append(read_table(path, reader.records))
        except InputError as error:
            if len(files) == 1:
                raise InputError(f"{path}: {error}") from error
            rejects.add(path.name, None, f"file not read: {error}")
            continue
        for row, reason in tables[-1].notes:
            rejects.add(path.name, row, reason)
    if not tables:
        raise InputError(f"none of {len(files)} files could be read; {_most_common(rejects)}")
    return tables


def _bind_all(tables: list[Table], reader: Reader, codebook: Codebook, rejects: Rejects) -> list[Bound]:
    bound = []
    for table in tables:
        try:
            bound.append(bind(table, reader, codebook))
        except InputError as error:
            last = f"{table.path.name}: {error}"
            rejects.add(table.path.name, None, str(error))
    if not bound:
        raise InputError(last if len(tables) == 1 else f"none of {len(tables)} files fits reader {reader.name}; {last}")
    return bound


def _stack(bound: list[Bound], reader: Reader, codebook: Codebook) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows and marks of all files on one index."""
    rows, marks, start = [], [], 0
    for one in bound:
        read = read_marks(one.cells, one.columns, reader, codebook)
        filled = one.rows.index.isin(read.loc[read["said"], "at"])
        rows.append(one.rows.assign(has_text="text" in one.fields, has_coder="coder" in one.fields, has_marks=filled))
        marks.append(read.assign(at=read["at"] + start))
        start += len(one.rows)
    return pd.concat(rows, ignore_index=True), pd.concat(marks, ignore_index=True)


def _most_common(rejects: Rejects) -> str:
    reasons = rejects.frame()["reason"]
    if reasons.empty:
        return "no rejected rows"
    top = reasons.value_counts()
    return f"most common reason ({top.iloc[0]} times): {top.index[0]}"
