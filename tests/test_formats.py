"""Files of every format: what is read, what is refused, and which columns, roles and times are understood."""

import datetime
import json
import re
import zipfile
from pathlib import Path
from xml.sax.saxutils import escape

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lab_tables import ROLES
from threers.corpus import Corpus
from threers.errors import InputError, SettingsError
from threers.formats import Reader, import_files
from threers.formats.headers import template
from threers.formats.tables import cell_text, find_files, read_table
from threers.formats.times import clock, seconds
from threers.screen import show_import

ROWS = [
    {"session": "s1", "turn": 1, "speaker": "T", "text": "How are you, today?", "coder_anna": "R4", "time": "00:00:05"},
    {"session": "s1", "turn": 2, "speaker": "P", "text": "Müde; “fine”.", "coder_anna": "W2; W5", "time": "00:01:05"},
    {"session": "s1", "turn": 3, "speaker": "P", "text": "n/a", "coder_anna": "", "time": ""},
]
TESTS = Path(__file__).parent


def frame() -> pd.DataFrame:
    return pd.DataFrame(ROWS)


def write_json_lines(path):
    path.write_text("\n".join(json.dumps(row) for row in ROWS) + "\n\n", encoding="utf-8")


def write_ods(path):
    def cells(values: list) -> str:
        texts = (f"<text:p>{escape(str(value))}</text:p>" for value in values)
        typed = "".join(f'<table:table-cell office:value-type="string">{text}</table:table-cell>' for text in texts)
        return f"<table:table-row>{typed}</table:table-row>"

    names = "".join(
        f' xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "table", "text")
    )
    lines = cells(list(ROWS[0])) + "".join(cells(list(row.values())) for row in ROWS)
    body = f'<office:spreadsheet><table:table table:name="a">{lines}</table:table></office:spreadsheet>'
    content = f"<office:document-content{names}><office:body>{body}</office:body></office:document-content>"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        file.writestr("META-INF/manifest.xml", "<manifest/>")
        file.writestr("content.xml", content)


WRITERS = {
    "comma.csv": lambda path: frame().to_csv(path, index=False),
    "semicolon.csv": lambda path: frame().to_csv(path, index=False, sep=";"),
    "tab.csv": lambda path: frame().to_csv(path, index=False, sep="\t"),
    "bom.csv": lambda path: frame().to_csv(path, index=False, encoding="utf-8-sig"),
    "utf16.csv": lambda path: frame().to_csv(path, index=False, sep="\t", encoding="utf-16"),
    "utf16le.tsv": lambda path: frame().to_csv(path, index=False, sep="\t", encoding="utf-16-le"),
    "windows.csv": lambda path: frame().to_csv(path, index=False, encoding="cp1252"),
    "blank_lines.csv": lambda path: path.write_text("\n\n" + frame().to_csv(index=False).replace("\n", "\n\n")),
    "upper.TSV": lambda path: frame().to_csv(path, index=False, sep="\t"),
    "book.xlsx": lambda path: frame().to_excel(path, index=False),
    "book.ods": write_ods,
    "table.parquet": lambda path: frame().to_parquet(path),
    "lines.jsonl": write_json_lines,
    "list.json": lambda path: path.write_text(json.dumps(ROWS)),
}


def load(path, **given) -> Corpus:
    return import_files(path, **{"reader": "wide", "codebook": "3rs-2015", "roles": ROLES, **given})


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_corpus(name, tmp_path):
    WRITERS[name](tmp_path / name)
    corpus = load(tmp_path / name)
    assert corpus.utterances["text"].tolist() == [row["text"] for row in ROWS]
    assert corpus.utterances["role"].tolist() == ["therapist", "patient", "patient"]
    assert corpus.utterances["start"].fillna(-1).tolist() == [5, 65, -1]
    assert corpus.utterances["end"].isna().all()
    marks = [(row.unit_id, row.coder_id, row.code) for row in corpus.codings.fillna({"code": ""}).itertuples()]
    assert marks == [(0, "anna", "R4"), (1, "anna", "W2"), (1, "anna", "W5"), (2, "anna", "")]
    guessed = {
        "windows.csv": ["encoding: not UTF-8; read as cp1252"],
        "utf16le.tsv": ["encoding: no byte order mark; read as utf-16-le"],
    }
    assert corpus.rejects["reason"].tolist() == guessed.get(name, [])
    assert corpus.sessions["source_file"].tolist() == [name]
    corpus.check()


