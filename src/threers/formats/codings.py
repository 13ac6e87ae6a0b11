"""Cells of code columns to the codings table; codings that cannot be used are listed."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from threers.codebook import UNITS, Codebook, require_fit
from threers.corpus import conform
from threers.formats.binding import BoundColumn
from threers.formats.reader import Reader
from threers.formats.rejects import Rejects, quote

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
_UNIT = ["session_id", "unit", "unit_id", "coder_id"]


@dataclass(frozen=True)
class Mark:
    """What one cell says once. `code` None and no `problem`: nothing is marked; `said`: a word says so, not a blank."""

    code: str | None = None
    value: float | None = None
    problem: str = ""
    said: bool = False


def read_cell(cell: str, column: BoundColumn, reader: Reader, codebook: Codebook) -> list[Mark]:
    """The marks in one cell of a code column; never empty."""
    plain = _plain(cell)
    if plain == "" or plain in map(_plain, reader.missing):
        return [Mark()]
    if plain in map(_plain, reader.unmarked):
        return [Mark(said=True)]
    if column.code is not None:
        return [_read_presence(cell, column.code, codebook)]
    values = {_plain(written): code for written, code in column.spec.values.items()}
    whole = _find(cell, column, values, codebook)
    if whole is not None:
        return [Mark(code=whole, said=True)]
    parts = _parts(cell, reader.separators)
    if not parts:
        return [Mark(said=True)]
    marks = []
    for part in dict.fromkeys(parts):
        code = _find(part, column, values, codebook)
        problem = f"unknown code: {quote(part)} is not in codebook {codebook.name}" if code is None else ""
        if code is None and codebook.find(part) is not None:
            problem = f"unknown code: {quote(part)} does not belong into column {column.header!r}"
        marks.append(Mark(code=code, problem=problem, said=True))
    return marks


def read_marks(cells: pd.DataFrame, columns: list[BoundColumn], reader: Reader, codebook: Codebook) -> pd.DataFrame:
    """Every cell of one file's code columns, read.

    `cells`: one column per bound column, by position. Returns columns `at` (the row's index), `column_coder` (empty: the
    row's coder column or the reader's default says who), `column_role`, `written`, `code`, `value`, `problem`, `said`.
    """
    parts = []
    for number, column in enumerate(columns):
        read = {cell: read_cell(cell, column, reader, codebook) for cell in cells[number].unique()}
        marks = cells[number].map(read).explode()
        parts.append(
            pd.DataFrame(
                {
                    "at": marks.index.to_numpy(),
                    "column_coder": column.coder or "",
                    "column_role": column.spec.role or "",
                    "written": cells[number].reindex(marks.index).to_numpy(),
                    "code": [mark.code for mark in marks],
                    "value": [mark.value for mark in marks],
                    "problem": [mark.problem for mark in marks],
                    "said": [mark.said for mark in marks],
                }
            )
        )
    if not parts:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in _MARKS.items()})
    return pd.concat(parts, ignore_index=True).astype(_MARKS)


def column_roles(marks: pd.DataFrame, rows: pd.DataFrame) -> pd.Series:
    """Per row the role of the code column that is filled for its utterance; empty where none or several are.

    `marks`: `read_marks`; `rows`: usable rows with `session` and `order_number`; returns a Series on their index.
    """
    key = ["session", "order_number"]
    filled = marks.loc[marks["said"] & (marks["column_role"] != ""), ["at", "column_role"]]
    filled = filled.join(rows[key], on="at", how="inner").drop_duplicates([*key, "column_role"])
    filled = filled[~filled.duplicated(key, keep=False)].set_index(key)["column_role"]
    return filled.reindex(pd.MultiIndex.from_frame(rows[key])).fillna("").set_axis(rows.index).astype("str")


def codings_table(
    marks: pd.DataFrame,
    rows: pd.DataFrame,
    utterances: pd.DataFrame,
    reader: Reader,
    codebook: Codebook,
    rejects: Rejects,
) -> pd.DataFrame:
    """The codings table.

    Args:
        marks: `read_marks` of all files.
        rows: usable rows of all files, on the index that `marks["at"]` names.
        utterances: the utterances table on the index of the rows that the utterances come from.
        reader: says what a coder has read, and who codes where no column says.
        codebook: legal codes, units and scales.
        rejects: takes every coding that is left out.

    Raises:
        InputError: the codebook knows none of the codes.

    """
    cells = rows[["file", "row", "session", "order_number", "has_coder", "coder", "unit", "unit_id", "value"]]
    cells = cells.rename(columns={name: f"{name}_cell" for name in ("coder", "unit", "unit_id", "value")})
    marks = marks.join(cells, on="at", how="inner").reset_index(drop=True)
    _require_some_fit(marks, codebook)
    marks = _add_coder(marks, reader)
    marks = _add_value(marks, codebook)
    marks = _add_unit(marks, utterances.join(rows[["order_number"]]), codebook)
    marks = _add_repetition(marks, codebook)
    bad = marks["problem"] != ""
    rejects.add_rows(marks[bad], marks.loc[bad, "problem"] + "; coding dropped")
    return conform(_with_readings(marks, utterances, reader), "codings")


def _require_some_fit(marks: pd.DataFrame, codebook: Codebook) -> None:
    if marks["code"].isna().all():
        unknown = marks.loc[marks["problem"].str.startswith("unknown code"), "written"]
        written = {quote(cell, 24).strip("'"): int(count) for cell, count in unknown.value_counts().items()}
        require_fit(written, codebook, "codings")


def _add_coder(marks: pd.DataFrame, reader: Reader) -> pd.DataFrame:
    """Column `coder_id`: the code column's coder, else the row's, else the reader's."""
    coder = marks["column_coder"].where(marks["column_coder"] != "", marks["coder_cell"])
    nobody = (coder == "") & marks["has_coder"]
    marks = marks.assign(coder_id=coder.where(coder != "", reader.coder))
    marks = marks[~(nobody & ~marks["said"])]
    return _blame(marks, nobody & marks["said"], "no coder: the cell is empty")


