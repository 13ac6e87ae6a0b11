"""Who judged what: the judgements of one family of codes as arrays, and the consensus of the people among the raters.

A judgement exists where a rater has any row for the unit and the unit's role may speak the code: units that a rater
read and left unmarked count, units that nobody gave them to read do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from threers.codebook import Family

#: Raters whose name starts so are machines; all others are people.
MODEL, FLOOR = "model:", "floor:"
MACHINES = (MODEL, FLOOR)
CONSENSUS = "consensus"
#: Name of the consensus that leaves out the coder who is compared with it.
CONSENSUS_OF_OTHERS = "consensus of the others"
#: Name of a unit's coders but the one whose bias is measured.
OTHER_CODERS = "other coders"
#: Names of the rows that average over people, on all units and on those that two or more judged.
CODERS = "coders"
CODERS_ON_SHARED_UNITS = "coders on shared units"
#: Share of the coders of a unit who must have marked a code for the consensus to hold it.
CONSENSUS_SHARE = 0.5


def consensus_rules(share: float = CONSENSUS_SHARE) -> dict[str, str]:
    """Say how several people's codings become one, by kind of family."""
    return {
        "exclusive": "the code that most coders of the unit gave; units with a tie are left out",
        "multilabel": f"a code is present when at least {share:.0%} of the coders who read the unit, and at least one, "
        "marked it",
    }


def is_machine(rater: str) -> bool:
    """Is this rater a model or a floor?"""
    return rater.startswith(MACHINES)


def by_people(codings: pd.DataFrame) -> pd.Series:
    """Bool: which rows of the codings are of people."""
    return ~codings["coder_id"].astype("str").str.startswith(MACHINES)


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
    share: float = CONSENSUS_SHARE
    """See CONSENSUS_SHARE."""

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

    def judgements(self) -> Iterator[tuple[str | None, np.ndarray]]:
        """Values of an exclusive family (code None), then the marks of each code; (raters, units), negative = none."""
        if self.values is not None:
            yield None, self.values
        yield from zip(self.codes, self.marks, strict=True)

    def where(self, units: np.ndarray) -> Frame:
        """Leave out the judgements on all other units. `units`: (units,) bool."""
        values = None if self.values is None else np.where(units, self.values, np.int8(-1))
        return replace(self, marks=np.where(units, self.marks, np.int8(-1)), values=values)

    def read_by(self, raters: list[int]) -> np.ndarray:
        """How many of the raters judged each unit, shape (units,)."""
        return (self.marks[:, raters] >= 0).any(axis=0).sum(axis=0)

    def against_others(self, person: int) -> Frame:
        """Put the consensus of the other people in the place of everybody's.

        Only on units that the person and at least two others judged: one other coder is a coder, no consensus.
        """
        others = [i for i in self.people if i != person]
        marks, values = _consensus(self, others)
        kept = self.values if values is None or self.values is None else np.vstack([self.values[:-1], values])
        frame = replace(self, marks=np.concatenate([self.marks[:, :-1], marks], axis=1), values=kept)
        return frame.where((self.read_by([person]) > 0) & (self.read_by(others) >= 2))


def with_consensus(frame: Frame) -> Frame:
    """Append the consensus of all people to a frame that has none, as its last rater."""
    raters = (*frame.raters, CONSENSUS)
    marks, values = _consensus(frame, [i for i, rater in enumerate(frame.raters) if not is_machine(rater)])
    kept = frame.values if values is None or frame.values is None else np.vstack([frame.values, values])
    return replace(frame, raters=raters, marks=np.concatenate([frame.marks, marks], axis=1), values=kept)


def _consensus(frame: Frame, people: list[int]) -> tuple[np.ndarray, np.ndarray | None]:
    """Find marks (codes, 1, units) and, for an exclusive family, values (1, units) of the people's consensus."""
    marks = frame.marks[:, people]
    readers = (marks >= 0).sum(axis=1)
    if frame.values is None:
        marked = (marks == 1).sum(axis=1)
        agreed = np.where(readers > 0, (marked > 0) & (marked >= frame.share * readers - 1e-9), -1)
        return agreed[:, None].astype(np.int8), None
    numbers = np.arange(len(frame.codes))[:, None]
    votes = np.stack([(frame.values[people] == number).sum(axis=0) for number in numbers])
    most = votes.max(axis=0)
    clear = (most > 0) & ((votes == most).sum(axis=0) == 1)
    value = np.where(clear, votes.argmax(axis=0), -1).astype(np.int8)
    agreed = np.where(clear & (readers > 0), value == numbers, -1)
    return agreed[:, None].astype(np.int8), value[None]