def test_row_numbers_count_the_header_and_blank_lines(tmp_path):
    (tmp_path / "a.csv").write_text('speaker,text\n\nT,"two\nlines"\n,,\nP,\nP,fine\n')
    rejects = load(tmp_path / "a.csv").rejects
    assert rejects.to_numpy().tolist() == [["a.csv", 5, "no text: the cell is empty; row dropped"]]
    (tmp_path / "a.jsonl").write_text('\n{"text": "fine"}\nnonsense\n{"text": ""}\n')
    rejects = load(tmp_path / "a.jsonl").rejects
    assert rejects["row"].tolist() == [3, 4]
    assert rejects["reason"][0] == "not a JSON object: line dropped"


def test_a_row_with_too_many_cells_is_rejected(tmp_path):
    (tmp_path / "a.csv").write_text("speaker,text\nT,well, I think\nP,fine,,\nP\n")
    corpus = load(tmp_path / "a.csv")
    assert corpus.utterances["text"].tolist() == ["fine"]
    assert corpus.rejects["reason"].str.partition(":")[0].tolist() == ["too many cells", "no text"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", b"", "the file is empty"),
        ("blank.csv", b"\n \n", "the file is empty"),
        ("header.csv", b"speaker,text\n", "the file has no rows; its header: speaker, text"),
        ("binary.csv", b"PK\x03\x04\x00\x00\x00", "not a readable CSV file"),
        ("quotes.csv", b'speaker,text\nT,"open\nP,fine\n', "not a well-formed table: line 3"),
        ("notes.docx", b"x", "format .docx was not recognised by its content"),
        ("broken.xlsx", b"no workbook", "no readable workbook"),
        ("broken.parquet", b"no table", "not a readable Parquet file"),
        ("broken.json", b'[{"text": "a"}', "not valid JSON"),
        ("words.json", b'["a"]', "expected a list of JSON objects"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error_alone_and_a_reject_among_others(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name}: .*{message}"):
        load(tmp_path / name)
    (tmp_path / "good.csv").write_text("speaker,text\nT,hello\n")
    corpus = load(tmp_path)
    assert len(corpus.utterances) == 1
    assert corpus.rejects["file"].tolist() == [name]
    assert corpus.rejects["reason"][0].startswith(f"file not read: {message}")
    assert corpus.manifest["files"] == {"found": 2, "imported": 1}


def test_when_no_file_can_be_read_the_commonest_reason_is_given(tmp_path):
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(
        InputError, match=r"none of 2 files could be read; most common reason \(2 times\): file not read: the"
    ):
        load(tmp_path)


def test_sources_that_hold_nothing_are_errors(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.csv: no such file, folder or match of a pattern"):
        load(tmp_path / "nothing.csv")
    with pytest.raises(InputError, match="the folder holds no files"):
        load(tmp_path)


def test_hidden_files_and_lock_files_are_passed_over(tmp_path):
    for name in ("b.csv", "sub/a.csv", ".hidden.csv", "~$b.xlsx", ".git/c.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("text\nhello\n")
    assert [path.name for path in find_files(tmp_path)] == ["b.csv", "a.csv"]
    for name in ("Thumbs.db", "desktop.ini"):
        (tmp_path / name).write_text("of Windows")
    assert [path.name for path in find_files(tmp_path)] == ["b.csv", "a.csv"]
    assert [path.name for path in find_files(f"{tmp_path}/**/*.csv")] == ["b.csv", "a.csv"]


def test_a_second_sheet_is_noted(tmp_path):
    with pd.ExcelWriter(tmp_path / "two.xlsx") as book:
        pd.DataFrame().to_excel(book, sheet_name="empty")
        frame().to_excel(book, sheet_name="codes", index=False)
        pd.DataFrame({"code": ["W1"], "meaning": ["Denial"]}).to_excel(book, sheet_name="notes", index=False)
    corpus = load(tmp_path / "two.xlsx")
    assert len(corpus.utterances) == 3
    assert corpus.rejects["reason"].tolist() == ["sheet not read: 'notes'; only the first filled one, 'codes', is"]


def test_a_second_sheet_like_the_first_is_told(tmp_path, capsys):
    with pd.ExcelWriter(tmp_path / "two.xlsx") as book:
        frame().to_excel(book, sheet_name="anna", index=False)
        frame().to_excel(book, sheet_name="ben", index=False)
    show_import(load(tmp_path / "two.xlsx"), "x")
    assert "note: a workbook holds more than was read, as in two.xlsx: sheet not read: 'ben'" in capsys.readouterr().out


def test_nested_json_names_the_record_that_has_no_rows(tmp_path):
    (tmp_path / "a.json").write_text('[{"id": 1, "turns": [{"text": "a"}]}, {"id": 2}]')
    with pytest.raises(InputError, match="record 2: expected a list of JSON objects under the key 'turns'"):
        read_table(tmp_path / "a.json", records="turns")
    (tmp_path / "a.json").write_text('{"id": 1, "turns": [{"text": "a"}, {"text": "b", "codes": ["W1"]}]}')
    table = read_table(tmp_path / "a.json", records="turns")
    assert table.frame.to_dict("list") == {"id": ["1", "1"], "text": ["a", "b"], "codes": ["", '["W1"]']}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (float("nan"), ""),
        (3.0, "3"),
        (0.5, "0.5"),
        (True, "true"),
        ("  n/a ", "  n/a "),
        (datetime.time(0, 6, 23), "00:06:23"),
        (datetime.datetime(1900, 1, 1, 5, 49), "29:49:00"),
        (datetime.datetime(1899, 12, 31, 5, 49), "05:49:00"),
        (datetime.timedelta(minutes=90), "01:30:00"),
        (datetime.date(2020, 2, 1), "2020-02-01"),
        (["W1", "W2"], '["W1", "W2"]'),
    ],
)
def test_cells_become_what_a_person_would_write(value, text):
    assert cell_text(value) == text


@given(st.integers(min_value=0, max_value=999 * 3600 * 1000 - 1))
def test_times_survive_being_written(milliseconds):
    assert seconds(clock(milliseconds / 1000)) == pytest.approx(milliseconds / 1000, abs=1e-6)


@given(st.text(alphabet="0123456789:.,- ", max_size=12))
def test_a_time_is_read_or_refused_but_never_raises(written):
    read = seconds(written)
    assert read is None or read >= 0


@pytest.mark.parametrize(
    "written", ["00:09:025", "", "1:2:3:4", "00:61:00", "00:00:60", "-5", "5 s", "nan", "inf", "1e5"]
)
def test_odd_times_are_refused(written):
    assert seconds(written) is None


@pytest.mark.parametrize(("written", "read"), [("75:30", 4530), ("1:02:03,5", 3723.5), ("12.25", 12.25), (" 0:07 ", 7)])
def test_usual_times_are_read(written, read):
    assert seconds(written) == read


def test_templates_take_names_apart():
    assert template("TalkBack.{year}.{group}.x").fullmatch("talkback.Year1.Smith.X").groupdict() == {
        "year": "Year1",
        "group": "Smith",
    }
    assert template("a.c").fullmatch("abc") is None
    assert template("Q{1}").fullmatch("q{1}").groupdict() == {}
    twice = template("{session}_{session}")
    assert twice.fullmatch("s1_s1")["session"] == "s1"
    assert twice.fullmatch("s1_s2") is None


SMALL = {"name": "mine", "layout": "wide", "columns": {"text": "words"}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colums": {}}, "reader mine.yaml: key: found 'colums'; did you mean 'columns'?"),
        ({"columns": {"txt": "words"}}, "reader mine.yaml: columns: key: found 'txt'; did you mean 'text'?"),
        ({"columns": {"text": {"a": 1}}}, "columns: text: found {'a': 1}; expected a word or a list of words"),
        ({"columns": None}, "columns: expected a mapping of keys to values, found NoneType"),
        ({"layout": "broad"}, "layout: found 'broad'; known: wide, rater_rows, long"),
        ({"read": "row"}, "read: found 'row'; did you mean 'rows'?"),
        ({"optional": ["start"]}, "optional: found 'start'; known: text"),
        ({"codes": [{"family": "x"}]}, "codes: entry 1: key 'column' is missing"),
        ({"codes": {"column": "x"}}, "codes: expected a list of columns, found dict"),
        ({"codes": [{"column": "{rater}"}]}, "part in braces: found 'rater'; known: coder, code"),
        ({"roles": ["T"]}, "roles: expected a mapping such as {A: b}, found list"),
        ({"roles": {"T": None}}, "roles: T: found None; expected a word"),
        ({"further": ["text"]}, "further: 'text' is a column of every corpus; give it another name"),
        ({"file_name": "{patient_id}_{session_number}"}, "file_name: 'patient_id' is a column of every corpus"),
        ({"file_name": "{source_file}"}, "file_name: 'source_file' is a column of every corpus; give it another name"),
        ({"longest_hours": 0}, "longest_hours: found 0; expected a number above 0"),
        ({"segment_minutes": float("nan")}, "segment_minutes: found nan; expected a number above 0"),
    ],
)
def test_a_fault_in_a_reader_names_file_and_key(change, message):
    with pytest.raises(SettingsError) as error:
        Reader.from_dict({**SMALL, **change}, "mine.yaml")
    assert message in str(error.value)


def test_readers_are_found_by_name_or_file(tmp_path):
    with pytest.raises(
        SettingsError, match=r"reader 'annomy': not shipped and not a \.yaml file; shipped: annomi, exported, long"
    ):
        Reader.load("annomy")
    with pytest.raises(SettingsError, match=r"mine.yaml: no such file"):
        Reader.load(tmp_path / "mine.yaml")
    (tmp_path / "mine.yaml").write_text("columns: [")
    with pytest.raises(SettingsError, match=r"reader mine\.yaml: not valid YAML"):
        Reader.load(tmp_path / "mine.yaml")
    with pytest.raises(SettingsError, match="reader mine: key 'layout' is missing"):
        Reader.from_dict({"name": "a", "columns": {}}, "mine")


AUTO = {
    "annomi": "transcript_id,utterance_id,interlocutor,timestamp,utterance_text,video_url,topic,mi_quality,"
    "annotator_id,main_therapist_behaviour,client_talk_type\n1,1,client,0,hm,v,t,high,1,n/a,neutral\n",
    "talkmoves": "Speaker,Sentence,TImeStamp,Teacher Tag,Student Tag\nS,hm,0,,1 - none\n",
    "long": "session,order,speaker,text,coder,code\n1,1,P,hm,anna,W1\n",
    "wide": "speaker,text,coder_a\nP,hm,W1\n",
}


@pytest.mark.parametrize("reader", AUTO)
def test_auto_finds_the_reader_by_its_columns(reader, tmp_path):
    file = tmp_path / "TalkBack.Year1.Smith.Fall.1.csv"
    file.write_text(AUTO[reader])
    (tmp_path / "a_note.txt").write_text("x")
    codebook = {"long": "3rs-2015", "wide": "3rs-2015"}.get(reader)
    corpus = import_files(tmp_path, "auto", codebook, roles=None if codebook is None else ROLES)
    assert corpus.manifest["reader"] == reader
    assert len(corpus.codings) == 1


def test_a_saved_corpus_reads_back_as_long_tables(tmp_path):
    frame().to_csv(tmp_path / "a.csv", index=False)
    first = load(tmp_path / "a.csv")
    first.save(tmp_path / "corpus")
    again = import_files(tmp_path / "corpus" / "*.parquet", "auto", "3rs-2015", ROLES)
    pd.testing.assert_frame_equal(again.utterances, first.utterances)
    pd.testing.assert_frame_equal(again.codings, first.codings)


def test_every_example_and_every_test_that_the_readme_lists_is_there():
    listed = (
        (TESTS.parent / "README.md")
        .read_text(encoding="utf-8")
        .partition("## Formats")[2]
        .partition("## How it works")[0]
    )
    rows = [line.split("|") for line in listed.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 18
    for row in rows:
        for name in re.findall(r"`([^`]+\.\w+)`", row[4]):
            assert list((TESTS / "formats").glob(name.replace("…", "*"))), name
        assert all((TESTS / f"test_formats{name}").is_file() for name in re.findall(r"`([^`]+)`", row[5]))
    others = (TESTS / "formats" / "README.md").read_text(encoding="utf-8")
    assert all((TESTS / "formats" / name).is_file() for name in re.findall(r"`([a-z_0-9]+\.(?!py)\w+)`", others))
