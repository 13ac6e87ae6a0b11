"""Many coders' codings to soft training targets, weights and masks. Layer 2."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from threers.codebook import Codebook
from threers.errors import InputError
from threers.marks import mark_tables, speaks_of, with_parents
from threers.segments import Segments, read_segments


@dataclass(frozen=True)
class Targets:
    """What the coders said of each utterance, in the order of the utterances table; float32 (n_utterances, n_codes).

    `share`: the share of the coders who marked the code, over `codebook.tag_codes()`. `coders`: how many could have
    marked it; 0 = nothing to learn here. `given`: the share of those same coders who marked its parent; 1 where there
    is none. A child is judged only as far as its parent is present.
    """

    share: np.ndarray
    coders: np.ndarray
    given: np.ndarray
    segments: Segments | None = None
    """What is known of segments whose utterances nobody coded."""

    def rows(self, chosen: np.ndarray) -> Targets:
        """The same of some utterances; of a segment all or none."""
        segments = None if self.segments is None else self.segments.rows(chosen)
        return Targets(self.share[chosen], self.coders[chosen], self.given[chosen], segments)

    def weight(self, correlation: float) -> np.ndarray:
        """Weight of each cell, see `weight_of_coders`; float32 (n_utterances, n_codes)."""
        return weight_of_coders(self.coders, correlation).astype(np.float32)


def weight_of_coders(coders: np.ndarray, correlation: float) -> np.ndarray:
    """What n coders of one unit weigh, n / (1 + (n - 1) * correlation): they partly repeat each other.

    The design effect of n correlated judgements (Kish 1965, Survey Sampling, section 5.4).
    """
    return coders / (1 + np.maximum(coders - 1, 0) * correlation)


def build_targets(
    utterances: pd.DataFrame, codings: pd.DataFrame, codebook: Codebook, segment_minutes: float = 5.0
) -> Targets:
    """Turn the human codings of utterances, and of segments of `segment_minutes`, into targets.

    A marked child marks its parents. Who says nothing about a code: see `marks.speaks_of`.

    Raises:
        InputError: the codebook has no code for utterances, or no utterance with a legal role was coded, nor a segment
            that holds one.

    """
    codes = codebook.tag_codes()
    if not codes:
        raise InputError(
            f"codebook {codebook.name} has no code on utterances (its units: "
            f"{', '.join(sorted({f.unit for f in codebook.families}))}); training needs codes on utterances"
        )
    share = np.zeros((len(utterances), len(codes)), dtype=np.float32)
    coders, given = np.zeros_like(share), np.zeros_like(share)
    for own in each_coder(utterances, codings, codebook):
        share += own.share
        given += own.given
        coders += own.coders
    segments = read_segments(utterances, codings, codebook, segment_minutes, coders > 0)
    if not coders.any() and segments is None:
        raise InputError(
            f"no coded utterance has a role that may speak a code of codebook {codebook.name}; roles found: "
            f"{', '.join(sorted(utterances['role'].unique()))}. Map speakers to roles when importing, as in "
            f"roles={{T: {codebook.roles[-1] if codebook.roles else 'therapist'}}}"
        )
    np.divide(share, coders, out=share, where=coders > 0)
    np.divide(given, coders, out=given, where=coders > 0)
    return Targets(share, coders, given, segments)


def each_coder(utterances: pd.DataFrame, codings: pd.DataFrame, codebook: Codebook) -> Iterator[Targets]:
    """Targets of each coder of utterances alone, in the order of their ids, which are not kept; every figure 0 or 1."""
    codes = codebook.tag_codes()
    legal = codebook.legal_mask(utterances["role"], codes)
    units = pd.MultiIndex.from_frame(utterances[["session_id", "utterance_id"]])
    place = {code: number for number, code in enumerate(codes)}
    parents = [place.get(codebook.codes[code].parent or "") for code in codes]
    for read, values in mark_tables(units, codings[codings["unit"] == "utterance"], codebook):
        marked = with_parents(values, codebook) != 0
        can_say = read[:, None] & legal & speaks_of(marked, codebook)
        above = np.stack([np.ones(len(marked), bool) if p is None else marked[:, p] for p in parents], axis=1)
        yield Targets(*(table.astype(np.float32) for table in (marked & can_say, can_say, above & can_say)))
