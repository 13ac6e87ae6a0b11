"""Sheets in which coders wrote only codes, beside transcripts that have no numbers of their own."""

import pytest

from tests.lab_tables import lab, load, marks, reasons
from threers.errors import InputError, SettingsError
from threers.formats import import_files
from threers.formats.reader import Reader
from threers.screen import show_import

SPOKEN = ["T: How was the week?", "P: Fine.", "T: I may have pushed you.", "P: You do not listen.", "T: I am sorry."]
#: The times of Zoom have thousandths; those of a sheet have not.
STARTS = [0.4, 12.843, 17.746, 25.08, 31.5]


def captions(lines: list[str] = SPOKEN) -> str:
    cues = [
        f"{n}\n00:00:{start:06.3f} --> 00:00:{start + 4.2:06.3f}\n{line}\n"
        for n, (start, line) in enumerate(zip(STARTS, lines, strict=True), start=1)
    ]
    return "WEBVTT\n\n" + "\n".join(cues)


RIGHT = [("s1", 1, "anna", "W2", 1), ("s1", 2, "anna", "R5", 1), ("s1", 3, "anna", "C1", 1)]


def coded(corpus) -> list[tuple]:
    return [one for one in marks(corpus) if one[3]]


@pytest.mark.parametrize("number", ["no", "No.", "Nr.", "#", "Utterance ID"])
def test_usual_headers_of_numbers_are_found(number, tmp_path):
    sheet = f"Session,{number},Coder,Code\ns1,0,anna,\ns1,1,anna,W2\ns1,2,anna,R5\ns1,3,anna,C1\ns1,4,anna,\n"
    corpus = load(tmp_path, {"s1.vtt": captions(), "codes.csv": sheet}, "auto")
    assert coded(corpus) == RIGHT


def test_a_sheet_with_a_column_per_coder_needs_no_text(tmp_path):
    sheet = "session,line,coder_anna,coder_ben\ns1,1,W2,W2\ns1,2,R5,\ns1,3,C1,C2\n"
    corpus = load(tmp_path, {"s1.vtt": captions(), "codes.csv": sheet}, "auto")
    assert coded(corpus) == sorted([*RIGHT, ("s1", 1, "ben", "W2", 1), ("s1", 3, "ben", "C2", 1)])


def test_columns_with_the_bare_names_of_coders_are_named_with_them(tmp_path):
    sheet = "Session,No.,Anna,Ben,Comment\ns1,1,,,\ns1,2,W2,,sure\ns1,3,R5,,\ns1,4,C1,C2,\ns1,5,,,\n"
    files = {"s1.vtt": captions(), "codes.csv": sheet}
    corpus = load(tmp_path, files, "auto", columns={"code": {"Anna": "anna", "Ben": "ben"}})
    assert coded(corpus) == [*RIGHT, ("s1", 3, "ben", "C2", 1)]


def test_a_header_may_have_braces_and_a_coder_must_have_a_name(tmp_path):
    files = {"s1.vtt": captions(), "codes.csv": "session,line,Q{1}\ns1,0,\ns1,1,W2\n"}
    corpus = load(tmp_path, files, "auto", columns={"code": {"Q{1}": "anna"}})
    assert coded(corpus) == [("s1", 1, "anna", "W2", 1)]
    for nobody in (None, ["anna"]):
        with pytest.raises(SettingsError, match=r"columns: code: Q\{1\}: found .*; expected a word"):
            load(tmp_path, files, "auto", columns={"code": {"Q{1}": nobody}})


def test_two_columns_that_count_as_one_coders_are_told(tmp_path, caplog):
    caplog.set_level("INFO")
    files = {"s1.vtt": captions(), "codes.csv": "session,line,Anna,Ben\ns1,0,,\ns1,1,W2,W1\n"}
    corpus = load(tmp_path, files, "auto", columns={"code": ["Anna", "Ben"]})
    assert coded(corpus) == [("s1", 1, "coder", "W1", 1), ("s1", 1, "coder", "W2", 1)]
    told = "the columns Anna, Ben count as those of one coder, called coder. A coder each: 'columns={code: {Anna: …}}'"
    assert told in caplog.messages
    caplog.clear()
    load(tmp_path, files, "auto", columns={"code": {"Anna": "anna", "Ben": "ben"}})
    assert "one coder" not in caplog.text


def numbered(first: int, coded_only: bool) -> str:
    codes = ["", "W2", "R5", "C1", ""]
    rows = [f"s1,{n},anna,{code}" for n, code in enumerate(codes, start=first) if code or not coded_only]
    return "\n".join(["session,line,coder,code", *rows, ""])


