"""What importing makes of rows: layouts, coders, units, roles, sessions."""

import re
import unicodedata
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.lab_tables import lab, load, marks, reasons
from threers.errors import SettingsError
from threers.formats import import_files
from threers.formats.times import seconds
from threers.screen import show_import

EXAMPLES = Path("tests/formats")
NUMBERED = {"session": "session", "speaker": "who", "text": "said", "session_number": "session_number"}


def test_long_rows_of_several_coders_are_read(tmp_path):
    text = """session,order,speaker,text,coder,code
1,10,T,hello,anna,
1,20,P,hm,anna,W2
1,20,P,hm,anna,W5
1,20,P,hm,bert,C1
1,30,P,well,anna,
2,1,P,no,bert,C2
"""
    corpus = load(tmp_path, {"a.csv": text})
    assert corpus.utterances[["session_id", "utterance_id", "text"]].to_numpy().tolist() == [
        ["1", 0, "hello"],
        ["1", 1, "hm"],
        ["1", 2, "well"],
        ["2", 0, "no"],
    ]
    assert marks(corpus) == [
        ("1", 0, "anna", "", 0),
        ("1", 0, "bert", "", 0),
        ("1", 1, "anna", "W2", 1),
        ("1", 1, "anna", "W5", 1),
        ("1", 1, "bert", "C1", 1),
        ("1", 2, "anna", "", 0),
        ("1", 2, "bert", "", 0),
        ("2", 0, "bert", "C2", 1),
    ]
    assert corpus.rejects.empty


def test_texts_codings_and_outcomes_may_stand_in_files_of_their_own(tmp_path):
    files = {
        "codes.csv": "session,utterance_id,rater,label\n1,2,anna,Minimal response\n2,,anna,\n1,9,anna,W1\n",
        "outcomes.csv": "session,patient,symptoms\n1,p7,12\n2,p7,8.5\n3,p8,1\n",
        "texts.csv": "session,utterance_id,speaker,text\n1,1,T,hello\n1,2,P,hm\n2,1,P,yes\n",
    }
    corpus = load(tmp_path, files, columns={"further": "symptoms"})
    assert marks(corpus) == [("1", 0, "anna", "", 0), ("1", 1, "anna", "W2", 1), ("2", 0, "anna", "", 0)]
    assert corpus.sessions["group_id"].tolist() == ["p7", "p7"]
    assert corpus.sessions["symptoms"].tolist() == [12, 8.5]
    assert corpus.sessions["source_file"].tolist() == ["texts.csv", "texts.csv"]
    why = "no such utterance: nothing was imported that this coding could belong to; coding dropped"
    assert reasons(corpus) == [(4, why)]


@pytest.mark.parametrize(
    ("read", "units"),
    [("rows", [0, 1]), ("sessions", [0, 1, 2]), ("marks", [1])],
)
def test_what_a_coder_has_read_is_the_readers_choice(read, units, tmp_path):
    reader = lab(
        layout="long",
        columns={"order": "n", "speaker": "who", "text": "said", "coder": "coder"},
        codes=[{"column": "code"}],
        read=read,
    )
    text = "n,who,said,coder,code\n1,T,hello,anna,\n2,P,hm,anna,W2\n3,P,well,,\n"
    corpus = load(tmp_path, {"a.csv": text}, reader)
    assert corpus.codings["unit_id"].tolist() == units


def test_a_column_per_coder_is_read(tmp_path):
    text = "speaker,text,coder_Anna,rater_2\nT,hello,none,\nP,hm,W2|Abstract communication,\nP,no,,\n"
    corpus = load(tmp_path, {"s1.csv": text}, "wide")
    assert marks(corpus) == [
        ("s1", 0, "Anna", "", 0),
        ("s1", 1, "Anna", "W2", 1),
        ("s1", 1, "Anna", "W3", 1),
        ("s1", 2, "Anna", "", 0),
    ]


