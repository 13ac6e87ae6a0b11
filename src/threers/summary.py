"""Tags to segments and sessions, and what each column means. Layer 4, no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from threers.codebook import EXTRA_ROLES, Codebook
from threers.episodes import definition, find_ruptures, has_any, segment_of
from threers.score_checks import rated_codes, rating_columns
from threers.scores import write_csv, write_parquet_parts

#: Segments after a rupture in which a repair still counts, and the length of a segment in minutes.
WITHIN, MINUTES = 2, 5.0

#: Name, meaning and unit.
Column = tuple[str, str, str]


def summarise_segments(scores: pd.DataFrame, codebook: Codebook, minutes: float = MINUTES) -> pd.DataFrame:
    """One row per session and segment of `minutes`; an utterance belongs to the segment in which it starts.

    Returns the columns that `columns` describes for `segments`. Utterances without a start time belong to no segment.
    """
    timed = scores[scores["start"].notna()]
    segment = segment_of(timed["start"], minutes).rename("segment")
    keys = [timed["session_id"], segment]
    table = _counts(timed, keys, codebook)
    table.insert(2, "start", table["segment"] * minutes * 60)
    table.insert(3, "end", (table["segment"] + 1) * minutes * 60)
    more = {f"rate_{code}": table[f"n_{code}"] / minutes * 5 for code in codebook.tag_codes()}
    more |= _speaking_shares(timed, keys, codebook)
    more |= _ratings(timed, keys, codebook, "segment")
    return pd.concat([table, pd.DataFrame(more, index=table.index)], axis=1)


def summarise_sessions(
    scores: pd.DataFrame, codebook: Codebook, minutes: float = MINUTES, within: int = WITHIN
) -> pd.DataFrame:
    """One row per session, with the columns that `columns` describes for `sessions`.

    `minutes` and `within`: of segments and episodes, see `threers.episodes`.
    """
    keys = [scores["session_id"]]
    table = _counts(scores, keys, codebook)
    times = scores.assign(last=scores["end"].fillna(scores["start"])).groupby("session_id", sort=True)
    length = ((times["last"].max() - times["start"].min()) / 60).reindex(table["session_id"]).to_numpy()
    # Every role, present or not, so that all summaries have the same columns.
    roles = (*codebook.roles, *EXTRA_ROLES)
    spoken = pd.crosstab(scores["session_id"], scores["role"]).reindex(table["session_id"]).reindex(columns=roles)
    table.insert(1, "minutes", length)
    for place, role in enumerate(roles):
        table.insert(3 + place, f"utterances_{role}", spoken[role].fillna(0).to_numpy(dtype="int64"))
    more = {
        f"rate_{code}": table[f"n_{code}"] / table["minutes"].replace(0, np.nan) * 5 for code in codebook.tag_codes()
    }
    more |= _segment_shares(summarise_segments(scores, codebook, minutes), table["session_id"], codebook)
    more |= _speaking_shares(scores, keys, codebook)
    more |= _ratings(scores, keys, codebook, "session")
    own = scores.groupby("session_id", sort=True)
    courses = pd.DataFrame([_course(part, codebook, minutes, within) for _, part in own], index=table.index)
    return pd.concat([table, pd.DataFrame(more, index=table.index), courses], axis=1)


def write_summaries(
    parts: Callable[[], Iterable[pd.DataFrame]],
    codebook: Codebook,
    out: Path,
    minutes: float = MINUTES,
    within: int = WITHIN,
) -> pd.DataFrame:
    """Write both summaries of a run's parts, sessions.csv, the data dictionary and the codebook into `out`.

    `parts`: begins the stream of score tables anew at each call. Returns the summary of the sessions.
    """
    segments = (summarise_segments(part, codebook, minutes) for part in parts())
    write_parquet_parts(segments, out / "segments.parquet")
    sessions = (summarise_sessions(part, codebook, minutes, within) for part in parts())
    write_parquet_parts(sessions, out / "sessions.parquet")
    table = pd.read_parquet(out / "sessions.parquet")
    write_csv(table, out / "sessions.csv")
    rated = rated_codes({*table, *pq.read_schema(out / "segments.parquet").names}, codebook)
    told = columns(codebook, minutes, within, abstained="n_abstained" in table, rated=rated)
    write_csv(told, out / "columns.csv")
    codebook.save(out / "codebook.yaml")
    return table


def columns(
    codebook: Codebook,
    minutes: float = MINUTES,
    within: int = WITHIN,
    *,
    abstained: bool = False,
    rated: Sequence[str] = (),
) -> pd.DataFrame:
    """The data dictionary of both summaries: `table`, `column`, `meaning`, `unit`, in the order of the columns.

    `abstained`: whether utterances were left to humans. `rated`: codes of the ratings that the tagger gives.
    """
    counts = list(_code_columns(codebook, abstained))
    every = [("sessions", *row) for row in _session_columns(codebook, minutes, within, counts, rated)]
    every += [("segments", *row) for row in _segment_columns(codebook, minutes, counts, rated)]
    return pd.DataFrame(every, columns=["table", "column", "meaning", "unit"])


def _counts(scores: pd.DataFrame, keys: list[pd.Series], codebook: Codebook) -> pd.DataFrame:
    codes = codebook.tag_codes()
    place = {code: number for number, code in enumerate(codes)}
    marked = np.zeros((len(scores), len(codes)), dtype="int64")
    for row, tags in enumerate(scores["tags"]):
        marked[row, [place[code] for code in tags]] = 1
    counts = pd.DataFrame(marked, columns=[f"n_{code}" for code in codes], index=scores.index)
    counts.insert(0, "n_utterances", 1)
    expected = scores[[f"p_{code}" for code in codes]].astype("float64")
    expected.columns = [f"expected_{code}" for code in codes]
    every = pd.concat([counts, expected, _left_to_humans(scores, codes)], axis=1)
    return every.groupby(keys, sort=True).sum(min_count=1).reset_index()


def _left_to_humans(scores: pd.DataFrame, codes: tuple[str, ...]) -> pd.DataFrame:
    """1 where an utterance was left to humans, and for the sake of which code; no column where that was not asked."""
    if "abstained" not in scores:
        return pd.DataFrame(index=scores.index)
    left = {
        f"abstained_{code}": np.array([code in own for own in scores["abstained"]], dtype="int64") for code in codes
    }
    return pd.DataFrame({"n_abstained": scores["abstained"].map(len).gt(0).astype("int64"), **left}, index=scores.index)


def _segment_shares(segments: pd.DataFrame, sessions: pd.Series, codebook: Codebook) -> dict[str, np.ndarray]:
    """By column: the number of each session's segments, and the share of them with each code."""
    codes = codebook.tag_codes()
    by_session = segments.groupby("session_id")
    number = by_session.size().reindex(sessions, fill_value=0)
    present = (segments[[f"n_{code}" for code in codes]] > 0).groupby(segments["session_id"]).mean().reindex(sessions)
    shares = {f"segments_share_{code}": present[f"n_{code}"].to_numpy(dtype="float64") for code in codes}
    return {"n_segments": number.to_numpy(dtype="int64"), **shares}


