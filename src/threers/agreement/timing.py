"""Agreement that forgives small shifts: did the other rater mark the code nearby?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from threers.agreement.bootstrap import Plan, resample
from threers.agreement.frame import CODERS, Frame
from threers.agreement.rows import rows
from threers.agreement.samples import RunningMean
from threers.agreement.sessions import compared_pairs
from threers.agreement.undefined import ratio

#: Utterances by which a mark may lie away from another's and still meet it, in the table.
TOLERANCE = 2


class Nearby(NamedTuple):
    """Precision, recall and F1 with tolerance, each of shape (n,)."""

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray


def nearby_rows(frames: Sequence[Frame], plan: Plan) -> Iterator[pd.DataFrame]:
    """Rows of precision, recall and F1 within `TOLERANCE` utterances, of each code and each pair; see `count_rows`.

    In the row of `coders` each coder of a pair is the reference in turn, so that no figure hangs on the order of names.
    """
    session = pd.factorize(frames[0].units.get_level_values(0))[0]
    position = frames[0].units.get_level_values(1).to_numpy(dtype=float)
    names = [f"{name}_within_{TOLERANCE}" for name in Nearby._fields]
    for one in compared_pairs(frames[0]):
        turned = [(b, a) for a, b in one.pairs] if one.rater_a == CODERS else []
        for frame in frames:
            for code, marks in zip(frame.codes, frame.marks, strict=True):
                mean, units, positive, groups = RunningMean(), 0, 0, 0
                for a, b in [*one.pairs, *turned]:
                    both = (marks[[a, b]] >= 0).all(axis=0)
                    if not both.any():
                        continue
                    given = (marks[a, both] == 1, marks[b, both] == 1, session[both], position[both], TOLERANCE)
                    mean.add(np.stack(nearby_agreement(*given, frame.group[both], plan.weights)))
                    units, positive = max(units, int(both.sum())), max(positive, int((marks[b, both] == 1).sum()))
                    groups = max(groups, len(np.unique(frame.group[both])))
                if mean.defined is None:
                    continue
                named: dict[str, object] = {"level": "utterance", "family": frame.family.name, "code": code}
                named |= {"comparison": one.comparison, "rater_a": one.rater_a, "rater_b": one.rater_b}
                named |= {"statistic": names, "n_units": units, "n_positive": positive, "n_groups": groups}
                yield rows(mean.result(), plan, named)


def nearby_agreement(
    a: np.ndarray,
    b: np.ndarray,
    session: np.ndarray,
    position: np.ndarray,
    tolerance: float,
    group: np.ndarray,
    weights: np.ndarray,
) -> Nearby:
    """Precision, recall and F1 where a mark is met if the other rater has one at most `tolerance` away in the session.

    Precision is the share of a's marks with a mark of b nearby, recall the share of b's marks with one of a nearby, F1
    their harmonic mean; tolerance 0 gives the plain figures. Undefined as there: no marks to be met. Not corrected for
    chance, which grows with the tolerance and with how common the code is: compare with tolerance 0 and with the
    floors, at the same tolerance. One mark may meet several.

    Args:
        a: (n_units,) bool, marks of rater a on units that both judged.
        b: the same of the reference.
        session: (n_units,) number of each unit's session.
        position: (n_units,) number of the utterance, or its start in seconds; NaN: nothing is near it.
        tolerance: utterances or seconds, at least 0.
        group: (n_units,) number of each unit's group.
        weights: (n, groups), see `threers.agreement.bootstrap.Plan`.

    """
    if tolerance < 0:
        raise ValueError(f"tolerance: found {tolerance}; expected at least 0")
    groups = weights.shape[1]
    met_a, met_b = _met(a, b, session, position, tolerance), _met(b, a, session, position, tolerance)
    sets = (a & met_a, a, b & met_b, b)
    counts = np.stack([np.bincount(group[units], minlength=groups) for units in sets], axis=1)
    hits_a, marks_a, hits_b, marks_b = resample(counts, weights).T
    precision, recall = ratio(hits_a, marks_a), ratio(hits_b, marks_b)
    return Nearby(precision, recall, _harmonic(precision, recall))


def _harmonic(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    """Harmonic mean; 0 where both are 0 or where only one of them is undefined: marks that nothing could meet."""
    p, r = np.nan_to_num(precision), np.nan_to_num(recall)
    mean = np.nan_to_num(ratio(2 * p * r, p + r))
    return np.where(np.isnan(precision) & np.isnan(recall), np.nan, mean)


def _met(marks: np.ndarray, by: np.ndarray, session: np.ndarray, position: np.ndarray, tolerance: float) -> np.ndarray:
    """Which units have a mark of `by` within the tolerance in their session? Shape (n_units,) bool."""
    known = ~np.isnan(position)
    # On one line, the sessions one behind the other and further apart than the tolerance.
    length = np.ceil(np.ptp(np.append(position[known], 0.0)) + tolerance) + 1
    place = session * length + position
    there, units = np.sort(place[by & known]), np.flatnonzero(marks & known)
    first = np.searchsorted(there, place[units] - tolerance, side="left")
    after = np.searchsorted(there, place[units] + tolerance, side="right")
    met = np.zeros(len(marks), dtype=bool)
    met[units] = after > first
    return met
