"""What each coder marked, unit by unit, as arrays. Layer 2, no torch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from threers.codebook import Codebook


def mark_tables(
    units: pd.MultiIndex, codings: pd.DataFrame, codebook: Codebook
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Per coder, by name: which units they read (n_units,) bool, and what they gave them, float32 (n_units, n_codes).

    Args:
        units: (session_id, unit_id) of each unit, unique.
        codings: of units of one kind; those of others units than `units` do not count.
        codebook: the codes, those of `tag_codes()`; others do not count.

    A value of 0 is a coder's explicit "absent". What a marked child says of its parents is not filled in.

    """
    column = pd.Index(codebook.tag_codes())
    row = units.get_indexer(pd.MultiIndex.from_arrays([codings["session_id"], codings["unit_id"]]))
    place = column.get_indexer(codings["code"])
    value = codings["value"].fillna(1.0).to_numpy()
    for _, index in sorted(codings.groupby("coder_id").indices.items()):
        own = index[row[index] >= 0]
        read = np.zeros(len(units), dtype=bool)
        read[row[own]] = True
        given = np.zeros((len(units), len(column)), dtype=np.float32)
        own = own[place[own] >= 0]
        given[row[own], place[own]] = value[own]
        yield read, given


def with_parents(given: np.ndarray, codebook: Codebook) -> np.ndarray:
    """Fill in parents (n_units, n_codes): one that was not given itself has the sum of its children's values."""
    codes = codebook.tag_codes()
    place, given, own = {code: number for number, code in enumerate(codes)}, given.copy(), given != 0
    for code in sorted(codes, key=lambda code: -len(codebook.ancestors(code))):
        parent = codebook.codes[code].parent
        if parent is not None:
            given[:, place[parent]] += np.where(own[:, place[parent]], 0, given[:, place[code]])
    return given


def speaks_of(marked: np.ndarray, codebook: Codebook) -> np.ndarray:
    """Bool (n_units, n_codes): does the coder who marked these codes say anything about each?

    A coder who never uses any child of a code is taken to have coded the parent only, so says nothing about the
    children. In an exclusive family a coder who gave no code says nothing.
    """
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
