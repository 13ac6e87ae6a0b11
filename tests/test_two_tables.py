"""Two coders' tables without a corpus: the figures equal those of the plain lists, and each mistake is one line."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from threers import agreement
from threers.errors import InputError, SettingsError
from threers.folders import LOCK
from threers.formats import read_two_tables
from threers.jobs import AgreeRun
from threers.mapping import from_mapping
from threers.runs import agree

CODES = ["W1", "W2", "R3", ""]


def coded(seed: int, sessions: int = 6, units: int = 20) -> pd.DataFrame:
    """What two coders gave each unit, in columns `anna` and `ben`, who agree on two of three."""
    rng = np.random.default_rng(seed)
    keys = [(f"s{s}", u) for s in range(sessions) for u in range(1, units + 1)]
    anna = rng.choice(CODES, len(keys))
    ben = np.where(rng.random(len(keys)) < 2 / 3, anna, rng.choice(CODES, len(keys)))
    table = pd.DataFrame(keys, columns=["session", "turn"])
    return table.assign(anna=anna, ben=ben, patient="p" + (table["session"].str[1:].astype(int) // 2).astype(str))


def write(folder, table: pd.DataFrame, **of_ben):
    """One table each: session, turn, code, and for Anna the patient."""
    paths = {name: folder / f"{name}.csv" for name in ("anna", "ben")}
    table.rename(columns={"anna": "code"})[["session", "turn", "code", "patient"]].to_csv(paths["anna"], index=False)
    ben = table.rename(columns={"ben": "code"})[["session", "turn", "code"]]
    ben.rename(columns=of_ben).to_csv(paths["ben"], index=False)
    return list(paths.values())


def lines(path, *rows: str):
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def figures(a, b, **given) -> pd.DataFrame:
    corpus = read_two_tables(a, b, **given)
    groups = corpus.group_of
    return agreement.agree(corpus.codings, corpus.utterances, groups, corpus.codebook, resamples=100)


def figure(table: pd.DataFrame, code: str | None, statistic: str, family: str = "code") -> float:
    own = table[(table["level"] == "utterance") & (table["rater_a"] != "coders") & (table["family"] == family)]
    own = own[own["code"].isna() if code is None else own["code"] == code]
    return own.loc[own["statistic"] == statistic, "estimate"].item()


def marks(corpus) -> set[tuple]:
    codings = corpus.codings.fillna({"code": ""})
    return set(zip(*(codings[name] for name in ("coder_id", "session_id", "unit_id", "code")), strict=True))


def test_one_table_with_a_column_for_each_coder_gives_the_same_figures(tmp_path):
    table = coded(3)
    both = tmp_path / "both.xlsx"
    table.rename(columns={"turn": "No.", "anna": "Anna", "ben": "Ben"}).to_excel(both, index=False)
    corpus = read_two_tables(both, both, columns={"code": {"Anna": "anna", "Ben": "ben"}})
    assert marks(corpus) == marks(read_two_tables(*write(tmp_path, table)))
    for columns in ({"code": ["Anna", "Ben"]}, {"code": {"Anna": "anna"}}):
        with pytest.raises(InputError, match="a and b are the same table; say which column is whose"):
            read_two_tables(both, both, columns=columns)


def test_kappa_is_that_of_the_two_columns(tmp_path):
    table = coded(0)
    found = figures(*write(tmp_path, table))
    assert figure(found, None, "kappa") == pytest.approx(metrics.cohen_kappa_score(table["anna"], table["ben"]))
    for code in ("W1", "W2", "R3"):
        expected = metrics.cohen_kappa_score(table["anna"] == code, table["ben"] == code)
        assert figure(found, code, "kappa") == pytest.approx(expected)
        expected = metrics.f1_score(table["ben"] == code, table["anna"] == code)
        assert figure(found, code, "f1") == pytest.approx(expected)
    assert set(found["n_groups"]) == {3}, "Anna's table names the patients of both"
    assert set(found["rater_a"]) == {"anna", "ben", "coders"}, "each coder's bias has a row"


def test_codes_without_an_empty_cell_are_the_codes_and_no_others(tmp_path):
    table = coded(1).replace({"anna": {"": "0"}, "ben": {"": "0"}})
    corpus = read_two_tables(*write(tmp_path, table))
    (family,) = corpus.codebook.families
    assert (family.name, family.kind, family.roles) == ("code", "exclusive", ())
    assert family.codes == ("0", "R3", "W1", "W2")


def test_several_codes_of_a_unit_stand_in_rows_or_in_a_cell(tmp_path):
    rows = lines(tmp_path / "rows.csv", "session,turn,code", "s,1,W1", "s,1,W2", "s,2,", "s,3,W2", "s,4,W1", "s,5,R3")
    cell = lines(tmp_path / "cell.csv", "session,turn,codes", "s,1,W2; W1", "s,2,W2", "s,3,w 2", "s,4,none", "s,5,")
    corpus = read_two_tables(rows, cell)
    assert corpus.codebook.families[0].kind == "multilabel"
    a = [("W1", "W2"), (), ("W2",), ("W1",), ("R3",)]
    b = [("W1", "W2"), ("W2",), ("W2",), (), ()]
    found = figures(rows, cell)
    for code in ("W1", "W2"):
        expected = metrics.cohen_kappa_score([code in own for own in a], [code in own for own in b])
        assert figure(found, code, "kappa") == pytest.approx(expected)


def test_a_unit_that_one_table_lacks_was_not_coded_by_that_coder(tmp_path):
    a = lines(tmp_path / "a1.csv", "session,turn,code", "s,1,x", "s,2,y", "s,3,", "s,4,x")
    b = lines(tmp_path / "b1.csv", "session,turn,code", "s,4,x", "s,2,y", "s,1,y", "t,1,x")
    corpus = read_two_tables(a, b)
    assert len(corpus.utterances) == 5
    assert marks(corpus) == {
        *(("a1", "s", 0, "x"), ("a1", "s", 1, "y"), ("a1", "s", 2, "none"), ("a1", "s", 3, "x")),
        *(("b1", "s", 0, "y"), ("b1", "s", 1, "y"), ("b1", "s", 3, "x"), ("b1", "t", 0, "x")),
    }
    found = figures(a, b)
    assert set(found.loc[(found["level"] == "utterance") & (found["statistic"] == "kappa"), "n_units"]) == {3}


WRITERS = {
    "ben.xlsx": lambda table, path: table.to_excel(path, index=False),
    "ben.parquet": lambda table, path: table.to_parquet(path),
    "ben.tsv": lambda table, path: table.to_csv(path, sep="\t", index=False),
    "ben.jsonl": lambda table, path: table.to_json(path, orient="records", lines=True),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_says_the_same(name, tmp_path):
    table = coded(2)
    anna, ben = write(tmp_path, table)
    own = pd.read_csv(ben, keep_default_na=False).rename(columns={"turn": "Line"})
    WRITERS[name](own, tmp_path / name)
    pd.testing.assert_frame_equal(figures(anna, tmp_path / name), figures(anna, ben))


def test_ratings_are_names_of_codes_however_they_are_written(tmp_path):
    a = lines(tmp_path / "a1.csv", "session,turn,rating", "s,1,1.0", "s,2,5.0", "s,3,", "s,4,3.0")
    pd.DataFrame({"session": "s", "turn": [1, 2, 3, 4], "rating": [1, 5, 3, 3]}).to_excel(tmp_path / "b1.xlsx")
    corpus = read_two_tables(a, tmp_path / "b1.xlsx", columns={"code": "rating"})
    assert corpus.codebook.tag_codes() == ("1", "3", "5", "none")
    assert (corpus.codings["value"] == 1).all()


def test_without_a_session_column_a_table_is_one_session(tmp_path):
    a = lines(tmp_path / "a1.csv", "turn,code", "1,x", "2,y")
    b = lines(tmp_path / "b1.csv", "unit,label", "1,x", "2,x")
    named = lines(tmp_path / "c1.csv", "file,number,tag", "day one,1,x", "day one,2,y")
    assert read_two_tables(a, b).sessions["session_id"].tolist() == ["session"]
    assert read_two_tables(a, named).sessions["session_id"].tolist() == ["day one"]


def test_coders_are_called_by_their_column_or_their_file(tmp_path):
    (tmp_path / "other").mkdir()
    rows = ["turn,code,coder", "1,x,Anna", "2,y,Anna"]
    a, b = lines(tmp_path / "t.csv", *rows), lines(tmp_path / "other" / "t.csv", "turn,code", "1,x", "2,x")
    assert read_two_tables(a, b).coders == ["Anna", "t"]
    assert read_two_tables(b, b).coders == ["a", "b"]
    assert read_two_tables(a, a).coders == ["a", "b"]
    alike = [lines(tmp_path / f"{n}.csv", "turn,code,coder", f"1,x,{n}") for n in ("Zoë", "Zoe\u0308")]
    assert read_two_tables(*alike).coders == ["a", "b"]
    shifts = lines(tmp_path / "first.csv", "turn,code,coder", "1,x,Anna", "2,y,Carl")
    assert read_two_tables(shifts, b).coders == ["first", "t"]


def test_a_codebook_says_who_may_have_a_code(tmp_path, caplog):
    a = lines(tmp_path / "a1.csv", "turn,code,who", "1,R3,T", "2,W1,P", "3,,P", "4,,T")
    b = lines(tmp_path / "b1.csv", "turn,code", "1,R3", "2,W2", "3,W1", "4,")
    roles = {"T": "therapist", "P": "patient"}
    corpus = read_two_tables(a, b, "3rs-2015", roles=roles)
    assert corpus.utterances["role"].tolist() == ["therapist", "patient", "patient", "therapist"]
    assert corpus.codebook.name == "3rs-2015"
    found = figures(a, b, codebook="3rs-2015", roles=roles)
    judged = found[(found["level"] == "utterance") & (found["code"] == "W1") & (found["statistic"] == "kappa")]
    assert set(judged["n_units"]) == {2}
    assert "no speaker has a role" not in caplog.text

    found = figures(a, b, codebook="3rs-2015")
    judged = found[(found["level"] == "utterance") & (found["code"] == "W1") & (found["statistic"] == "kappa")]
    assert set(judged["n_units"]) == {4}
    assert "no speaker has a role of codebook 3rs-2015" in caplog.text


def test_times_make_segments(tmp_path):
    a = lines(tmp_path / "a1.csv", "turn,code,start", "1,x,00:00:05", "2,y,00:04:00", "3,x,00:06:00")
    b = lines(tmp_path / "b1.csv", "turn,code", "1,y", "2,x", "3,x")
    assert "segment" in set(figures(a, b)["level"])


def test_no_text_is_in_what_is_written(tmp_path):
    table = coded(3)
    anna, _ = write(tmp_path, table)
    secret = "nobody may read this"
    ben = table.rename(columns={"ben": "code"}).assign(text=secret, comment=secret)[
        ["session", "turn", "text", "code", "comment"]
    ]
    ben.to_csv(tmp_path / "ben.csv", index=False)
    run = from_mapping(
        AgreeRun,
        {"a": str(anna), "b": str(tmp_path / "ben.csv"), "out": str(tmp_path / "out"), "resamples": 100},
    )
    agree(run)
    written = [path for path in (tmp_path / "out").iterdir() if path.is_file()]
    wanted = {"agreement.csv", "agreement.html", "agreement.json", "run.json", LOCK}
    assert {path.name for path in written} == wanted
    for path in written:
        assert secret not in path.read_text(encoding="utf-8")


GOOD = ["session,turn,code", "s,1,W1", "s,2,W2", "s,3,"]
MISTAKES = {
    "unknown code": (GOOD, ["session,turn,code", "s,1,W1", "s,2,W9"], {"codebook": "3rs-2015"}, ["b=b1.csv", "W9 (1"]),
    "no common unit": (
        GOOD,
        ["session,turn,code", "S1,1,W1"],
        {},
        ["no unit in common", "3 units of 1 sessions in a="],
    ),
    "no code column": (
        GOOD,
        ["session,turn,Kode", "s,1,W1"],
        {},
        ["b=b1.csv: no column for codes", "Kode", "columns="],
    ),
    "no number": (
        GOOD,
        ["session,Zeile,code", "s,1,W1"],
        {},
        ["b=b1.csv: no column for the number", "Zeile", "order: Nr", "Times alone need the transcripts"],
    ),
    "no session": (
        [*GOOD, "t,1,W1"],
        ["turn,code", "1,W1"],
        {},
        ["b=b1.csv: no column for the session", "a=a1.csv has 2", "session: File"],
    ),
    "numbers begin again": (["turn,code", "1,x", "2,y", "1,y"], GOOD, {}, ["a=a1.csv: row 4", "no column names"]),
    "row without number": (GOOD, ["session,turn,code", "s,1,W1", "s,,W1"], {}, ["b=b1.csv: row 3", "no number"]),
    "row without session": (
        GOOD,
        ["session,turn,code", "s,1,W1", ",2,W1"],
        {},
        ["b=b1.csv: row 3", "session is empty"],
    ),
    "twice, once empty": (GOOD, ["session,turn,code", "s,1,W1", "s,1,"], {}, ["row 3", "no code", "one row per unit"]),
    "twice the same": (GOOD, ["session,turn,code", "s,1,W1", "s,1,W1"], {}, ["b=b1.csv: row 3", "duplicate key"]),
    "several coders": (
        GOOD,
        ["session,turn,code,coder", "s,1,W1,A", "s,1,W2,B"],
        {},
        ["b=b1.csv: row 2", "several coders of one unit"],
    ),
    "second exclusive code": (
        ["turn,code", "1,question"],
        ["turn,code", "1,question", "1,reflection"],
        {"codebook": "annomi"},
        ["b=b1.csv: row 3", "second code: therapist_behaviour takes one"],
    ),
    "another patient": (
        ["session,turn,code,patient", "s,1,x,p1"],
        ["session,turn,code,patient", "s,1,x,p2"],
        {},
        ["b=b1.csv: row 2", "patient is another"],
    ),
    "illegal role": (
        ["turn,code,role", "1,W1,therapist", "2,W1,patient"],
        ["turn,code", "1,W1", "2,W1"],
        {"codebook": "3rs-2015"},
        ["a=a1.csv: row 2 (2 such rows)", "illegal role", "roles={"],
    ),
    "no code at all": (["turn,code", "1,", "2,none"], ["turn,code", "1,", "2,"], {}, ["no code in any row"]),
    "torn row": (GOOD, ["session,turn,code", "s,1,W1,extra"], {}, ["b1.csv: the file has no rows"]),
    "torn row among others": (GOOD, [*GOOD, "s,4,W1,extra"], {}, ["b=b1.csv: row 5", "too many cells"]),
    "empty file": (GOOD, [""], {}, ["b1.csv: the file is empty"]),
    "text for codes": (
        ["session,turn,text", "s,1,Something that was said"],
        GOOD,
        {"columns": {"code": "text"}},
        ["a=a1.csv: column 'text' holds texts"],
    ),
    "column of no table": (GOOD, GOOD, {"columns": {"patient": "Fall"}}, ["columns: patient", "Fall", "session, turn"]),
    "one of two code columns": (GOOD, GOOD, {"columns": {"code": ["code", "kode2"]}}, ["columns: code", "kode2"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_clear_line(mistake, tmp_path):
    a, b, given, expected = MISTAKES[mistake]
    with pytest.raises(InputError) as error:
        read_two_tables(lines(tmp_path / "a1.csv", *a), lines(tmp_path / "b1.csv", *b), **given)
    for words in expected:
        assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert "Something that was said" not in str(error.value)


def test_texts_in_an_unknown_column_are_no_codes(tmp_path):
    said = "that was a long sentence which nobody outside may ever come to read in a table of figures"
    a = lines(tmp_path / "a1.csv", "turn,Satz", f"1,{said}", "2,kurz")
    with pytest.raises(InputError, match="one has 89 characters") as error:
        read_two_tables(a, a, columns={"code": "Satz"})
    assert "sentence" not in str(error.value)
    many = lines(tmp_path / "many.csv", "turn,Satz", *(f"{n},word{n}" for n in range(40)))
    with pytest.raises(InputError, match="40 different ones"):
        read_two_tables(many, a, columns={"code": "Satz"})


def test_files_that_cannot_be_read_are_named(tmp_path):
    good = lines(tmp_path / "a1.csv", *GOOD)
    with pytest.raises(InputError, match=r"b=.*nowhere\.csv: No such file"):
        read_two_tables(good, tmp_path / "nowhere.csv")
    with pytest.raises(InputError, match=r"format \.docx was not recognised"):
        read_two_tables(good, lines(tmp_path / "b.docx", "x"))
    with pytest.raises(InputError, match="no readable workbook"):
        read_two_tables(good, lines(tmp_path / "b.xlsx", "x"))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "corpus: found ''; expected a corpus folder, as in corpus=…, or two tables"),
        ({"a": "x.csv"}, "b: found ''; expected the other coder's table, because a is given"),
        ({"b": "x.csv"}, "a: found ''"),
        ({"a": "x.csv", "b": "y.csv", "corpus": "c"}, "corpus: found 'c'; expected either a corpus or two tables"),
        ({"a": "x.csv", "b": "y.csv", "scores": ["s"]}, "scores need a corpus"),
        ({"corpus": "c", "codebook": "3rs-2015"}, "codebook: found '3rs-2015'"),
    ],
)
def test_a_corpus_or_two_tables_are_compared_not_both(given, expected):
    with pytest.raises(SettingsError) as error:
        from_mapping(AgreeRun, {"out": "o", **given})
    assert expected in str(error.value)


def test_the_command_shows_and_writes_the_figures(tmp_path):
    anna, ben = write(tmp_path, coded(4), code="Kode")
    words = ["agree", f"a={anna}", f"b={ben}", f"out={tmp_path / 'out'}", "resamples=100"]
    command = [sys.executable, "-m", "threers.cli"]
    done = subprocess.run([*command, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "b=ben.csv: no column for codes" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()

    words.append("columns={code: [code, Kode]}")
    done = subprocess.run([*command, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "coder-coder kappa" in done.stdout
    assert "W1" in done.stdout
    table = pd.read_csv(tmp_path / "out" / "agreement.csv")
    assert set(table["comparison"]) == {"coder-coder"}
    assert {"anna", "ben", "coders"} == set(table["rater_a"])
