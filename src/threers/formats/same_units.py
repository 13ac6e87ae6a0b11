"""Do the rows of two coders' tables name their units, each once, and speak of the same ones?"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from threers.errors import InputError

#: Rows of these units need no number, and are no utterances.
OTHER_UNITS = ("segment", "session")
#: What names a unit.
KEY = ["session", "order_number"]


def require_keys(rows: pd.DataFrame, coded: pd.Series, named: Sequence[bool]) -> None:
    """Refuse rows without a key, and rows that share one for another reason than several codes.

    Args:
        rows: of both tables: side (0 or 1), file, row, session, order_number, unit, coder_cell.
        coded: index of the rows with a code.
        named: whether each table names its sessions.

    Raises:
        InputError: the first such row.

    """
    _refuse(rows, rows["session"] == "", "the cell of the session is empty; expected its name")
    utterance = ~rows["unit"].isin(OTHER_UNITS)
    _refuse(rows, utterance & rows["order_number"].isna(), "no number of the unit; expected one in every row")
    key = ["side", *KEY]
    again = utterance & rows.duplicated(key, keep=False)
    _refuse(
        rows,
        again & ~rows.index.isin(coded),
        "the unit has another row, and this one has no code; expected one row per unit, or a code in each of several",
    )
    several = rows[utterance].groupby(key)["coder_cell"].transform("nunique") > 1
    _refuse(
        rows,
        several.reindex(rows.index, fill_value=False),
        "several coders of one unit in one table; expected a table of each coder, or import them as a corpus",
    )
    nameless = rows["side"].isin([side for side, has in enumerate(named) if not has])
    block = (rows[key] != rows[key].shift()).any(axis=1).cumsum()
    apart = block.groupby([rows[name] for name in key]).transform("min") != block
    _refuse(
        rows,
        nameless & utterance & apart,
        "the number of the unit stands further up already, and no column names the session; name that column, as in "
        "'columns={session: File}', or put the rows of a unit together",
    )


def _refuse(rows: pd.DataFrame, bad: pd.Series, problem: str) -> None:
    if bad.any():
        first = rows[bad].iloc[0]
        more = f" ({int(bad.sum())} such rows)" if bad.sum() > 1 else ""
        raise InputError(f"{first['file']}: row {first['row']}{more}: {problem}")


def require_common(rows: pd.DataFrame, names: Sequence[str]) -> None:
    """Refuse tables that share no unit. `names`: of the two tables, for the error.

    Raises:
        InputError: how many units and sessions each has.

    """
    units = [set(zip(*(part[name] for name in KEY), strict=True)) for _, part in rows.groupby("side")]
    if units[0] & units[1]:
        return
    sessions = [{session for session, _ in own} for own in units]
    found = " and ".join(
        f"{len(own)} units of {len(of)} sessions in {name}"
        for own, of, name in zip(units, sessions, names, strict=True)
    )
    raise InputError(
        f"no unit in common: {found}, {len(sessions[0] & sessions[1])} sessions in both; expected the same names of "
        "sessions and the same numbers of units in both tables"
    )
