"""The sheets of a workbook as one table each, where a lab gives every coder, or every session, a sheet of their own."""

from __future__ import annotations

from threers.errors import InputError
from threers.formats.files import File
from threers.formats.spreadsheets import unescaped
from threers.formats.tables import Table, from_cells, read_table
from threers.formats.workbooks import have_same_headers, is_workbook, read_workbook

#: The header that means the sheet's name. A reader's column called so asks for all sheets.
SHEET = "sheet"


def read_sheets(file: File, records: str | None = None) -> list[Table]:
    """Read every sheet that has the headers of the first filled one, with a column `sheet`; others are noted.

    A file that is no workbook, or has a column `sheet` of its own, is read as by `read_table`.

    Raises:
        InputError: as `read_table`.

    """
    if not is_workbook(file):
        return [read_table(file, records)]
    (first, cells), *others = read_workbook(file).items()
    if any(str(cell).strip().casefold() == SHEET for cell in cells[0]):
        return [read_table(file, records)]
    notes: list[tuple[int | None, str]] = list(file.notes)
    alike = {first: cells}
    for name, own in others:
        if have_same_headers(own, cells):
            alike[name] = own
        else:
            notes.append((None, f"sheet not read: {name[:40]!r}; its headers are not those of {first[:40]!r}"))
    tables = []
    for name, own in alike.items():
        frame, rows = from_cells(own, notes)
        if len(frame):
            name = name.strip()
            frame = unescaped(frame).assign(**{SHEET: name})
            tables.append(Table(path=file.path, sha256=file.sha256, frame=frame, rows=rows, notes=notes, sheet=name))
            notes = []
    if not tables:
        raise InputError("no sheet of the workbook has rows below its header")
    return tables
