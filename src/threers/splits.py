"""Deal the sessions of a corpus into folds or in two, a group (a patient) never on both sides. Layer 1, no torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from threers.errors import InputError, LeakError

if TYPE_CHECKING:
    from threers.corpus import Corpus


def grouped_folds(corpus: Corpus, folds: int, seed: int) -> pd.Series:
    """Deal the sessions into folds, never a group into two; folds are alike in size and in how often each code occurs.

    Returns:
        Fold number (int64, 0 to folds - 1) by `session_id` (the index), in the order of `corpus.sessions`.

    Raises:
        InputError: fewer groups than folds.

    """
    groups = corpus.sessions["group_id"].nunique()
    if folds < 2 or groups < folds:
        raise InputError(
            f"{folds} folds from {groups} groups ({len(corpus.sessions)} sessions): a fold needs at least one group "
            f"of its own; ask for 2 to {max(groups, 2)} folds, or import more patients"
        )
    return _deal(corpus, [1 / folds] * folds, seed)


def grouped_split(corpus: Corpus, share: float, seed: int) -> tuple[list[str], list[str]]:
    """Split the sessions in two as `grouped_folds` deals them; the second part holds about `share` of them.

    Returns:
        session_ids of the two parts, both in the order of `corpus.sessions`.

    Raises:
        InputError: fewer than two groups.

    """
    groups = corpus.sessions["group_id"].nunique()
    if groups < 2:
        raise InputError(
            f"a split needs at least 2 groups, and there is {groups}; group_id of the sessions table says who belongs "
            "together: name the column of the patients when importing, as in columns={patient: …}"
        )
    side = _deal(corpus, [1 - share, share], seed)
    return list(side.index[side == 0]), list(side.index[side == 1])


def require_disjoint(sessions: pd.DataFrame, train_ids: Iterable[str], test_ids: Iterable[str]) -> None:
    """Refuse a split with a session or a group on both sides; groups are counted, never named.

    `sessions`: the sessions table of both sides (`session_id`, `group_id`).

    Raises:
        LeakError: how many groups leak.

    """
    group = sessions.set_index("session_id")["group_id"]
    both = set(group.loc[list(train_ids)]) & set(group.loc[list(test_ids)])
    if both:
        raise LeakError(
            f"{len(both)} of {group.nunique()} groups stand on both sides of a split (sessions.group_id); "
            "results would be too good; split with grouped_folds"
        )


def _deal(corpus: Corpus, shares: list[float], seed: int) -> pd.Series:
    """Greedy: the heaviest group first, each to the part that it unbalances least over size and every code at once."""
    group_of = corpus.group_of.rank(method="dense").astype("int64") - 1
    marks = corpus.codings.dropna(subset="code").drop_duplicates(["session_id", "unit", "unit_id", "code"])
    codes = sorted(marks["code"].unique())
    measures = np.zeros((group_of.max() + 1, 1 + len(codes)))
    np.add.at(measures, (corpus.utterances["session_id"].map(group_of), 0), 1)
    np.add.at(measures, (marks["session_id"].map(group_of), 1 + np.searchsorted(codes, marks["code"])), 1)
    # A tiny floor gives groups without utterances a weight, so that no part stays empty.
    weights = measures / measures.sum(axis=0).clip(1) + 1e-9
    # Some noise on the order makes another seed another deal.
    noise = np.random.default_rng(seed).uniform(0.5, 1.5, len(weights))
    order = np.argsort(-weights.max(axis=1) * noise, kind="stable")
    filled = np.zeros((len(shares), weights.shape[1]))
    part = np.zeros(len(weights), dtype=np.int64)
    for number, group in enumerate(order):
        cost = ((2 * filled * weights[group] + weights[group] ** 2) / np.array(shares)[:, None]).sum(axis=1)
        empty = ~filled.any(axis=1)
        if empty.sum() >= len(order) - number:
            cost[~empty] = np.inf
        part[group] = np.argmin(cost)
        filled[part[group]] += weights[group]
    return pd.Series(part[group_of], index=group_of.index, name="fold")
