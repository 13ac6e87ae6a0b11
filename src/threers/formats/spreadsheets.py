"""Sessions to tables for spreadsheets, a row per coding of an utterance; reader `long` reads them again."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from threers.errors import InputError
from threers.formats.documents import Context, Document, Format, Output
from threers.formats.extras import load
from threers.formats.files import File
from threers.formats.selections import clean
from threers.formulas import FORMULA, QUOTED, escape, unescape

#: The header. A row without coder is an utterance that nobody coded; one without utterance is about its session, or the
#: segment of this number.
COLUMNS = (
    *("session_id", "utterance_id", "speaker", "start", "end", "text", "coder", "code", "value", "unit"),
    *("patient", "therapist", "session_number", "segment"),
)
#: Who coded, where a document does not say; a reader of tables calls them so too.
_NOBODY = "coder"
_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?")
#: What XLSX writes as a sign such as `_x0007_`, and what it would take for such a sign.
_UNWRITABLE = re.compile("[\0-\x08\x0b-\x1f\ufffe\uffff]")
_SIGN = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
#: Limits of XLSX: rows of a sheet, characters of a cell.
_ROWS, _LETTERS = 2**20, 2**15 - 1
_WIDTHS = {"session_id": 16, "utterance_id": 12, "speaker": 14, "text": 80, "coder": 16, "code": 12}

Cell = str | float | int


@dataclass(frozen=True)
class _Coding:
    """A cell each."""

    coder: str = ""
    code: str = ""
    value: str = ""
    unit: str = ""
    segment: int | None = None
    start: float | None = None
    end: float | None = None


def unescaped(frame: pd.DataFrame) -> pd.DataFrame:
    """A table as it was before it was written here; one that was not is left as it is."""
    # Tables of before had no segments.
    return frame.map(unescape) if set(COLUMNS) - {"segment"} <= set(frame.columns) else frame


def _write_csv(documents: Sequence[Document], output: Output) -> bytes:
    content = io.StringIO(newline="")
    writer = csv.writer(content)
    writer.writerow(COLUMNS)
    for row in _rows(documents):
        writer.writerow([escape(cell) if isinstance(cell, str) else f"{cell:.15g}" for cell in row])
    # By the byte order mark a spreadsheet knows that this is UTF-8.
    return content.getvalue().encode("utf-8-sig")


def _write_xlsx(documents: Sequence[Document], output: Output) -> bytes:
    openpyxl = load("openpyxl", "XLSX files")
    cells, styles = load("openpyxl.cell", "XLSX files"), load("openpyxl.styles", "XLSX files")
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("codings")
    sheet.freeze_panes = "A2"
    heavy = styles.Font(bold=True)
    top, wrapped = styles.Alignment(vertical="top"), styles.Alignment(vertical="top", wrap_text=True)
    for number, name in enumerate(COLUMNS, start=1):
        sheet.column_dimensions[openpyxl.utils.get_column_letter(number)].width = _WIDTHS.get(name, 10)

    def row_of(row: Iterable[Cell], bold: bool = False) -> Iterator[object]:
        for name, value in zip(COLUMNS, row, strict=True):
            cell = cells.WriteOnlyCell(sheet, _writable(value) if isinstance(value, str) else value)
            if isinstance(value, str):
                # Else openpyxl makes a formula of what begins with `=`, and an error of `#N/A`.
                cell.data_type = "s"
                cell.quotePrefix = bool(FORMULA.match(value))
            cell.alignment = wrapped if name == "text" else top
            if bold:
                cell.font = heavy
            yield cell if value != "" else None

    sheet.append(row_of(COLUMNS, bold=True))
    for number, row in enumerate(_rows(documents), start=2):
        if number > _ROWS:
            raise InputError(f"more than {_ROWS} rows, the limit of an XLSX file; write a CSV file, or fewer sessions")
        sheet.append(row_of(row))
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def _writable(text: str) -> str:
    """Text as a cell of an XLSX file holds it."""
    if len(text) > _LETTERS:
        raise InputError(f"a text has more than {_LETTERS} characters, the limit of a cell of XLSX; write a CSV file")
    # Only in a cell that has an apostrophe by itself is one more needed: XLSX knows texts from formulas.
    text = f"'{text}" if QUOTED.match(text) else text
    return _UNWRITABLE.sub(lambda found: f"_x{ord(found[0]):04X}_", _SIGN.sub("_x005F_", text))


def _rows(documents: Sequence[Document]) -> Iterator[tuple[Cell, ...]]:
    if not documents:
        raise InputError("no session to write to a table")
    for document in documents:
        facts = [clean(document.facts.get(name, "")) for name in ("patient", "therapist", "session_number")]
        session = clean(document.session)
        on_lines, on_others = _codings(document)
        for number, line in enumerate(document.lines):
            said = (clean(line.speaker), _seconds(line.start), _seconds(line.end), clean(line.text))
            for coding in on_lines[number] or [_Coding()]:
                yield (session, number, *said, *_cells(coding), *facts, "")
        for coding in on_others:
            times, segment = (_seconds(coding.start), _seconds(coding.end)), coding.segment
            yield (session, "", "", *times, "", *_cells(coding), *facts, "" if segment is None else segment)


def _codings(document: Document) -> tuple[list[list[_Coding]], list[_Coding]]:
    """The codings on each utterance, and those on the session and on its segments, in the order of coders and codes."""
    found: list[set[_Coding]] = [set() for _ in document.lines]
    on_others = set()
    for mark in document.marks:
        coder = clean(mark.coder) or _NOBODY
        if mark.lines is not None:
            coding = _Coding(coder, clean(mark.code), clean(mark.value))
            for number in range(mark.lines[0], mark.lines[1] + 1):
                found[number].add(coding)
        elif mark.start is None and mark.end is None:
            # The word says that a coder has read the session: a row with an empty code would say nothing.
            unit = "session" if mark.code else ""
            on_others.add(_Coding(coder, clean(mark.code) or "none", clean(mark.value), unit))
        elif mark.segment is not None:
            code = clean(mark.code) or "none"
            where = ("segment", mark.segment, mark.start, mark.end)
            on_others.add(_Coding(coder, code, clean(mark.value), *where))
        else:
            raise InputError(
                "a coding lies on a stretch of time; a table has rows for utterances, segments and sessions; "
                "write to a format with times, such as ELAN"
            )
    return [_sorted(codings) for codings in found], _sorted(on_others)


def _sorted(codings: set[_Coding]) -> list[_Coding]:
    """In order; without `nothing marked` where that coder has marked something."""
    busy = {one.coder for one in codings if one.code}
    kept = [one for one in codings if one.code or one.coder not in busy]
    return sorted(kept, key=lambda one: (-1 if one.segment is None else one.segment, one.coder, one.code, one.value))


def _cells(coding: _Coding) -> tuple[Cell, ...]:
    value = float(coding.value) if _NUMBER.fullmatch(coding.value) else coding.value
    return coding.coder, coding.code, value, coding.unit


def _seconds(time: float | None) -> Cell:
    return "" if time is None else round(time, 3)


def _read(file: File, context: Context) -> list[Document]:
    raise InputError("a table; expected a transcript or annotations; read it as a table, with a reader")


def _fits(file: File) -> bool:
    # Tables are read by their columns, elsewhere.
    return False


FORMATS = tuple(
    Format(name=name, title=title, suffixes=(f".{name}",), fits=_fits, read=_read, write=write, together=True)
    for name, title, write in (("csv", "CSV table", _write_csv), ("xlsx", "Excel workbook", _write_xlsx))
)
