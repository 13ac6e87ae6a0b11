"""Sessions written to CSV and XLSX: the same corpus when imported again, and nothing that a spreadsheet would run."""

import csv
import io
import tempfile
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lab_tables import marks as codings_of
from threers.errors import InputError
from threers.formats import import_files
from threers.formats.documents import Context, Document, Line, Mark, Output
from threers.formats.files import File
from threers.formats.spreadsheets import COLUMNS, FORMATS, is_ours
from threers.formulas import unescape

KINDS = {one.name: one for one in FORMATS}
OUTPUT = Output(titles={}, roles=("patient", "therapist"))
SIGNS = "'=+-@\uff1d\uff0b\uff0d\uff20"
HOSTILE = [
    *(
        "=1+1",
        "+49 30 1234",
        "-5",
        "- no",
        "@SUM(A1)",
        "=HYPERLINK(A1)",
        "=cmd|' /C calc'!A0",
        "\t=1",
        " =1",
        "\uff1d1",
    ),
    *("'=1", "''=1", "'tis", "'", "''", "' =1", "'-", "-", "=", "@", '"', '"=1"', "a,b;c\td", "a\nb", "a\r\nb", "a\rb"),
    *("#N/A", "TRUE", "0012", "1-2", "1e5", "_x0041_", "a\x07b", "😀", "שלום", "sep=;"),
]


def write(name: str, *documents: Document) -> bytes:
    return KINDS[name].write(documents, OUTPUT)


def csv_rows(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))


def corpus_of(name: str, content: bytes):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{name}"
        path.write_bytes(content)
        corpus = import_files(path, "long", "3rs-2015", {"P": "patient", "T": "therapist"})
    corpus.check()
    return corpus


LINES = [
    Line(row=1, text="How was it?", speaker="T", start=0.5, end=2),
    Line(row=2, text="Fine.", speaker="P", start=2.125),
    Line(row=3, text="Hm.", speaker="P"),
]
MARKS = [
    Mark(row=1, code="W2", coder="ben", lines=(1, 2)),
    Mark(row=2, code="W1", coder="ben", lines=(2, 2)),
    Mark(row=3, code="", coder="anna", lines=(1, 1)),
    Mark(row=4, code="resolution_extent", coder="anna", value="3"),
]
SESSION = Document(session="s1", lines=LINES, marks=MARKS, facts={"patient": "p1", "session_number": "4"})


def test_a_row_is_an_utterance_with_one_coders_code():
    rows = csv_rows(write("csv", SESSION))
    assert rows[0] == list(COLUMNS)
    assert [row[:10] for row in rows[1:]] == [
        ["s1", "0", "T", "0.5", "2", "How was it?", "", "", "", ""],
        ["s1", "1", "P", "2.125", "", "Fine.", "anna", "", "", ""],
        ["s1", "1", "P", "2.125", "", "Fine.", "ben", "W2", "", ""],
        ["s1", "2", "P", "", "", "Hm.", "ben", "W1", "", ""],
        ["s1", "2", "P", "", "", "Hm.", "ben", "W2", "", ""],
        ["s1", "", "", "", "", "", "anna", "resolution_extent", "3", "session"],
    ]
    assert {tuple(row[10:]) for row in rows[1:]} == {("p1", "", "4", "")}


@pytest.mark.parametrize("name", KINDS)
def test_an_import_gives_the_same_corpus(name):
    corpus = corpus_of(name, write(name, SESSION))
    assert corpus.rejects.empty
    assert corpus.utterances[["speaker", "text"]].to_numpy().tolist() == [[a.speaker, a.text] for a in LINES]
    assert corpus.utterances["start"].tolist()[:2] == [0.5, 2.125]
    assert corpus.sessions[["patient_id", "session_number"]].to_numpy().tolist() == [["p1", 4]]
    assert codings_of(corpus) == [
        ("s1", 0, "anna", "resolution_extent", 3),
        ("s1", 0, "anna", "", 0),
        ("s1", 0, "ben", "", 0),
        ("s1", 1, "anna", "", 0),
        ("s1", 1, "ben", "W2", 1),
        ("s1", 2, "anna", "", 0),
        ("s1", 2, "ben", "W1", 1),
        ("s1", 2, "ben", "W2", 1),
    ]


@pytest.mark.parametrize("name", KINDS)
def test_a_coder_who_marked_nothing_in_a_session_is_not_lost(name):
    read = Document(session="s1", lines=LINES, marks=[Mark(row=1, code="", coder="anna")])
    corpus = corpus_of(name, write(name, read, Document(session="s2", lines=LINES, marks=MARKS[:1])))
    assert corpus.rejects.empty
    assert [row[:4] for row in codings_of(corpus) if row[0] == "s1"] == [("s1", n, "anna", "") for n in range(3)]