def test_a_column_per_code_and_ratings_of_the_session_are_read(tmp_path):
    text = """speaker,text,rater,w2,C1,Resolution extent,mood
T,hello,anna,0,,4,1
P,hm,anna,1,x,4,1
P,no,anna,maybe,false,4,1
"""
    corpus = load(tmp_path, {"s1.csv": text}, "wide")
    assert marks(corpus) == [
        ("s1", 0, "anna", "resolution_extent", 4),
        ("s1", 0, "anna", "", 0),
        ("s1", 1, "anna", "C1", 1),
        ("s1", 1, "anna", "W2", 1),
    ]
    assert corpus.codings["unit"].tolist() == ["session", "utterance", "utterance", "utterance"]
    assert reasons(corpus) == [(4, "value not readable: 'maybe' in the column of W2; expected 1 or 0; coding dropped")]
    assert corpus.manifest["columns_not_imported"] == ["mood"]


def test_a_column_per_coder_and_code_is_read(tmp_path):
    text = "speaker,text,anna:W1,bert:W1\nP,hm,1,0\nP,no,,1\n"
    corpus = load(tmp_path, {"s1.csv": text}, "wide")
    assert marks(corpus) == [
        ("s1", 0, "anna", "W1", 1),
        ("s1", 0, "bert", "", 0),
        ("s1", 1, "anna", "", 0),
        ("s1", 1, "bert", "W1", 1),
    ]


def test_rater_rows_refuse_the_same_coder_twice_and_another_text(tmp_path):
    reader = lab(
        layout="rater_rows",
        columns={"order": "n", "speaker": "who", "text": "said", "coder": "coder"},
        codes=[{"column": "code"}],
    )
    text = "n,who,said,coder,code\n1,P,hm,a,W1\n1,P,hm,b,\n1,P,hm,a,W2\n1,P,hmm,c,W3\n"
    corpus = load(tmp_path, {"a.csv": text}, reader)
    assert marks(corpus) == [("a", 0, "a", "W1", 1), ("a", 0, "b", "", 0)]
    why = "duplicate key: this session and order stand in a.csv row 2 with this coder or another text; row dropped"
    assert reasons(corpus) == [(4, why), (5, why)]


def test_ratings_and_units_in_a_long_table_are_read(tmp_path):
    text = """session,order,speaker,text,coder,unit,unit_id,code,value
1,1,P,hm,anna,,,,
1,,,,anna,segment,0,WD_P,3
1,,,,anna,segment,1,WD_P,7
1,,,,anna,segment,1,WD_P,
1,,,,anna,segment,x,WD_P,2
1,,,,anna,session,,WD_P,2
1,,,,anna,Session,,resolution_extent,"2,5"
1,,,,anna,word,1,WD_P,2
1,,,,anna,segment,2,WD_P,much
"""
    corpus = load(tmp_path, {"a.csv": text}, codebook="3rs-2022")
    assert marks(corpus) == [
        ("1", 0, "anna", "WD_P", 3),
        ("1", 0, "anna", "resolution_extent", 2.5),
        ("1", 0, "anna", "", 0),
    ]
    assert [(row, reason.removesuffix("; coding dropped")) for row, reason in reasons(corpus)] == [
        (4, "value off scale: code WD_P is rated from 1 to 5, found 7"),
        (5, "value missing: code WD_P is rated from 1 to 5"),
        (6, "no such segment: nothing was imported that this coding could belong to"),
        (7, "wrong unit: code WD_P is coded on a segment, found session"),
        (9, "unknown unit: 'word'; expected utterance, segment, session"),
        (10, "value not readable: 'much' is not a number"),
    ]


