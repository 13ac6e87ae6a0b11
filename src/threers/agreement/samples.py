"""Every statistic of a pair of raters, or of all coders, as columns: row 0 the estimates, then their resamples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from threers.agreement import pairs, panel
from threers.agreement.bootstrap import resample
from threers.agreement.frame import Frame
from threers.agreement.undefined import mean_defined, ratio

#: Name of the family whose macro figures run over the codes of all families.
ALL = "all"
#: Statistics of one code, marked or not.
OF_CODE: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "kappa": pairs.cohen_kappa,
    "alpha": pairs.alpha_of_pair,
    "precision": pairs.precision,
    "recall": pairs.recall,
    "f1": pairs.f1,
}
#: Statistics of an exclusive family's nominal value.
OF_VALUE: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "kappa": pairs.cohen_kappa,
    "alpha": pairs.alpha_of_pair,
    "accuracy": pairs.accuracy,
}
#: Statistics of a code whose mean over a family's codes is reported, as macro_f1 and so on.
MACRO = ("f1", "kappa", "alpha")


class Label(NamedTuple):
    """What a column is of; code None: the family as a whole."""

    family: str
    code: str | None
    statistic: str


def labels_of(frames: Sequence[Frame]) -> list[Label]:
    """Name the columns of `of_pair`, in its order."""
    labels = []
    for frame in frames:
        name = frame.family.name
        labels += [Label(name, code, statistic) for code in frame.codes for statistic in OF_CODE]
        whole = _macro_names() if frame.values is None else (*OF_VALUE, "macro_f1")
        labels += [Label(name, None, statistic) for statistic in whole]
    return labels + [Label(ALL, None, statistic) for statistic in _macro_names()]


def _macro_names() -> list[str]:
    return [f"macro_{name}" for name in MACRO]


def of_pair(frames: Sequence[Frame], a: int, b: int, weights: np.ndarray) -> np.ndarray:
    """All statistics of two raters, shape (n, labels): row 0 the estimates, the others their resamples."""
    n = len(weights)
    columns, used = [], []
    by_code: dict[str, list[np.ndarray]] = {name: [] for name in OF_CODE}
    for frame in frames:
        per_group = pairs.contingency(frame.marks[:, a], frame.marks[:, b], frame.group, 2, frame.groups)
        tables = resample(per_group, weights)
        found = {name: statistic(tables) for name, statistic in OF_CODE.items()}
        counted = (tables[..., 1].sum(-1) > 0) & frame.leaves
        columns.append(np.stack(list(found.values()), axis=-1).reshape(n, -1))
        columns.append(_of_whole(frame, a, b, weights, {m: mean_defined(found[m], counted) for m in MACRO}))
        used.append(counted)
        for name, values in found.items():
            by_code[name].append(values)
    counted = np.hstack(used)
    columns += [mean_defined(np.hstack(by_code[name]), counted)[:, None] for name in MACRO]
    return np.hstack(columns)


def _of_whole(frame: Frame, a: int, b: int, weights: np.ndarray, macro: Mapping[str, np.ndarray]) -> np.ndarray:
    if frame.values is None:
        return np.stack([macro[name] for name in MACRO], axis=-1)
    per_group = pairs.contingency(frame.values[[a]], frame.values[[b]], frame.group, len(frame.codes), frame.groups)
    tables = resample(per_group, weights)[:, 0]
    return np.stack([*(statistic(tables) for statistic in OF_VALUE.values()), macro["f1"]], axis=-1)


def alpha_of_all(frames: Sequence[Frame], weights: np.ndarray) -> dict[Label, np.ndarray]:
    """Krippendorff's alpha over all people at once, each label's shape (n,)."""
    found: dict[Label, np.ndarray] = {}
    leaves = []
    for frame in frames:
        name, people = frame.family.name, frame.people
        per_group = panel.coincidences(frame.marks[:, people], frame.group, 2, frame.groups)
        alpha = pairs.krippendorff_alpha(resample(per_group, weights))
        found |= {Label(name, code, "alpha"): alpha[:, c] for c, code in enumerate(frame.codes)}
        leaves.append(alpha[:, frame.leaves])
        if frame.values is None:
            found[Label(name, None, "macro_alpha")] = mean_defined(leaves[-1])
        else:
            per_group = panel.coincidences(frame.values[None, people], frame.group, len(frame.codes), frame.groups)
            found[Label(name, None, "alpha")] = pairs.krippendorff_alpha(resample(per_group, weights))[:, 0]
    found[Label(ALL, None, "macro_alpha")] = mean_defined(np.hstack(leaves))
    return found


class RunningMean:
    """Mean of equally shaped arrays, added one at a time; NaN entries are left out."""

    def __init__(self) -> None:
        self.total: np.ndarray | float = 0.0
        self.defined: np.ndarray | None = None

    def add(self, samples: np.ndarray) -> None:
        """Take one more array in."""
        known = ~np.isnan(samples)
        self.total = self.total + np.where(known, samples, 0.0)
        self.defined = known.astype(int) if self.defined is None else self.defined + known

    def result(self) -> np.ndarray:
        """Mean of what was added; NaN where nothing was defined."""
        return ratio(np.asarray(self.total), np.asarray(self.defined))