def _add_value(marks: pd.DataFrame, codebook: Codebook) -> pd.DataFrame:
    """Judge the `value` of each mark; a value of 0 makes a mark that says nothing is there."""
    ratings = {code.name: codebook.family(code.family) for code in codebook.codes.values()}
    ratings = {name: family for name, family in ratings.items() if family.kind == "rating"}
    cell = marks["value_cell"].where(marks["code"].notna() & marks["value"].isna(), "")
    number = pd.to_numeric(cell.str.replace(",", "."), errors="coerce").where(cell != "", marks["value"])
    marks = _blame(marks, (cell != "") & number.isna(), "value not readable: " + cell.map(quote) + " is not a number")
    rating = marks["code"].isin(list(ratings))
    number = number.where(number.notna() | rating | marks["code"].isna(), 1.0)
    for name, family in ratings.items():
        low, high = family.scale or (-np.inf, np.inf)
        own = marks["code"] == name
        expected = f"code {name} is rated from {low:g} to {high:g}"
        marks = _blame(marks, own & number.isna(), f"value missing: {expected}")
        marks = _blame(
            marks, own & ~number.between(low, high), f"value off scale: {expected}, found " + number.astype(str)
        )
    odd = marks["code"].notna() & ~rating & ~number.isin([0.0, 1.0])
    marks = _blame(marks, odd, "value not readable: a code is present (1) or absent (0), found " + number.astype(str))
    absent = ~rating & (number == 0)
    return marks.assign(value=number.mask(absent), code=marks["code"].mask(absent, None))


def _add_unit(marks: pd.DataFrame, utterances: pd.DataFrame, codebook: Codebook) -> pd.DataFrame:
    """Columns `session_id`, `unit`, `unit_id` (null where there is no such unit) and `role`; refuse illegal roles."""
    home = {code.name: codebook.family(code.family).unit for code in codebook.codes.values()}
    own = marks["code"].map(home).astype("str")
    unit = marks["unit_cell"].where(marks["unit_cell"] != "", own.fillna("utterance"))
    marks = marks.assign(session_id=marks["session"], unit=unit)
    marks = _blame(marks, ~unit.isin(UNITS), "unknown unit: " + unit.map(quote) + f" is not one of {', '.join(UNITS)}")
    marks = _blame(
        marks, own.notna() & (own != unit), "wrong unit: code " + marks["code"].astype(str) + " is coded on a " + own
    )

    key = pd.MultiIndex.from_frame(utterances[["session_id", "order_number"]])
    found = key.get_indexer(pd.MultiIndex.from_frame(marks[["session_id", "order_number"]]))
    on_utterance = (unit == "utterance").to_numpy()
    segment = pd.to_numeric(marks["unit_id_cell"], errors="coerce")
    segment = segment.where((segment >= 0) & (segment == segment.round()))
    exists = marks["session_id"].isin(utterances["session_id"].unique())
    unit_id = segment.where(unit == "segment", 0.0).where(exists)
    unit_id = unit_id.mask(on_utterance, pd.Series(np.append(utterances["utterance_id"], np.nan)[found], marks.index))
    marks = marks.assign(unit_id=unit_id, role=np.append(utterances["role"], "")[np.where(on_utterance, found, -1)])
    none = "no such " + unit + ": the coding belongs to nothing that was imported"
    marks = _blame(marks, marks["said"] & unit_id.isna(), none)

    legal = {
        pair: codebook.legal(*pair) for pair in set(zip(marks["code"], marks["role"], strict=True)) if pair[0] in home
    }
    illegal = on_utterance & [not legal.get(pair, True) for pair in zip(marks["code"], marks["role"], strict=True)]
    return _blame(
        marks,
        illegal,
        "illegal role: a speaker with role " + marks["role"] + " may not have code " + marks["code"].astype(str),
    )


