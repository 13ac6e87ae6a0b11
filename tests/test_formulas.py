"""No table that a verb leaves as CSV has a cell that a spreadsheet would run, whatever the sources are called."""

import pandas as pd
import pytest

from tests.conftest import make_corpus
from tests.scored import make_scored
from threers import agreement, runs
from threers.codebook import Codebook
from threers.corpus import Corpus
from threers.formulas import escaped, unescaped
from threers.jobs import SampleRun
from threers.scores import read_scores, write_csv
from threers.summary import write_summaries

FORMULA = "=HYPERLINK(0)"


def run_by_a_spreadsheet(folder) -> list[str]:
    """Cells of all CSV files below a folder."""
    tables = {path: pd.read_csv(path, header=None, dtype="str", na_filter=False) for path in folder.rglob("*.csv")}
    assert any(FORMULA in cell for table in tables.values() for cell in table.stack()), "else this tests nothing"
    return [
        f"{path.name}: {cell}"
        for path, table in tables.items()
        for cell in table.stack()
        if cell.startswith(("=", "+", "@"))
    ]


def test_numbers_stay_numbers_and_texts_come_back():
    table = pd.DataFrame({"=a": ["=1", "'=1", None, "fine"], "n": [-1, 2, 3, 4], "x": [-0.5, None, 1, 2]})
    made = escaped(table)
    assert list(made) == ["'=a", "n", "x"] and made["n"].tolist() == [-1, 2, 3, 4]
    assert made["'=a"].tolist()[:2] == ["'=1", "''=1"] and made["'=a"].isna().tolist() == [False, False, True, False]
    assert unescaped(made)["'=a"].tolist()[:2] == ["=1", "'=1"]


def test_what_lies_in_a_corpus_is_no_formula_and_is_read_as_it_was(tmp_path):
    corpus = make_corpus(2)
    corpus.rejects = pd.DataFrame({"file": [f"{FORMULA}.csv"], "row": [1], "reason": ["@row: left out"]})
    corpus.identifiers = pd.DataFrame({"session_id": [FORMULA], "utterance_id": [0], "kind": ["name"], "count": [1]})
    corpus.save(tmp_path / "corpus")
    assert run_by_a_spreadsheet(tmp_path) == []
    assert Corpus.load(tmp_path / "corpus").rejects.iloc[0].tolist() == [f"{FORMULA}.csv", 1, "@row: left out"]


def test_what_scoring_and_agreement_leave_is_no_formula(tmp_path):
    book = Codebook.load("3rs-2015")
    scores, _ = make_scored(tmp_path, {f"{FORMULA}-1": 30, "@x-2": 9})
    write_summaries(lambda: [read_scores(scores, book)[0]], book, scores)
    table = pd.DataFrame({"rater_a": [FORMULA], "rater_b": ["+b"], "estimate": [-0.5]})
    agreement.output.write(table, tmp_path / "agreement", table)
    assert run_by_a_spreadsheet(tmp_path) == []
    assert pd.read_csv(tmp_path / "agreement" / "agreement.csv")["estimate"].tolist() == [-0.5]


def test_a_sample_and_its_sheets_are_no_formula(tmp_path):
    _, corpus = make_scored(tmp_path, {f"{FORMULA}-1": 9, "@x-2": 9}, text=FORMULA + " {}", coders={})
    runs.sample(SampleRun(corpus=str(corpus), out=str(tmp_path / "sample"), n=2))
    assert run_by_a_spreadsheet(tmp_path / "sample") == []


@pytest.mark.parametrize("text", [FORMULA, " +1", "-x", "\t=1", "\N{FULLWIDTH EQUALS SIGN}1"])
def test_a_list_of_what_was_left_out_is_no_formula(text, tmp_path):
    write_csv(pd.DataFrame({"file": [text], "row": [1], "reason": ["empty"]}), tmp_path / "errors.csv")
    assert pd.read_csv(tmp_path / "errors.csv")["file"].tolist() == [f"'{text}"]
