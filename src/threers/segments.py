"""What the coders said of whole segments, where nobody coded the utterances in them. Layer 2, no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from threers.agreement.segments import segment_numbers
from threers.codebook import Codebook
from threers.corpus import segment_codings
from threers.errors import InputError
from threers.marks import mark_tables, speaks_of, with_parents


@dataclass(frozen=True)
class Segments:
    """Coded segments, over `codebook.tag_codes()`, and which utterances form them."""

    member: np.ndarray
    """int64 (n_utterances,): number of each utterance's segment; -1 none that is coded."""
    legal: np.ndarray
    """bool (n_utterances, n_codes): may the speaker of a member have the code, and is the code known of the segment?"""
    present: np.ndarray
    """float32 (n_segments, n_codes): share of the coders who say that the code occurs."""
    tally: np.ndarray
    """float32 (n_segments, n_codes): how many times it occurs, mean over the coders who counted; NaN if none did."""
    coders: np.ndarray
    """float32 (n_segments, n_codes): how many said anything of the code; 0 = nothing to learn here."""

    def rows(self, chosen: np.ndarray) -> Segments:
        """The same of some utterances, which are whole segments."""
        return replace(self, member=self.member[chosen], legal=self.legal[chosen])

    @property
    def known(self) -> np.ndarray:
        """Bool (n_segments, n_codes): segments that utterances belong to and whose coders speak of the code."""
        return any_of_members(self.legal, self.member, len(self.present))

    def describe(self) -> dict[str, Any]:
        """For a manifest: how many segments can be learnt from, and in how many of these the codes were counted."""
        known = self.known
        return {
            "coded_segments": len(known),
            "segments": int(known.any(axis=1).sum()),
            "tallied": int((known & ~np.isnan(self.tally)).any(axis=1).sum()),
        }


def any_of_members(marks: np.ndarray, member: np.ndarray, n_segments: int) -> np.ndarray:
    """Bool (n_segments, k): has any utterance of the segment the mark? `marks`: bool (n_utterances, k)."""
    found = np.zeros((n_segments, marks.shape[1]), dtype=bool)
    np.logical_or.at(found, member[member >= 0], marks[member >= 0])
    return found


def read_segments(
    utterances: pd.DataFrame, codings: pd.DataFrame, codebook: Codebook, minutes: float, coded: np.ndarray
) -> Segments | None:
    """What can be learnt from codes on segments; None where there are none.

    An utterance belongs to the segment of `minutes` in which it starts. A coder who gave any code of a family to a
    segment with a value above 1 counted these codes; any other noted which occur. A segment with an utterance that was
    coded itself (`coded`, bool (n_utterances, n_codes)) says nothing more of that code.

    Raises:
        InputError: no coded segment holds an utterance whose speaker may have its codes.

    """
    own = segment_codings(codings, codebook)
    if own.empty:
        return None
    units = pd.MultiIndex.from_frame(own[["session_id", "unit_id"]].drop_duplicates())
    number = segment_numbers(utterances["start"].to_numpy(dtype=np.float64), minutes)
    member = units.get_indexer(pd.MultiIndex.from_arrays([utterances["session_id"], number]))
    present, coders, tally, counted = _pool_coders(units, own, codebook)
    legal = codebook.legal_mask(utterances["role"]) & (member >= 0)[:, None]
    legal &= ((coders > 0) & ~any_of_members(coded, member, len(units)))[member]
    if not legal.any() and not coded.any():
        timed = int(utterances["start"].notna().sum())
        raise InputError(
            f"{len(units)} segments are coded, but none holds an utterance whose speaker may have its codes; {timed} "
            f"of {len(utterances)} utterances have a start time. Segments are numbered from 0, each of "
            f"training.segment_minutes={minutes:g}; say how long yours are, and map speakers to roles when importing"
        )
    np.divide(present, coders, out=present, where=coders > 0)
    mean = np.divide(tally, counted, out=np.full_like(tally, np.nan), where=counted > 0)
    return Segments(member, legal, present, mean, coders)


def _pool_coders(
    units: pd.MultiIndex, codings: pd.DataFrame, codebook: Codebook
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Over the coders, float32 (n_segments, n_codes): how many say that a code occurs, how many say anything of it, the
    sum of their counts, and how many counted.
    """
    codes = codebook.tag_codes()
    present = np.zeros((len(units), len(codes)), dtype=np.float32)
    coders, tally, counted = np.zeros_like(present), np.zeros_like(present), np.zeros_like(present)
    for read, given in mark_tables(units, codings, codebook):
        values = with_parents(given, codebook)
        says = read[:, None] & speaks_of(values != 0, codebook)
        present += (values != 0) & says
        coders += says
        for family in codebook.tag_families():
            own = [codes.index(code) for code in family.codes]
            if (given[:, own] > 1).any():
                tally[:, own] += np.where(says, values, 0)[:, own]
                counted[:, own] += says[:, own]
    return present, coders, tally, counted