def _add_repetition(marks: pd.DataFrame, codebook: Codebook) -> pd.DataFrame:
    """Refuse a code that a coder gave twice and a second code of an exclusive family; the same cell's repeat is silent."""
    good = marks[(marks["problem"] == "") & marks["code"].notna()]
    first = good.drop_duplicates([*_UNIT, "code"]).set_index([*_UNIT, "code"])[["at", "value"]]
    first = first.reindex(pd.MultiIndex.from_frame(good[[*_UNIT, "code"]])).set_axis(good.index)
    twice = good.duplicated([*_UNIT, "code"])
    silent = twice & ((good["at"] == first["at"]) | ((good["unit"] != "utterance") & (good["value"] == first["value"])))
    marks = _blame(marks, twice & ~silent, "duplicate key: coder gave code " + good["code"] + " to this unit already")
    marks = marks.drop(index=silent.index[silent])

    exclusive = {c.name: c.family for c in codebook.codes.values() if codebook.family(c.family).kind == "exclusive"}
    good = marks[(marks["problem"] == "") & marks["code"].isin(list(exclusive))]
    again = good.assign(family=good["code"].map(exclusive)).duplicated([*_UNIT, "family"])
    return _blame(
        marks, again, "second code: family " + good["code"].map(exclusive) + " takes one code per unit and coder"
    )


def _with_readings(marks: pd.DataFrame, utterances: pd.DataFrame, reader: Reader) -> pd.DataFrame:
    """The good codings, and a row with a null code where a coder read a unit and marked nothing.

    A unit with a refused coding is neither: it counts as not coded by that coder, rather than as unmarked.
    """
    good = marks[(marks["problem"] == "") & marks["code"].notna()]
    empty = marks[(marks["problem"] == "") & marks["code"].isna() & marks["unit_id"].notna()]
    if reader.read == "marks":
        return good
    if reader.read == "sessions":
        stated = empty["said"] | ((reader.layout != "wide") & (empty["coder_cell"] != ""))
        seen = marks[
            (marks["unit"] == "utterance")
            & marks["unit_id"].notna()
            & (marks["said"] | stated.reindex(marks.index, fill_value=False))
        ]
        pairs = seen[["session_id", "coder_id"]].drop_duplicates()
        units = utterances[["session_id", "utterance_id"]].rename(columns={"utterance_id": "unit_id"})
        every = pairs.merge(units, on="session_id").assign(unit="utterance", code=None, value=np.nan)
        empty = pd.concat([empty[stated], every], ignore_index=True)
    taken = pd.MultiIndex.from_frame(marks.loc[marks["code"].notna() | (marks["problem"] != ""), _UNIT])
    empty = empty[~pd.MultiIndex.from_frame(empty[_UNIT]).isin(taken)].drop_duplicates(_UNIT)
    columns = [*_UNIT, "code", "value"]
    return pd.concat([good[columns], empty[columns].assign(value=np.nan)], ignore_index=True).sort_values(
        _UNIT, kind="stable"
    )


def _blame(marks: pd.DataFrame, bad: pd.Series | np.ndarray, problem: str | pd.Series) -> pd.DataFrame:
    """Give each bad mark that has no problem yet this one; a boolean Series on part of the index is false elsewhere."""
    if isinstance(bad, pd.Series):
        bad = bad.reindex(marks.index, fill_value=False).to_numpy()
    bad = bad & (marks["problem"] == "").to_numpy()
    if not bad.any():
        return marks
    if isinstance(problem, pd.Series):
        problem = problem.reindex(marks.index)
    return marks.assign(problem=marks["problem"].mask(bad, problem))


def _read_presence(cell: str, code: str, codebook: Codebook) -> Mark:
    """A cell of a column that stands for one code: a rating, or a word for present or absent."""
    if codebook.family(codebook.codes[code].family).kind == "rating":
        try:
            return Mark(code=code, value=float(cell.replace(",", ".")), said=True)
        except ValueError:
            return Mark(problem=f"value not readable: {quote(cell)} is not a rating of {code}", said=True)
    if _plain(cell) in _PRESENT:
        return Mark(code=code, value=1.0, said=True)
    if _plain(cell) in _ABSENT:
        return Mark(said=True)
    return Mark(problem=f"value not readable: {quote(cell)} in the column of {code}; expected 1 or 0", said=True)


def _find(written: str, column: BoundColumn, values: dict[str, str], codebook: Codebook) -> str | None:
    code = codebook.find(values.get(_plain(written), written))
    family = column.spec.family
    return code if code is None or family is None or codebook.codes[code].family == family else None


def _parts(cell: str, separators: tuple[str, ...]) -> list[str]:
    if cell.startswith("["):
        try:
            parts = json.loads(cell)
        except ValueError:
            parts = None
        if isinstance(parts, list):
            return [str(part).strip() for part in parts if str(part).strip()]
    parts = re.split("|".join(map(re.escape, separators)), cell) if separators else [cell]
    return [part.strip() for part in parts if part.strip()]


def _plain(cell: str) -> str:
    return re.sub(r"\s+", "", cell).casefold()
