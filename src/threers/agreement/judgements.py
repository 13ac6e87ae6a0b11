"""From codings to judgements: checks the tables and makes one frame per family of codes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from threers.agreement.frame import (
    CODERS,
    CODERS_ON_SHARED_UNITS,
    CONSENSUS_OF_OTHERS,
    CONSENSUS_SHARE,
    OTHER_CODERS,
    Frame,
    by_people,
    is_machine,
    with_consensus,
)
from threers.codebook import Codebook, Family
from threers.errors import InputError

#: Names that the table's own rows bear.
RESERVED = (CODERS, CODERS_ON_SHARED_UNITS, CONSENSUS_OF_OTHERS, OTHER_CODERS)


def build_frames(
    codings: pd.DataFrame,
    utterances: pd.DataFrame,
    groups: pd.Series,
    codebook: Codebook,
    consensus_share: float = CONSENSUS_SHARE,
) -> list[Frame]:
    """Make one frame per family of codes on utterances or segments, on the sessions that at least one person coded.

    A rater who coded segments only is in the frames, without judgements of utterances; so is a family of segments.
    Where people only rated, the frames hold no judgements; where the codebook has only ratings, one holds no codes.

    Args:
        codings: session_id, unit, unit_id, coder_id, code, value.
        utterances: session_id, utterance_id, role.
        groups: session_id -> group_id.
        codebook: its families decide what is compared.
        consensus_share: see `threers.agreement.frame.CONSENSUS_SHARE`.

    Raises:
        InputError: no person coded or rated anything, a coding of an utterance that is not there, an utterance that
            stands twice, an unknown code, a coder with one of the `RESERVED` names, a session without a group, or two
            codes of an exclusive family on one unit.

    """
    people = by_people(codings)
    if not people.any():
        raise InputError("agreement: no codings by a person; name a corpus that at least one person coded")
    on_parts = codings["unit"].isin(["utterance", "segment"])
    if (people & on_parts).any():
        codings, people = codings[on_parts], people[on_parts]
    sessions = codings.loc[people, "session_id"].unique()
    utterances = utterances[utterances["session_id"].isin(sessions)].reset_index(drop=True)
    codings = codings[codings["session_id"].isin(sessions)]
    group, n_groups = group_numbers(utterances["session_id"], groups)
    raters = _raters(codings)
    _require_known(codings["code"], codebook)
    codings = codings[codings["unit"] == "utterance"]
    rows = pd.DataFrame(
        {
            "unit": _unit_numbers(codings, utterances),
            "rater": pd.Index(raters).get_indexer(codings["coder_id"]),
            "code": codings["code"].where(codings["value"].ne(0) | codings["value"].isna(), None).to_numpy(),
        }
    )
    of_segments = [family for family in codebook.families_on("segment") if family.kind != "rating"]
    parts = [(family, rows) for family in codebook.tag_families()] + [(family, rows[:0]) for family in of_segments]
    parts = parts or [(replace(codebook.families[0], kind="multilabel", codes=()), rows[:0])]
    frames = [_frame(family, own, raters, utterances, codebook, group, n_groups) for family, own in parts]
    return [with_consensus(replace(frame, share=consensus_share)) for frame in frames]


def _raters(codings: pd.DataFrame) -> list[str]:
    raters = sorted(codings["coder_id"].unique(), key=lambda rater: (is_machine(rater), rater))
    for name in RESERVED:
        if name in raters:
            raise InputError(
                f"agreement: a coder is called {name!r}, which names a figure over several coders; rename the coder"
            )
    return raters


def _frame(
    family: Family,
    rows: pd.DataFrame,
    raters: list[str],
    utterances: pd.DataFrame,
    codebook: Codebook,
    group: np.ndarray,
    n_groups: int,
) -> Frame:
    legal = codebook.legal_mask(utterances["role"], family.codes).T[:, None, :]
    present = _present(rows, family, codebook, (len(raters), len(utterances))) & legal
    values = None
    if family.kind == "exclusive":
        values = _values(present, family, raters, utterances)
        marks = np.where((values >= 0) & legal, values == np.arange(len(family.codes))[:, None, None], -1)
    else:
        read = np.zeros((len(raters), len(utterances)), dtype=bool)
        read[rows["rater"], rows["unit"]] = True
        marks = np.where(read & legal, present, -1)
    parents = {codebook.codes[code].parent for code in family.codes}
    return Frame(
        family=family,
        codes=family.codes,
        leaves=np.array([code not in parents for code in family.codes]),
        raters=tuple(raters),
        marks=marks.astype(np.int8),
        values=values,
        units=pd.MultiIndex.from_frame(utterances[["session_id", "utterance_id"]]),
        group=group,
        groups=n_groups,
    )


def group_numbers(sessions: pd.Series, groups: pd.Series) -> tuple[np.ndarray, int]:
    """Number the groups of some sessions: (n,) from 0, and how many there are.

    Raises:
        InputError: a session without a group.

    """
    named = sessions.map(groups)
    if named.isna().any():
        missing = sessions[named.isna()].unique()
        raise InputError(
            f"agreement: {len(missing)} coded sessions have no group (the first: {missing[0]}); "
            "every interval is drawn over groups, so each session needs one"
        )
    numbers, names = pd.factorize(named, sort=True)
    return numbers, len(names)


def _unit_numbers(codings: pd.DataFrame, utterances: pd.DataFrame) -> np.ndarray:
    known = pd.MultiIndex.from_frame(utterances[["session_id", "utterance_id"]])
    if not known.is_unique:
        session, utterance = known[known.duplicated()][0]
        raise InputError(f"agreement: utterance {utterance} of session {session} stands twice; numbers must be unique")
    wanted = codings[["session_id", "unit_id"]].set_axis(["session_id", "utterance_id"], axis=1)
    numbers = known.get_indexer(pd.MultiIndex.from_frame(wanted))
    if (numbers < 0).any():
        session, utterance = wanted[numbers < 0].iloc[0]
        raise InputError(
            f"agreement: {(numbers < 0).sum()} codings are of utterances that are not there "
            f"(the first: session {session}, utterance {utterance}); the codings belong to another corpus"
        )
    return numbers


def _require_known(codes: pd.Series, codebook: Codebook) -> None:
    unknown = sorted(set(codes.dropna()) - set(codebook.codes))
    if unknown:
        raise InputError(
            f"agreement: code {unknown[0]!r} is not in codebook {codebook.name} ({len(unknown)} unknown in all); "
            "coders can only be compared under one codebook"
        )


def _present(rows: pd.DataFrame, family: Family, codebook: Codebook, shape: tuple[int, int]) -> np.ndarray:
    present = np.zeros((len(family.codes), *shape), dtype=bool)
    for code in family.codes:
        marked = rows[rows["code"] == code]
        for implied in (code, *codebook.ancestors(code)):
            present[family.codes.index(implied), marked["rater"], marked["unit"]] = True
    return present


def _values(present: np.ndarray, family: Family, raters: list[str], utterances: pd.DataFrame) -> np.ndarray:
    given = present.sum(axis=0)
    if (given > 1).any():
        rater, unit = np.argwhere(given > 1)[0]
        codes = ", ".join(code for code, row in zip(family.codes, present, strict=True) if row[rater, unit])
        session, utterance = utterances.loc[unit, ["session_id", "utterance_id"]]
        raise InputError(
            f"agreement: coder {raters[rater]} gave session {session}, utterance {utterance} the codes {codes}, "
            f"but only one code of family {family.name} can hold; correct the coding or make the family multilabel"
        )
    return np.where(given == 1, present.argmax(axis=0), -1).astype(np.int8)
