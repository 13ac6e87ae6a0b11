"""Bad input: a reason for every row, coding and file that is left out, and an error where nothing is left."""

import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lab_tables import ROLES, lab, load, marks, reasons
from threers.errors import InputError, SettingsError
from threers.formats import import_files, names_apart


def test_every_kind_of_bad_row_is_listed_and_nothing_else_is_lost(tmp_path):
    text = """session,order,speaker,text,start,coder,code
1,1,P,secret one,0:05,anna,W1
1,1,P,secret two,0:06,anna,W1
,2,P,secret three,0:07,anna,
1,second,P,secret four,0:08,anna,
1,4,P,,0:09,anna,W2
1,5,P,secret five,5 past,anna,W99; W3
1,6,T,secret six,0:04,anna,W1
1,7,X,secret seven,0:10,anna,W1
1,8,P,secret eight,0:11,,W1
1,1,P,secret one,0:05,anna,W1
"""
    corpus = load(tmp_path, {"a.csv": text})
    assert reasons(corpus) == [
        (3, "duplicate key: this session and order stand in a.csv row 2 with another text; row dropped"),
        (4, "no session: the cell is empty; row dropped"),
        (5, "order not readable: 'second' is not a number; row dropped"),
        (6, "no text: the cell is empty; row dropped"),
        (7, "time not readable: start '5 past'; row kept without it"),
        (7, "unknown code: 'W99' is not in codebook 3rs-2015; coding dropped"),
        (8, "time goes backwards: 00:00:04 after 00:00:05 (1 such in this session); rows kept"),
        (8, "illegal role: code W1 is not for a speaker with role therapist; coding dropped"),
        (9, "illegal role: code W1 is not for a speaker with role unknown; coding dropped"),
        (10, "no coder: the cell is empty; coding dropped"),
        (11, "duplicate key: this coder gave code W1 here already; coding dropped"),
    ]
    assert marks(corpus) == [("1", 0, "anna", "W1", 1), ("1", 1, "anna", "W3", 1), ("1", 4, "anna", "", 0)]
    assert corpus.manifest["rows"] == {"read": 10, "used": 6}
    assert corpus.describe()["counts"]["roles"] == {"patient": 3, "therapist": 1, "unknown": 1}
    assert "secret" not in corpus.rejects.to_csv()


def test_a_list_of_codes_in_json_may_have_gaps_and_one_nested_beyond_reading_is_listed(tmp_path):
    text = 'session,order,speaker,text,coder,code\n1,1,P,hm,anna,"[""W1"", null]"\n1,2,P,hm,anna,' + "[" * 200_000
    corpus = load(tmp_path, {"a.csv": text})
    assert marks(corpus) == [("1", 0, "anna", "W1", 1)]
    why = "unknown code: a text of 200000 characters is not in codebook 3rs-2015; coding dropped"
    assert reasons(corpus) == [(3, why)]


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path):
    for coder in ("anna", "ben"):
        (tmp_path / "lab" / coder).mkdir(parents=True)
        text = f"session,order,speaker,text,coder,code\n{coder},1,P,hm,{coder},W99\n{coder},2,P,hm,{coder},W1\n"
        (tmp_path / "lab" / coder / "s1.csv").write_text(text)
    (tmp_path / "lab" / "other.csv").write_text("session,order,speaker,text,coder,code\n3,1,X,hm,anna,\n")
    roles = tmp_path / "roles.csv"
    roles.write_text("file,speaker,role\ns1.csv,P,patient\nother.csv,X,therapist\n")
    corpus = import_files(tmp_path / "lab", "long", codebook="3rs-2015", roles=roles)
    assert set(corpus.rejects["file"]) == {"anna/s1.csv", "ben/s1.csv"}
    assert list(corpus.sessions["source_file"]) == ["other.csv", "anna/s1.csv", "ben/s1.csv"]
    assert list(corpus.utterances["role"]) == ["therapist", *["patient"] * 4]
    files = [Path("a/x/s.csv"), Path("b/x/s.csv"), Path("x/s.csv"), Path("t.csv")]
    assert list(names_apart(files).values()) == ["a/x/s.csv", "b/x/s.csv", "x/s.csv", "t.csv"]