def test_no_cell_of_a_csv_file_is_a_formula_and_each_gives_its_text_back():
    lines = [Line(row=1, text=text, speaker=text) for text in HOSTILE]
    mark = Mark(row=1, code="=W1", coder="@anna", value="=2", lines=(0, 0))
    content = write("csv", Document(session="-s", lines=lines, marks=[mark], facts={"patient": "+p"}))
    assert content.startswith(b"\xef\xbb\xbfsession_id,utterance_id,speaker,")
    rows = csv_rows(content)
    assert is_ours(rows[0])
    for row, text in zip(rows[1:], HOSTILE, strict=True):
        assert not any(cell.lstrip()[:1] in ("=", "+", "-", "@", "\uff1d") for cell in row)
        assert [unescape(row[at]) for at in (0, 2, 5, 10)] == ["-s", text, text, "+p"]
    assert [unescape(cell) for cell in rows[1][6:9]] == ["@anna", "=W1", "=2"]


def test_every_cell_of_an_xlsx_file_is_a_text_or_a_number():
    lines = [Line(row=1, text=text, speaker="P", start=number) for number, text in enumerate(HOSTILE)]
    content = write(
        "xlsx", Document(session="-1", lines=lines, marks=[Mark(row=1, code="W1", value="2.5", lines=(0, 0))])
    )
    sheet = openpyxl.load_workbook(io.BytesIO(content)).active
    header, first, *_ = rows = list(sheet.iter_rows())
    assert [cell.value for cell in header] == list(COLUMNS)
    assert sheet.freeze_panes == "A2"
    assert {cell.data_type for row in rows for cell in row} <= {"s", "inlineStr", "n"}
    assert [cell.value for cell in first[:9]] == ["-1", 0, "P", 0, None, "=1+1", "coder", "W1", 2.5]
    assert corpus_of("xlsx", content).utterances["text"].tolist() == [text.strip() for text in HOSTILE]


@given(st.text(st.sampled_from("'=+-@a \t\r\n\uff1d"), max_size=6) | st.text())
def test_what_was_escaped_comes_back(text):
    text = text.encode("utf-8", errors="ignore").decode().replace("\0", "")
    (_, row) = csv_rows(write("csv", Document(session="s", lines=[Line(row=1, text=text)])))
    assert unescape(row[5]) == text
    assert row[5].lstrip()[:1] not in ("=", "+", "-", "@", "\uff1d")


TEXTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff\ufffd\ufffe\uffff"),
    min_size=1,
    max_size=12,
).filter(lambda text: text.strip() and text.strip()[0] not in SIGNS)
TIMES = st.none() | st.integers(1, 10**7).map(lambda milliseconds: milliseconds / 1000)
SPOKEN = st.builds(Line, row=st.just(1), text=TEXTS, speaker=st.just("P"), start=TIMES, end=TIMES)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(sorted(KINDS)), st.lists(SPOKEN, min_size=1, max_size=5), st.data())
def test_whatever_was_coded_is_imported_again(name, lines, data):
    spans = st.tuples(*[st.integers(0, len(lines) - 1)] * 2).map(lambda pair: (min(pair), max(pair)))
    coders, codes = st.sampled_from(["anna", "model:minilm", "b; c"]), st.sampled_from(["W1", "W2", "C1"])
    marks = data.draw(st.lists(st.builds(Mark, row=st.just(1), code=codes, coder=coders, lines=spans), max_size=6))
    corpus = corpus_of(name, write(name, Document(session="s", lines=lines, marks=marks)))
    found = corpus.utterances.astype(object).where(corpus.utterances.notna(), None)
    assert found[["text", "start", "end"]].to_numpy().tolist() == [[a.text.strip(), a.start, a.end] for a in lines]
    assert {row[1:4] for row in codings_of(corpus) if row[3]} == {
        (number, mark.coder, mark.code) for mark in marks for number in range(mark.lines[0], mark.lines[1] + 1)
    }
    assert not any("dropped" in reason for reason in corpus.rejects["reason"])


def test_what_cannot_be_written_is_an_error():
    with pytest.raises(InputError, match="no session"):
        write("csv")
    with pytest.raises(InputError, match="lies on a stretch of time"):
        write("csv", Document(lines=LINES, marks=[Mark(row=1, code="W1", start=1, end=2)]))
    with pytest.raises(InputError, match="more than 32767 characters"):
        write("xlsx", Document(lines=[Line(row=1, text="a" * 40_000)]))


@pytest.mark.parametrize("name", KINDS)
def test_tables_are_read_by_their_columns_and_not_here(name):
    file = File(Path(f"a.{name}"), write(name, SESSION))
    assert not KINDS[name].fits(file)
    with pytest.raises(InputError, match="a table"):
        KINDS[name].read(file, Context(find=lambda word: None))


def test_many_utterances_are_written_in_no_time():
    lines = [Line(row=1, text="- well", speaker="P", start=number) for number in range(20_000)]
    assert len(write("csv", Document(session="s", lines=lines)).splitlines()) == 20_001
