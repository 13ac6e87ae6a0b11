"""The tables of a corpus: their columns and types, and how each is read back. Layer 1, no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from threers.errors import InputError
from threers.stored import read_parquet, require_columns

#: Columns and pandas types of each table. `sessions` may have any further columns.
TABLES: dict[str, dict[str, str]] = {
    "utterances": {
        "session_id": "str",
        "utterance_id": "int64",
        "role": "str",
        "speaker": "str",
        "start": "float64",
        "end": "float64",
        "text": "str",
    },
    "sessions": {
        "session_id": "str",
        "group_id": "str",
        "patient_id": "str",
        "therapist_id": "str",
        "session_number": "Int64",
        "source_file": "str",
        "source_sha256": "str",
    },
    "codings": {
        "session_id": "str",
        "unit": "str",
        "unit_id": "int64",
        "coder_id": "str",
        "code": "str",
        "value": "float64",
    },
}
#: What to do about a corpus that is damaged.
AGAIN = "import the corpus again"
#: Times beyond are no seconds of a session, nor of a clock: an import reads so many digits.
LONGEST = 1e15
#: By pandas type of a column: what is expected of its values, in words and as pandas calls what it finds.
_HELD = {
    "str": ("text", ("string",)),
    "int64": ("whole numbers", ("integer",)),
    "Int64": ("whole numbers", ("integer",)),
    "float32": ("numbers", ("floating", "integer", "mixed-integer-float")),
    "float64": ("numbers", ("floating", "integer", "mixed-integer-float")),
}


def impossible_times(utterances: pd.DataFrame) -> pd.Series:
    """Bool per utterance: is its start or end neither empty nor within `LONGEST` of zero?"""
    return (utterances[["start", "end"]].abs() > LONGEST).any(axis=1)


def conform(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Give a frame the columns and types of the table `name`; a missing column is added, empty."""
    columns = TABLES[name]
    frame = frame.reindex(columns=[*columns, *(c for c in frame.columns if c not in columns and name == "sessions")])
    return frame.astype(columns).reset_index(drop=True)


def read_table(file: Path) -> pd.DataFrame:
    """Read a table of a corpus, whose name says which, with its columns and types.

    Raises:
        InputError: it is not there, is damaged, or lacks a column or has one of another type.

    """
    frame = read_parquet(file, AGAIN)
    require_columns(list(frame.columns), TABLES[file.stem], file, AGAIN)
    return conform(typed(frame, file, TABLES[file.stem]), file.stem)


def typed(frame: pd.DataFrame, file: Path, types: Mapping[str, str], remedy: str = AGAIN) -> pd.DataFrame:
    """Give columns of a table that was read from `file` these types.

    Raises:
        InputError: a column holds values of another type, which are not taken for something they may not mean.

    """
    for column, kind in types.items():
        found = pd.api.types.infer_dtype(frame[column].astype(object), skipna=True)
        meaning, known = _HELD[kind]
        whole = found == "floating" and not (pd.to_numeric(frame[column]).dropna() % 1).any()
        if found not in (*known, "empty") and not (whole and "integer" in known):
            raise InputError(f"{file}: column {column} holds values of type {found}; expected {meaning}; {remedy}")
    try:
        return frame.astype(dict(types))
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{file}: a column has the wrong type; expected {types}; {remedy}") from error