@pytest.mark.parametrize("coded_only", [False, True])
@pytest.mark.parametrize("first", [0, 1])
def test_numbers_from_1_and_from_0_find_the_same_utterances(first, coded_only, tmp_path):
    corpus = load(tmp_path, {"s1.vtt": captions(), "codes.csv": numbered(first, coded_only)}, "auto")
    assert coded(corpus) == RIGHT
    noted = [(None, "numbers from 1: read so; threers counts the utterances of a session from 0")]
    assert [(None, reason) for _, reason in reasons(corpus)] == (noted if first else [])


def test_numbers_that_a_transcript_gives_are_never_changed(tmp_path, capsys):
    rows = "\n".join(f"s1,{n},{line[0]},{line[3:]}" for n, line in enumerate(SPOKEN))
    files = {"said.csv": f"session,line,speaker,text\n{rows}\n", "codes.csv": numbered(1, True)}
    corpus = load(tmp_path, files, "auto")
    assert coded(corpus) == []
    assert [reason.partition(":")[0] for _, reason in reasons(corpus)] == ["illegal role"] * 3
    show_import(corpus, "x")
    assert "note: many codes stand on speakers who may not have them" in capsys.readouterr().out


def test_one_code_on_the_wrong_speaker_moves_no_sheet(tmp_path):
    sheet = "session,line,coder,code\ns1,1,anna,W2\ns1,2,anna,W2\ns1,3,anna,C1\n"
    corpus = load(tmp_path, {"s1.vtt": captions(), "codes.csv": sheet}, "auto")
    assert coded(corpus) == [RIGHT[0], RIGHT[2]]


def test_a_moment_in_whole_seconds_means_the_utterance_that_begins_in_it(tmp_path):
    sheet = "session,start,coder,code\ns1,00:00:12,anna,W2\ns1,00:00:17,anna,R5\ns1,00:00:25,anna,C1\n"
    corpus = load(tmp_path, {"s1.vtt": captions(), "codes.csv": sheet}, "auto")
    assert coded(corpus) == RIGHT  # at 17 the patient still speaks
    exact = sheet.replace("00:00:17", "00:00:17.1")
    corpus = load(tmp_path, {"s1.vtt": captions(), "codes.csv": exact}, "auto")
    assert coded(corpus) == [RIGHT[0], RIGHT[2]]


def test_a_coded_time_that_lost_its_end_is_kept_as_a_moment_and_listed(tmp_path):
    said = "WEBVTT\n\n00:02.000 --> 00:04.000\n<v P>so\n\n00:07.000 --> 00:09.000\n<v P>hm\n"
    sheet = "session,coder,start,end,code\ns1,anna,0:08,0:03,W1; C1\ns1,anna,0:03,later,W2\ns1,anna,0:02,0:04,W3\n"
    corpus = load(tmp_path, {"s1.vtt": said, "codes.csv": sheet}, "auto")
    assert [(place, code) for _, place, _, code, _ in coded(corpus)] == [(0, "W2"), (0, "W3"), (1, "C1"), (1, "W1")]
    assert reasons(corpus) == [
        (2, "time goes backwards: the coding ends before it begins; kept as the moment of its start"),
        (3, "time not readable: end 'later'; kept as the moment of its start"),
    ]


def test_codes_without_a_number_stop_the_import_rather_than_go_unread(tmp_path):
    sheet = "session,Place,speaker,text,coder,code\ns1,1,P,Fine.,anna,W2\n"
    with pytest.raises(
        InputError, match=r"no column for order.*name it: columns=\{order: …\}; this file has session, Pl"
    ):
        load(tmp_path, {"coded.csv": sheet}, "auto")
    assert coded(load(tmp_path, {"coded.csv": sheet}, "auto", columns={"order": "Place"})) == [
        ("s1", 0, "anna", "W2", 1)
    ]


def test_a_sheet_that_could_not_be_read_is_named_with_what_to_do(tmp_path, capsys):
    files = {"s1.vtt": captions(), "codes.csv": "Session,From,To,Coder,Code\ns1,00:00:12,00:00:16,anna,W2\n"}
    corpus = load(tmp_path, files, "auto")
    show_import(corpus, "x")
    told = capsys.readouterr().out
    assert "nothing was taken from 1 of 2 files, as in codes.csv: wrong columns" in told
    assert "columns={session: …, code: …, start: …, end: …}" in told
    columns = {"start": "From", "end": "To"}
    roles = {"T": "therapist", "P": "patient"}
    assert coded(import_files(tmp_path, "auto", "3rs-2015", roles, columns)) == RIGHT[:1]


def test_words_that_yaml_takes_for_truths_are_words_in_a_reader(tmp_path):
    (tmp_path / "mine.yaml").write_text("name: mine\nlayout: wide\ncolumns: {order: [no, On]}\nunmarked: [No, off]\n")
    reader = Reader.load(tmp_path / "mine.yaml")
    assert (reader.columns["order"], reader.unmarked) == (("no", "On"), ("No", "off"))
    assert lab(columns={"order": "no"}).columns["order"] == ("no",)
