"""What is written is for its owner only, from a notebook too, where no umask is set as the command line does."""

import os

import pandas as pd
import pytest

from tests.conftest import make_corpus
from threers import agreement
from threers.folders import owned
from threers.report import write_report
from threers.scores import write_csv, write_json, write_parquet
from threers.tagger import Tagger

TABLE = pd.DataFrame({"a": [1]})
WRITERS = {
    "a corpus": lambda folder: make_corpus(2).save(folder / "made"),
    "a table": lambda folder: write_parquet(TABLE, folder / "made" / "below" / "a.parquet"),
    "a text table": lambda folder: write_csv(TABLE, folder / "made" / "a.csv"),
    "a record": lambda folder: write_json({"a": 1}, folder / "made" / "a.json"),
    "agreement": lambda folder: agreement.output.write(TABLE, folder, TABLE),
    "a page": lambda folder: write_report("<p>", folder / "made.html"),
}


@pytest.fixture(autouse=True)
def no_umask():
    """Whoever writes has to take the rights of others away."""
    before = os.umask(0)
    yield
    os.umask(before)


def open_to_others(folder):
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.stat().st_mode & 0o077]


@pytest.mark.parametrize("what", WRITERS)
def test_what_is_written_is_for_its_owner_only(what, tmp_path):
    WRITERS[what](tmp_path)
    assert any(tmp_path.iterdir()) and open_to_others(tmp_path) == []


@pytest.mark.parametrize("there", [False, True])
def test_the_folder_of_a_run_is_for_its_owner_only(there, tmp_path):
    if there:
        (tmp_path / "out").mkdir(mode=0o777)
    with owned(tmp_path / "out", {"a": 1}, "out", overwrite=False):
        write_parquet(TABLE, tmp_path / "out" / "a.parquet")
        assert (tmp_path / "out").stat().st_mode & 0o077 == 0
    with owned(tmp_path / "out", {"a": 2}, "out", overwrite=True):
        assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "out").iterdir() if path.is_dir())


def test_nobody_else_may_look_into_a_tagger(tiny_tagger, tmp_path):
    Tagger.load(tiny_tagger).save(tmp_path / "tagger")
    assert (tmp_path / "tagger").stat().st_mode & 0o077 == 0
