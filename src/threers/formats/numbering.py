"""Sheets of codes whose numbers begin at 1, beside transcripts whose utterances threers counts from 0."""

from __future__ import annotations

import pandas as pd

from threers.codebook import Codebook
from threers.formats.rejects import Rejects

#: Codes on speakers who may not have them: so many times as many say that a sheet counts otherwise.
_TIMES = 10


def count_from_zero(
    marks: pd.DataFrame, utterances: pd.DataFrame, codebook: Codebook, rejects: Rejects
) -> pd.DataFrame:
    """Return the marks with the numbers of those sheets less 1 that count from 1; each such sheet is noted.

    Subtitles and texts give their utterances no numbers, so threers counts them from 0, and a spreadsheet counts from
    1: every code would land on the next utterance. A sheet counts from 1 if it never says 0 and one of two things
    holds: it says a number just beyond a session's last utterance, and no fewer codes fit their speakers so; or, read
    from 0, codes stand ten times as often on speakers who may not have them.

    Args:
        marks: with `file`, `session`, `order_number`, `own_lines` (numbers are the file's own lines), `unit_cell`,
            `unit_id_cell` and `code`.
        utterances: the utterances table with `order_number` and `has_order` (a column of the transcript gives it).
        codebook: who may have which code.
        rejects: takes the notes.

    """
    counted = utterances[~utterances["has_order"] & (utterances["order_number"] == utterances["utterance_id"])]
    lengths = counted.groupby("session_id").size()
    lengths = lengths[lengths == utterances.groupby("session_id").size().reindex(lengths.index)]
    roles = counted.set_index(["session_id", "order_number"])["role"]
    on_utterances = (marks["unit_cell"] == "utterance") | (marks["unit_cell"] + marks["unit_id_cell"] == "")
    numbered = on_utterances & marks["order_number"].notna() & ~marks["own_lines"]
    numbered &= marks["session"].isin(lengths.index)
    shifted = pd.Series(False, index=marks.index)
    for file, sheet in marks[numbered].groupby("file", sort=False):
        after = (sheet["order_number"] == sheet["session"].map(lengths)).any()
        misfits, misfits_from_one = (_misfits(sheet, roles, codebook, first) for first in (0, 1))
        fits = misfits_from_one <= misfits if after else misfits_from_one * _TIMES < misfits
        if fits and (sheet["order_number"] >= 1).all():
            shifted[sheet.index] = True
            rejects.add(str(file), None, "numbers from 1: read so; threers counts the utterances of a session from 0")
    return marks.assign(order_number=marks["order_number"] - shifted.astype("float64"))


def _misfits(sheet: pd.DataFrame, roles: pd.Series, codebook: Codebook, first: int) -> int:
    """How many codes stand on speakers who may not have them, if the sheet counts from `first`."""
    coded = sheet[sheet["code"].notna()]
    place = pd.MultiIndex.from_arrays([coded["session"], coded["order_number"] - first])
    spoken = coded.assign(role=roles.reindex(place).to_numpy()).dropna(subset="role")
    return sum(not codebook.legal(code, role) for code, role in zip(spoken["code"], spoken["role"], strict=True))