def _speaking_shares(scores: pd.DataFrame, keys: list[pd.Series], codebook: Codebook) -> dict[str, np.ndarray]:
    """By column: each role's share of the seconds that utterances last, null where no utterance has both times."""
    seconds = (scores["end"] - scores["start"]).clip(lower=0)
    total = seconds.groupby(keys, sort=True).sum(min_count=1).replace(0, np.nan)
    spoken = {}
    for role in (*codebook.roles, *EXTRA_ROLES):
        own = seconds.where(scores["role"] == role).groupby(keys, sort=True).sum()
        spoken[f"speaking_share_{role}"] = (own / total).to_numpy(dtype="float64")
    return spoken


def _ratings(scores: pd.DataFrame, keys: list[pd.Series], codebook: Codebook, unit: str) -> dict[str, np.ndarray]:
    """By column: what the tagger rates each session or segment, where it learnt that.

    A segment of another length than those that it learnt from has the mean over its utterances.
    """
    names = [name for code in rated_codes(scores, codebook, unit) for name in rating_columns(code) if name in scores]
    own = scores[names].astype("float64").groupby(keys, sort=True).mean()
    return {name: own[name].to_numpy() for name in names}


def _course(scores: pd.DataFrame, codebook: Codebook, minutes: float, within: int) -> dict[str, float]:
    """Ruptures and repairs of one session by column; null without times, no column without families for them."""
    marks, repairs = (codebook.course_codes(course) for course in ("rupture", "repair"))
    if not marks:
        return {}
    timed = scores[scores["start"].notna()]
    found = find_ruptures(timed, codebook, minutes, within)
    at = timed.set_index("utterance_id")["start"]
    known = bool(len(timed))
    course = {
        "ruptures": float(len(found)) if known else np.nan,
        "longest_rupture": max((one.last - one.first + 1 for one in found), default=0) * minutes if known else np.nan,
        "first_rupture": (at[found[0].begins] - at.min()) / 60 if found else np.nan,
    }
    if repairs:
        repaired = [one for one in found if one.repaired is not None]
        course |= {
            "episodes": float(len(repaired)) if known else np.nan,
            "share_repaired": len(repaired) / len(found) if found else np.nan,
            "time_to_repair": _time_to_repair(timed, marks, repairs),
        }
    return course


