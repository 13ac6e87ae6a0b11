"""SPSS data files: values as a person would write them, and a damaged file never takes threers down with it."""

import sys
from pathlib import Path

import pytest

from threers.errors import InputError
from threers.formats import spss
from threers.formats.spss import is_sav, read_sav

EXAMPLES = Path(__file__).parent / "formats"
SAV = (EXAMPLES / "ratings.sav").read_bytes()
LONG_TEXT = " ".join(f"word{number}" for number in range(1, 45))


@pytest.mark.parametrize("name", ["ratings.sav", "ratings.zsav"])
def test_every_cell_that_pspp_saved_is_read(name):
    content = (EXAMPLES / name).read_bytes()
    assert is_sav(content)
    table = read_sav(content)
    assert {column: table[column].tolist() for column in table} == {
        "session": ["s1", "s1", "s2"],
        "utterance": ["1", "2", "1"],
        "speaker": ["patient", "therapist", "patient"],
        "said": [LONG_TEXT, "Grüße, schön", ""],
        "coder": ["anna", "anna", "ben"],
        "code": ["Denial", "R1", "Denial"],
        "rating": ["3", "", "2.5"],
        "present": ["0", "1", "1"],
        "seen": ["2024-02-03", "2024-02-04", ""],
        "saved": ["2024-02-03T10:11:12", "2024-02-03T10:11:13", ""],
        "from": ["00:00:01.500", "30:00:01", ""],
        "who": ["P", "T", ""],
    }
    assert set(table.dtypes.astype(str)) == {"str"}


@pytest.mark.parametrize("content", [b"session,code\n1,W1\n", SAV[:100], SAV[:1500], b"$FL2" + b"\xff" * 500, b"$FL3"])
def test_files_that_are_damaged_or_no_spss_files_say_so(content):
    with pytest.raises(InputError, match=r"damaged|not an SPSS data file"):
        read_sav(content)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "damaged"),
        ("import time; time.sleep(60)", "not read within"),
        ("import sys; sys.exit('more than 1 cells')", "save the variables of the codings alone"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="processes end otherwise")
def test_what_happens_to_the_process_that_reads_is_an_error_in_words(program, message, tmp_path, monkeypatch):
    (tmp_path / "spss_child.py").write_text(program)
    monkeypatch.setattr(spss, "__file__", str(tmp_path / "spss.py"))
    monkeypatch.setattr(spss, "_PATIENCE", 1)
    with pytest.raises(InputError, match=message):
        read_sav(SAV)


def test_too_many_cells_are_refused_before_they_fill_the_memory(monkeypatch):
    monkeypatch.setattr(spss, "_MOST_CELLS", 24)
    with pytest.raises(InputError, match="more than 24 cells"):
        read_sav(SAV)
