"""The model as a drop-in coder: what agreement among the coders becomes when it takes one coder's place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from threers.agreement import bootstrap, pairs
from threers.agreement.counts import intraclass
from threers.agreement.frame import CODERS, Frame
from threers.agreement.panel import coincidences
from threers.agreement.rows import rows
from threers.agreement.samples import RunningMean
from threers.agreement.sessions import Sessions, counted

#: Units, units that the coder marked, groups.
Size = tuple[int, int, int]


def drop_in_rows(frames: Sequence[Frame], sessions: Sessions, plan: bootstrap.Plan) -> Iterator[pd.DataFrame]:
    """Rows of each machine in each coder's place (rater_b), and their mean over the coders.

    `drop_in_alpha` is Krippendorff's alpha of all coders with the machine in the place of rater_b,
    `drop_in_alpha_change` that minus the coders' own, on the same units: those that the machine, rater_b and another
    coder judged. At level session, `drop_in_count_icc_a1` is the mean ICC(A,1) of the counts with each other coder,
    `drop_in_count_icc_a1_change` that minus rater_b's own. An interval of a change around or above 0 says that the
    panel loses nothing; a wide one, that nothing is known.

    Args:
        frames: of utterances.
        sessions: of those frames' units.
        plan: the resamples.

    """
    session = sessions.of_units(frames[0])
    for machine in frames[0].machines:
        for frame in frames:
            for code, values in frame.judgements():
                found = [(person, *_alphas(values, machine, person, frame, plan)) for person in frame.people]
                yield _table("utterance", frame, code, machine, "drop_in_alpha", found, plan)
            for place, code in enumerate(frame.codes):
                at = (frame, sessions, session, plan)
                found = [(person, *_iccs(place, machine, person, *at)) for person in frame.people]
                yield _table("session", frame, code, machine, "drop_in_count_icc_a1", found, plan)


def _alphas(
    values: np.ndarray, machine: int, person: int, frame: Frame, plan: bootstrap.Plan
) -> tuple[np.ndarray, Size]:
    """With the machine, and the change; (2, n)."""
    others = [other for other in frame.people if other != person]
    used = (values[machine] >= 0) & (values[person] >= 0) & (values[others] >= 0).any(axis=0)
    group, q = frame.group[used], int(values.max()) + 1
    panels = [np.vstack([values[[first]], values[others]])[:, used] for first in (machine, person)]
    tables = coincidences(np.stack(panels), group, max(q, 2), frame.groups)
    with_machine, without = pairs.krippendorff_alpha(bootstrap.resample(tables, plan.weights)).T
    size = (int(used.sum()), int((values[person, used] > 0).sum()), len(np.unique(group)))
    return np.stack([with_machine, with_machine - without]), size


def _iccs(
    code: int,
    machine: int,
    person: int,
    frame: Frame,
    sessions: Sessions,
    session: np.ndarray,
    plan: bootstrap.Plan,
) -> tuple[np.ndarray, Size]:
    """With the machine, and the change; (2, n)."""
    mean, change, units, positive, groups = RunningMean(), RunningMean(), 0, 0, 0
    judged = (frame.marks[code, machine] >= 0) & (frame.marks[code, person] >= 0)
    same_units = frame.where(judged)
    for other in frame.people:
        if other == person:
            continue
        pair = counted(same_units, code, machine, other, sessions, session, "count")
        own = counted(same_units, code, person, other, sessions, session, "count")
        if not len(pair.a):
            continue
        drawn = plan.weights[:, own.group]
        with_machine, without = (intraclass(np.stack([one.a, one.b]), drawn)["icc_a1"] for one in (pair, own))
        mean.add(with_machine)
        change.add(with_machine - without)
        units, positive = max(units, len(own.a)), max(positive, int((own.a > 0).sum()))
        groups = max(groups, len(np.unique(own.group)))
    if mean.defined is None:
        return np.full((2, len(plan.weights)), np.nan), (0, 0, 0)
    return np.stack([mean.result(), change.result()]), (units, positive, groups)


def _table(
    level: str,
    frame: Frame,
    code: str | None,
    machine: int,
    name: str,
    found: Sequence[tuple[int, np.ndarray, Size]],
    plan: bootstrap.Plan,
) -> pd.DataFrame:
    found = [(person, samples, size) for person, samples, size in found if size[0]]
    if not found:
        return pd.DataFrame()
    mean = RunningMean()
    for _, samples, _ in found:
        mean.add(samples)
    everyone = [(frame.raters[person], samples, size) for person, samples, size in found]
    everyone.append((CODERS, mean.result(), max(size for *_, size in found)))
    named: dict[str, object] = {"level": level, "family": frame.family.name, "code": code}
    named |= {"comparison": "model-coder", "rater_a": frame.raters[machine], "statistic": [name, f"{name}_change"]}
    parts = []
    for rater, samples, (units, positive, groups) in everyone:
        counts = {"n_units": units, "n_positive": np.nan if code is None else positive, "n_groups": groups}
        parts.append(rows(samples, plan, named | {"rater_b": rater} | counts))
    return pd.concat(parts, ignore_index=True)
