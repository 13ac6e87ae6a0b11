"""XLSX, XLS and ODS workbooks to the cells of their filled sheets. Layer 1.

The library that reads them lays out every cell of the rectangle that a sheet reaches over, and where that does not fit
into memory it ends the whole program. So it is given no workbook before that rectangle is known to be small.
"""

from __future__ import annotations

import io
import re
from typing import Any

from threers.errors import InputError
from threers.formats.files import File, local, walk_xml

SUFFIXES = (".xlsx", ".xlsm", ".xls", ".ods")
#: Cells of a sheet, empty ones within its rectangle included: about a GB.
MOST_CELLS = 20_000_000
#: The beginning of an old Office file.
OLE = b"\xd0\xcf\x11\xe0"
_SAY_SHEETS = (
    "Its headers are the same: where each sheet is one coder's, say 'columns={coder: sheet}', and 'columns={session: "
    "sheet}' where each is a session"
)
_REFERENCE = re.compile(rb"""\br=["']([A-Za-z]{0,9})(\d{1,18})["']""")


def is_workbook(file: File) -> bool:
    """Is this a workbook by its content?"""
    if file.content.startswith(OLE):
        return file.suffix == ".xls"
    if "xl/workbook.xml" in file.members or "xl/workbook.bin" in file.members:
        return True
    return "content.xml" in file.members and b"opendocument.spreadsheet" in file.content[:200]


def read_workbook(file: File) -> dict[str, list[list[Any]]]:
    """The cells of the filled sheets, row by row, by the sheets' names.

    Raises:
        InputError: it is damaged, hostile, too large or empty.

    """
    from python_calamine import CalamineWorkbook

    file.require_harmless()
    if file.content.startswith(b"PK"):
        _require_small(file)
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(file.content))
        sheets = {name: book.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in book.sheet_names}
    except Exception as error:
        raise InputError(f"no readable workbook ({error}); is it damaged or protected by a password?") from error
    filled = {name: cells for name, cells in sheets.items() if cells}
    if not filled:
        raise InputError("the workbook has no filled sheet")
    return filled


def first_sheet(file: File, notes: list[tuple[int | None, str]]) -> list[list[Any]]:
    """The cells of the first filled sheet; `notes` gets a line for every other one.

    Raises:
        InputError: as `read_workbook`.

    """
    (first, cells), *others = read_workbook(file).items()
    for name, own in others:
        say = f". {_SAY_SHEETS}" if have_same_headers(own, cells) else ""
        notes.append((None, f"sheet not read: {name[:40]!r}; only the first filled one, {first[:40]!r}, is{say}"))
    return cells


def have_same_headers(cells: list[list[Any]], others: list[list[Any]]) -> bool:
    """Have two sheets the same first row, blank cells left out?"""
    first, second = ([str(cell).strip().casefold() for cell in sheet[0]] for sheet in (cells, others))
    return list(filter(None, first)) == list(filter(None, second))


def _require_small(file: File) -> None:
    if not file.members or len(set(file.members)) < len(file.members):
        raise InputError("no readable workbook (its archive is damaged); is it cut off?")
    if "xl/workbook.bin" in file.members:
        raise InputError("a binary workbook, as XLSB files are, is not read; save it as XLSX")
    for name in file.members:
        if not name.casefold().endswith(".xml"):
            continue
        content = file.member(name)
        if b"sheetData" in content:
            rows, columns = _reach_of_xlsx(content)
        elif name == "content.xml":
            rows, columns = _reach_of_ods(content)
        else:
            continue
        if rows * columns > MOST_CELLS:
            raise InputError(
                f"a sheet reaches over {rows} rows and {columns} columns; expected at most {MOST_CELLS:,} cells, empty "
                "ones between filled ones included; delete what stands far out, or split the sheet"
            )


def _reach_of_xlsx(content: bytes) -> tuple[int, int]:
    """The last row and the last column that a sheet names."""
    rows = columns = 1
    for letters, digits in _REFERENCE.findall(content):
        rows = max(rows, int(digits))
        number = 0
        for letter in letters.upper():
            number = number * 26 + letter - 64
        columns = max(columns, number)
    return rows, columns


def _reach_of_ods(content: bytes) -> tuple[int, int]:
    """Rows and columns up to the last filled cell of any sheet; rows and cells may stand for many."""
    most = widest = rows = filled = place = 0
    for event, element in walk_xml(content):
        kind = local(element)
        if event == "start" and kind == "table":
            rows = 0
        elif event == "start" and kind == "table-row":
            filled = place = 0
        elif event == "end" and kind in ("table-cell", "covered-table-cell"):
            place += _repeated(element, "number-columns-repeated")
            if len(element) or any(name.endswith("}value-type") for name in element.attrib):
                filled = place
            element.clear()
        elif event == "end" and kind == "table-row":
            rows += _repeated(element, "number-rows-repeated")
            if filled:
                most, widest = max(most, rows), max(widest, filled)
            element.clear()
    return most, widest


def _repeated(element: Any, name: str) -> int:
    (count,) = [value for key, value in element.attrib.items() if key.endswith("}" + name)] or ["1"]
    return int(count) if re.fullmatch(r"\d{1,18}", count) else 1
