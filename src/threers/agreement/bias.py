"""How much more or less often a coder marks a code than the other coders of the same units do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from threers.agreement.bootstrap import Plan, resample
from threers.agreement.comparisons import count_units
from threers.agreement.frame import OTHER_CODERS, Frame
from threers.agreement.rows import rows
from threers.agreement.undefined import ratio


class Bias(NamedTuple):
    """Difference and ratio of the rates at which a coder and the others mark, each of shape (n, codes)."""

    bias_index: np.ndarray
    rate_ratio: np.ndarray


def bias_rows(frames: Sequence[Frame], plan: Plan) -> Iterator[pd.DataFrame]:
    """Rows of bias_index and rate_ratio for each coder and code, rater_b being the other coders; see `bias_of`."""
    for person in frames[0].people:
        others = [i for i in frames[0].people if i != person]
        counts = count_units(frames, [person], others)
        for frame in frames:
            found = bias_of(frame.marks[:, person], frame.marks[:, others], frame.group, plan.weights)
            for c, code in enumerate(frame.codes):
                units, positive, groups = counts[frame.family.name, code]
                if not units:
                    continue
                named: dict[str, object] = {"level": "utterance", "family": frame.family.name, "code": code}
                named |= {"comparison": "coder-coder", "rater_a": frame.raters[person], "rater_b": OTHER_CODERS}
                named |= {"statistic": list(Bias._fields)}
                named |= {"n_units": units, "n_positive": positive, "n_groups": groups}
                yield rows(np.stack([samples[:, c] for samples in found]), plan, named)


def bias_of(own: np.ndarray, others: np.ndarray, group: np.ndarray, weights: np.ndarray) -> Bias:
    """Compare the share of units that a coder marked with the mean share of the others, on units that both judged.

    A unit's others count together as one judgement, however many they are: the share of them who marked it. With one
    other coder `bias_index` is that of Byrt et al. (1993), -1 to 1: above 0, the coder marks more often. It cannot be
    far from 0 for a rare code; `rate_ratio` can: 2 is twice as often, NaN where no other coder marked anything.
    Neither says who is right, and both are 0 and 1 for coders who mark as often in different places.

    Args:
        own: (codes, units) 1 marked, 0 not marked, -1 no judgement.
        others: (codes, coders, units) the same of the others.
        group: (units,) number of each unit's group.
        weights: (n, groups), see `threers.agreement.bootstrap.Plan`.

    """
    readers = (others >= 0).sum(axis=1)
    both = (own >= 0) & (readers > 0)
    theirs = (others == 1).sum(axis=1) / np.maximum(readers, 1)
    per_group = np.zeros((weights.shape[1], len(own), 3))
    np.add.at(per_group, group, np.stack([both, both & (own == 1), both * theirs], axis=-1).swapaxes(0, 1))
    units, marks, marks_of_others = np.moveaxis(resample(per_group, weights), -1, 0)
    return Bias(ratio(marks - marks_of_others, units), ratio(marks, marks_of_others))
