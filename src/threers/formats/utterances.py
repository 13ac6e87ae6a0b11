"""Rows of all files to the utterances and the sessions table; rows that cannot be used are listed."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

from threers.codebook import Codebook
from threers.corpus import conform
from threers.formats.reader import SESSION_FIELDS, Reader
from threers.formats.rejects import Rejects, quote
from threers.formats.roles import map_roles
from threers.formats.times import clock, seconds
from threers.formats.typed_times import minutes_again

_KEY = ["session", "order_number"]
#: What joins rows of several files.
_NAMES = ("session", "coder", "group", "patient", "therapist")
#: Numbers, but not such as 007, which is a name, nor those of more digits than a float keeps apart.
_NUMBER = r"-?(0|[1-9][0-9]{0,14})([.,][0-9]+)?"
#: Of the name of a recording or its transcript.
_SUFFIX = r"\.[A-Za-z][A-Za-z0-9]{1,8}$"


def compose_names(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows whose names are stored alike: lists made on a Mac may hold an ä as two letters, which made two patients."""
    return rows.assign(**{name: rows[name].str.normalize("NFC") for name in _NAMES})


def keep_usable(rows: pd.DataFrame, reader: Reader, rejects: Rejects) -> pd.DataFrame:
    """Drop rows without session, with an unreadable order, without text, or that repeat a key.

    Args:
        rows: `Bound.rows` of all files, with `has_marks` (one of the row's code cells is filled).
        reader: its layout says which rows may repeat an utterance.
        rejects: takes the dropped rows.

    Returns:
        The rest, with `order_number` (float, null without an order) and `is_utterance`: this row makes the utterance.

    """
    rows = _without_suffix(compose_names(rows))
    rows = _drop(rows, rows["session"] == "", "no session: the cell is empty", rejects)
    rows = rows.assign(order_number=read_numbers(rows["order"]), spoken=rows["has_text"] & (rows["text"] != ""))
    bad = (rows["spoken"] | (rows["order"] != "")) & rows["order_number"].isna()
    reasons = [f"order not readable: {quote(order)} is not a number" for order in rows.loc[bad, "order"]]
    rows = _drop(rows, bad, reasons, rejects)

    texts = rows[rows["spoken"]].drop_duplicates("session").set_index("session")
    other_file = rows["spoken"] & ~rows["has_order"] & (rows["sha256"] != rows["session"].map(texts["sha256"]))
    holder = rows.loc[other_file, "session"].map(texts["file"])
    reasons = [f"duplicate key: {file} holds this session, and no column gives an order" for file in holder]
    rows = _drop(rows, other_file, reasons, rejects)
    # Places in a file's own utterances mean nothing where another file has those of the session.
    strange = rows["own_lines"] & (rows["sha256"] != rows["session"].map(texts["sha256"]))
    holder = rows.loc[strange, "session"].map(texts["file"])
    rows = _drop(rows, strange, [f"other utterances: {file} holds those of this session" for file in holder], rejects)

    rows = rows.assign(first=_first_spoken(rows))
    elsewhere = rows["first"].notna() & (reader.layout != "wide")
    other_unit = ~rows["unit"].isin(["", "utterance"]) | ((rows["order"] == "") & rows["has_marks"])
    silent = rows["has_text"] & ~rows["spoken"] & ~elsewhere & ~other_unit
    rows = _drop(rows, silent, "no text: the cell is empty", rejects)
    rows = rows.assign(is_utterance=rows["spoken"] & (rows["first"] == rows.index))
    return _drop_repeated(rows, reader.layout, rejects)


