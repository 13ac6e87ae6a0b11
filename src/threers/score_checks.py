"""What a table of scored utterances must hold for anything to rest on it. Layer 1, no torch."""

from __future__ import annotations

from collections.abc import Container
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd

from threers.codebook import EXTRA_ROLES, Codebook
from threers.errors import InputError
from threers.stored import require_columns
from threers.tables import TABLES, impossible_times, typed

KEYS = ["session_id", "utterance_id"]
#: What to do about scores that are damaged.
AGAIN = "score again"


def check_scores(rows: pd.DataFrame, codebook: Codebook, file: Path, remedy: str = AGAIN) -> pd.DataFrame:
    """Check rows of a part of the scores, as `scores.score_table` makes them; returns them with their types.

    `remedy`: what the user is to do about damage.

    Raises:
        InputError: a column is missing or of another type, a key stands twice, a role or tag that the codebook does not
            know, a time that is none, a probability outside 0 and 1.

    """
    types = {name: TABLES["utterances"][name] for name in (*KEYS, "role", "start", "end")}
    types |= {f"p_{code}": "float32" for code in codebook.tag_codes()}
    require_columns(list(rows.columns), [*types, "tags"], file, remedy)
    types |= {name: "float32" for code in rated_codes(rows, codebook) for name in rating_columns(code) if name in rows}
    rows = typed(rows, file, types, remedy)
    for name in (*KEYS, "role"):
        _refuse(rows, rows[name].isna(), f"{file}: {name} is empty", remedy)
    _refuse(rows, rows.duplicated(KEYS), f"{file}: the key {', '.join(KEYS)} stands twice", remedy)
    roles = (*codebook.roles, *EXTRA_ROLES)
    _refuse(rows, ~rows["role"].isin(roles), f"{file}: role is not one of {', '.join(roles)}", remedy)
    _refuse(rows, impossible_times(rows), f"{file}: start or end is no time in seconds", remedy)
    for code in codebook.tag_codes():
        p = rows[f"p_{code}"]
        _refuse(rows, (p < 0) | (p > 1), f"{file}: p_{code} is not between 0 and 1", remedy)
    for code in rated_codes(rows, codebook):
        low, high = codebook.family(codebook.codes[code].family).scale or (-np.inf, np.inf)
        rating = rows[f"rating_{code}"]
        _refuse(
            rows, (rating < low) | (rating > high), f"{file}: rating_{code} is not between {low:g} and {high:g}", remedy
        )
    _check_lists(rows, codebook, file, remedy)
    return rows


def rating_columns(code: str) -> tuple[str, str]:
    """Columns of what a tagger says of a session or segment: the rating to be expected, its standard deviation."""
    return f"rating_{code}", f"rating_sd_{code}"


def rated_codes(columns: Container[str], codebook: Codebook, unit: str = "") -> list[str]:
    """The codes whose ratings a table of scores has columns for; with `unit`, of `session` or `segment` only."""
    codes = codebook.rating_codes().items()
    return [code for code, own in codes if own == (unit or own) and rating_columns(code)[0] in columns]


def _check_lists(rows: pd.DataFrame, codebook: Codebook, file: Path, remedy: str) -> None:
    codes = set(codebook.tag_codes())
    for name in [name for name in ("tags", "abstained") if name in rows]:
        lists = rows[name].map(lambda cell: isinstance(cell, list | np.ndarray))
        _refuse(rows, ~lists.astype(bool), f"{file}: {name} holds no list of codes", remedy)
        # Seldom: one look at all of them tells whether each row has to be looked at.
        if not set(chain.from_iterable(rows[name])) <= codes:
            strange = rows[name].map(lambda cell: not set(cell) <= codes)
            _refuse(
                rows,
                strange.astype(bool),
                f"{file}: {name} holds a code that is not in codebook {codebook.name}",
                remedy,
            )


def _refuse(rows: pd.DataFrame, bad: pd.Series, message: str, remedy: str) -> None:
    if not bad.any():
        return
    row = int(np.flatnonzero(bad)[0])
    raise InputError(
        f"{message} (row {row}, session {rows['session_id'].iloc[row]!r}; {int(bad.sum())} such rows); {remedy}"
    )
