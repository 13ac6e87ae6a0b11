"""Codings on stretches of time to the utterances, or the segments, that they mean."""

from __future__ import annotations

import numpy as np
import pandas as pd

from threers.codebook import Codebook
from threers.formats.reader import Reader
from threers.formats.rejects import quote
from threers.formats.times import clock, seconds
from threers.formats.typed_times import minutes_again

#: Share of an utterance, or of the stretch, that both must have in common.
HALF = 0.5
_CROSSES = "crosses utterances: given to those that share half with it, else to the one that shares most"


def place_by_time(
    marks: pd.DataFrame, utterances: pd.DataFrame, reader: Reader, codebook: Codebook
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give marks that have a time and no utterance the ones that they mean, one row each; or their segment.

    The reader's `time_match` says which utterances: `half`, those that share at least half of themselves or of the
    stretch with it, else the one with the longest share; `any`, each that it touches; `start`, the one in which it
    begins. An utterance without an end lasts until the next begins. A stretch without an end is a moment; in whole
    seconds it means first an utterance that begins within that second, because sheets leave out its thousandths. So,
    with `half`, a stretch in whole seconds means first the utterance of which both ends are the same, thousandths left
    out or rounded. Minutes that a spreadsheet took for hours are minutes again (`typed_times`). A segment is the one,
    of the stretch's own length or else the reader's `segment_minutes`, in which the stretch's middle lies.

    Args:
        marks: with `file`, `row`, `said`, `session`, `order_number`, `code`, `unit_cell`, `unit_id_cell`, `start_cell`,
            `end_cell`, `problem`.
        utterances: the utterances table with `order_number`.
        reader: says how.
        codebook: says on which unit a code is given.

    Returns:
        The marks, and `file`, `row`, `reason` of those that lost an end, or crossed the border of an utterance that
        they were not given to.

    """
    start, written_end = _read(marks["start_cell"]), _read(marks["end_cell"])
    timed = marks["order_number"].isna() & start.notna() & (marks["problem"] == "") & (marks["unit_id_cell"] == "")
    if not timed.any():
        return marks, marks.loc[timed, ["file", "row"]].assign(reason="")
    last = utterances.groupby("session_id")[["start", "end"]].max().max(axis=1)
    told, typed = minutes_again(marks[timed].assign(start=start, end=written_end), last, "the transcript")
    start, written_end = (told[name].reindex(marks.index) for name in ("start", "end"))
    end = written_end.where(written_end >= start, start)
    notes = pd.concat([typed, _lost_ends(marks[timed & marks["said"]], start, written_end)])
    units = {code.name: codebook.family(code.family).unit for code in codebook.codes.values()}
    unit = marks["unit_cell"].where(marks["unit_cell"] != "", marks["code"].map(units).fillna("utterance"))
    marks = _to_segments(marks, timed & (unit == "segment"), start, end, reader.segment_minutes * 60)
    sessions = {str(name): table for name, table in _with_times(utterances).groupby("session_id", sort=False)}
    spread: dict[int, list[float]] = {}
    problems: dict[int, str] = {}
    crossing = []
    for at in marks.index[timed & (unit == "utterance")]:
        table = sessions.get(marks.at[at, "session"])
        if table is None:
            continue
        places, crossed = _places(table, start[at], end[at], reader.time_match)
        if len(places):
            spread[at] = table["order_number"].to_numpy()[places].tolist()
            crossing += [at] if crossed else []
        else:
            problems[at] = f"no such utterance: nobody speaks at {clock(start[at])}; {_nearest(table, start[at])}"
    notes = pd.concat([notes, marks.loc[crossing, ["file", "row"]].assign(reason=_CROSSES)])
    marks = marks.assign(
        order_number=[spread.get(at, [own]) for at, own in marks["order_number"].items()],
        problem=[problems.get(at, own) for at, own in marks["problem"].items()],
    )
    marks = marks.explode("order_number", ignore_index=True)
    return marks.astype({"order_number": "float64", "problem": "str"}), notes


def _read(cells: pd.Series) -> pd.Series:
    return cells.map({cell: seconds(cell) for cell in cells.unique()}).astype("float64")


def _lost_ends(marks: pd.DataFrame, start: pd.Series, end: pd.Series) -> pd.DataFrame:
    """Those marks, one a row of the file, that have an end in writing and none that can be meant."""
    start, end = start[marks.index], end[marks.index]
    unread = "time not readable: end " + marks["end_cell"].map(quote).astype("str")
    reason = unread.where(end.isna(), "time goes backwards: the coding ends before it begins")
    lost = (marks["end_cell"] != "") & ~(end >= start)
    notes = marks[["file", "row"]].assign(reason=reason + "; kept as the moment of its start")
    return notes[lost].drop_duplicates(["file", "row"])


def _to_segments(
    marks: pd.DataFrame, which: pd.Series, start: pd.Series, end: pd.Series, length: float
) -> pd.DataFrame:
    own = (end - start).where(end > start, length)
    number = ((start + end) / 2 // own).where(end > start, start // own)
    written = number.where(which).map(lambda value: "" if pd.isna(value) else str(int(value)))
    unit = marks["unit_cell"].mask(which, "segment")
    return marks.assign(unit_id_cell=marks["unit_id_cell"].mask(which, written), unit_cell=unit)


def _with_times(utterances: pd.DataFrame) -> pd.DataFrame:
    timed = utterances[utterances["start"].notna()]
    following = timed.groupby("session_id", sort=False)["start"].shift(-1)
    end = timed["end"].fillna(following).fillna(np.inf)
    return timed.assign(end=end.where(end > timed["start"], timed["start"]))


def _places(table: pd.DataFrame, start: float, end: float, rule: str) -> tuple[np.ndarray, bool]:
    """Rows of one session's utterances that a stretch means, and whether it also touches others."""
    begin, stop = table["start"].to_numpy(), table["end"].to_numpy()
    if rule == "start" or start == end:
        inside = np.flatnonzero((begin <= start) & ((start < stop) | (begin == start)))
        in_second = np.flatnonzero((begin > start) & (begin < start + 1))
        if start == end and start % 1 == 0 and len(in_second) and not (begin == start).any():
            return in_second[:1], False
        return inside[-1:], False
    if rule == "half" and start % 1 == 0 and end % 1 == 0:
        off = np.stack([begin - start, stop - end])
        same = np.flatnonzero(((off > -0.5) & (off < 1)).all(axis=0))
        if len(same):
            return same[[np.argmin(np.abs(off[:, same]).sum(axis=0))]], False
    shared = np.minimum(stop, end) - np.maximum(begin, start)
    touched = np.flatnonzero(shared > 0)
    if rule == "any" or len(touched) == 0:
        return touched, False
    shorter = np.minimum(stop - begin, end - start)
    half = touched[shared[touched] >= HALF * shorter[touched]]
    chosen = half if len(half) else touched[[np.argmax(shared[touched])]]
    return chosen, len(chosen) < len(touched)


def _nearest(table: pd.DataFrame, start: float) -> str:
    near = table.iloc[int((table["start"] - start).abs().argmin())]
    return f"nearest: utterance {near['utterance_id']} at {clock(near['start'])}"