def test_codes_of_utterances_may_be_given_to_segments_and_counted_there(tmp_path):
    text = """session,order,speaker,text,coder,unit,unit_id,code,value
1,1,P,hm,anna,,,W1,1
1,,,,anna,segment,0,W2,3
1,,,,anna,segment,0,W5,
1,,,,anna,segment,1,,
1,,,,anna,segment,2,W1,0
1,,,,anna,segment,3,W1,1.5
1,,,,anna,session,,W1,1
"""
    corpus = load(tmp_path, {"a.csv": text})
    own = corpus.codings[corpus.codings["unit"] == "segment"].fillna({"code": "", "value": 0})
    found = sorted(own[["unit_id", "code", "value"]].itertuples(index=False, name=None))
    assert found == [(0, "W2", 3), (0, "W5", 1), (1, "", 0), (2, "", 0)]
    assert [(row, reason.removesuffix("; coding dropped")) for row, reason in reasons(corpus)] == [
        (7, "value off scale: code W1 is counted (0, 1, 2, …), found 1.5"),
        (8, "wrong unit: code W1 is coded on a utterance, found session"),
    ]


def test_a_segment_may_hold_several_codes_that_exclude_each_other_in_an_utterance(tmp_path):
    text = """session,order,speaker,text,coder,unit,unit_id,code
1,1,client,hm,anna,,,
1,,,,anna,segment,0,change
1,,,,anna,segment,0,neutral
"""
    corpus = load(tmp_path, {"a.csv": text}, codebook="annomi", roles={})
    assert sorted(corpus.codings.loc[corpus.codings["unit"] == "segment", "code"]) == ["change", "neutral"]
    assert corpus.rejects.empty


def test_a_value_of_zero_says_that_the_code_is_absent(tmp_path):
    text = "order,speaker,text,coder,code,value\n1,P,hm,anna,W1,0\n2,P,no,anna,W1,1\n3,P,so,anna,W1,3\n"
    corpus = load(tmp_path, {"a.csv": text})
    assert marks(corpus) == [("a", 0, "anna", "", 0), ("a", 1, "anna", "W1", 1)]
    assert reasons(corpus)[0][1].startswith("value off scale: code W1 is present (1) or absent (0), found 3; ")


def test_sessions_are_not_mixed_when_two_files_have_one_name(tmp_path):
    (tmp_path / "p1").mkdir()
    (tmp_path / "p2").mkdir()
    (tmp_path / "p1" / "s.csv").write_text("text\na\n")
    (tmp_path / "p2" / "s.csv").write_text("text\nb\nc\n")
    corpus = load(tmp_path, {"other.csv": "text\nx\n", "another.csv": "text\ny\n"}, "wide")
    assert corpus.utterances["text"].tolist() == ["y", "x", "a"]
    why = "duplicate key: p1/s.csv holds this session, and no column gives an order; row dropped"
    assert reasons(corpus) == [(2, why), (3, why)]


def test_sessions_stand_in_natural_order_and_their_facts_are_checked(tmp_path):
    text = """session,order,text,patient,session_number,note
s10,1,a,p1,2,
s9,2,b,p2,first,007
s9,1,c,p3,first,
"""
    corpus = load(tmp_path, {"a.csv": text}, columns={"further": ["note"]})
    assert corpus.sessions["session_id"].tolist() == ["s9", "s10"]
    assert corpus.utterances["text"].tolist() == ["c", "b", "a"]
    assert corpus.sessions["patient_id"].tolist() == corpus.sessions["group_id"].tolist() == ["p2", "p1"]
    assert corpus.sessions["session_number"].fillna(0).tolist() == [0, 2]
    assert corpus.sessions["note"].fillna("").tolist() == ["007", ""]
    assert reasons(corpus) == [
        (3, "session number not readable: 'first'; left out"),
        (4, "session differs: patient is another here than in the session's first row, which counts"),
    ]


def test_a_session_without_a_patient_among_others_is_noted(tmp_path):
    text = "session,order,text,patient\n1,1,a,p1\n2,1,b,p1\n3,1,c,\n"
    corpus = load(tmp_path, {"a.csv": text})
    assert corpus.sessions["group_id"].tolist() == ["p1", "p1", "3"]
    assert corpus.manifest["grouped_by"] == "patient"
    assert reasons(corpus) == [(4, "no group: no patient or group is named; session counts as its own")]


