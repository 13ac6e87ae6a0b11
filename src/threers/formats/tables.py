"""Table files (CSV, TSV, XLSX, XLS, ODS, SAV, Parquet, Arrow, JSON) to tables of strings, each row with its number."""

from __future__ import annotations

import csv
import datetime
import glob
import io
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from threers.errors import InputError
from threers.formats import columnar, spreadsheets, spss, workbooks
from threers.formats.files import File, load_json
from threers.formats.rejects import list_headers
from threers.formats.times import clock

SUFFIXES = (".csv", ".tsv", *workbooks.SUFFIXES, ".sav", ".zsav", ".parquet", ".arrow", ".jsonl", ".ndjson", ".json")
_DELIMITERS = (",", ";", "\t")
#: Files that Windows lays into folders.
_OF_WINDOWS = ("thumbs.db", "desktop.ini")


@dataclass(kw_only=True)
class Table:
    """One file's rows as strings.

    `frame`: one column per header, every cell a str, the empty string for no value. `rows`: int (n_rows,), numbers as
    in the file; the header is row 1, or the first record where there is none (JSON, Parquet, Arrow). `notes`: (row or
    None, reason) for what was left out. `sheet`: of the workbook, where several are read.
    """

    path: Path
    sha256: str
    frame: pd.DataFrame
    rows: np.ndarray
    notes: list[tuple[int | None, str]]
    sheet: str = ""


def find_files(source: str | Path) -> list[Path]:
    """List the files that a name, a folder (with what is below it) or a glob pattern means, sorted; no hidden ones.

    Raises:
        InputError: nothing is there.

    """
    path = Path(source).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        shown = (p for p in path.rglob("*") if p.is_file() and not _hidden(p.relative_to(path)))
        found = [p for p in shown if not columnar.is_about_a_dataset(p)]
    else:
        found = [Path(p) for p in glob.glob(str(path), recursive=True)]
        found = [p for p in found if p.is_file() and not _hidden(Path(p.name))]
    if not found:
        what = (
            "the folder holds no files; name one with transcripts"
            if path.is_dir()
            else "no such file, folder or match of a pattern"
        )
        raise InputError(f"source {source}: {what}")
    return sorted(found)


def is_table(file: File) -> bool:
    """Is this a workbook, an SPSS, Parquet or Arrow file, or delimited text by its name that is no web page?"""
    if file.suffix in (".csv", ".tsv"):
        return not _is_binary(file.content) and not file.head.startswith(("<", "#FORMAT=WebAnno"))
    return (
        file.suffix == ".arrow"
        or workbooks.is_workbook(file)
        or spss.is_sav(file.content)
        or columnar.is_parquet(file.content)
    )


def read_table(path: Path | File, records: str | None = None) -> Table:
    """Read one file.

    Args:
        path: the file; its content tells the format, and its suffix where several would do.
        records: in JSON, the key of the list of rows inside each record; the record's other keys become columns too.

    Raises:
        InputError: the file cannot be read, is empty, or is no table.

    """
    file = path if isinstance(path, File) else File(path)
    notes: list[tuple[int | None, str]] = []
    frame, rows = _read(file, records, notes)
    if frame.empty:
        header = list_headers(frame.columns) or "none"
        raise InputError(f"the file has no rows; its header: {header}; expected rows below it")
    frame = spreadsheets.unescaped(frame)
    return Table(path=file.path, sha256=file.sha256, frame=frame, rows=rows, notes=[*file.notes, *notes])


def read_headers(file: File) -> list[str]:
    """The headers of a table, of a delimited one without reading it whole.

    Raises:
        InputError: as `read_table`.

    """
    if file.suffix in (".csv", ".tsv") and is_table(file):
        # The beginning of a file may end inside of a cell, so no more than the header is asked for.
        lines = _delimited(file.head or file.text, "\t" if file.suffix == ".tsv" else None)
        return _unique(next((line for line in lines if any(cell.strip() for cell in line)), []))
    return list(_read(file, None, [])[0].columns)


def _read(file: File, records: str | None, notes: list[tuple[int | None, str]]) -> tuple[pd.DataFrame, np.ndarray]:
    if spss.is_sav(file.content):
        frame = spss.read_sav(file.content)
        return frame, np.arange(1, len(frame) + 1)
    if columnar.is_parquet(file.content) or file.suffix == ".parquet":
        return _from_frame(columnar.read_parquet(file.content))
    if file.suffix == ".arrow":
        return _from_frame(columnar.read_arrow(file.content))
    if workbooks.is_workbook(file) or file.suffix in workbooks.SUFFIXES:
        return from_cells(workbooks.first_sheet(file, notes), notes)
    file.require_harmless()
    if file.suffix not in SUFFIXES and file.content.startswith(b"PK") and not file.members:
        raise InputError("a damaged zip archive, as DOCX, ODT and QDPX files are; is it cut off?")
    if file.suffix not in SUFFIXES and not _looks_delimited(file):
        kind = f"format {file.suffix}" if file.suffix else "a file without a suffix"
        raise InputError(
            f"{kind} was not recognised by its content; expected a transcript, annotations or a table (README, Formats)"
        )
    if file.suffix in (".jsonl", ".ndjson"):
        return _from_records(_json_lines(file, notes))
    if file.suffix == ".json":
        return _from_records(_json_records(file, records))
    if _is_binary(file.content):
        raise InputError(f"not a readable {file.suffix[1:].upper()} file; is it damaged, or of another kind?")
    return _from_lines(_delimited(file.text, "\t" if file.suffix == ".tsv" else None), notes)


