"""Cells that a spreadsheet would take for a formula, and run, get an apostrophe in front. Layer 1, no torch."""

from __future__ import annotations

import re

import pandas as pd

#: A cell that a spreadsheet takes for a formula; some take wide letters, or what stands behind white space, for one.
FORMULA = re.compile(r"\s*[=+\-@\t\r＝＋－＠]")  # noqa: RUF001
#: One that has apostrophes in front by itself, and needs another, so that it comes back as it was.
QUOTED = re.compile(r"'+" + FORMULA.pattern)


def escape(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula; all others stay as they are."""
    return f"'{cell}" if FORMULA.match(cell) or QUOTED.match(cell) else cell


def unescape(cell: str) -> str:
    """A cell as it was before `escape`.

    >>> unescape("'=1+1"), unescape("''=1+1"), unescape("'tis"), unescape("=1+1")
    ('=1+1', "'=1+1", "'tis", '=1+1')
    """
    return cell[1:] if QUOTED.match(cell) else cell


def escaped(table: pd.DataFrame) -> pd.DataFrame:
    """A table with its texts and headers as `escape` makes them; numbers stay numbers."""
    texts = {name: table[name].map(escape, na_action="ignore") for name in table.select_dtypes(["str", "object"])}
    return table.assign(**texts).rename(columns=escape)


def unescaped(table: pd.DataFrame) -> pd.DataFrame:
    """A table whose texts are as they were before `escaped`."""
    texts = {name: table[name].map(unescape, na_action="ignore") for name in table.select_dtypes(["str", "object"])}
    return table.assign(**texts)