def test_facts_may_stand_in_the_file_name(tmp_path):
    reader = lab(file_name="{patient}_{session_number}_{arm}")
    files = {
        "p1_2_drug.csv": "who,said\nT,hello\n",
        "notes.csv": "who,said\nT,hello\n",
        "p1_10_drug.csv": "who,said\nP,a\n",
    }
    corpus = load(tmp_path, files, reader)
    assert corpus.sessions[["session_id", "group_id", "session_number", "arm"]].to_numpy().tolist() == [
        ["p1_2_drug", "p1", 2, "drug"],
        ["p1_10_drug", "p1", 10, "drug"],
    ]
    why = "wrong file name: reader lab expects it to look like '{patient}_{session_number}_{arm}'"
    assert corpus.rejects["reason"].tolist() == [why]


@pytest.mark.parametrize(
    ("first", "last", "divided_by"),
    [
        ("00:05:00", "06:23:00", 60),
        ("00:05:00", "06:23:10", 1),
        ("00:05:00", "03:59:00", 1),
        ("05:00:00", "06:23:00", 1),
        ("29:49:00", "29:49:00", 60),
    ],
)
def test_minutes_that_a_spreadsheet_took_for_hours_are_minutes_again(first, last, divided_by, tmp_path):
    corpus = load(tmp_path, {"a.csv": f"time,text\n{first},a\n{last},b\n"}, "wide")
    assert corpus.utterances["start"].tolist() == [seconds(first) / divided_by, seconds(last) / divided_by]
    assert any(f"minutes typed as hours: {last} is beyond 4" in why for _, why in reasons(corpus)) is (divided_by == 60)


def test_names_that_a_mac_stored_in_another_way_are_the_same_names(tmp_path):
    apart = unicodedata.normalize("NFD", "Jürgen")
    files = {
        "a.csv": f"session,patient,order,who,text,coder,code\n1,Jürgen,1,P,a,Jürgen,W1\n2,{apart},1,P,a,{apart},\n",
        "codes.csv": f"session,order,coder,code\n{apart},1,Zoë,W1\n",
        "b.csv": "session,patient,order,who,text\nJürgen,Zoë,1,P,a\n",
    }
    corpus = load(tmp_path, files)
    assert corpus.sessions["group_id"].tolist() == ["Jürgen", "Jürgen", "Zoë"]
    assert marks(corpus) == [("1", 0, "Jürgen", "W1", 1), ("2", 0, "Jürgen", "", 0), ("Jürgen", 0, "Zoë", "W1", 1)]


def test_starts_in_whole_minutes_beside_ends_in_seconds_are_hours(tmp_path):
    corpus = load(tmp_path, {"a.csv": "start,end,text\n00:05:00,00:05:07,a\n04:23:00,04:23:10,b\n"}, "wide")
    assert corpus.utterances["start"].tolist() == [300, 4 * 3600 + 23 * 60]
    assert reasons(corpus) == []


def test_numbers_of_many_digits_are_names_and_no_number_of_a_session(tmp_path):
    long = ["9007199254740993", "99999999999999999999"]
    rows = "".join(f"s{n},T,hello,{number},{number}\n" for n, number in enumerate(long))
    text = f"session,who,said,case,session_number\n{rows}"
    corpus = load(tmp_path, {"a.csv": text}, columns={"further": "case"}, reader=lab(columns=NUMBERED))
    assert corpus.sessions["case"].tolist() == long
    assert corpus.sessions["session_number"].isna().all()
    assert [why for _, why in reasons(corpus)] == [
        f"session number not readable: {number!r}; left out" for number in long
    ]


