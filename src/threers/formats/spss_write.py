"""Tables to SPSS data files (.sav), with labels of variables and of values."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from threers.formats.extras import load

#: Bytes of a name, of a label and of a line of notes: what SPSS takes.
_NAME, _LABEL, _NOTE = 64, 255, 80
_RESERVED = frozenset("all and by eq ge gt le lt ne not or to with".split())


@dataclass(frozen=True)
class Label:
    """What a variable means; `values`: what its numbers stand for, empty for a quantity or a name."""

    meaning: str
    values: Mapping[int, str] = field(default_factory=dict)


def write_sav(table: pd.DataFrame, labels: Mapping[str, Label], path: Path, title: str) -> None:
    """Write a table; a null is system-missing in a number and empty in a string.

    A label that is too long for SPSS is cut, and stands whole in the file's notes.

    Args:
        table: columns of numbers, truth values or words; each has one of the labels.
        labels: by column.
        path: where to write.
        title: the label of the file.

    Raises:
        InputError: pyreadstat is not installed.

    """
    pyreadstat = load("pyreadstat", "SPSS files")
    names = legal_names(table.columns)
    columns = {names[column]: _values(table[column]) for column in table}
    told = {names[column]: labels[column] for column in table}
    long = [f"{name}: {one.meaning}" for name, one in told.items() if one.meaning != _label(one.meaning)]
    pyreadstat.write_sav(
        pd.DataFrame(columns),
        path,
        file_label=_cut(title, _NAME),
        column_labels={name: _label(one.meaning) for name, one in told.items()},
        note=[line for whole in long for line in _note(whole)] or None,
        variable_value_labels={name: dict(one.values) for name, one in told.items() if one.values},
        variable_measure={name: _measure(columns[name], one) for name, one in told.items()},
        variable_format={name: _format(values) for name, values in columns.items() if values.dtype == "float64"},
    )


def legal_names(columns: Iterable[str]) -> dict[str, str]:
    """Give each column a name that SPSS takes: first a letter, no spaces, 64 bytes, none twice, no word of its own.

    >>> legal_names(["n_W1", "n_w1", "1 - none", "by"])
    {'n_W1': 'n_W1', 'n_w1': 'n_w1_2', '1 - none': 'v1___none', 'by': 'by_2'}
    """
    names: dict[str, str] = {}
    taken = set(_RESERVED)
    for column in columns:
        plain = "".join(sign if sign.isalpha() or sign.isdecimal() or sign in "._$#@" else "_" for sign in column)
        plain = plain if plain[:1].isalpha() else f"v{plain}"
        name, number = _cut(plain, _NAME).rstrip("._"), 1
        while name.casefold() in taken:
            number += 1
            name = f"{_cut(plain, _NAME - len(f'_{number}'))}_{number}"
        taken.add(name.casefold())
        names[column] = name
    return names


def _values(column: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(column):  # truth values too
        return column.astype("float64")
    return column.astype("object").where(column.notna(), "").map(str)


def _format(values: pd.Series) -> str:
    """How the numbers are shown, which leaves what they are alone."""
    return "F8.0" if (values.dropna() % 1 == 0).all() else "F8.3"


def _measure(values: pd.Series, label: Label) -> str:
    return "nominal" if label.values or values.dtype != "float64" else "scale"


def _label(meaning: str) -> str:
    return meaning if len(meaning.encode()) <= _LABEL else f"{_cut(meaning, _LABEL - len('…'.encode()))}…"


def _note(text: str) -> list[str]:
    # A letter has up to four bytes.
    return textwrap.wrap(text, _NOTE if text.isascii() else _NOTE // 4)


def _cut(text: str, length: int) -> str:
    """The beginning of a text, no longer than this many bytes of UTF-8."""
    return text.encode()[:length].decode(errors="ignore")
