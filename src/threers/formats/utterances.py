"""Rows of all files to the utterances and the sessions table; rows that cannot be used are listed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from threers.codebook import EXTRA_ROLES, Codebook
from threers.corpus import conform
from threers.errors import SettingsError
from threers.formats.reader import Reader
from threers.formats.rejects import Rejects, quote
from threers.formats.times import clock, seconds


def keep_usable(rows: pd.DataFrame, reader: Reader, rejects: Rejects) -> pd.DataFrame:
    """Drop rows without session, with an unreadable order, without text, or that repeat a key.

    Args:
        rows: rows of all files, with `has_text` (the file has a text column) and `has_marks` (a code cell is filled).
        reader: its layout says which rows may repeat an utterance.
        rejects: takes the dropped rows.

    Returns:
        The rest, with `order_number` and `is_utterance` (the utterance is made from this row).

    """
    rows = _drop(rows, rows["session"] == "", "no session: the cell is empty; row dropped", rejects)
    rows = rows.assign(order_number=pd.to_numeric(rows["order"].str.replace(",", "."), errors="coerce"))
    spoken = rows["has_text"] & (rows["text"] != "")
    bad = (spoken | (rows["order"] != "")) & ~rows["order_number"].abs().lt(np.inf)
    reasons = [f"order not readable: {quote(o)} is not a number; row dropped" for o in rows.loc[bad, "order"]]
    rows, spoken = _drop(rows, bad, reasons, rejects), spoken[~bad]

    first = _first_with_same_key(rows, spoken)
    elsewhere = first.notna() & (reader.layout != "wide")
    not_an_utterance = ~rows["unit"].isin(["", "utterance"]) | ((rows["order"] == "") & rows["has_marks"])
    silent = rows["has_text"] & ~spoken & ~elsewhere & ~not_an_utterance
    rows, spoken, first = (
        _drop(rows, silent, "no text: the cell is empty; row dropped", rejects),
        spoken[~silent],
        first[~silent],
    )
    return _drop_repeated(rows.assign(is_utterance=spoken & (first == rows.index)), spoken, first, reader, rejects)


def _first_with_same_key(rows: pd.DataFrame, spoken: pd.Series) -> pd.Series:
    """Per row the index of the first spoken row with the same session and order, or null."""
    key = ["session", "order_number"]
    texts = rows[spoken].drop_duplicates(key)
    position = pd.MultiIndex.from_frame(texts[key]).get_indexer(pd.MultiIndex.from_frame(rows[key]))
    return pd.Series(np.append(texts.index.astype("float64"), np.nan)[position], index=rows.index)


def _drop_repeated(
    rows: pd.DataFrame, spoken: pd.Series, first: pd.Series, reader: Reader, rejects: Rejects
) -> pd.DataFrame:
    again = spoken & ~rows["is_utterance"]
    same = rows["text"].to_numpy() == rows["text"].reindex(first).to_numpy()
    repeated = again if reader.layout == "wide" else again & ~same
    if reader.layout == "rater_rows":
        twice = rows[spoken & ~repeated].duplicated(["session", "order_number", "coder"])
        repeated = repeated | twice.reindex(rows.index, fill_value=False)
    of = rows.loc[first[repeated], ["file", "row"]]
    what = np.where(
        same[repeated] | (reader.layout == "wide"), "this row's key", "another text with this session and order"
    )
    reasons = [
        f"duplicate key: {words} stands in {file} row {row} already; row dropped"
        for words, file, row in zip(what, of["file"], of["row"], strict=True)
    ]
    return _drop(rows, repeated, reasons, rejects)


def utterances_table(rows: pd.DataFrame, reader: Reader, codebook: Codebook, rejects: Rejects) -> pd.DataFrame:
    """The utterances table, on the index of the rows that each utterance comes from.

    `rows` needs `is_utterance`, `order_number` and `column_role` (the role of the filled code column, or empty).
    """
    own = rows[rows["is_utterance"]]
    place = {session: n for n, session in enumerate(sorted(own["session"].unique(), key=_natural))}
    own = own.assign(place=own["session"].map(place)).sort_values(["place", "order_number"], kind="stable")
    own = own.assign(start=_times(own, "start", rejects), end=_times(own, "end", rejects))
    own = _minutes_typed_as_hours(own, reader.longest_hours, rejects)
    _note_backwards(own, rejects)
    role = map_roles(own["speaker"], reader.roles, codebook)
    frame = pd.DataFrame(
        {
            "session_id": own["session"],
            "utterance_id": own.groupby("place").cumcount(),
            "role": role.where(role != "", own["column_role"]).replace("", "unknown"),
            "speaker": own["speaker"],
            "start": own["start"],
            "end": own["end"],
            "text": own["text"],
        }
    )
    index = frame.index
    return conform(frame, "utterances").set_axis(index)


def sessions_table(rows: pd.DataFrame, session_ids: Iterable[str], reader: Reader, rejects: Rejects) -> pd.DataFrame:
    """The sessions table: for each fact of a session the first value that any of its rows gives.

    The group is the reader's group column, else the patient, else the session itself.
    """
    sessions = pd.Index(list(dict.fromkeys(session_ids)), name="session_id")
    extra = [name for name in rows.columns if name.startswith("further:")]
    facts: dict[str, pd.Series] = {}
    for name in ("group", "patient", "therapist", "session_number", *extra):
        given = rows.loc[rows[name] != "", ["file", "row", "session", name]]
        first = given.drop_duplicates("session").set_index("session")[name]
        facts[name] = first.reindex(sessions)
        differs = given[given[name] != given["session"].map(first)].drop_duplicates("session")
        shown = name.removeprefix("further:")
        rejects.add_rows(
            differs, f"session differs: {shown} is not the same in all rows of this session; the first is kept"
        )
    source = rows[rows["is_utterance"]].drop_duplicates("session").set_index("session").reindex(sessions)
    number = pd.to_numeric(facts["session_number"], errors="coerce")
    number = number.where(number == number.round())
    lost = facts["session_number"].notna() & number.isna()
    for session in sessions[lost]:
        reason = f"session number not readable: {quote(facts['session_number'][session])}; session kept without it"
        rejects.add(source["file"][session], None, reason)
    frame = pd.DataFrame(
        {
            "session_id": sessions,
            "group_id": facts["group"].fillna(facts["patient"]).fillna(sessions.to_series()).to_numpy(),
            "patient_id": facts["patient"].to_numpy(),
            "therapist_id": facts["therapist"].to_numpy(),
            "session_number": number.to_numpy(dtype="float64"),
            "source_file": source["file"].to_numpy(),
            "source_sha256": source["sha256"].to_numpy(),
        }
    )
    for name in extra:
        frame[name.removeprefix("further:")] = _numbers_or_words(facts[name]).to_numpy()
    return conform(frame, "sessions")


def map_roles(speakers: pd.Series, roles: Mapping[str, str], codebook: Codebook) -> pd.Series:
    """Role of each speaker by the mapping, else by being written as a role is named; empty where neither says.

    An exact name goes before a pattern with `*`; case and surrounding spaces do not count.

    Raises:
        SettingsError: a role that the codebook does not know.

    """
    known = (*codebook.roles, *EXTRA_ROLES)
    for speaker, role in roles.items():
        if role not in known:
            raise SettingsError(
                f"roles: {speaker}: role {role!r} is not one of codebook {codebook.name}: {', '.join(known)}"
            )
    exact = {role.casefold(): role for role in known}
    exact |= {speaker.strip().casefold(): role for speaker, role in roles.items() if "*" not in speaker}
    patterns = [
        (re.compile(".*".join(map(re.escape, speaker.strip().casefold().split("*"))), re.DOTALL), role)
        for speaker, role in roles.items()
        if "*" in speaker
    ]

    def role_of(speaker: str) -> str:
        name = speaker.strip().casefold()
        return exact.get(name) or next((role for pattern, role in patterns if pattern.fullmatch(name)), "")

    return speakers.map({speaker: role_of(speaker) for speaker in speakers.unique()}).astype("str")


def _drop(rows: pd.DataFrame, bad: pd.Series, reasons: str | Iterable[str], rejects: Rejects) -> pd.DataFrame:
    rejects.add_rows(rows[bad], reasons)
    return rows[~bad]


def _times(rows: pd.DataFrame, column: str, rejects: Rejects) -> pd.Series:
    meant = {written: seconds(written) for written in rows[column].unique() if written}
    bad = rows[column].isin([written for written, value in meant.items() if value is None])
    rejects.add_rows(
        rows[bad], [f"time not readable: {column} {quote(w)}; row kept without it" for w in rows.loc[bad, column]]
    )
    return rows[column].map(meant).astype("float64")


def _minutes_typed_as_hours(rows: pd.DataFrame, longest_hours: float, rejects: Rejects) -> pd.DataFrame:
    """Undo the spreadsheet's habit of taking 6:23 (minutes and seconds) for 06:23:00, file by file.

    Only where a time lies beyond the longest session and every time of the session is a whole minute.
    """
    latest = rows.groupby("session")["start"].transform("max")
    whole = (rows["start"].fillna(0) % 60 == 0).groupby(rows["session"]).transform("all")
    typed = (latest > longest_hours * 3600) & whole
    for _, one in rows[typed].groupby("session", sort=False):
        first = one.loc[one["start"].idxmax()]
        reason = (
            f"minutes typed as hours: {clock(first['start'])} lies beyond {longest_hours:g} hours, so the times of this "
            f"session are read as minutes and seconds"
        )
        rejects.add(first["file"], int(first["row"]), reason)
    scale = np.where(typed, 60.0, 1.0)
    return rows.assign(start=rows["start"] / scale, end=rows["end"] / scale)


def _note_backwards(rows: pd.DataFrame, rejects: Rejects) -> None:
    timed = rows[rows["start"].notna()]
    back = (timed["start"].diff() < 0) & (timed["session"] == timed["session"].shift())
    before = timed["start"].shift()
    counts = back.groupby(timed["session"]).sum()
    for at in timed[back].drop_duplicates("session").index:
        row = timed.loc[at]
        reason = (
            f"time goes backwards: {clock(row['start'])} after {clock(before[at])}, {counts[row['session']]} times in this "
            "session; rows kept as ordered"
        )
        rejects.add(row["file"], int(row["row"]), reason)


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Sorting key that puts session 10 after session 9."""
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in re.split(r"(\d+)", name) if p]


def _numbers_or_words(column: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce")
    return numbers.astype("float64") if (numbers.notna() == column.notna()).all() else column