def test_roles_by_name_by_pattern_and_by_the_filled_column(tmp_path):
    codes = [{"column": "p", "role": "patient"}, {"column": "t", "role": "therapist"}]
    reader = lab(codes=codes, roles={"Dr. *": "therapist", "X": "other"})
    text = "who,said,p,t\n dr. Who ,a,,\nPATIENT,b,,\nx,c,W1,\nJane,d,W1,\nJohn,e,,R1\nJim,f,W1,R1\nJo,g,,\n"
    corpus = load(tmp_path, {"a.csv": text}, reader, roles={"dr. who": "patient"})
    roles = ["patient", "patient", "other", "patient", "therapist", "patient", "unknown"]
    assert corpus.utterances["role"].tolist() == roles
    assert [row for row, _ in reasons(corpus)] == [4, 7]
    with pytest.raises(
        SettingsError, match="roles: T: found 'shrink'; codebook 3rs-2015 has patient, therapist, other"
    ):
        load(tmp_path, {"a.csv": text}, reader, roles={"T": "shrink"})


def test_families_and_values_belong_to_their_column(tmp_path):
    codes = [{"column": "p", "family": "withdrawal", "values": {"1": "W1"}}, {"column": "c", "family": "confrontation"}]
    text = "who,said,p,c\nP,a,1,C1\nP,b,C1,1\n"
    corpus = load(tmp_path, {"a.csv": text}, lab(codes=codes))
    assert marks(corpus) == [("a", 0, "coder", "C1", 1), ("a", 0, "coder", "W1", 1)]
    assert [why for _, why in reasons(corpus)] == [
        "unknown code: 'C1' is a code, but column 'p' holds codes of withdrawal; coding dropped",
        "unknown code: '1' is not in codebook 3rs-2015; coding dropped",
    ]


def test_a_lab_writes_its_own_layout(tmp_path):
    layout = {
        "name": "lab",
        "codebook": "3rs-2015",
        "layout": "wide",
        "columns": {"text": "Transkript", "speaker": "Wer", "patient": ["Fall", "Fall-Nr"]},
        "roles": {"Th": "therapist", "Pat": "patient"},
        "codes": [{"column": "Rater {coder}"}],
        "missing": ["-"],
        "separators": ["+"],
    }
    (tmp_path / "lab.yaml").write_text(yaml.safe_dump(layout))
    table = pd.DataFrame(
        {"Wer": ["Th", "Pat"], "Transkript": ["a", "b"], "fall-nr": [7, 7], "Rater 1": ["-", "W1 + W2"]}
    )
    table.to_excel(tmp_path / "s1.xlsx", index=False)
    corpus = import_files(tmp_path / "s1.xlsx", tmp_path / "lab.yaml")
    assert marks(corpus) == [("s1", 0, "1", "", 0), ("s1", 1, "1", "W1", 1), ("s1", 1, "1", "W2", 1)]
    assert corpus.sessions["group_id"].tolist() == ["7"]
    assert corpus.utterances["role"].tolist() == ["therapist", "patient"]


def test_who_is_told_to_let_file_names_say_the_patient_can_do_so(tmp_path, capsys):
    said = (EXAMPLES / "voices.vtt").read_bytes()
    for name in ("07_1.vtt", "07_2.vtt"):
        (tmp_path / name).write_bytes(said)
    corpus = import_files(tmp_path, codebook="3rs-2015", roles={"*": "patient"})
    assert corpus.sessions["group_id"].nunique() == 2
    show_import(corpus, "x")
    told = capsys.readouterr().out
    own = re.search(r"file_name: \S+", told)[0]
    mine = tmp_path / "mine.yaml"
    mine.write_text(Path("configs/reader/transcript.yaml").read_text().replace("file_name: null", own))
    corpus = import_files(str(tmp_path / "*.vtt"), mine, "3rs-2015", {"*": "patient"})
    assert list(corpus.sessions[["patient_id", "session_number"]].itertuples(index=False)) == [("07", 1), ("07", 2)]
    show_import(corpus, "x")
    assert "note:" not in capsys.readouterr().out
    corpus = import_files(str(EXAMPLES / "ratings.sav"), "wide", "3rs-2015", {"*": "patient"})
    show_import(corpus, "x")
    assert "name that column" in capsys.readouterr().out


