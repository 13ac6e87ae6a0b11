"""Every statistic of a pair of raters, of all coders, or of a model's probabilities, with its resamples.

Shapes: `weights` is (n, groups), from a `bootstrap.Plan`: a row of ones, then the resamples. So every statistic is
(n,): the estimate, then its resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from threers.agreement import pairs, panel, probabilities
from threers.agreement.bootstrap import resample
from threers.agreement.frame import Frame
from threers.agreement.undefined import mean_defined, ratio
from threers.agreement.weights import disagreement

Tables = Callable[[np.ndarray], np.ndarray]

#: Name of the family whose macro figures run over the codes of all families.
ALL = "all"
#: Statistics of one code, marked or not.
OF_CODE: dict[str, Tables] = {
    "kappa": pairs.cohen_kappa,
    "alpha": pairs.alpha_of_pair,
    "precision": pairs.precision,
    "recall": pairs.recall,
    "f1": pairs.f1,
    "accuracy": pairs.accuracy,
    "specificity": pairs.specificity,
    "balanced_accuracy": pairs.balanced_accuracy,
    "negative_agreement": pairs.negative_agreement,
    "mcc": pairs.matthews,
    "ac1": pairs.gwet_ac,
    "scott_pi": pairs.scott_pi,
    "pabak": pairs.pabak,
    "prevalence_index": pairs.prevalence_index,
    "bias_index": pairs.bias_index,
}
#: Statistics of an exclusive family's nominal value.
OF_VALUE: dict[str, Tables] = {
    "kappa": pairs.cohen_kappa,
    "alpha": pairs.alpha_of_pair,
    "accuracy": pairs.accuracy,
    "balanced_accuracy": pairs.balanced_accuracy,
    "mcc": pairs.matthews,
    "ac1": pairs.gwet_ac,
    "scott_pi": pairs.scott_pi,
}
#: Statistics of all coders at once, beside Krippendorff's alpha.
OF_PANEL: dict[str, Callable[[panel.Panel], np.ndarray]] = {
    "fleiss_kappa": panel.fleiss_kappa,
    "conger_kappa": panel.conger_kappa,
    "ac1": panel.gwet_ac,
}
#: Statistics of a model's probabilities of one code.
OF_PROBABILITIES = {
    "auroc": probabilities.auroc,
    "auprc": probabilities.average_precision,
    "brier": probabilities.brier,
    "ece": probabilities.calibration_error,
    "ece_equal_mass": probabilities.equal_mass_error,
}
#: The same before temperature, where that is known (columns `before_CODE` of the scores).
BEFORE_TEMPERATURE = "ece_equal_mass_before_temperature"
#: Statistics of a code whose mean over a family's codes is reported, as macro_f1 and so on.
MACRO = ("f1", "kappa", "alpha")


class Label(NamedTuple):
    """What a statistic is of; code None: the family as a whole."""

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
    """All statistics of two raters, b being the reference, shape (labels, n)."""
    rows, used = [], []
    by_code: dict[str, list[np.ndarray]] = {name: [] for name in MACRO}
    for frame in frames:
        per_group = pairs.contingency(frame.marks[:, a], frame.marks[:, b], frame.group, 2, frame.groups)
        tables = resample(per_group, weights)
        found = {name: statistic(tables) for name, statistic in OF_CODE.items()}
        used.append((tables[..., 1].sum(-1) > 0) & frame.leaves)
        rows.append(np.stack([values.T for values in found.values()], axis=1).reshape(-1, len(weights)))
        whole = {f"macro_{name}": mean_defined(found[name], used[-1]) for name in MACRO}
        if frame.values is not None:
            whole = _of_value(frame, frame.values[[a]], frame.values[[b]], weights) | {"macro_f1": whole["macro_f1"]}
        rows.append(np.stack(list(whole.values())))
        for name in MACRO:
            by_code[name].append(found[name])
    counted = np.hstack(used)
    rows.append(np.stack([mean_defined(np.hstack(by_code[name]), counted) for name in MACRO]))
    return np.concatenate(rows)


def _of_value(frame: Frame, a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    per_group = pairs.contingency(a, b, frame.group, len(frame.codes), frame.groups)
    tables = resample(per_group, weights)[:, 0]
    return {name: statistic(tables) for name, statistic in OF_VALUE.items()}


def of_all_people(frames: Sequence[Frame], weights: np.ndarray) -> dict[Label, np.ndarray]:
    """Coefficients of all people at once: alpha, and those of `OF_PANEL`."""
    found: dict[Label, np.ndarray] = {}
    leaves = []
    for frame in frames:
        name = frame.family.name
        by_code = _of_panel(frame.marks[:, frame.people], 2, frame, weights)
        for statistic, values in by_code.items():
            found |= {Label(name, code, statistic): values[:, c] for c, code in enumerate(frame.codes)}
        leaves.append(by_code["alpha"][:, frame.leaves])
        if frame.values is None:
            found[Label(name, None, "macro_alpha")] = mean_defined(leaves[-1])
        else:
            nominal = _of_panel(frame.values[None, frame.people], len(frame.codes), frame, weights)
            found |= {Label(name, None, statistic): values[:, 0] for statistic, values in nominal.items()}
    found[Label(ALL, None, "macro_alpha")] = mean_defined(np.hstack(leaves))
    return found


def _of_panel(values: np.ndarray, q: int, frame: Frame, weights: np.ndarray) -> dict[str, np.ndarray]:
    coincidences = panel.coincidences(values, frame.group, q, frame.groups)
    found = {"alpha": pairs.krippendorff_alpha(resample(coincidences, weights))}
    judged = values >= 0
    # One person's judgements of a unit say nothing about agreement; they would only shift what chance allows.
    values = np.where(judged.sum(axis=1, keepdims=True) >= 2, values, np.int8(-1))
    tables = panel.panel_of(values, frame.group, frame.groups, disagreement("nominal", np.arange(q))).resample(weights)
    return found | {name: statistic(tables) for name, statistic in OF_PANEL.items()}


def of_probabilities(
    frames: Sequence[Frame], scores: pd.DataFrame, machine: int, reference: int, weights: np.ndarray
) -> dict[Label, np.ndarray]:
    """Statistics of `OF_PROBABILITIES` for each code that `scores` has a column p_CODE for; of a family the mean
    calibration error of its codes, before and after temperature.
    """
    found: dict[Label, np.ndarray] = {}
    by_unit = scores.set_index(["session_id", "utterance_id"])
    for frame in frames:
        aligned = by_unit.reindex(frame.units)
        for c, code in enumerate(frame.codes):
            if f"p_{code}" not in aligned:
                continue
            p = aligned[f"p_{code}"].to_numpy(dtype=float, na_value=np.nan)
            marks = frame.marks[c]
            judged = (marks[machine] >= 0) & (marks[reference] >= 0) & ~np.isnan(p)
            given = (marks[reference, judged] == 1, frame.group[judged], weights)
            for name, statistic in OF_PROBABILITIES.items():
                found[Label(frame.family.name, code, name)] = statistic(p[judged], *given)
            if f"before_{code}" in aligned:
                before = aligned[f"before_{code}"].to_numpy(dtype=float, na_value=np.nan)[judged]
                error = probabilities.equal_mass_error(before, *given)
                found[Label(frame.family.name, code, BEFORE_TEMPERATURE)] = error
        for name in ("ece_equal_mass", BEFORE_TEMPERATURE):
            known = [found[key] for code in frame.codes if (key := Label(frame.family.name, code, name)) in found]
            if known:
                found[Label(frame.family.name, None, name)] = mean_defined(np.stack(known, axis=-1))
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