def _is_binary(content: bytes) -> bool:
    return content.startswith((b"PK\3\4", workbooks.OLE)) or columnar.is_parquet(content)


def _looks_delimited(file: File) -> bool:
    """Do the first lines have the same number of tabs or semicolons?"""
    lines = [line for line in file.head.splitlines()[:20] if line.strip()]
    counts = [{line.count(mark) for line in lines} for mark in ("\t", ";")]
    return len(lines) > 1 and any(len(found) == 1 and found != {0} for found in counts)


def from_cells(cells: Iterable[list[Any]], notes: list[tuple[int | None, str]]) -> tuple[pd.DataFrame, np.ndarray]:
    """A sheet's cells to strings and row numbers; the first row that is not blank is the header."""
    return _from_lines([[cell_text(cell) for cell in line] for line in cells], notes)


def cell_text(value: Any) -> str:
    """Write a cell's value as a person would: no `.0`, no `nan`, times as HH:MM:SS, lists as JSON."""
    if value is None or value is pd.NaT or value is pd.NA:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else str(int(value)) if float(value).is_integer() else repr(float(value))
    if isinstance(value, datetime.timedelta):
        return clock(value.total_seconds())
    if isinstance(value, datetime.time):
        return clock(value.hour * 3600 + value.minute * 60 + value.second + value.microsecond / 1e6)
    if isinstance(value, datetime.datetime) and value.year <= 1900:
        # Spreadsheets store 30 hours as a moment one day and six hours after the end of 1899.
        return clock((value - datetime.datetime(1899, 12, 31)).total_seconds())
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, list | tuple | dict | np.ndarray):
        return json.dumps(value.tolist() if isinstance(value, np.ndarray) else value, ensure_ascii=False, default=str)
    return str(value)


def composed(written: str) -> str:
    """Letters such as ä as one character each: file names of a Mac, and tables made of them, have two."""
    return unicodedata.normalize("NFC", written)


def _hidden(path: Path) -> bool:
    """Is this a file of the system or of an open program, or in such a folder?"""
    return any(part.startswith((".", "~$")) for part in path.parts) or path.name.casefold() in _OF_WINDOWS


def _delimited(text: str, delimiter: str | None) -> Iterator[list[str]]:
    if found := re.match(r'sep=([^\w"\r\n])\r?\n', text):  # what Excel is told in the first line
        text, delimiter = text[found.end(1) :], found[1]
    csv.field_size_limit(2**31 - 1)
    if delimiter is None:
        first = re.match(r"[\r\n]*([^\r\n]*)", text)
        line = [first[1] if first else ""]
        delimiter = max(_DELIMITERS, key=lambda mark: len(next(csv.reader(line, delimiter=mark))))
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        yield from lines
    except csv.Error as error:
        raise InputError(f"not a well-formed table: line {lines.line_num}: {error}") from error


def _from_lines(lines: Iterable[list[str]], notes: list[tuple[int | None, str]]) -> tuple[pd.DataFrame, np.ndarray]:
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if any(cell.strip() for cell in line)]
    if not numbered:
        raise InputError("the file is empty; expected a table")
    (_, header), *body = numbered
    kept, rows = [], []
    for number, line in body:
        if any(cell.strip() for cell in line[len(header) :]):
            notes.append((number, f"too many cells: {len(line)} where the header has {len(header)}; row dropped"))
            continue
        kept.append((line + [""] * len(header))[: len(header)])
        rows.append(number)
    return pd.DataFrame(kept, columns=_unique(header), dtype="str"), np.array(rows, dtype=np.int64)


def _unique(header: Iterable[str]) -> list[str]:
    """Trimmed headers; one that stands a second time gets its number."""
    seen: dict[str, int] = {}
    names = []
    for name in (composed(str(name).strip()) for name in header):
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return names


def _from_frame(frame: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    frame = frame.map(cell_text).astype("str")
    frame.columns = pd.Index(_unique(frame.columns))
    return frame.reset_index(drop=True), np.arange(1, len(frame) + 1)


def _json_lines(file: File, notes: list[tuple[int | None, str]]) -> list[tuple[int, dict[str, Any]]]:
    numbered = []
    for number, record in file.json_lines():
        if isinstance(record, dict):
            numbered.append((number, record))
        else:
            notes.append((number, "not a JSON object: line dropped"))
    return numbered


def _json_records(file: File, records: str | None) -> list[tuple[int, dict[str, Any]]]:
    try:
        raw = load_json(file.text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not valid JSON: {error}") from error
    raw = [raw] if isinstance(raw, dict) else raw
    if not isinstance(raw, list) or not all(isinstance(record, dict) for record in raw):
        raise InputError("expected a list of JSON objects, one per row")
    if records is not None:
        for number, record in enumerate(raw, start=1):
            if not isinstance(record.get(records), list) or not all(isinstance(row, dict) for row in record[records]):
                raise InputError(f"record {number}: expected a list of JSON objects under the key {records!r}")
        outer = [{key: value for key, value in record.items() if key != records} for record in raw]
        raw = [{**own, **row} for own, record in zip(outer, raw, strict=True) for row in record[records]]
    return list(enumerate(raw, start=1))


def _from_records(numbered: list[tuple[int, dict[str, Any]]]) -> tuple[pd.DataFrame, np.ndarray]:
    headers = list(dict.fromkeys(key for _, record in numbered for key in record))
    try:
        cells = [[cell_text(record.get(key)) for key in headers] for _, record in numbered]
    except RecursionError as error:
        raise InputError("not valid JSON: lists are nested too deep") from error
    frame = pd.DataFrame(cells, columns=_unique(headers), dtype="str")
    return frame, np.array([number for number, _ in numbered], dtype=np.int64)