def test_columns_that_mean_nothing_and_files_that_gave_nothing_are_told(tmp_path, capsys):
    files = {"s1.csv": "speaker,text,Kodierer Anna\nP,hm,W2\n", "s2.csv": "speaker,words\nP,hm\n"}
    show_import(load(tmp_path, files, "wide"), "x")
    told = capsys.readouterr().out
    assert "note: nothing was taken from 1 of 2 files" in told
    assert "note: columns that mean nothing to reader wide: Kodierer Anna\n" in told
    (tmp_path / "s2.csv").unlink()
    columns = {"code": ["Kodierer {coder}"]}
    corpus = load(tmp_path, {"s1.csv": files["s1.csv"]}, "wide", columns=columns)
    assert marks(corpus) == [("s1", 0, "Anna", "W2", 1)]
    show_import(corpus, "x")
    assert "nothing" not in capsys.readouterr().out


def test_a_sheet_of_segments_and_a_table_of_patients_need_no_texts(tmp_path):
    files = {
        "s1.csv": "speaker,text,start,end\nT,hello,0:02,0:04\nP,hm,6:10,6:20\n",
        "sheet.csv": "session,coder,unit,segment,W1,C1\ns1,anna,segment,0,,\ns1,anna,segment,1,x,3\n",
        "sessions.csv": "session,patient\ns1,p7\n",
    }
    corpus = load(tmp_path, files, "auto")
    assert marks(corpus) == [("s1", 0, "anna", "", 0), ("s1", 1, "anna", "C1", 3), ("s1", 1, "anna", "W1", 1)]
    assert set(corpus.codings["unit"]) == {"segment"}
    assert corpus.sessions["group_id"].tolist() == ["p7"]
    assert corpus.rejects.empty


def test_segments_counted_from_one_are_noticed(tmp_path):
    files = {
        "s1.csv": "speaker,text,start,end\nT,hello,0:02,0:04\nP,hm,6:10,6:20\n",
        "sheet.csv": "session,coder,unit,segment,W1,C1\ns1,anna,segment,1,,\ns1,anna,segment,2,x,\n",
    }
    why = "segment after the end: number 2 begins at 00:10:00, the last word is at 00:06:20; kept. "
    assert reasons(load(tmp_path, files, "wide")) == [(3, why + "Segments count from 0 and last 5 minutes")]


@pytest.mark.parametrize("number", ["99999999999999999999", "-1", "0.5"])
def test_a_number_that_no_segment_can_have_is_listed(number, tmp_path):
    files = {
        "s1.csv": "speaker,text,start,end\nT,hello,0:02,0:04\nP,hm,6:10,6:20\n",
        "sheet.csv": f"session,coder,unit,segment,W1,C1\ns1,anna,segment,{number},,\ns1,anna,segment,{number},x,\n",
    }
    corpus = load(tmp_path, files, "wide")
    assert corpus.codings.empty
    why = "no such segment: nothing was imported that this coding could belong to; coding dropped"
    assert reasons(corpus) == [(3, why)]


def test_letters_of_two_characters_are_those_of_one(tmp_path):
    apart = unicodedata.normalize("NFD", "Fußgänger")
    (tmp_path / f"{apart}_1.csv").write_text(f"{apart},text\n{apart},hm\n")
    layout = lab(columns={"text": "text", "speaker": "Fußgänger"}, file_name="{patient}_{session_number}")
    corpus = import_files(tmp_path, layout, "3rs-2015", {"Fußgänger": "patient"})
    assert corpus.sessions[["session_id", "patient_id"]].to_numpy().tolist() == [["Fußgänger_1", "Fußgänger"]]
    assert corpus.utterances["role"].tolist() == ["patient"]
