"""The agreement table: every rater against every other, per code and per family, with intervals over groups."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from threers.agreement import bootstrap
from threers.agreement.frame import CONSENSUS, CONSENSUS_RULES, Frame, build_frames
from threers.agreement.samples import (
    ALL,
    MACRO,
    OF_CODE,
    OF_VALUE,
    Label,
    RunningMean,
    alpha_of_all,
    labels_of,
    of_pair,
)
from threers.codebook import Codebook
from threers.errors import InputError

log = logging.getLogger(__name__)

COLUMNS = (
    *("level", "family", "code", "comparison", "rater_a", "rater_b", "statistic"),
    *("estimate", "low", "high", "n_units", "n_positive", "n_groups"),
)
#: Name of the row that averages over the human coders, and of the one that does so only on units that two or more read.
CODERS = "coders"
CODERS_ON_SHARED_UNITS = "coders on shared units"


class Interval(NamedTuple):
    """An estimate with its 95 % interval."""

    estimate: float
    low: float
    high: float


def agree(
    codings: pd.DataFrame,
    utterances: pd.DataFrame,
    groups: pd.Series,
    codebook: Codebook,
    *,
    resamples: int = 2000,
    seed: int = 1,
) -> pd.DataFrame:
    """Compare coders with coders, and models and floors with coders and with their consensus, on utterances.

    Raters called `model:NAME` and `floor:NAME` are machines, all others people. A judgement exists where a rater has
    any row for the unit and the unit's role may speak the code. In every pair, rater_b is the reference of precision
    and recall. Only sessions that a person coded are compared.

    Rows:
        * one code: kappa, alpha, precision, recall, f1 of marked or not. Marking a child marks its parent.
        * an exclusive family: kappa, alpha and accuracy of the nominal value; macro_f1.
        * a multilabel family, and `all` (every family's codes together): macro_f1, macro_kappa, macro_alpha. Agreement
          on "any code of the family" stands under the parent code, where there is one.
        * macro figures are means over the codes without children that the reference used at least once: a code that it
          never used has no F1 to speak of. Compare macro figures on the same units only.
        * rater_b `coders`: the mean over people, each on all units shared with them. Between coders it is the mean over
          pairs, each coder being the reference in turn, and alpha is Krippendorff's over all coders at once. A pair
          whose statistic is undefined is left out of the mean.
        * rater_b `coders on shared units`: the same, only on units that two or more people judged: the figure to hold
          against coder-coder, which exists on those units only.
        * rater_b `consensus`: see `CONSENSUS_RULES`.

    n_positive is the reference's marks; where coders are averaged, the units that any of them marked; null for a
    family. Undefined statistics (a constant rater) are NaN, and so are their intervals, and intervals over one group.

    Args:
        codings: session_id, unit, unit_id, coder_id, code (null: read, nothing marked), value.
        utterances: session_id, utterance_id, role.
        groups: session_id -> group_id, the unit of resampling.
        codebook: the families and codes to compare.
        resamples: bootstrap resamples of the groups; all statistics share them.
        seed: of the resamples.

    Returns:
        One row per statistic with the columns `COLUMNS`, unrounded; attrs say how it was made.

    Raises:
        InputError: fewer than two raters, or codings that do not fit the utterances, the groups or the codebook.

    """
    frames = build_frames(codings, utterances, groups, codebook)
    if len(frames[0].people) + len(frames[0].machines) < 2:
        raise InputError(
            f"agreement: only one rater ({frames[0].raters[0]}); it takes two coders, or a coder and a model"
        )
    n_groups = frames[0].groups
    if bootstrap.too_few_groups(n_groups):
        log.warning(
            "%d groups: intervals from fewer than %d are too narrow; take them as a lower bound of the uncertainty",
            n_groups,
            bootstrap.FEWEST_GROUPS,
        )
    weights = bootstrap.with_estimate(bootstrap.draw(n_groups, resamples, seed))
    parts = [*_between_coders(frames, weights), *_with_machines(frames, weights)]
    if not parts:
        raise InputError("agreement: no two raters judged the same unit; nothing can be compared")
    table = pd.concat(parts, ignore_index=True)
    table.attrs = {
        "resamples": resamples,
        "seed": seed,
        "interval": "95 % percentile bootstrap over groups",
        "groups": n_groups,
        "codebook": codebook.name,
        "consensus": dict(CONSENSUS_RULES),
    }
    return table


def macro_f1_difference(
    codings: pd.DataFrame,
    utterances: pd.DataFrame,
    groups: pd.Series,
    codebook: Codebook,
    rater_a: str,
    rater_b: str,
    family: str = ALL,
    resamples: int = 2000,
    seed: int = 1,
) -> Interval:
    """Macro-F1 of rater_a minus that of rater_b, both against the consensus, on the units that both judged.

    The interval is paired: both macro-F1 are taken from the same resamples of the groups. Tables and arguments as in
    `agree`; `family` is a family that utterances are tagged with, or `all`.

    Raises:
        InputError: a rater or family that is not there, or what `agree` raises.

    """
    frames = build_frames(codings, utterances, groups, codebook)
    raters = frames[0].raters
    for name in (rater_a, rater_b):
        if name not in raters:
            raise InputError(f"agreement: no rater {name!r}; the codings have {', '.join(raters[:-1])}")
    wanted = Label(family, None, "macro_f1")
    if wanted not in labels_of(frames):
        known = ", ".join(frame.family.name for frame in frames)
        raise InputError(f"agreement: no family {family!r} of utterance tags; expected {ALL} or {known}")
    a, b, reference = (raters.index(name) for name in (rater_a, rater_b, CONSENSUS))
    frames = [frame.where(np.any((frame.marks[:, [a, b, reference]] >= 0).all(axis=1), axis=0)) for frame in frames]
    weights = bootstrap.with_estimate(bootstrap.draw(frames[0].groups, resamples, seed))
    difference = of_pair(frames, a, reference, weights) - of_pair(frames, b, reference, weights)
    samples = difference[:, [labels_of(frames).index(wanted)]]
    low, high = bootstrap.percentile_interval(samples)
    return Interval(float(samples[0, 0]), float(low[0]), float(high[0]))


def _between_coders(frames: Sequence[Frame], weights: np.ndarray) -> Iterator[pd.DataFrame]:
    people, raters = frames[0].people, frames[0].raters
    mean = RunningMean()
    for a, b in combinations(people, 2):
        counts = _counts(frames, [a], [b])
        if not counts["n_units"].any():
            continue
        samples = of_pair(frames, a, b, weights)
        mean.add(samples)
        mean.add(of_pair(frames, b, a, weights))
        yield _rows(frames, "coder-coder", raters[a], raters[b], samples, counts)
    if mean.defined is not None:
        samples = mean.result()
        for label, alpha in alpha_of_all(frames, weights).items():
            samples[:, labels_of(frames).index(label)] = alpha
        shared = [frame.where(frame.read_by_people() >= 2) for frame in frames]
        yield _rows(frames, "coder-coder", CODERS, CODERS, samples, _counts(shared, people, people))


def _with_machines(frames: Sequence[Frame], weights: np.ndarray) -> Iterator[pd.DataFrame]:
    people, raters = frames[0].people, frames[0].raters
    shared = [frame.where(frame.read_by_people() >= 2) for frame in frames]
    for machine in frames[0].machines:
        for name, chosen in ((CODERS, frames), (CODERS_ON_SHARED_UNITS, shared)):
            mean = RunningMean()
            for person in people:
                counts = _counts(chosen, [machine], [person])
                if not counts["n_units"].any():
                    continue
                samples = of_pair(chosen, machine, person, weights)
                mean.add(samples)
                if name == CODERS:
                    yield _rows(chosen, "model-coder", raters[machine], raters[person], samples, counts)
            if mean.defined is not None:
                counts = _counts(chosen, [machine], people)
                yield _rows(chosen, "model-coder", raters[machine], name, mean.result(), counts)
        reference = raters.index(CONSENSUS)
        samples = of_pair(frames, machine, reference, weights)
        counts = _counts(frames, [machine], [reference])
        yield _rows(frames, "model-consensus", raters[machine], CONSENSUS, samples, counts)


def _counts(frames: Sequence[Frame], a: Sequence[int], b: Sequence[int]) -> dict[str, np.ndarray]:
    """Count units that any of a and any of b judged, those that any of b marked, and their groups; one per label."""
    judged: list[np.ndarray] = []
    positive: list[np.ndarray] = []
    for frame in frames:
        judged.append(np.any(frame.marks[:, a] >= 0, axis=1) & np.any(frame.marks[:, b] >= 0, axis=1))
        positive.append(judged[-1] & np.any(frame.marks[:, b] == 1, axis=1))
    counts: dict[str, list[float]] = {"n_units": [], "n_positive": [], "n_groups": []}

    def count(units: np.ndarray, marked: float, labels: int) -> None:
        present = len(np.unique(frames[0].group[units]))
        for key, value in zip(counts, (units.sum(), marked, present), strict=True):
            counts[key] += [value] * labels

    for frame, units, marked in zip(frames, judged, positive, strict=True):
        for c in range(len(frame.codes)):
            count(units[c], marked[c].sum(), len(OF_CODE))
        count(np.any(units, axis=0), np.nan, len(MACRO) if frame.values is None else len(OF_VALUE) + 1)
    count(np.any(np.vstack(judged), axis=0), np.nan, len(MACRO))
    return {key: np.array(values, dtype=float) for key, values in counts.items()}


def _rows(
    frames: Sequence[Frame], comparison: str, a: str, b: str, samples: np.ndarray, counts: Mapping[str, np.ndarray]
) -> pd.DataFrame:
    low, high = bootstrap.percentile_interval(samples)
    one_group = counts["n_groups"] < 2
    table = pd.DataFrame(labels_of(frames), columns=["family", "code", "statistic"])
    table = table.assign(
        level="utterance",
        comparison=comparison,
        rater_a=a,
        rater_b=b,
        estimate=samples[0],
        low=np.where(one_group, np.nan, low),
        high=np.where(one_group, np.nan, high),
        **{key: pd.array(values, dtype="Int64") for key, values in counts.items()},
    )
    return table.loc[table["n_units"] > 0, list(COLUMNS)]
