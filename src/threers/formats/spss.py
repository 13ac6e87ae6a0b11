"""SPSS data files (.sav, .zsav) to tables of strings."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from threers.errors import InputError
from threers.formats import extras
from threers.formats.times import clock

#: Cells beyond which a file is no table of ratings; seconds after which it is given up.
_MOST_CELLS, _PATIENCE = 20_000_000, 300
#: SPSS counts seconds from here, in variables of these formats.
_BEGIN = datetime(1582, 10, 14)
_DATES = {"DATE", "ADATE", "EDATE", "SDATE", "JDATE", "QYR", "MOYR", "WKYR"}
_MOMENTS, _DURATIONS = {"DATETIME", "YMDHMS"}, {"TIME", "DTIME", "MTIME"}


def is_sav(content: bytes) -> bool:
    """Does the content begin as an SPSS data file does?"""
    return content.startswith((b"$FL2", b"$FL3"))


def read_sav(content: bytes) -> pd.DataFrame:
    """Read an SPSS data file: one column per variable, every cell a str, the empty string for a missing value.

    Numbers stay numbers: a rating's labels are no ratings. Labels stand in place of numbers in a nominal variable that
    has one for all its values, such as speakers or codes, unless it holds only 0 and 1, for absent and present. Values
    that the file declares missing are empty; dates are ISO 8601, durations HH:MM:SS.

    Raises:
        InputError: the file is damaged or too large, or pyreadstat is not installed.

    """
    if not is_sav(content):
        raise InputError("not an SPSS data file; expected one that begins with $FL2 or $FL3")
    columns = {}
    for variable in _variables(content):
        labels = {value: str(label).strip() for value, label in variable["labels"]}
        kind = variable["format"].rstrip("0123456789.")
        columns[variable["name"]] = _cells(variable["values"], kind, labels if variable["measure"] == "nominal" else {})
    return pd.DataFrame(columns, dtype="str")


def _variables(content: bytes) -> list[dict[str, Any]]:
    """What the file says of each variable, read in a process of its own, which a damaged file may bring down."""
    extras.load("pyreadstat", "SPSS files")
    child = Path(__file__).with_name("spss_child.py")
    command = [sys.executable, "-I", str(child), str(_MOST_CELLS)]
    try:
        done = subprocess.run(command, input=content, capture_output=True, timeout=_PATIENCE, check=False)
    except subprocess.TimeoutExpired as error:
        raise InputError(f"the SPSS file was not read within {_PATIENCE} seconds; is it damaged?") from error
    except OSError as error:
        raise InputError(
            f"SPSS files are read in a process of their own, which did not start: {error.strerror}"
        ) from error
    if done.stderr.startswith(b"more than"):
        raise InputError(f"the SPSS file has more than {_MOST_CELLS} cells; save the variables of the codings alone")
    try:
        read: list[dict[str, Any]] = json.loads(done.stdout)
    except ValueError as error:
        raise InputError("the SPSS file is damaged; open it in SPSS or PSPP and save it again") from error
    return read


def _cells(values: Sequence[Any], kind: str, labels: Mapping[Any, str]) -> list[str]:
    """A variable's values as text; `kind`: its format, without the width; `labels`: of a nominal variable."""
    different = {value for value in values if value is not None and value != ""}
    numbers = all(isinstance(value, int | float) for value in different)
    if numbers and different <= set(labels) and not different <= {0, 1}:
        texts = {value: labels[value] for value in different}
    else:
        texts = {value: _text(value, kind) for value in different}
    return [texts.get(value, "") for value in values]


def _text(value: str | float, kind: str) -> str:
    if isinstance(value, str):
        return value
    try:
        if kind in _DATES:
            return (_BEGIN + timedelta(seconds=value)).date().isoformat()
        if kind in _MOMENTS:
            return (_BEGIN + timedelta(seconds=value)).isoformat(timespec="seconds")
        if kind in _DURATIONS and value >= 0:
            return clock(value)
        return str(int(value)) if value == int(value) else repr(value)
    except (OverflowError, ValueError):
        return repr(value)