ROW = st.tuples(
    st.sampled_from(["1", "2", "3", "x", ""]),
    st.sampled_from(["T", "P", "X"]),
    st.sampled_from(["hm", "no", ""]),
    st.sampled_from(["anna", "bert", ""]),
    st.sampled_from(["W1", "C1", "R1", "W99", "W1; C1", "none", ""]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=12))
def test_whatever_the_rows_are_each_is_used_or_listed(rows):
    table = pd.DataFrame(rows, columns=["order", "speaker", "text", "coder", "code"])
    with tempfile.TemporaryDirectory() as folder:
        table.to_csv(Path(folder) / "a.csv", index=False)
        try:
            corpus = import_files(Path(folder) / "a.csv", "long", "3rs-2015", ROLES)
        except InputError as error:
            assert "no utterance could be imported" in str(error) or "none of its codes" in str(error)
            return
    corpus.check()
    dropped = corpus.rejects.loc[corpus.rejects["reason"].str.endswith("row dropped"), "row"]
    assert corpus.manifest["rows"]["read"] == len(rows) == corpus.manifest["rows"]["used"] + len(dropped)
    used = table.drop(index=dropped - 2)["code"].replace("none", "").str.split("; ").explode()
    refused = corpus.rejects["reason"].str.endswith("coding dropped").sum()
    unmarked_refused = corpus.rejects["reason"].str.startswith("no coder").sum()
    listed = corpus.codings["code"].notna().sum() + refused
    assert (used != "").sum() <= listed <= (used != "").sum() + unmarked_refused
    role = corpus.utterances.set_index(["session_id", "utterance_id"])["role"]
    for coding in corpus.codings.dropna(subset="code").itertuples():
        assert corpus.codebook.legal(coding.code, role[coding.session_id, coding.unit_id])


def test_a_unit_with_a_refused_coding_is_not_taken_for_unmarked(tmp_path):
    corpus = load(tmp_path, {"a.csv": "speaker,text,coder_a\nP,hm,W99\nP,no,W1\nP,well,\n"}, "wide")
    assert marks(corpus) == [("a", 1, "a", "W1", 1), ("a", 2, "a", "", 0)]


def test_a_second_code_of_an_exclusive_family_is_refused(tmp_path):
    text = "speaker,text,coder_a\nclient,hm,change; sustain\n"
    corpus = load(tmp_path, {"a.csv": text}, "wide", codebook="annomi", roles={})
    assert marks(corpus) == [("a", 0, "a", "change", 1)]
    assert reasons(corpus) == [(2, "second code: client_talk takes one per coder; coding dropped")]


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (
            [{"column": "p", "family": "withdrawl"}],
            "reader lab: codes: p: family in codebook 3rs-2015: found 'withdrawl'",
        ),
        ([{"column": "p", "role": "client"}], "role in codebook 3rs-2015: found 'client'"),
        ([{"column": "p", "values": {"1": "W99"}}], "code in codebook 3rs-2015: found 'W99'"),
    ],
)
def test_a_reader_must_fit_the_codebook(codes, message, tmp_path):
    with pytest.raises(SettingsError) as error:
        load(tmp_path, {"a.csv": "who,said,p\nP,a,W1\n"}, lab(codes=codes))
    assert message in str(error.value)


def test_wrong_columns_say_which_exist(tmp_path):
    message = r"a.csv: wrong columns: no text or utterance or .* \(text\); this file has who, said"
    with pytest.raises(InputError, match=message):
        load(tmp_path, {"a.csv": "who,said\nP,a\n"}, "wide")
    with pytest.raises(InputError, match=r"no column for order, by which layout long tells utterances apart"):
        load(tmp_path, {"a.csv": "text,code\nhm,W1\n"})
    with pytest.raises(InputError, match=r"none holds the text|no text or utterance .* name it: columns="):
        load(tmp_path, {"a.csv": "who,said\nP,a\n"})
    with pytest.raises(InputError, match=r"columns: patient: no file has 'Pateint'; there are text, Patient"):
        load(tmp_path, {"a.csv": "text,Patient\nhm,p1\n"}, "wide", columns={"patient": "Pateint"})
    with pytest.raises(SettingsError, match=r"columns: key: found 'patents'; did you mean 'patient'\?"):
        load(tmp_path, {"a.csv": "text\nhm\n"}, "wide", columns={"patents": "x"})


