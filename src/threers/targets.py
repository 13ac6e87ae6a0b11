"""Many coders' codings to soft training targets, weights and masks. Layer 2."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from threers.codebook import Codebook
from threers.errors import InputError


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

    def rows(self, chosen: np.ndarray) -> Targets:
        """The same of some utterances."""
        return Targets(self.share[chosen], self.coders[chosen], self.given[chosen])

    def weight(self, correlation: float) -> np.ndarray:
        """Weight of each cell, n / (1 + (n - 1) * correlation): coders of one utterance partly repeat each other.

        The design effect of n correlated judgements (Kish 1965, Survey Sampling, section 5.4).
        """
        repeated = 1 + np.maximum(self.coders - 1, 0) * correlation
        return (self.coders / repeated).astype(np.float32)


def build_targets(utterances: pd.DataFrame, codings: pd.DataFrame, codebook: Codebook) -> Targets:
    """Turn the human codings of utterances into targets.

    A marked child marks its parents. A coder who never uses any child of a code is taken to have coded the parent only,
    so says nothing about the children. In an exclusive family a coder who gave no code says nothing.

    Raises:
        InputError: the codebook has no code for utterances, or no utterance with a legal role was coded.

    """
    codes = codebook.tag_codes()
    if not codes:
        raise InputError(
            f"codebook {codebook.name} has no code on utterances (its units: "
            f"{', '.join(sorted({f.unit for f in codebook.families}))}); training needs codes on utterances"
        )
    legal = codebook.legal_mask(utterances["role"], codes)
    marks = _mark_tables(utterances, codings, codebook)
    place = {code: number for number, code in enumerate(codes)}
    parents = [place.get(codebook.codes[code].parent or "") for code in codes]
    share = np.zeros((len(utterances), len(codes)), dtype=np.float32)
    coders, given = np.zeros_like(share), np.zeros_like(share)
    for read, marked in marks:
        can_say = read[:, None] & legal & _speaks_of(marked, codebook)
        above = np.stack([np.ones(len(marked), bool) if p is None else marked[:, p] for p in parents], axis=1)
        share += marked & can_say
        given += above & can_say
        coders += can_say
    if not coders.any():
        raise InputError(
            f"no coded utterance has a role that may speak a code of codebook {codebook.name}; roles found: "
            f"{', '.join(sorted(utterances['role'].unique()))}. Map speakers to roles when importing, as in "
            f"roles={{T: {codebook.roles[-1] if codebook.roles else 'therapist'}}}"
        )
    np.divide(share, coders, out=share, where=coders > 0)
    np.divide(given, coders, out=given, where=coders > 0)
    return Targets(share, coders, given)


def _mark_tables(
    utterances: pd.DataFrame, codings: pd.DataFrame, codebook: Codebook
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Per coder: which utterances they read (n_utterances,) and what they marked (n_utterances, n_codes), bool."""
    column = {code: number for number, code in enumerate(codebook.tag_codes())}
    places = pd.MultiIndex.from_frame(utterances[["session_id", "utterance_id"]])
    own = codings[codings["unit"] == "utterance"]
    rows = places.get_indexer(pd.MultiIndex.from_arrays([own["session_id"], own["unit_id"]]))
    tables = []
    for _, index in sorted(own.groupby("coder_id").indices.items()):
        read = np.zeros(len(utterances), dtype=bool)
        marked = np.zeros((len(utterances), len(column)), dtype=bool)
        for row, code, value in zip(
            rows[index], own["code"].to_numpy()[index], own["value"].to_numpy()[index], strict=True
        ):
            if row < 0:
                continue
            read[row] = True
            # value 0 is a coder's explicit "absent".
            if isinstance(code, str) and code in column and value != 0:
                for present in (code, *codebook.ancestors(code)):
                    marked[row, column[present]] = True
        tables.append((read, marked))
    return tables


def _speaks_of(marked: np.ndarray, codebook: Codebook) -> np.ndarray:
    """Bool (n_utterances, n_codes) or broadcastable: does this coder say anything about the code there?"""
    codes = codebook.tag_codes()
    speaks = np.ones((marked.shape[0], len(codes)), dtype=bool)
    column = {code: number for number, code in enumerate(codes)}
    for family in codebook.tag_families():
        own = [column[code] for code in family.codes]
        if family.kind == "exclusive":
            speaks[:, own] = marked[:, own].any(axis=1, keepdims=True)
            continue
        for parent in {codebook.codes[code].parent for code in family.codes} - {None}:
            children = [column[code] for code in family.codes if codebook.codes[code].parent == parent]
            if not marked[:, children].any():
                speaks[:, children] = False
    return speaks
