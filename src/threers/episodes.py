"""Ruptures and their repair in the tags of a session, segment by segment: the one definition. Layer 4, no torch.

A convention, not a finding: researchers define episodes in several ways (Safran, Muran & Eubanks-Carter 2011 review
them), so its two numbers are settings and every page prints the definition.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from threers.codebook import Codebook


@dataclass(frozen=True, kw_only=True)
class Rupture:
    """A run of neighbouring segments that each hold a rupture mark; with a repair it is an episode.

    `first`, `last`: numbers of its segments. `begins`, `ends`: utterance_id of its first and of its last rupture mark.
    `repaired`: utterance_id of the repair, None where none came.
    """

    first: int
    last: int
    begins: int
    ends: int
    repaired: int | None


def definition(codebook: Codebook, minutes: float, within: int) -> str:
    """What counts as a rupture and as an episode, in words for a page; empty where the codebook marks no ruptures."""
    ruptures, repairs = _titles(codebook, "rupture"), _titles(codebook, "repair")
    if not ruptures:
        return ""
    said = f"A rupture is a run of neighbouring segments of {minutes:g} minutes that each hold a mark of {ruptures}."
    if not repairs:
        return said
    if not within:
        return f"{said} It is repaired, and makes an episode, if a mark of {repairs} follows in its last segment."
    near = "the next segment" if within == 1 else f"the next {within} segments"
    return (
        f"{said} It is repaired, and makes an episode, if a mark of {repairs} follows the last of them, in its segment "
        f"or {near}, and {near} hold{'s' if within == 1 else ''} no further rupture."
    )


def find_ruptures(scores: pd.DataFrame, codebook: Codebook, minutes: float, within: int) -> list[Rupture]:
    """The ruptures of one session, in order.

    Args:
        scores: the session's utterances in order, with `utterance_id`, `start` (seconds) and `tags`; utterances without
            a start belong to no segment and are left out.
        codebook: says which families mark ruptures and which repairs.
        minutes: length of a segment.
        within: a repair counts up to this many segments after the last of the rupture, which must hold no further
            rupture.

    """
    timed = scores[scores["start"].notna()]
    segment = segment_of(timed["start"], minutes).to_numpy()
    ids = timed["utterance_id"].to_numpy()
    rupture = has_any(timed["tags"], codebook.course_codes("rupture"))
    repair = has_any(timed["tags"], codebook.course_codes("repair"))
    ruptured = np.unique(segment[rupture])
    found = []
    for run in np.split(ruptured, np.flatnonzero(np.diff(ruptured) > 1) + 1) if len(ruptured) else ():
        first, last = int(run[0]), int(run[-1])
        marks = np.flatnonzero(rupture & (segment >= first) & (segment <= last))
        again = (ruptured > last) & (ruptured <= last + within)
        near = repair & (segment >= last) & (segment <= last + within)
        after = np.flatnonzero(near & (np.arange(len(ids)) > marks[-1]))
        repaired = int(ids[after[0]]) if len(after) and not again.any() else None
        ends = {"begins": int(ids[marks[0]]), "ends": int(ids[marks[-1]])}
        found.append(Rupture(first=first, last=last, repaired=repaired, **ends))
    return found


def segment_of(start: pd.Series, minutes: float) -> pd.Series:
    """Number of the segment in which each utterance starts, from 0; `start` in seconds, all known."""
    return (start // (minutes * 60)).astype("int64")


def has_any(tags: pd.Series, codes: frozenset[str]) -> np.ndarray:
    """Bool (n_utterances,): is one of the codes among the tags?"""
    return np.array([not codes.isdisjoint(own) for own in tags], dtype=bool)


def _titles(codebook: Codebook, course: str) -> str:
    return " or ".join(family.title.lower() for family in codebook.tag_families() if family.course == course)
