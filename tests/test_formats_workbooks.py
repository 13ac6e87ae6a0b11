"""Workbooks that reach so far that reading them would end the program."""

import io
import zipfile

import openpyxl
import pytest

from threers.errors import InputError
from threers.formats import import_files
from threers.formats.files import File
from threers.formats.tables import read_table
from threers.formats.workbooks import MOST_CELLS

ROWS = [["speaker", "text"], ["T", "How was it?"], ["P", "Fine."]]


def xlsx(**replaced: str) -> bytes:
    """A workbook with the table, and references in it replaced by others (B3="XFD9")."""
    book, plain, changed = openpyxl.Workbook(), io.BytesIO(), io.BytesIO()
    for row in ROWS:
        book.active.append(row)
    book.save(plain)
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            for reference, other in replaced.items():
                content = content.replace(f'r="{reference}"'.encode(), f'r="{other}"'.encode())
            new.writestr(name, content)
    return changed.getvalue()


def ods(rows: int = 1, columns: int = 1, empty_rows: int = 1, empty_columns: int = 1) -> bytes:
    """The table, then `rows` times `columns` cells that hold x; empty rows and columns as LibreOffice leaves them."""
    names = "".join(
        f' xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "table", "text")
    )
    empty = f'<table:table-cell table:number-columns-repeated="{empty_columns}"/>'

    def line(cells, repeated=1, each=1):
        said = f'office:value-type="string" table:number-columns-repeated="{each}"'
        filled = "".join(f"<table:table-cell {said}><text:p>{cell}</text:p></table:table-cell>" for cell in cells)
        return f'<table:table-row table:number-rows-repeated="{repeated}">{filled}{empty}</table:table-row>'

    body = "".join(line(row) for row in ROWS) + line(["x"], rows, columns) + line([], empty_rows)
    content = (
        f"<office:document-content{names}><office:body><office:spreadsheet><table:table table:name='a'>{body}"
        "</table:table></office:spreadsheet></office:body></office:document-content>"
    )
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", "<manifest/>")
        archive.writestr("content.xml", content)
    return made.getvalue()


HOSTILE = {
    "far corner.xlsx": xlsx(B3="XFD1048576"),
    "far row.xlsx": xlsx(A2="A99999999999", B3="B99999999999"),
    "far column.xlsx": xlsx(B3="ZZZZZZ4"),
    "lower case.xlsx": xlsx(B3="xfd1048576"),
    "many cells.ods": ods(rows=1_048_576, columns=16_384),
    "endless.ods": ods(rows=10**17, columns=10**17),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_workbook_that_reaches_too_far_is_refused_before_it_is_read(name, tmp_path):
    (tmp_path / name).write_bytes(HOSTILE[name])
    with pytest.raises(InputError, match=rf"{name}: a sheet reaches over \d+ rows and \d+ columns; expected at most"):
        read_table_named(tmp_path / name)
    (tmp_path / "good.csv").write_text("speaker,text\nT,hello\n")
    corpus = import_files(tmp_path, "wide", "3rs-2015", {"T": "therapist", "P": "patient"})
    assert len(corpus.utterances) == 1
    assert corpus.rejects["file"].tolist() == [name]


def read_table_named(path):
    try:
        return read_table(path)
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from error


@pytest.mark.parametrize(
    "content",
    [xlsx(B3="B2000"), ods(), ods(empty_rows=1_048_572, empty_columns=16_382)],
    ids=["a gap", "ods", "empty to the end"],
)
def test_a_workbook_within_reach_is_read(content, tmp_path):
    name = "a.ods" if b"opendocument" in content[:200] else "a.xlsx"
    table = read_table(File(tmp_path / name, content))
    assert table.frame["text"].tolist()[0] == "How was it?"


def test_the_limit_leaves_room_for_large_sheets():
    assert MOST_CELLS > 1_048_576 * 15


def test_two_members_of_one_name_and_binary_workbooks_are_refused(tmp_path):
    twice = io.BytesIO(xlsx())
    with zipfile.ZipFile(twice, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("xl/worksheets/sheet1.xml", "<x/>")
    with pytest.raises(InputError, match="its archive is damaged"):
        read_table(File(tmp_path / "a.xlsx", twice.getvalue()))
    binary = io.BytesIO()
    with zipfile.ZipFile(binary, "w") as archive:
        archive.writestr("xl/workbook.bin", "x")
    with pytest.raises(InputError, match="save it as XLSX"):
        read_table(File(tmp_path / "a.xlsb", binary.getvalue()))
