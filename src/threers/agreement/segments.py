"""Judgements of whole segments of a session, such as the five minutes of the 3RS manual's coding sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from threers.agreement.frame import Frame, with_consensus
from threers.codebook import Codebook


def segment_numbers(start: np.ndarray, minutes: float) -> np.ndarray:
    """Number of the segment in which each utterance starts, from 0; -1 where no time is known. `start` in seconds."""
    return np.where(np.isnan(start), -1, np.nan_to_num(start) // (minutes * 60)).astype(int)


def rated_numbers(start: np.ndarray, unit: str, minutes: float) -> np.ndarray:
    """Number of the segment, for unit `segment` as `segment_numbers`; of a session 0, for every utterance of it."""
    return segment_numbers(start, minutes) if unit == "segment" else np.zeros(len(start), dtype=int)


def segment_frames(
    frames: Sequence[Frame], start: np.ndarray, minutes: float, codings: pd.DataFrame, codebook: Codebook
) -> list[Frame]:
    """Make frames whose units are segments: a code is present in one if any of its utterances has it.

    A rater has judged a segment who judged any of its utterances, or whose own codes of the segment are in `codings`;
    those count instead. An exclusive family becomes one of presences: a segment may hold several of its codes. The
    consensus is that of the people's segments.

    Args:
        frames: of utterances, from `build_frames`.
        start: (n_units,) seconds at which each unit starts, NaN if unknown: such units belong to no segment.
        minutes: length of a segment.
        codings: those with unit `segment` count, whose unit_id is the number of the segment.
        codebook: says which codes are parents.

    """
    sessions = frames[0].units.get_level_values(0)
    number = segment_numbers(start, minutes)
    timed = number >= 0
    member, units = pd.MultiIndex.from_arrays([sessions[timed], number[timed]]).factorize()
    group = np.zeros(len(units), dtype=int)
    group[member] = frames[0].group[timed]
    own = codings[codings["unit"] == "segment"]
    # Who rated a segment has read it, and has marked there what can be marked on segments; of utterances a rating says
    # nothing.
    codes = own[~own["code"].isin(list(codebook.rating_codes()))]
    return [
        _segments(frame, timed, member, units, group, own if frame.family.unit == "segment" else codes, codebook)
        for frame in frames
    ]


def _segments(
    frame: Frame,
    timed: np.ndarray,
    member: np.ndarray,
    units: pd.MultiIndex,
    group: np.ndarray,
    codings: pd.DataFrame,
    codebook: Codebook,
) -> Frame:
    raters = frame.raters[:-1]
    marks = np.full((len(units), len(frame.codes), len(raters)), -1, dtype=np.int8)
    np.maximum.at(marks, member, np.moveaxis(frame.marks[:, :-1, timed], -1, 0))
    marks = np.ascontiguousarray(np.moveaxis(marks, 0, -1))
    _put_own(marks, frame, units, codings, codebook)
    family = replace(frame.family, kind="multilabel")
    return with_consensus(
        replace(frame, family=family, raters=raters, marks=marks, values=None, units=units, group=group)
    )


def _put_own(marks: np.ndarray, frame: Frame, units: pd.MultiIndex, codings: pd.DataFrame, codebook: Codebook) -> None:
    """Put what people said of whole segments in the place of what follows from their utterances."""
    place = units.get_indexer(pd.MultiIndex.from_frame(codings[["session_id", "unit_id"]]))
    rater = pd.Index(frame.raters[:-1]).get_indexer(codings["coder_id"])
    known = (place >= 0) & (rater >= 0)
    marks[:, rater[known], place[known]] = 0
    present = known & (codings["value"].ne(0) | codings["value"].isna()).to_numpy()
    for code in frame.codes:
        own = present & (codings["code"] == code).to_numpy()
        for implied in (code, *codebook.ancestors(code)):
            marks[frame.codes.index(implied), rater[own], place[own]] = 1
