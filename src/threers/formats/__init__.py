"""Transcript and coding files to a corpus.

One module per stage: `tables` (files), `reader` (the layout), `binding` (headers), `cells` (what a code cell says),
`utterances` and `codings` (the tables of the corpus), `rejects` (what could not be used).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from threers.codebook import Codebook
from threers.corpus import Corpus
from threers.errors import InputError, SettingsError
from threers.formats.binding import Bound, bind
from threers.formats.cells import read_marks
from threers.formats.codings import codings_table, column_roles
from threers.formats.reader import Reader, first_header, shipped_readers
from threers.formats.rejects import Rejects, list_headers
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
        columns: field -> header or headers, instead of the reader's own (see `Reader.override`).

    Raises:
        InputError: nothing is there, nothing could be read, no column fits in any file, or no code is in the codebook.
        SettingsError: a fault in the reader, the codebook, the roles or the columns.

    """
    rejects = Rejects()
    files = find_files(source)
    if isinstance(reader, str | Path):
        reader = Reader.load(reader if str(reader) != "auto" else _detect(files, columns))
    reader = reader.override(columns, roles)
    codebook = _load_codebook(codebook, reader)
    reader.require_fit(codebook)
    tables = _read_all(files, reader, rejects)
    bound = _bind_all(tables, reader, codebook, rejects)
    _require_somewhere(reader, columns or {}, bound)

    rows, marks = _stack(bound, reader, codebook)
    usable = keep_usable(rows, reader, rejects)
    usable = usable.assign(column_role=column_roles(marks, usable))
    utterances = utterances_table(usable, reader, codebook, rejects)
    if utterances.empty:
        raise InputError(f"source {source}: no utterance could be imported; {_most_common(rejects)}")
    sessions = sessions_table(usable, utterances["session_id"], rejects)
    codings = codings_table(marks, usable, utterances, reader, codebook, rejects)
    torn = sum(row is not None for table in tables for row, _ in table.notes)
    manifest = {
        **_settings(reader, codebook, bound),
        "files": {"found": len(files), "imported": len(bound)},
        "rows": {"read": len(rows) + torn, "used": len(usable)},
    }
    return Corpus(
        utterances=utterances.reset_index(drop=True),
        sessions=sessions,
        codings=codings,
        codebook=codebook,
        rejects=rejects.frame(),
        manifest=manifest,
    )


def _detect(files: list[Path], columns: Mapping[str, Any] | None) -> str:
    """Name the reader that fits a file: a shipped corpus's, else `long` where codes and order stand, else `wide`."""
    readers = {name: Reader.load(name).override(columns) for name in shipped_readers()}
    long = readers["long"]
    code, order = long.codes[0].headers, (*long.columns["order"], *long.columns["unit_id"])
    for path in files:
        try:
            headers = list(read_table(path).frame.columns)
        except InputError:
            continue
        for name, reader in readers.items():
            if reader.codebook is not None and reader.fits(headers):
                return name
        if first_header(code, headers) and first_header(order, headers):
            return "long"
    return "wide"


def _load_codebook(given: str | Path | Codebook | None, reader: Reader) -> Codebook:
    if isinstance(given, Codebook):
        return given
    if not given and reader.codebook is None:
        raise SettingsError(f"reader {reader.name} names no codebook; name the coders', as in codebook=3rs-2015")
    return Codebook.load(given or str(reader.codebook))


def _read_all(files: list[Path], reader: Reader, rejects: Rejects) -> list[Table]:
    tables = []
    for path in files:
        try:
            table = read_table(path, reader.records)
        except InputError as error:
            if len(files) == 1:
                raise InputError(f"{path}: {error}") from error
            rejects.add(path.name, None, f"file not read: {error}")
            continue
        tables.append(table)
        for row, reason in table.notes:
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


def _require_somewhere(reader: Reader, columns: Mapping[str, Any], bound: list[Bound]) -> None:
    """Refuse a further column, or one that the caller named, that no file has: a misspelt patient column would leak."""
    have = {name for one in bound for name in one.have} | {"code" for one in bound if one.columns}
    asked = {f"further:{name}": names for name, names in reader.further.items()}
    asked |= {name: names for name, names in columns.items() if name != "further"}
    for name in asked.keys() - have:
        exist = list_headers(dict.fromkeys(header for one in bound for header in one.headers))
        raise InputError(f"columns: {name.removeprefix('further:')}: no file has {asked[name]!r}; there are {exist}")


def _settings(reader: Reader, codebook: Codebook, bound: list[Bound]) -> dict[str, Any]:
    """Note for the manifest how the files were read."""
    have = {name for one in bound for name in one.have}
    return {
        "reader": reader.name,
        "codebook": codebook.name,
        "roles": dict(reader.roles),
        "columns": {name: list(headers) for name, headers in reader.columns.items()},
        "columns_not_imported": sorted({header for one in bound for header in one.unused}),
        "grouped_by": next((name for name in ("group", "patient") if name in have), "session"),
    }


def _stack(bound: list[Bound], reader: Reader, codebook: Codebook) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Put the rows and the marks of all files on one index."""
    rows, marks, start = [], [], 0
    for one in bound:
        read = read_marks(one.cells, one.columns, reader, codebook)
        rows.append(one.rows.assign(has_marks=one.rows.index.isin(read.loc[read["said"], "at"])))
        marks.append(read.assign(at=read["at"] + start))
        start += len(one.rows)
    stacked = pd.concat(rows, ignore_index=True)
    # File names may give one file a further column that another has not.
    stacked = stacked.fillna({name: "" for name in stacked if name.startswith("further:")})
    return stacked, pd.concat(marks, ignore_index=True)


def _most_common(rejects: Rejects) -> str:
    reasons = rejects.frame()["reason"].value_counts()
    if reasons.empty:
        return "the files hold no texts"
    return f"most common reason ({reasons.iloc[0]} times): {reasons.index[0]}"
