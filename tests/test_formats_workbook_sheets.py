"""Workbooks that have a sheet for each coder, or for each session."""

import pandas as pd

from threers.formats import import_files


def workbook(path, sheets):
    with pd.ExcelWriter(path) as book:
        for name, frame in sheets.items():
            frame.to_excel(book, sheet_name=name, index=False)
    return path


def coded(*codes):
    return pd.DataFrame(
        {"session": "p1", "Nr": [0, 1], "Speaker": ["P", "T"], "Text": ["No.", "Tell me."], "Code": codes}
    )


ROLES = {"P": "patient", "T": "therapist"}


def test_each_coder_may_have_a_sheet(tmp_path):
    anna, ben = coded("W1", "none"), coded("C3", "R4")
    ben.loc[2] = ["p1", 7, "P", "", "W1"]
    path = workbook(tmp_path / "two.xlsx", {"Anna": anna, "Legend": anna[["Code"]], "Ben": ben})
    corpus = import_files(path, "long", "3rs-2015", roles=ROLES, columns={"coder": "sheet"})
    codes = corpus.codings.dropna(subset="code").set_index(["coder_id", "unit_id"])["code"]
    assert codes.to_dict() == {("Anna", 0): "W1", ("Ben", 0): "C3", ("Ben", 1): "R4"}
    assert len(corpus.utterances) == 2
    assert corpus.manifest["files"] == {"found": 1, "imported": 1}
    told = corpus.rejects.set_index("file")["reason"]
    assert told["two.xlsx"] == "sheet not read: 'Legend'; its headers are not those of 'Anna'"
    assert set(corpus.rejects[corpus.rejects["file"] == "two.xlsx [Ben]"]["row"]) == {4}


def test_each_session_may_have_a_sheet_and_roles_may_name_the_workbook(tmp_path):
    first = coded("W1", "none").drop(columns="session")
    path = workbook(tmp_path / "all.xlsx", {"p1s1": first, "p1s2": first, "empty": first[:0]})
    table = tmp_path / "roles.csv"
    table.write_text("file,speaker,role\nall.xlsx,P,patient\nall.xlsx,T,therapist\n")
    corpus = import_files(path, "long", "3rs-2015", roles=table, columns={"session": "sheet"}, every_role=True)
    assert corpus.utterances.groupby("session_id").size().to_dict() == {"p1s1": 2, "p1s2": 2}


def test_a_column_of_the_labs_own_called_sheet_stays_a_column(tmp_path):
    own = coded("W1", "none").assign(Sheet=["Cleo", "Cleo"])
    corpus = import_files(
        workbook(tmp_path / "one.xlsx", {"a": own}), "long", "3rs-2015", roles=ROLES, columns={"coder": "sheet"}
    )
    assert set(corpus.codings["coder_id"]) == {"Cleo"}
