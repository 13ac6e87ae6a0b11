"""Agreement on whole sessions: how often each code occurs, and the ratings that coders give a session."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from threers.agreement import bootstrap, pairs
from threers.agreement.counts import OF_TARGETS, of_targets
from threers.agreement.frame import CODERS, CONSENSUS, Frame, by_people, is_machine
from threers.agreement.judgements import group_numbers
from threers.agreement.panel import coincidences
from threers.agreement.rows import rows
from threers.agreement.samples import RunningMean
from threers.agreement.weights import disagreement
from threers.codebook import Codebook

#: What is compared: marked utterances, the same per five minutes, the share of the segments that are marked.
QUANTITIES = ("count", "rate", "segments")
#: Figures whose sign depends on who is the reference.
DIRECTED = ("bias", "lower_limit", "upper_limit")


class Sessions(NamedTuple):
    """The sessions of a frame's units."""

    names: pd.Index
    group: np.ndarray
    """(n_sessions,) number of each session's group."""
    minutes: np.ndarray
    """(n_sessions,) length, NaN if unknown."""

    def of_units(self, frame: Frame) -> np.ndarray:
        """Place of each unit's session among the names, (n_units,)."""
        return self.names.get_indexer(frame.units.get_level_values(0))


class Rated(NamedTuple):
    """The sessions that a person rated, as a whole or in segments."""

    names: pd.Index
    group: np.ndarray
    """(n_sessions,) number of each session's group."""
    groups: int


class Pair(NamedTuple):
    """Two raters' figures of the sessions that both judged, each (n,)."""

    a: np.ndarray
    b: np.ndarray
    group: np.ndarray
    positive: int
    """Sessions in which b marked the code; of ratings all."""


class Compared(NamedTuple):
    """A row of the table in the making: who with whom, and the pairs of raters whose mean it shows."""

    comparison: str
    rater_a: str
    rater_b: str
    pairs: Sequence[tuple[int, int]]


def sessions_of(frame: Frame, start: np.ndarray, end: np.ndarray) -> Sessions:
    """Find the sessions of a frame's units and their length, from the first start to the last known time.

    `start` and `end`: (n_units,) seconds, NaN if unknown.
    """
    number, names = pd.factorize(frame.units.get_level_values(0), sort=True)
    group = np.zeros(len(names), dtype=int)
    group[number] = frame.group
    times = pd.DataFrame({"first": start, "last": np.where(np.isnan(end), start, end)}).groupby(number)
    minutes = (times["last"].max() - times["first"].min()).to_numpy() / 60
    return Sessions(pd.Index(names), group, np.where(minutes > 0, minutes, np.nan))


def count_rows(
    frames: Sequence[Frame], segments: Sequence[Frame], sessions: Sessions, plan: bootstrap.Plan
) -> Iterator[pd.DataFrame]:
    """Rows of the counts, the rates per five minutes and the share of segments of each code.

    Counts are of the utterances that both raters judged. Statistics are called QUANTITY_FIGURE, as count_icc_a1 or
    segments_bias, with the figures of `counts.of_targets`. The row of `coders` is the mean over pairs of coders. Units
    are the sessions of which the quantity is known.
    """
    of_utterances, of_segments = sessions.of_units(frames[0]), sessions.of_units(segments[0])
    for one in compared_pairs(frames[0]):
        for frame, by_segment in zip(frames, segments, strict=True):
            for place, code in enumerate(frame.codes):
                for quantity in QUANTITIES:
                    units, session = (by_segment, of_segments) if quantity == "segments" else (frame, of_utterances)
                    found = [counted(units, place, a, b, sessions, session, quantity) for a, b in one.pairs]
                    used = [pair for pair in found if len(pair.a)]
                    yield _rows("session", frame.family.name, code, one, quantity, used, plan)


def rated_sessions(codings: pd.DataFrame, groups: pd.Series, codebook: Codebook) -> Rated:
    """Find the sessions that a person rated; `groups`: session_id -> group_id.

    Raises:
        InputError: one of them has no group.

    """
    given = codings[codings["value"].notna() & by_people(codings)]
    rated = pd.MultiIndex.from_frame(given[["code", "unit"]]).isin(codes_rated(codebook))
    names = pd.Index(np.unique(given["session_id"][rated]))
    group, n_groups = group_numbers(names.to_series(), groups)
    return Rated(names, group, n_groups)


