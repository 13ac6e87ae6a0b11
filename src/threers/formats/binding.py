"""A table and a reader to rows with known columns and marks: which header means what, in one file."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from threers.codebook import Codebook
from threers.errors import InputError
from threers.formats.reader import FIELDS, SESSION_FIELDS, CodeColumn, Reader, template
from threers.formats.tables import Table


@dataclass(frozen=True, kw_only=True)
class BoundColumn:
    """One header of one file whose cells hold codes, or, where `code` is given, say whether that code is present."""

    header: str
    spec: CodeColumn
    coder: str | None = None
    code: str | None = None


@dataclass(kw_only=True)
class Bound:
    """One file, its headers understood.

    `rows`: columns `file`, `row`, `sha256`, those of `FIELDS` and `further:NAME` for further ones; every cell a trimmed str,
    empty where the file has no such column. `cells`: the code columns, by position in `columns`, on the same index.
    """

    rows: pd.DataFrame
    cells: pd.DataFrame
    columns: list[BoundColumn]
    fields: set[str]
    unused: list[str]


def bind(table: Table, reader: Reader, codebook: Codebook) -> Bound:
    """Find the reader's columns in one table.

    Raises:
        InputError: a column is missing, or the file's name does not fit; the columns that exist are listed.

    """
    headers = {_plain(header): header for header in reversed(table.frame.columns)}
    found = {name: _first(alternatives, headers) for name, alternatives in reader.columns.items()}
    further = {name: _first(alternatives, headers) for name, alternatives in reader.further.items()}
    named = _from_file_name(table, reader)
    taken = {header for header in (*found.values(), *further.values()) if header}
    columns = _bind_codes(reader, codebook, [header for header in table.frame.columns if header], headers, taken)
    fields = {name for name, header in found.items() if header} | set(named)
    _require(reader, found, further, fields, bool(columns), table)

    rows = pd.DataFrame({"file": table.path.name, "row": table.rows, "sha256": table.sha256}, index=table.frame.index)
    headers_of = {**dict.fromkeys(FIELDS), **found, **{f"further:{name}": header for name, header in further.items()}}
    for name, header in headers_of.items():
        rows[name] = named.get(name.removeprefix("further:"), "") if header is None else table.frame[header].str.strip()
    for name in named.keys() - {*FIELDS, *further}:
        rows[f"further:{name}"] = named[name]
    if "session" not in fields:
        rows["session"] = table.path.stem
    if "order" not in fields:
        rows["order"] = rows["unit_id"] if "unit_id" in fields else table.rows.astype(str)
    cells = pd.DataFrame(
        {n: table.frame[column.header].str.strip() for n, column in enumerate(columns)}, index=rows.index
    )
    known = taken | {column.header for column in columns}
    return Bound(
        rows=rows.astype({name: "str" for name in rows.columns if name != "row"}),
        cells=cells,
        columns=columns,
        fields=fields,
        unused=[header for header in table.frame.columns if header and header not in known],
    )


def _plain(header: str) -> str:
    return header.strip().casefold()


def _first(alternatives: tuple[str, ...], headers: dict[str, str]) -> str | None:
    return next((headers[_plain(name)] for name in alternatives if _plain(name) in headers), None)


def _from_file_name(table: Table, reader: Reader) -> dict[str, str]:
    if reader.file_name is None:
        return {}
    match = template(reader.file_name).fullmatch(table.path.stem)
    if match is None:
        raise InputError(
            f"wrong file name: it does not look like {reader.file_name!r}, as reader {reader.name} expects"
        )
    return {name: value.strip() for name, value in match.groupdict().items()}


def _bind_codes(
    reader: Reader, codebook: Codebook, header_list: list[str], headers: dict[str, str], taken: set[str]
) -> list[BoundColumn]:
    bound: list[BoundColumn] = []
    used = set(taken)
    for spec in reader.codes:
        for pattern in (template(written) for written in spec.headers):
            matches = [(header, pattern.fullmatch(header.strip())) for header in header_list if header not in used]
            new = []
            for header, match in matches:
                parts = match.groupdict() if match else {}
                code = codebook.find(parts["code"]) if "code" in parts else None
                if match is None or ("code" in parts and code is None):
                    continue
                new.append(BoundColumn(header=header, spec=spec, coder=parts.get("coder") or spec.coder, code=code))
            bound += new
            used |= {column.header for column in new}
            if new and not pattern.groupindex:
                break
    return bound


def _require(
    reader: Reader,
    found: dict[str, str | None],
    further: dict[str, str | None],
    fields: set[str],
    has_codes: bool,
    table: Table,
) -> None:
    exist = f"this file has {', '.join(header for header in table.frame.columns if header)}"
    for name, header in {**found, **further}.items():
        if header is None and name not in reader.optional and name not in fields:
            written = (reader.columns.get(name) or reader.further[name])[0]
            raise InputError(f"wrong columns: no {written!r} ({name}); {exist}")
    keyed = bool(fields & {"order", "unit_id"})
    if "text" in fields and reader.layout != "wide" and not keyed:
        raise InputError(
            f"wrong columns: layout {reader.layout} needs a column for order, to tell utterances apart; {exist}"
        )
    if "text" not in fields and not (has_codes and keyed) and not fields & set(SESSION_FIELDS):
        wanted = " or ".join(reader.columns.get("text", ("text",)))
        raise InputError(f"wrong columns: none holds the text ({wanted}); {exist}; name it, as in columns={{text: …}}")
