"""One coder's table, a row per unit and no transcript, and the reader that fits its headers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from threers.codebook import UNITS
from threers.errors import InputError
from threers.formats.headers import first_header
from threers.formats.reader import CodeColumn, Reader
from threers.formats.rejects import Rejects, list_headers
from threers.formats.tables import Table, read_table

#: Headers of the session beside the importer's own: a table of many transcripts often names their files.
_FILES = ("file", "file_name", "source_file")


@dataclass(frozen=True, kw_only=True)
class CoderTable:
    """One coder's table. `name`: as in the errors, the key and the file; `reader`: with this table's own headers."""

    name: str
    table: Table
    reader: Reader


def reader_of(columns: Mapping[str, Any] | None, roles: Mapping[str, str] | None) -> Reader:
    """The reader `long` with these columns and roles, for tables that may name their sessions by files."""
    long = Reader.load("long")
    session = (*long.columns["session"], *_FILES)
    return replace(long, columns={**long.columns, "session": session}, read="rows").override(columns, roles)


def read_coder_table(key: str, path: Path, reader: Reader, rejects: Rejects) -> CoderTable:
    """Read one table; `key`: a or b, for the errors.

    Raises:
        InputError: it cannot be read whole, or lacks a column for codes or for the number of the unit.

    """
    name = f"{key}={path.name}"
    try:
        table = read_table(path.expanduser())
    except InputError as error:
        raise InputError(f"{key}={path}: {error}") from error
    for row, reason in table.notes:
        if row is not None:
            raise InputError(f"{name}: row {row}: {reason.partition(';')[0]}; correct the table")
        rejects.add(name, row, reason)
    return CoderTable(name=name, table=table, reader=_fitted(reader, table, name))


def _fitted(reader: Reader, table: Table, name: str) -> Reader:
    """Return the reader with this table's own number and code columns, and without its text, which nothing needs."""
    headers = [header for header in table.frame.columns if header]
    columns = {field: names for field, names in reader.columns.items() if field != "text"}
    numbered = any(first_header(columns.get(field, ()), headers) for field in ("order", "unit_id"))
    unit = first_header(columns.get("unit", ()), headers)
    # A column called unit may say what kind of unit a row is about, or which one.
    if unit and not table.frame[unit].str.strip().str.casefold().isin(UNITS).any():
        names = columns.pop("unit")
        if not numbered:
            columns["order"], numbered = names, True
    if not numbered:
        error = _missing(name, "the number of the unit", reader.columns.get("order", ()), "order: Nr", headers)
        raise InputError(f"{error}. Times alone need the transcripts: import them with the codings, and say corpus=")
    return replace(reader, columns=columns, codes=_code_columns(reader, headers, name))


def _code_columns(reader: Reader, headers: list[str], name: str) -> tuple[CodeColumn, ...]:
    bound = [(column, first_header(column.headers, headers)) for column in reader.codes]
    found = tuple(replace(column, headers=(header,)) for column, header in bound if header is not None)
    if not found:
        wanted = [header for column in reader.codes for header in column.headers]
        raise _missing(name, "codes", wanted, "code: Kode", headers)
    texts = (*Reader.load("long").columns["text"], *reader.columns.get("text", ()))
    if text := first_header(texts, [column.headers[0] for column in found]):
        raise InputError(
            f"{name}: column {text!r} holds texts; expected codes. Name their column: 'columns={{code: …}}'"
        )
    return found


def _missing(name: str, what: str, wanted: Iterable[str], example: str, headers: Iterable[str]) -> InputError:
    return InputError(
        f"{name}: no column for {what}; expected {' or '.join(wanted)}, found {list_headers(headers)}. Name it, as in "
        f"'columns={{{example}}}'"
    )


def require_every_code_column(reader: Reader, tables: Iterable[CoderTable]) -> None:
    """Refuse a misspelt one of several code columns, whose codes would silently be missing."""
    headers = list(dict.fromkeys(header for one in tables for header in one.table.frame.columns))
    for column in reader.codes:
        if first_header(column.headers, headers) is None:
            raise InputError(f"columns: code: no table has {column.headers[0]!r}; there are {list_headers(headers)}")
