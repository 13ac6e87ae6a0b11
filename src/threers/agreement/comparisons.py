"""Who is compared with whom, on which units: the rows of the agreement table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from threers.agreement import bootstrap
from threers.agreement.frame import CODERS, CODERS_ON_SHARED_UNITS, CONSENSUS, CONSENSUS_OF_OTHERS, Frame
from threers.agreement.rows import rows
from threers.agreement.samples import ALL, Label, RunningMean, labels_of, of_all_people, of_pair, of_probabilities

#: Statistics whose difference, model-coder minus coder-coder, is reported on shared units.
DIFFERENCES = ("kappa", "f1", "accuracy", "macro_f1", "macro_kappa")

Found = dict[Label, np.ndarray]
#: (family, code) -> units, the reference's marks (NaN for a family), groups.
Counts = dict[tuple[str, str | None], tuple[float, float, float]]


def compare_all(
    frames: Sequence[Frame], plan: bootstrap.Plan, scores: Mapping[str, pd.DataFrame]
) -> Iterator[pd.DataFrame]:
    """Rows of every comparison, in parts: coders with coders, then each machine with coders and their consensus.

    Args:
        frames: one per family.
        plan: the resamples, see `threers.agreement.bootstrap.plan`.
        scores: machine -> its probabilities, where it has any.

    """
    raters, reference = frames[0].raters, frames[0].consensus
    labels = labels_of(frames)
    for a, b in _pairs_of_people(frames):
        found = dict(zip(labels, of_pair(frames, a, b, plan.weights), strict=True))
        yield _rows("coder-coder", raters[a], raters[b], found, count_units(frames, [a], [b]), plan)
    ceiling = _ceiling(frames, plan)
    if ceiling:
        yield _coders(frames, ceiling, plan)
    for machine in frames[0].machines:
        yield from _with_people(frames, machine, plan)
        if ceiling:
            yield from _on_shared_units(frames, machine, ceiling, plan)
        found = dict(zip(labels, of_pair(frames, machine, reference, plan.weights), strict=True))
        if raters[machine] in scores:
            found |= of_probabilities(frames, scores[raters[machine]], machine, reference, plan.weights)
        counts = count_units(frames, [machine], [reference])
        yield _rows("model-consensus", raters[machine], CONSENSUS, found, counts, plan)
    yield from _with_others(frames, plan)


def _pairs_of_people(frames: Sequence[Frame]) -> list[tuple[int, int]]:
    pairs = combinations(frames[0].people, 2)
    return [(a, b) for a, b in pairs if _any_units(count_units(frames, [a], [b]))]


def _ceiling(frames: Sequence[Frame], plan: bootstrap.Plan) -> Found:
    """Mean over pairs of people, each of a pair being the reference in turn; empty without a pair."""
    mean = RunningMean()
    for a, b in _pairs_of_people(frames):
        mean.add(of_pair(frames, a, b, plan.weights))
        mean.add(of_pair(frames, b, a, plan.weights))
    return {} if mean.defined is None else dict(zip(labels_of(frames), mean.result(), strict=True))


def _coders(frames: Sequence[Frame], ceiling: Found, plan: bootstrap.Plan) -> pd.DataFrame:
    # With each coder as the reference in turn, the mean bias is 0 whatever they do.
    means = {label: found for label, found in ceiling.items() if label.statistic != "bias_index"}
    counts = count_units(_shared(frames), frames[0].people, frames[0].people)
    return _rows("coder-coder", CODERS, CODERS, means | of_all_people(frames, plan.weights), counts, plan)


def _with_people(frames: Sequence[Frame], machine: int, plan: bootstrap.Plan) -> Iterator[pd.DataFrame]:
    raters, mean = frames[0].raters, RunningMean()
    for person, counts in _partners(frames, machine):
        samples = of_pair(frames, machine, person, plan.weights)
        mean.add(samples)
        found = dict(zip(labels_of(frames), samples, strict=True))
        yield _rows("model-coder", raters[machine], raters[person], found, counts, plan)
    if mean.defined is not None:
        means = dict(zip(labels_of(frames), mean.result(), strict=True))
        counts = count_units(frames, [machine], frames[0].people)
        yield _rows("model-coder", raters[machine], CODERS, means, counts, plan)


def _on_shared_units(
    frames: Sequence[Frame], machine: int, ceiling: Found, plan: bootstrap.Plan
) -> Iterator[pd.DataFrame]:
    everywhere = _shared(frames)
    frames = [frame.where(np.any(frame.marks[:, machine] >= 0, axis=0)) for frame in everywhere]
    mean = RunningMean()
    for person, _ in _partners(frames, machine):
        mean.add(of_pair(frames, machine, person, plan.weights))
    if mean.defined is None:
        return
    if any((some.marks != whole.marks).any() for some, whole in zip(frames, everywhere, strict=True)):
        ceiling = _ceiling(frames, plan)
    found = dict(zip(labels_of(frames), mean.result(), strict=True))
    found |= {
        label._replace(statistic=f"{label.statistic}_minus_coders"): samples - ceiling[label]
        for label, samples in found.items()
        if label.statistic in DIFFERENCES
    }
    counts = count_units(frames, [machine], frames[0].people)
    yield _rows("model-coder", frames[0].raters[machine], CODERS_ON_SHARED_UNITS, found, counts, plan)


def _with_others(frames: Sequence[Frame], plan: bootstrap.Plan) -> Iterator[pd.DataFrame]:
    """Each coder, and each machine, against the consensus of the coders but one."""
    people, machines, raters = frames[0].people, frames[0].machines, frames[0].raters
    means = {rater: RunningMean() for rater in (CODERS, *(raters[machine] for machine in machines))}
    for person in people:
        left = [frame.against_others(person) for frame in frames]
        reference = left[0].consensus
        counts = count_units(left, [person], [reference])
        if not _any_units(counts):
            continue
        samples = of_pair(left, person, reference, plan.weights)
        means[CODERS].add(samples)
        found = dict(zip(labels_of(frames), samples, strict=True))
        yield _rows("coder-coder", raters[person], CONSENSUS_OF_OTHERS, found, counts, plan)
        for machine in machines:
            if _any_units(count_units(left, [machine], [reference])):
                means[raters[machine]].add(of_pair(left, machine, reference, plan.weights))
    for rater, mean in means.items():
        if mean.defined is not None:
            found = dict(zip(labels_of(frames), mean.result(), strict=True))
            raters_a = people if rater == CODERS else [raters.index(rater)]
            enough = [frame.where(frame.read_by(people) >= 3) for frame in frames]
            comparison = "coder-coder" if rater == CODERS else "model-consensus"
            yield _rows(comparison, rater, CONSENSUS_OF_OTHERS, found, count_units(enough, raters_a, people), plan)


def _partners(frames: Sequence[Frame], machine: int) -> Iterator[tuple[int, Counts]]:
    for person in frames[0].people:
        counts = count_units(frames, [machine], [person])
        if _any_units(counts):
            yield person, counts


def _shared(frames: Sequence[Frame]) -> list[Frame]:
    return [frame.where(frame.read_by(frame.people) >= 2) for frame in frames]


def count_units(frames: Sequence[Frame], a: Sequence[int], b: Sequence[int]) -> Counts:
    """Count units that any of a and any of b judged, those that any of b marked, and the units' groups."""
    counts: Counts = {}
    judged_at_all = np.zeros(len(frames[0].group), dtype=bool)

    def count(units: np.ndarray, marked: float) -> tuple[float, float, float]:
        return int(units.sum()), marked, len(np.unique(frames[0].group[units]))

    for frame in frames:
        name = frame.family.name
        judged = np.any(frame.marks[:, a] >= 0, axis=1) & np.any(frame.marks[:, b] >= 0, axis=1)
        marked = judged & np.any(frame.marks[:, b] == 1, axis=1)
        for code, units, positive in zip(frame.codes, judged, marked, strict=True):
            counts[name, code] = count(units, int(positive.sum()))
        counts[name, None] = count(np.any(judged, axis=0), np.nan)
        judged_at_all |= np.any(judged, axis=0)
    counts[ALL, None] = count(judged_at_all, np.nan)
    return counts


def _any_units(counts: Counts) -> bool:
    return counts[ALL, None][0] > 0


def _rows(comparison: str, a: str, b: str, found: Found, counts: Counts, plan: bootstrap.Plan) -> pd.DataFrame:
    units, positive, groups = np.array([counts[label.family, label.code] for label in found], dtype=float).T
    named = pd.DataFrame(list(found), columns=["family", "code", "statistic"]).to_dict("series")
    named |= {"level": "utterance", "comparison": comparison, "rater_a": a, "rater_b": b}
    named |= {"n_units": units, "n_positive": positive, "n_groups": groups}
    table = rows(np.stack(list(found.values())), plan, named)
    return table[table["n_units"] > 0]
