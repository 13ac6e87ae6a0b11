"""Who judged what: codings become arrays of judgements, one frame per family of codes.

A judgement exists where a rater has any row for the unit and the unit's role may speak the code: units that a rater
read and left unmarked count, units that nobody gave them to read do not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from threers.codebook import Codebook, Family
from threers.errors import InputError

#: Raters whose name starts so are machines; all others are people.
MACHINES = ("model:", "floor:")
CONSENSUS = "consensus"
#: Names of the rows that average over people, on all units and on those that two or more judged; no coder may bear them.
CODERS = "coders"
CODERS_ON_SHARED_UNITS = "coders on shared units"
#: How several people's codings become one, by kind of family.
CONSENSUS_RULES = {
    "exclusive": "the code that most coders of the unit gave; units with a tie are left out",
    "multilabel": "a code is present when at least half of the coders who read the unit marked it",
}


def is_machine(rater: str) -> bool:
    """Is this rater a model or a floor?"""
    return rater.startswith(MACHINES)


@dataclass(frozen=True)
class Frame:
    """Judgements of one family. Raters are people, then machines, then the people's consensus."""

    family: Family
    codes: tuple[str, ...]
    leaves: np.ndarray
    """(codes,) bool: codes that are no other's parent; a family's macro figures average over these."""
    raters: tuple[str, ...]
    marks: np.ndarray
    """(codes, raters, units) int8: 1 marked, 0 read and not marked, -1 no judgement."""
    values: np.ndarray | None
    """(raters, units) int8, exclusive families only: number of the code given, -1 no judgement."""
    units: pd.MultiIndex
    """(session_id, utterance_id) of each unit."""
    group: np.ndarray
    """(units,) number of each unit's group."""
    groups: int

    @property
    def people(self) -> list[int]:
        """Positions of the human raters."""
        return [i for i, rater in enumerate(self.raters[:-1]) if not is_machine(rater)]

    @property
    def machines(self) -> list[int]:
        """Positions of models and floors."""
        return [i for i, rater in enumerate(self.raters) if is_machine(rater)]

    @property
    def consensus(self) -> int:
        """Position of the people's consensus; by name it could be a coder of a corpus that knows no single coders."""
        return len(self.raters) - 1

    def where(self, units: np.ndarray) -> Frame:
        """Leave out the judgements on all other units. `units`: (units,) bool."""
        values = None if self.values is None else np.where(units, self.values, np.int8(-1))
        return replace(self, marks=np.where(units, self.marks, np.int8(-1)), values=values)

    def read_by_people(self) -> np.ndarray:
        """How many people judged each unit, shape (units,)."""
        return (self.marks[:, self.people] >= 0).any(axis=0).sum(axis=0)


def build_frames(codings: pd.DataFrame, utterances: pd.DataFrame, groups: pd.Series, codebook: Codebook) -> list[Frame]:
    """Make one frame per family that utterances are tagged with, on the sessions that at least one person coded.

    Args:
        codings: session_id, unit, unit_id, coder_id, code, value.
        utterances: session_id, utterance_id, role.
        groups: session_id -> group_id.
        codebook: its families decide what is compared.

    Raises:
        InputError: nobody coded an utterance, a coding of an utterance that is not there, an unknown code, a session
            without a group, two codes of an exclusive family on one unit, or no family for utterances.

    """
    codings = codings[codings["unit"] == "utterance"]
    by_people = codings.loc[~codings["coder_id"].str.startswith(MACHINES), "session_id"].unique()
    if not len(by_people):
        raise InputError("agreement: no codings of utterances by a person; a corpus needs at least one human coder")
    utterances = utterances[utterances["session_id"].isin(by_people)].reset_index(drop=True)
    codings = codings[codings["session_id"].isin(by_people)]
    group, n_groups = _group_numbers(utterances["session_id"], groups)
    raters = _raters(codings)
    rows = pd.DataFrame(
        {
            "unit": _unit_numbers(codings, utterances),
            "rater": pd.Index(raters).get_indexer(codings["coder_id"]),
            "code": codings["code"].where(codings["value"].ne(0) | codings["value"].isna(), None).to_numpy(),
        }
    )
    _require_known(rows["code"], codebook)
    families = codebook.tag_families()
    if not families:
        raise InputError(f"agreement: codebook {codebook.name} has no family that utterances are tagged with")
    return [_frame(family, rows, raters, utterances, codebook, group, n_groups) for family in families]


def _raters(codings: pd.DataFrame) -> list[str]:
    raters = sorted(codings["coder_id"].unique(), key=lambda rater: (is_machine(rater), rater))
    for name in (CODERS, CODERS_ON_SHARED_UNITS):
        if name in raters:
            raise InputError(
                f"agreement: a coder is called {name!r}, which names the mean over coders; rename the coder"
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
    people = [i for i, rater in enumerate(raters) if not is_machine(rater)]
    legal = codebook.legal_mask(utterances["role"], family.codes).T[:, None, :]
    present = _present(rows, family, codebook, (len(raters), len(utterances))) & legal
    values = None
    if family.kind == "exclusive":
        values = _values(present, family, raters, utterances)
        values = np.vstack([values, _plurality(values[people], len(family.codes))])
        marks = np.where((values >= 0) & legal, values == np.arange(len(family.codes))[:, None, None], -1)
    else:
        read = np.zeros((len(raters), len(utterances)), dtype=bool)
        read[rows["rater"], rows["unit"]] = True
        marks = np.where(read & legal, present, -1)
        marks = np.concatenate([marks, _at_least_half(marks[:, people])[:, None, :]], axis=1)
    parents = {codebook.codes[code].parent for code in family.codes}
    return Frame(
        family=family,
        codes=family.codes,
        leaves=np.array([code not in parents for code in family.codes]),
        raters=(*raters, CONSENSUS),
        marks=marks.astype(np.int8),
        values=values,
        units=pd.MultiIndex.from_frame(utterances[["session_id", "utterance_id"]]),
        group=group,
        groups=n_groups,
    )


def _group_numbers(sessions: pd.Series, groups: pd.Series) -> tuple[np.ndarray, int]:
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


def _plurality(people: np.ndarray, q: int) -> np.ndarray:
    votes = np.stack([(people == value).sum(axis=0) for value in range(q)])
    most = votes.max(axis=0)
    clear = (most > 0) & ((votes == most).sum(axis=0) == 1)
    return np.where(clear, votes.argmax(axis=0), -1).astype(np.int8)


def _at_least_half(people: np.ndarray) -> np.ndarray:
    readers, votes = (people >= 0).sum(axis=1), (people == 1).sum(axis=1)
    return np.where(readers > 0, 2 * votes >= readers, -1)
