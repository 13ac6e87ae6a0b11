"""Times of a sheet, some of which a spreadsheet took for hours and minutes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from threers.formats.times import clock

#: Seconds that a time may lie beyond the last word.
_AFTER = 60
#: Seconds that a row may begin before the one above it: coders go back to a passage.
_BACK = 300


def minutes_again(marks: pd.DataFrame, last: pd.Series, beyond_what: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read 14:32 as minutes and seconds where a spreadsheet stored 14:32:00.

    In the sheet of a session of more than an hour, times below an hour were typed 14:32 and those above it 1:02:15. So
    where a time lies beyond the last word, each whole minute is minutes and seconds, unless it lies before the last
    word as it stands and would else go back behind the row above. It is done only if all times of the sheet and session
    then do so, and are in order unless all are whole minutes: else a single wrong time would get a place.

    Args:
        marks: `file`, `row`, `session`, `start` and `end` in seconds, end null where there is none; in the order of
            the sheets.
        last: seconds of the last word, or what it may be at most, by session.
        beyond_what: what that is, for the note.

    Returns:
        The marks, and `file`, `row`, `reason` of the first row of each sheet and session that was read so.

    """
    marks = marks.assign(limit=marks["session"].map(last).astype("float64") + _AFTER)
    beyond = marks[["start", "end"]].max(axis=1) > marks["limit"]
    notes = []
    for _, sheet in marks[beyond.groupby([marks["file"], marks["session"]]).transform("any")].groupby(
        ["file", "session"], sort=False
    ):
        meant = _in_order(sheet["start"].to_numpy(), sheet["end"].to_numpy(), sheet["limit"].iloc[0])
        back = np.fmax.accumulate(meant[:, 0]) - meant[:, 0]
        sure = (sheet["start"] % 60 == 0).all() or not (back > _BACK).any()
        if sure and np.nanmax(meant) <= sheet["limit"].iloc[0]:
            marks.loc[sheet.index, ["start", "end"]] = meant
            first = sheet[beyond[sheet.index]].iloc[0]
            what = f"{clock(first['start'])} is beyond {beyond_what}; session read as minutes and seconds"
            notes.append((first["file"], first["row"], f"minutes typed as hours: {what}"))
    return marks.drop(columns="limit"), pd.DataFrame(notes, columns=["file", "row", "reason"])


def _in_order(starts: np.ndarray, ends: np.ndarray, limit: float) -> np.ndarray:
    """Starts and ends (n, 2), whole minutes as seconds unless that goes back and they are within the limit."""
    meant, above = np.empty((len(starts), 2)), 0.0
    for row, (start, end) in enumerate(zip(starts, ends, strict=True)):
        begins = _as_typed(start, above - _BACK, limit)
        meant[row] = begins, _as_typed(end, begins, limit)
        above = max(above, begins)
    return meant


def _as_typed(time: float, earliest: float, limit: float) -> float:
    return time / 60 if time % 60 == 0 and (time > limit or time / 60 >= earliest) else time
