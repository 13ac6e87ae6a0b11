"""Cells of code columns to marks: which code a cell names, or that it names none."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import pandas as pd

from threers.codebook import Codebook
from threers.formats.binding import Bound, BoundColumn
from threers.formats.reader import Reader
from threers.formats.rejects import quote

_PRESENT = {"1", "1.0", "x", "yes", "y", "true", "present"}
_ABSENT = {"0", "0.0", "no", "n", "false", "absent", "-"}
_MARKS = {
    "at": "int64",
    "column_coder": "str",
    "column_role": "str",
    "written": "str",
    "code": "str",
    "value": "float64",
    "problem": "str",
    "said": "bool",
}


@dataclass(frozen=True)
class Mark:
    """What a cell says once. `code` None and no `problem`: nothing is marked; `said`: a word says so, not a blank."""

    code: str | None = None
    value: float | None = None
    problem: str = ""
    said: bool = False


def read_marks(cells: pd.DataFrame, columns: list[BoundColumn], reader: Reader, codebook: Codebook) -> pd.DataFrame:
    """Read every cell of one file's code columns.

    `cells`: one column per bound column, by position. Returns columns `at` (index of the row), `column_coder` (empty:
    the row or the reader says who), `column_role`, `written`, `code`, `value`, `problem`, `said`.
    """
    parts = []
    for number, column in enumerate(columns):
        read = {cell: read_cell(cell, column, reader, codebook) for cell in cells[number].unique()}
        marks = cells[number].map(read).explode()
        parts.append(
            pd.DataFrame(
                {
                    "at": marks.index,
                    "column_coder": column.coder or "",
                    "column_role": column.spec.role or "",
                    "written": cells.loc[marks.index, number].to_numpy(),
                    **{name: [getattr(mark, name) for mark in marks] for name in ("code", "value", "problem", "said")},
                }
            )
        )
    empty = pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in _MARKS.items()})
    return pd.concat([part.astype(_MARKS) for part in parts] or [empty], ignore_index=True)


def stack_marks(bound: list[Bound], reader: Reader, codebook: Codebook) -> tuple[pd.DataFrame, pd.DataFrame]:
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


def read_cell(cell: str, column: BoundColumn, reader: Reader, codebook: Codebook) -> list[Mark]:
    """Read one cell of a code column; the list is never empty."""
    plain = _plain(cell)
    if plain == "" or plain in map(_plain, reader.missing):
        return [Mark()]
    if plain in map(_plain, reader.unmarked):
        return [Mark(said=True)]
    if column.code is not None:
        return [_read_presence(cell, column.code, codebook)]
    values = {_plain(written): code for written, code in column.spec.values.items()}
    # Names of codes may hold a separator themselves, so the whole cell goes first.
    whole = _find(cell, column, values, codebook)
    parts = [cell] if whole else _parts(cell, reader.separators)
    return [_read_code(part, column, values, codebook) for part in dict.fromkeys(parts)] or [Mark(said=True)]


def written_codes(cell: str, reader: Reader) -> list[str]:
    """List what one cell names, as written, where no codebook says what is a code; empty where it names nothing."""
    if _plain(cell) in map(_plain, ("", *reader.missing, *reader.unmarked)):
        return []
    return list(dict.fromkeys(_parts(cell.strip(), reader.separators)))


def _read_code(written: str, column: BoundColumn, values: dict[str, str], codebook: Codebook) -> Mark:
    code = _find(written, column, values, codebook)
    if code is not None:
        return Mark(code=code, said=True)
    elsewhere = codebook.find(written)
    if elsewhere is not None:
        where = f"column {column.header!r} holds codes of {column.spec.family}"
        return Mark(problem=f"unknown code: {quote(written)} is a code, but {where}", said=True)
    return Mark(problem=f"unknown code: {quote(written)} is not in codebook {codebook.name}", said=True)


def _read_presence(cell: str, code: str, codebook: Codebook) -> Mark:
    """Read a cell of a column that stands for one code: a rating, or a word for present or absent."""
    if codebook.family(codebook.codes[code].family).kind == "rating":
        try:
            return Mark(code=code, value=float(cell.replace(",", ".")), said=True)
        except ValueError:
            return Mark(problem=f"value not readable: {quote(cell)} is not a rating of {code}", said=True)
    if _plain(cell) in _PRESENT:
        return Mark(code=code, value=1.0, said=True)
    if _plain(cell) in _ABSENT:
        return Mark(said=True)
    if cell.isdecimal():  # of a segment, how often
        return Mark(code=code, value=float(cell), said=True)
    return Mark(problem=f"value not readable: {quote(cell)} in the column of {code}; expected 1 or 0", said=True)


def _find(written: str, column: BoundColumn, values: dict[str, str], codebook: Codebook) -> str | None:
    code = codebook.find(values.get(_plain(written), written))
    family = column.spec.family
    return code if code is None or family is None or codebook.codes[code].family == family else None


def _parts(cell: str, separators: tuple[str, ...]) -> list[str]:
    if cell.startswith("["):
        try:
            listed = json.loads(cell)
        except (ValueError, RecursionError):
            listed = None
        if isinstance(listed, list):
            written = [str(part).strip() for part in listed if part is not None]
            return [part for part in written if part]
    parts = re.split("|".join(map(re.escape, separators)), cell) if separators else [cell]
    return [part.strip() for part in parts if part.strip()]


def _plain(cell: str) -> str:
    return re.sub(r"\s+", "", cell).casefold()