def _without_suffix(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of sheets that name a session by its recording, P21_03.vtt, where the session is called P21_03."""
    known = rows.loc[rows["has_text"], "session"].unique()
    stem = rows["session"].str.replace(_SUFFIX, "", regex=True)
    return rows.assign(session=stem.where(~rows["session"].isin(known) & stem.isin(known), rows["session"]))


def utterances_table(rows: pd.DataFrame, reader: Reader, codebook: Codebook, rejects: Rejects) -> pd.DataFrame:
    """Make the utterances table, on the index of the rows that the utterances come from.

    Sessions stand in the natural order of their names, utterances in that of `order_number`, numbered from 0. `rows` is
    what `keep_usable` returns, with `column_role` (the role of the filled code column, or empty), which holds where the
    reader maps no speaker. Where a time lies beyond the reader's `longest_hours` and all times of the session are whole
    minutes, they are read as minutes and seconds: typing 6:23 into a spreadsheet stores 06:23:00; where not all are and
    times go back, as when 1:02:15 was typed after 59:40, see `typed_times`. Times of day, which begin beyond it and
    end within 24 hours, stay.
    """
    own = rows[rows["is_utterance"]]
    place = {session: n for n, session in enumerate(sorted(own["session"].unique(), key=_natural))}
    own = own.assign(place=own["session"].map(place)).sort_values(["place", "order_number"], kind="stable")
    own = own.assign(start=_times(own, "start", rejects), end=_times(own, "end", rejects))
    own = _minutes_typed_as_hours(own, reader.longest_hours, rejects)
    _note_backwards(own, rejects)
    role = map_roles(own, reader.every_role, codebook)
    frame = pd.DataFrame(
        {
            "session_id": own["session"],
            "utterance_id": own.groupby("place").cumcount(),
            "role": role.mask(role.isin(["", "unknown"]), own["column_role"]).replace("", "unknown"),
            **{name: own[name] for name in ("speaker", "start", "end", "text")},
        }
    )
    return conform(frame, "utterances").set_axis(frame.index)


def sessions_table(rows: pd.DataFrame, session_ids: Iterable[str], rejects: Rejects) -> pd.DataFrame:
    """Make the sessions table: each fact of a session as the first of its rows that gives it says.

    The group is the reader's group column, else the patient, else the session itself. `rows` is what `keep_usable`
    returns, `session_ids` what the utterances name.
    """
    sessions = pd.Index(list(dict.fromkeys(session_ids)), name="session_id")
    extra = [name for name in rows.columns if name.startswith("further:")]
    facts = {name: _first_given(rows, name, rejects).reindex(sessions) for name in (*SESSION_FIELDS, *extra)}
    source = rows[rows["is_utterance"]].drop_duplicates("session").set_index("session").loc[sessions]
    group = facts["group"].fillna(facts["patient"])
    if group.notna().any():
        alone = source[group.isna().to_numpy()]
        rejects.add_rows(alone, ["no group: no patient or group is named; session counts as its own"] * len(alone))
    number = read_numbers(facts["session_number"].fillna(""))
    number = number.where((number % 1 == 0) & (number.abs() < 10**15))
    lost = facts["session_number"].notna() & number.isna()
    reasons = [f"session number not readable: {quote(n)}; left out" for n in facts["session_number"][lost]]
    rejects.add_rows(source[lost.to_numpy()], reasons)
    frame = pd.DataFrame(
        {
            "group_id": group.fillna(sessions.to_series()),
            "patient_id": facts["patient"],
            "therapist_id": facts["therapist"],
            "session_number": number,
            "source_file": source["file"],
            "source_sha256": source["sha256"],
            **{name.removeprefix("further:"): _numbers_or_words(facts[name]) for name in extra},
        }
    )
    return conform(frame.rename_axis("session_id").reset_index(), "sessions")


def read_numbers(written: pd.Series) -> pd.Series:
    """Read cells as a float Series, null where no finite number is written."""
    number = pd.to_numeric(written.str.replace(",", "."), errors="coerce").astype("float64")
    return number.where(np.isfinite(number))


def _drop(rows: pd.DataFrame, bad: pd.Series, reasons: str | list[str], rejects: Rejects) -> pd.DataFrame:
    each = [reasons] * int(bad.sum()) if isinstance(reasons, str) else reasons
    rejects.add_rows(rows[bad], [f"{reason}; row dropped" for reason in each])
    return rows[~bad]


def _first_spoken(rows: pd.DataFrame) -> pd.Series:
    """Per row the index (float) of the first row with a text for the same session and order, or null."""
    texts = rows[rows["spoken"]].drop_duplicates(_KEY)
    position = pd.MultiIndex.from_frame(texts[_KEY]).get_indexer(pd.MultiIndex.from_frame(rows[_KEY]))
    return pd.Series(np.append(texts.index.astype("float64"), np.nan)[position], index=rows.index)


def _drop_repeated(rows: pd.DataFrame, layout: str, rejects: Rejects) -> pd.DataFrame:
    again = rows["spoken"] & ~rows["is_utterance"]
    same = pd.Series(rows["text"].to_numpy() == rows["text"].reindex(rows["first"]).to_numpy(), index=rows.index)
    if layout == "rater_rows":
        twice = rows[rows["spoken"] & same].duplicated([*_KEY, "coder"])
        same &= ~twice.reindex(rows.index, fill_value=False)
    repeated = again & (~same | (layout == "wide"))
    of = rows.loc[rows.loc[repeated, "first"], ["file", "row"]]
    also = {"wide": "", "long": " with another text", "rater_rows": " with this coder or another text"}[layout]
    where = zip(of["file"], of["row"], strict=True)
    reasons = [f"duplicate key: this session and order stand in {file} row {row}{also}" for file, row in where]
    return _drop(rows, repeated, reasons, rejects)


def _first_given(rows: pd.DataFrame, name: str, rejects: Rejects) -> pd.Series:
    """By session the first value that is not empty; another value in the same session is noted."""
    given = rows.loc[rows[name] != "", ["file", "row", "session", name]]
    first = given.drop_duplicates("session").set_index("session")[name]
    other = given[given[name] != given["session"].map(first)].drop_duplicates("session")
    shown = name.removeprefix("further:")
    reason = f"session differs: {shown} is another here than in the session's first row, which counts"
    rejects.add_rows(other, [reason] * len(other))
    return first


def _times(rows: pd.DataFrame, column: str, rejects: Rejects) -> pd.Series:
    meant = {written: seconds(written) for written in rows[column].unique() if written}
    bad = rows[column].isin([written for written, value in meant.items() if value is None])
    reasons = [f"time not readable: {column} {quote(w)}; row kept without it" for w in rows.loc[bad, column]]
    rejects.add_rows(rows[bad], reasons)
    return rows[column].map(meant).astype("float64")


def _minutes_typed_as_hours(rows: pd.DataFrame, longest_hours: float, rejects: Rejects) -> pd.DataFrame:
    longest = longest_hours * 3600
    earliest, latest = (rows.groupby("session")["start"].transform(which) for which in ("min", "max"))
    whole = (rows[["start", "end"]].fillna(0) % 60 == 0).all(axis=1).groupby(rows["session"]).transform("all")
    beyond = (latest > longest) & ((earliest <= longest) | (latest >= 24 * 3600))
    typed = whole & beyond
    first = rows[typed & (rows["start"] == latest)].drop_duplicates("session")
    what = f"is beyond {longest_hours:g} hours; session read as minutes and seconds"
    rejects.add_rows(first, [f"minutes typed as hours: {clock(start)} {what}" for start in first["start"]])
    rows = rows.assign(start=rows["start"] / np.where(typed, 60, 1), end=rows["end"] / np.where(typed, 60, 1))
    back = (rows.groupby("session")["start"].diff() < 0).groupby(rows["session"]).transform("any")
    mixed = rows[beyond & ~typed & back]
    meant, notes = minutes_again(mixed, pd.Series(longest, mixed["session"].unique()), f"{longest_hours:g} hours")
    rejects.add_rows(notes, notes["reason"])
    rows.loc[meant.index, ["start", "end"]] = meant[["start", "end"]]
    return rows


def _note_backwards(rows: pd.DataFrame, rejects: Rejects) -> None:
    timed = rows[rows["start"].notna()]
    timed = timed.assign(before=timed.groupby("session")["start"].shift())
    back = timed[timed["start"] < timed["before"]]
    first = back.drop_duplicates("session")
    times = back["session"].value_counts()
    reasons = [
        f"time goes backwards: {clock(start)} after {clock(before)} ({times[session]} such in this session); rows kept"
        for session, start, before in zip(first["session"], first["start"], first["before"], strict=True)
    ]
    rejects.add_rows(first, reasons)


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Sorting key that puts session 10 after session 9."""
    parts = [part for part in re.split(r"(\d+)", name) if part]
    return [(0, int(part), "") if part.isdecimal() and len(part) < 19 else (1, 0, part) for part in parts]


def _numbers_or_words(column: pd.Series) -> pd.Series:
    given = column.dropna()
    if given.empty or not given.str.fullmatch(_NUMBER).all():
        return column
    numbers = read_numbers(column.fillna(""))
    return numbers.astype("Int64") if (numbers.dropna() % 1 == 0).all() else numbers