def rating_rows(
    codings: pd.DataFrame, codebook: Codebook, sessions: Rated, plan: bootstrap.Plan
) -> Iterator[pd.DataFrame]:
    """Rows of the ratings of sessions and segments, rater by rater: the figures of `counts.of_targets`, kappa, alpha.

    Statistics are called rating_FIGURE; `rating_kappa_quadratic` is Cohen's with quadratic weights,
    `rating_alpha_ordinal` Krippendorff's, in the row of `coders` of all of them at once. The consensus is the mean of
    the people. A machine's rating, or a consensus, between two steps counts for kappa and alpha as the nearer one.
    """
    known = codings[codings["session_id"].isin(sessions.names) & codings["value"].notna()]
    for code, unit in codes_rated(codebook):
        table = known[(known["unit"] == unit) & (known["code"] == code)].pivot_table(
            index=["session_id"] if unit == "session" else ["session_id", "unit_id"],
            columns="coder_id",
            values="value",
            aggfunc="last",
        )
        people = [name for name in table if not is_machine(name)]
        if not people:
            continue
        table = table[table[people].notna().any(axis=1)]
        group = sessions.group[sessions.names.get_indexer(table.index.get_level_values(0))]
        steps = np.unique(table[people].to_numpy()[table[people].notna().to_numpy()])
        for one, values in _compared_ratings(table, people):
            used = [pair for a, b in one.pairs if len((pair := _rated(values[a], values[b], group)).a)]
            further = _of_scale(values, one, used, steps, group, plan) if used else {}
            yield _rows(unit, codebook.codes[code].family, code, one, "rating", used, plan, further)


def codes_rated(codebook: Codebook) -> list[tuple[str, str]]:
    """Each code that is compared as a rating, with its unit: all codes of sessions, and ratings of segments.

    Other codes of segments are compared with what is marked on utterances.
    """
    of_sessions = [(code, "session") for family in codebook.families_on("session") for code in family.codes]
    return of_sessions + [(code, unit) for code, unit in codebook.rating_codes().items() if unit == "segment"]


def _compared_ratings(table: pd.DataFrame, people: Sequence[str]) -> Iterator[tuple[Compared, np.ndarray]]:
    """Who is compared with whom, as in `compared_pairs`, and the ratings (n_raters, n_units) that the pairs are of.

    `table`: a row per unit, a column per rater.
    """
    own = table[list(people)].to_numpy().T
    both = list(combinations(range(len(people)), 2))
    for a, b in both:
        yield Compared("coder-coder", people[a], people[b], [(0, 1)]), own[[a, b]]
    if both:
        yield Compared("coder-coder", CODERS, CODERS, both), own
    for machine in [name for name in table if name not in people]:
        said = table[machine].to_numpy()
        for person, given in zip(people, own, strict=True):
            yield Compared("model-coder", machine, person, [(0, 1)]), np.stack([said, given])
        with_all = [(0, number) for number in range(1, len(people) + 1)]
        yield Compared("model-coder", machine, CODERS, with_all), np.vstack([said, own])
        yield Compared("model-consensus", machine, CONSENSUS, [(0, 1)]), np.stack([said, np.nanmean(own, axis=0)])


def compared_pairs(frame: Frame) -> list[Compared]:
    """Who is compared with whom: every pair of people, their mean, each machine with people and consensus."""
    people, raters = frame.people, frame.raters
    both = list(combinations(people, 2))
    found = [Compared("coder-coder", raters[a], raters[b], [(a, b)]) for a, b in both]
    if both:
        found.append(Compared("coder-coder", CODERS, CODERS, both))
    for machine in frame.machines:
        name = raters[machine]
        found += [Compared("model-coder", name, raters[person], [(machine, person)]) for person in people]
        found.append(Compared("model-coder", name, CODERS, [(machine, person) for person in people]))
        found.append(Compared("model-consensus", name, CONSENSUS, [(machine, frame.consensus)]))
    return found