def test_a_file_without_a_header_row_does_not_spill_its_text(tmp_path):
    said = "I never told anybody about this, not even my sister"
    with pytest.raises(InputError, match=r"this file has P, a text of 51 characters; name it") as error:
        load(tmp_path, {"a.csv": f'P,"{said}"\nT,hm\n'}, "wide")
    assert "sister" not in str(error.value)


def test_wrong_columns_in_one_file_of_many_are_a_reject(tmp_path):
    corpus = load(tmp_path, {"a.csv": "who,said\nP,a\n", "b.csv": "who,words\nP,a\n"}, lab())
    assert corpus.rejects["file"].tolist() == ["b.csv"]
    assert corpus.rejects["reason"][0].startswith("wrong columns: no said (text); this file has who, words; name it")
    with pytest.raises(InputError, match=r"none of 2 files fits reader lab; b.csv: wrong columns: no told \(text\)"):
        load(tmp_path, {"a.csv": "who\nP\n", "b.csv": "who\nP\n"}, lab(columns={"text": "told"}))


def test_a_title_above_the_headers_and_a_refused_file_are_named(tmp_path):
    with pytest.raises(InputError, match=r"this file has Session 1; is its first row a title\? Headers come first"):
        load(tmp_path, {"a.csv": "Session 1,,\nspeaker,text,code\nP,hm,W1\n"}, "wide")
    files = {"a.csv": "speaker,text\nP,hm\n", "b.csv": "session,Rater\ns1,anna\n"}
    message = r"coder: no file has 'Rater'; there are speaker, text; not among them: b.csv: wrong columns: no text"
    with pytest.raises(InputError, match=message):
        load(tmp_path, files, "wide", columns={"coder": "Rater"})
    message = r"no file has 'Rater'; .*not among them: codes.csv: wrong file name: reader lab expects it to look like"
    files = {"P1_2.csv": "who,said\nP,hm\n", "codes.csv": "session,Rater\ns1,anna\n"}
    (tmp_path / "named").mkdir()
    with pytest.raises(InputError, match=message):
        load(tmp_path / "named", files, lab(file_name="{patient}_{session_number}"), columns={"coder": "Rater"})


def test_one_missing_code_column_is_not_overlooked(tmp_path):
    codes = [{"column": "p"}, {"column": ["t", "tt"]}]
    with pytest.raises(InputError, match=r"wrong columns: no t or tt \(codes\); this file has who, said, p"):
        load(tmp_path, {"a.csv": "who,said,p\nP,a,W1\n"}, lab(codes=codes))
    assert load(tmp_path, {"a.csv": "who,said\nP,a\n"}, lab(codes=codes)).codings.empty


def test_a_codebook_that_does_not_fit_is_an_error_that_quotes_no_text(tmp_path):
    long_text = "what the patient said, at length and in confidence"
    with pytest.raises(
        InputError, match=r"none of its codes \(.*\) is in codebook 3rs-2015 .*; name the codebook"
    ) as error:
        load(tmp_path, {"a.csv": f'speaker,text,coder_a\nP,hm,change\nP,hm,"{long_text}"\n'}, "wide")
    assert "confidence" not in str(error.value)
    assert "a text of 50 characters" in str(error.value)
    with pytest.raises(SettingsError, match="reader wide names no codebook"):
        load(tmp_path, {"a.csv": "text\nhm\n"}, "wide", codebook=None)


def test_nothing_imported_at_all_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"no utterance could be imported; most common reason \(2 times\): no text"):
        load(tmp_path, {"a.csv": "speaker,text\nP,\nT,\n"}, "wide")
