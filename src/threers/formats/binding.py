"""What each header of one file means, by a reader: a table to rows with known columns and to cells that hold codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from threers.codebook import Codebook
from threers.errors import InputError
from threers.formats.headers import first_header, template
from threers.formats.reader import FIELDS, SESSION_FIELDS, CodeColumn, Reader
from threers.formats.rejects import list_headers
from threers.formats.tables import Table, composed

#: For a table that has neither texts nor what a sheet of codes needs.
_ADVICE = (
    "; name it: columns={text: …}. A sheet of codes without texts needs session, code, and order or start: "
    "columns={session: …, code: …, start: …, end: …} (docs/guides/own-data.md)"
)


@dataclass(frozen=True, kw_only=True)
class BoundColumn:
    """One header of one file whose cells hold codes, or, where `code` is given, say whether that code is present."""

    header: str
    spec: CodeColumn
    coder: str | None = None
    code: str | None = None


@dataclass(kw_only=True)
class Bound:
    """One file, or one sheet of a workbook, its headers understood.

    `rows`: columns `folder`, `file`, `row`, `sha256`, the fields of `FIELDS`, `further:NAME` for further ones, what
    the file has (`has_text`, `has_order`, `has_coder`), `own_lines`: the row's order counts the utterances of its own
    file, and `judged`: as for `Document`. Cells are trimmed str, empty where the file has no such column.
    `cells`: the code columns by position in `columns`, on the same index. `have`: fields that the file has. `unused`:
    headers that mean nothing here.
    """

    path: Path
    rows: pd.DataFrame
    cells: pd.DataFrame
    columns: list[BoundColumn]
    have: set[str]
    headers: list[str]
    unused: list[str]
    torn: int = 0
    """Rows of the file that could not be made cells."""
    guessed: int = 0
    """Tiers of the file that were taken for codes because nothing else stands in them."""


def bind(table: Table, reader: Reader, codebook: Codebook) -> Bound:
    """Find the reader's columns in one table.

    Raises:
        InputError: a column is missing, or the file's name does not fit; the columns that exist are listed.

    """
    # A second empty header has a number and no name: " (2)".
    headers = [header for header in table.frame.columns if header.strip() and not header.startswith(" ")]
    named = from_file_name(table.path, reader)
    alternatives = {**reader.columns, **{f"further:{name}": names for name, names in reader.further.items()}}
    found = {name: first_header(names, headers) for name, names in alternatives.items() if name not in named}
    taken = {header for header in found.values() if header is not None}
    columns = _bind_codes(reader, codebook, [header for header in headers if header not in taken])
    have = {name for name, header in found.items() if header is not None} | set(named)
    try:
        _require(reader, alternatives, have, columns)
    except InputError as error:
        advice = _ADVICE if str(error).endswith("(text)") else ""
        title = "; is its first row a title? Headers come first" if 2 * len(headers) <= table.frame.shape[1] else ""
        raise InputError(f"wrong columns: {error}; this file has {list_headers(headers)}{title}{advice}") from error

    cell = {name: table.frame[header].str.strip() for name, header in found.items() if header is not None}
    source = {"folder": table.path.parent.name, "file": table.path.name, "sha256": table.sha256}
    rows = pd.DataFrame(source | {"row": table.rows}, index=table.frame.index)
    for name in (*FIELDS, *(name for name in {**alternatives, **named} if name.startswith("further:"))):
        rows[name] = cell.get(name, named.get(name, ""))
    if "session" not in have:
        rows["session"] = composed(table.path.stem)
    if "order" not in have:
        rows["order"] = rows["unit_id"] if "text" not in have else table.rows.astype(str)
    rows["unit"] = rows["unit"].str.casefold()
    rows = rows.astype({name: "str" for name in rows.columns if name != "row"})
    cells = {number: table.frame[column.header].str.strip() for number, column in enumerate(columns)}
    return Bound(
        path=table.path,
        rows=rows.assign(
            has_text="text" in have, has_order="order" in have, has_coder="coder" in have, own_lines=False, judged=False
        ),
        cells=pd.DataFrame(cells, index=rows.index),
        columns=columns,
        have=have,
        headers=headers,
        unused=[header for header in headers if header not in taken | {column.header for column in columns}],
        torn=sum(row is not None for row, _ in table.notes),
    )


def require_somewhere(reader: Reader, columns: Mapping[str, Any], bound: list[Bound], refused: str = "") -> None:
    """Refuse a further column, or one that the caller named, that no file has: a misspelt patient column would leak.

    Raises:
        InputError: the first such column, with those that exist, and `refused`: a file that was left out, and why.

    """
    have = {name for one in bound for name in one.have} | {"code" for one in bound if one.columns}
    asked = {f"further:{name}": names for name, names in reader.further.items()}
    asked |= {name: names for name, names in columns.items() if name != "further"}
    for name in asked.keys() - have:
        exist = list_headers(dict.fromkeys(header for one in bound for header in one.headers))
        exist = f"{exist or 'none'}; not among them: {refused}" if refused else exist
        raise InputError(f"columns: {name.removeprefix('further:')}: no file has {asked[name]!r}; there are {exist}")


def from_file_name(path: Path, reader: Reader) -> dict[str, str]:
    """Fields that the file's name gives; a part of it that is no field is a further column of the session.

    Raises:
        InputError: the name does not look as the reader says.

    """
    if reader.file_name is None:
        return {}
    match = template(reader.file_name).fullmatch(composed(path.stem))
    if match is None:
        raise InputError(f"wrong file name: reader {reader.name} expects it to look like {reader.file_name!r}")
    parts = match.groupdict().items()
    return {name if name in FIELDS else f"further:{name}": value.strip() for name, value in parts}


def _bind_codes(reader: Reader, codebook: Codebook, headers: list[str]) -> list[BoundColumn]:
    bound: dict[str, BoundColumn] = {}
    for spec in reader.codes:
        literal = first_header(spec.headers, headers)
        if literal is not None:
            bound.setdefault(literal, BoundColumn(header=literal, spec=spec, coder=spec.coder))
        for pattern in (template(written) for written in spec.headers if "{" in written):
            for header in headers:
                match = pattern.fullmatch(header)
                parts = match.groupdict() if match else {}
                code = codebook.find(parts["code"]) if "code" in parts else None
                if match and ("code" not in parts or code is not None):
                    column = BoundColumn(header=header, spec=spec, coder=parts.get("coder", spec.coder), code=code)
                    bound.setdefault(header, column)
    return list(bound.values())


def _require(
    reader: Reader, alternatives: Mapping[str, tuple[str, ...]], have: set[str], columns: list[BoundColumn]
) -> None:
    """Refuse a file without a column that it needs; a file without any code column is a plain transcript."""
    # A table of sessions' facts, a sheet of codes that says which utterance each is on, and a table that says itself
    # what its rows are about hold no texts.
    facts = not columns and have - {"session"} and all(n in ("session", *SESSION_FIELDS) or ":" in n for n in have)
    if facts and "session" not in have and reader.file_name is None:
        raise InputError(
            f"no {' or '.join(alternatives.get('session', ('session',)))} (session), so its facts are of no session; "
            "where files call it differently, columns={session: [ONE, OTHER]}"
        )
    sheet = columns and have & {"order", "start"}
    optional = {*reader.optional, "text"} if facts or sheet or "unit" in have else reader.optional
    for name, headers in alternatives.items():
        if name not in have and name not in optional and not name.startswith("further:"):
            raise InputError(f"no {' or '.join(headers)} ({name})")
    for spec in reader.codes:
        if columns and all("{" not in header for header in spec.headers) and all(c.spec is not spec for c in columns):
            raise InputError(f"no {' or '.join(spec.headers)} (codes)")
    keyed = bool(have & {"order", "unit_id"})
    if "text" in have and reader.layout != "wide" and not keyed:
        raise InputError(
            f"no column for order, by which layout {reader.layout} tells utterances apart; name it: "
            "columns={order: …}"
        )
    # A row whose unit is the session needs no number.
    placed = keyed or have & {"start", "unit"}
    if "text" not in have and not (columns and placed) and not have & set(SESSION_FIELDS):
        raise InputError(f"no {' or '.join(alternatives.get('text', ('text',)))} (text)")