def counted(frame: Frame, code: int, a: int, b: int, sessions: Sessions, session: np.ndarray, quantity: str) -> Pair:
    """How often, how often per five minutes, or on what share of units both raters marked a code; see QUANTITIES.

    `session`: of each unit of the frame, from `Sessions.of_units`.
    """
    marks = frame.marks[code]
    judged = (marks[a] >= 0) & (marks[b] >= 0)
    number = session[judged]
    units = np.bincount(number, minlength=len(sessions.names)).astype(float)
    of_a, of_b = (np.bincount(number, weights=marks[rater, judged] == 1, minlength=len(units)) for rater in (a, b))
    divisor = {"count": np.ones(len(units)), "rate": sessions.minutes / 5, "segments": units}[quantity]
    used = (units > 0) & ~np.isnan(divisor)
    of_a, of_b = of_a[used] / divisor[used], of_b[used] / divisor[used]
    return Pair(of_a, of_b, sessions.group[used], int((of_b > 0).sum()))


def _rated(a: np.ndarray, b: np.ndarray, group: np.ndarray) -> Pair:
    used = ~np.isnan(a) & ~np.isnan(b)
    return Pair(a[used], b[used], group[used], int(used.sum()))


def _of_scale(
    values: np.ndarray,
    one: Compared,
    used: Sequence[Pair],
    scale: np.ndarray,
    group: np.ndarray,
    plan: bootstrap.Plan,
) -> dict[str, np.ndarray]:
    """Alpha of all the coders (n_raters, n_units) at once, else the mean over pairs, as of weighted kappa; each (n,).

    `scale`: the steps that people gave.
    """
    groups = plan.weights.shape[1]
    place = np.where(np.isnan(values), -1, np.abs(np.nan_to_num(values)[..., None] - scale).argmin(axis=-1))
    alpha = RunningMean()
    for raters in [range(len(values))] if one.rater_a == CODERS else one.pairs:
        found = coincidences(place[None, list(raters)], group, len(scale), groups)
        alpha.add(pairs.krippendorff_alpha(bootstrap.resample(found, plan.weights), "ordinal", scale)[:, 0])
    further = {"rating_alpha_ordinal": alpha.result()}
    if len(scale) > 1:
        kappa, weights = RunningMean(), disagreement("quadratic", scale)
        for pair in used:
            a, b = (np.abs(rater[:, None] - scale).argmin(axis=1)[None] for rater in (pair.a, pair.b))
            tables = pairs.contingency(a, b, pair.group, len(scale), groups)
            kappa.add(pairs.cohen_kappa(bootstrap.resample(tables, plan.weights), weights)[:, 0])
        further["rating_kappa_quadratic"] = kappa.result()
    return further


def _rows(
    level: str,
    family: str,
    code: str,
    one: Compared,
    quantity: str,
    used: Sequence[Pair],
    plan: bootstrap.Plan,
    further: Mapping[str, np.ndarray] | None = None,
) -> pd.DataFrame:
    """The means over the pairs used, and what else is known of them; nothing without a pair."""
    if not used:
        return pd.DataFrame()
    mean = RunningMean()
    for pair in used:
        mean.add(of_targets(pair.a, pair.b, pair.group, plan.weights))
    samples = dict(further or {})
    for name, row in zip(OF_TARGETS, mean.result(), strict=True):
        # Between coders without a reference, who is taken from whom is chance.
        if one.rater_a != CODERS or name not in DIRECTED:
            samples[f"{quantity}_{name}"] = row
    named: dict[str, object] = {"level": level, "family": family, "code": code, "statistic": list(samples)}
    named |= {"comparison": one.comparison, "rater_a": one.rater_a, "rater_b": one.rater_b}
    named |= {"n_units": max(len(pair.a) for pair in used), "n_positive": max(pair.positive for pair in used)}
    named["n_groups"] = len(np.unique(np.concatenate([pair.group for pair in used])))
    return rows(np.stack(list(samples.values())), plan, named)