def _time_to_repair(timed: pd.DataFrame, marks: frozenset[str], repairs: frozenset[str]) -> float:
    """Minutes from the first rupture mark to the first repair mark after it, null where there is none."""
    start, rupture = timed["start"].to_numpy(), has_any(timed["tags"], marks)
    after = rupture.cumsum() > 0
    later = np.flatnonzero(after & ~rupture & has_any(timed["tags"], repairs))
    return float((start[later[0]] - start[rupture.argmax()]) / 60) if len(later) else np.nan


def _code_columns(codebook: Codebook, abstained: bool) -> Iterator[Column]:
    yield "n_utterances", "utterances", "count"
    titles = {code: f"{code}, {codebook.codes[code].title}" for code in codebook.tag_codes()}
    for code, title in titles.items():
        yield f"n_{code}", f"utterances tagged {title}", "count"
    for code, title in titles.items():
        yield f"expected_{code}", f"sum of the probabilities of {title}: the count to be expected of them", "count"
    if abstained:
        yield "n_abstained", "utterances left to humans", "count"
        for code, title in titles.items():
            yield f"abstained_{code}", f"utterances left to humans for the sake of {title}", "count"


def _session_columns(
    codebook: Codebook, minutes: float, within: int, counts: list[Column], rated: Sequence[str]
) -> Iterator[Column]:
    roles = (*codebook.roles, *EXTRA_ROLES)
    yield "session_id", "the session", "name"
    yield "minutes", "from the first start to the last known time", "minutes"
    yield counts[0]
    yield from ((f"utterances_{role}", f"utterances with role {role}", "count") for role in roles)
    yield from counts[1:]
    for code in codebook.tag_codes():
        yield f"rate_{code}", f"tags of {code} per 5 minutes", "per 5 minutes"
    yield "n_segments", f"segments of {minutes:g} minutes in which an utterance starts", "count"
    for code in codebook.tag_codes():
        yield f"segments_share_{code}", f"share of these segments with a tag of {code}", "share, 0 to 1"
    yield from _speaking_columns(roles)
    yield from _rating_columns(codebook, "session", rated)
    if not codebook.course_codes("rupture"):
        return
    yield "ruptures", definition(codebook, minutes, within), "count"
    yield "longest_rupture", "the longest rupture, in whole segments; 0 without one", "minutes"
    yield "first_rupture", "from the first start to the first rupture mark", "minutes"
    if codebook.course_codes("repair"):
        yield "episodes", "ruptures that were repaired, as defined under ruptures", "count"
        yield "share_repaired", "share of the ruptures that were repaired; empty without ruptures", "share, 0 to 1"
        yield "time_to_repair", "from the first rupture mark to the first repair mark after it, however late", "minutes"


def _segment_columns(
    codebook: Codebook, minutes: float, counts: list[Column], rated: Sequence[str]
) -> Iterator[Column]:
    yield "session_id", "the session", "name"
    yield "segment", f"number of the segment of {minutes:g} minutes, from 0", "number"
    yield "start", "begin of the segment", "seconds"
    yield "end", "end of the segment; the session may end sooner", "seconds"
    yield from counts
    for code in codebook.tag_codes():
        yield f"rate_{code}", f"tags of {code} per 5 minutes of the segment", "per 5 minutes"
    yield from _speaking_columns((*codebook.roles, *EXTRA_ROLES))
    yield from _rating_columns(codebook, "segment", rated)


def _speaking_columns(roles: tuple[str, ...]) -> Iterator[Column]:
    meaning = "share of the time that utterances last; empty without start and end"
    return ((f"speaking_share_{role}", f"{meaning}: {role}", "share, 0 to 1") for role in roles)


def _rating_columns(codebook: Codebook, unit: str, rated: Sequence[str]) -> Iterator[Column]:
    for code in rated:
        family = codebook.family(codebook.codes[code].family)
        if family.unit == unit and family.scale:
            low, high = family.scale
            expected, spread = rating_columns(code)
            title = f"{code}, {codebook.codes[code].title}"
            yield expected, f"rating to be expected of the {unit}: {title}", f"{low:g} to {high:g}"
            yield spread, f"how unsure this rating is: standard deviation of the probable ratings of {title}", "points"
