"""Where agreement is better or worse: by role, by place in the session, by length of utterance, session by session."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from threers.agreement import bootstrap
from threers.agreement import pairs as pair_statistics
from threers.agreement.frame import Frame
from threers.agreement.undefined import mean_defined
from threers.codebook import EXTRA_ROLES
from threers.report import plots
from threers.report.blocks import Block, Figure, Key, Row, Section, Table, Text
from threers.report.codes import style_of
from threers.report.comparison import ABSENT, Comparison, interval, short, top_code, whole_number
from threers.report.svg import Drawing

THIRDS = ("first third", "middle third", "last third")
#: Below this many sessions with a defined kappa a strip plot shows nothing.
FEWEST_SESSIONS = 5


class Stratum(NamedTuple):
    """Some of a family's units."""

    kind: str
    name: str
    units: np.ndarray
    """(units,) bool."""


class Judged(NamedTuple):
    """What is compared of a family: rows of judgements (rows, raters, units) with values 0 … q-1, -1 none."""

    values: np.ndarray
    q: int


def stratified(c: Comparison) -> Section:
    """Tables of kappa in parts of the corpus, and each session's kappa."""
    if not c.by_utterance or not (c.models or c.shares()):
        return Section("parts", "Parts of the corpus")
    partner = (
        "of a model with the consensus, and the mean over pairs of coders"
        if c.models
        else "as mean over pairs of coders"
    )
    blocks: list[Block] = [
        Text(
            f"Kappa {partner}, in parts of the corpus. Thirds are of each session's utterances in their order; "
            "lengths are terciles of the words of the utterances that may have the codes. Parts differ in how "
            "common the codes are, and kappa depends on that: a difference between parts is a question, not an "
            "answer. Coders and models need not have judged the same utterances."
        )
    ]
    strips: dict[str, list[Drawing]] = {rater: [] for rater in c.models or [""]}
    for frame in c.frames:
        blocks.append(_table(c, frame))
        for rater in strips:
            drawing = _strip(c, frame, rater)
            if drawing is not None:
                strips[rater].append(drawing)
    for rater, drawings in strips.items():
        if drawings:
            who = f"{short(rater)} with the consensus" if rater else "coders with each other"
            legend = [Key("●", style_of(c, rater) if rater else "coders", "a session; larger: more utterances")]
            legend += [Key("- -", "ink", "all sessions together")]
            caption = (
                f"Kappa session by session, {who}; the lowest three named. In one session kappa rests on "
                "few marks and swings widely."
            )
            blocks.append(Figure(caption, drawings, legend))
    return Section("parts", "Parts of the corpus", blocks)


def judged_of(c: Comparison, frame: Frame) -> Judged:
    """The judgements that `Comparison.whole` speaks of."""
    if frame.values is not None:
        return Judged(frame.values[None], len(frame.codes))
    top = top_code(frame, c.codebook)
    chosen = frame.leaves if top is None else np.array([code == top for code in frame.codes])
    return Judged(frame.marks[chosen], 2)


def kappa(judged: Judged, frame: Frame, a: int, b: int, units: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Kappa of raters a and b on some units, shape (n,); of several codes the mean over those that b used."""
    values = judged.values[:, :, units]
    tables = pair_statistics.contingency(values[:, a], values[:, b], frame.group[units], judged.q, frame.groups)
    return _mean_kappa(bootstrap.resample(tables, weights))


def _mean_kappa(tables: np.ndarray) -> np.ndarray:
    """Mean kappa of tables (n, codes, q, q) over the codes that the second rater used, shape (n,)."""
    used = True if tables.shape[1] == 1 else tables[..., 1].sum(-1) > 0
    return mean_defined(pair_statistics.cohen_kappa(tables), used)


def _among_coders(judged: Judged, frame: Frame, units: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, int]:
    """Mean kappa over pairs of coders, shape (n,), and the units that two or more judged."""
    pairs = list(combinations(frame.people, 2))
    found = [kappa(judged, frame, a, b, units, weights) for a, b in pairs] or [np.full(len(weights), np.nan)]
    return mean_defined(np.stack(found, axis=-1)), int((frame.read_by(frame.people)[units] >= 2).sum())


def _table(c: Comparison, frame: Frame) -> Table:
    judged, rows, kind = judged_of(c, frame), [], ""
    for stratum in _strata(c, frame):
        if stratum.kind != kind:
            rows.append(Row([stratum.kind]))
            kind = stratum.kind
        cells = []
        for model in c.models:
            a, b = frame.raters.index(model), frame.consensus
            both = stratum.units & (judged.values[:, [a, b]] >= 0).all(axis=1).any(axis=0)
            said = _said(c, kappa(judged, frame, a, b, both, c.plan.weights), frame.group[both])
            cells += [whole_number(both.sum()), said if both.any() else ABSENT]
        if c.shares():
            figures, n = _among_coders(judged, frame, stratum.units, c.plan.weights)
            shared = stratum.units & (frame.read_by(frame.people) >= 2)
            cells += [whole_number(n), _said(c, figures, frame.group[shared]) if n else ABSENT]
        rows.append(Row([stratum.name, *cells]))
    head = ["Part"]
    for model in c.models:
        head += ["Units", f"{short(model)} with the consensus"]
    head += ["Shared units", "Coders with each other"] if c.shares() else []
    return Table(
        f"{frame.family.title}, {c.whole_in_words(frame)}, in parts of the corpus.", head, rows, running_text=(0,)
    )


def _said(c: Comparison, samples: np.ndarray, group: np.ndarray) -> str:
    """An estimate and its interval, from samples (n,) that rest on units of these groups."""
    low, high = c.plan.interval(samples[None], np.array([len(np.unique(group))]))
    return interval(float(samples[0]), float(low[0]), float(high[0]))


def _strata(c: Comparison, frame: Frame) -> Iterator[Stratum]:
    utterances = c.corpus.utterances.set_index(["session_id", "utterance_id"]).reindex(frame.units)
    used = frame.read_by(frame.people) > 0
    yield Stratum("", "all", used)
    roles = [role for role in (*c.codebook.roles, *EXTRA_ROLES) if (used & (utterances["role"] == role)).any()]
    for role in roles if len(roles) > 1 else []:
        yield Stratum("Role", role, used & (utterances["role"] == role).to_numpy())
    place = utterances.groupby(level=0).cumcount().to_numpy()
    length = utterances.groupby(level=0)["role"].transform("size").to_numpy()
    third = np.minimum(3 * place // length, 2)
    for n, name in enumerate(THIRDS):
        yield Stratum("Place in the session", name, used & (third == n))
    words = utterances["text"].str.split().str.len().to_numpy()
    yield from _by_length(words, used)


def _by_length(words: np.ndarray, used: np.ndarray) -> Iterator[Stratum]:
    # Two coders' tables come without texts.
    if not words[used].any():
        return
    first, second = (int(np.quantile(words[used], share)) for share in (1 / 3, 2 / 3))
    bounds: Sequence[tuple[int, int]] = [(0, first), (first + 1, second), (second + 1, int(words[used].max()))]
    for low, high in bounds:
        if low <= high:
            name = f"up to {high} words" if not low else f"{low} to {high} words"
            yield Stratum("Length of the utterance", name, used & (words >= low) & (words <= high))


def _strip(c: Comparison, frame: Frame, rater: str) -> Drawing | None:
    """Kappa of each session, of a model with the consensus, or of the coders with each other (no rater)."""
    judged = judged_of(c, frame)
    session, names = pd.factorize(frame.units.get_level_values(0))
    pairs = [(frame.raters.index(rater), frame.consensus)] if rater else list(combinations(frame.people, 2))
    tables = [
        pair_statistics.contingency(judged.values[:, a], judged.values[:, b], session, judged.q, len(names))
        for a, b in pairs
    ]
    figures = mean_defined(np.stack([_mean_kappa(one) for one in tables], axis=-1))
    whole = mean_defined(np.concatenate([_mean_kappa(one.sum(axis=0, keepdims=True)) for one in tables]))
    if rater:
        both = (judged.values[:, list(pairs[0])] >= 0).all(axis=1).any(axis=0)
    else:
        both = frame.read_by(frame.people) >= 2
    units = np.bincount(session[both], minlength=len(names))
    found = [(c.number_of[names[n]], float(figures[n]), int(units[n])) for n in np.flatnonzero(~np.isnan(figures))]
    if len(found) < FEWEST_SESSIONS:
        return None
    style, who = (style_of(c, rater), short(rater)) if rater else ("coders", "coders")
    return plots.strip(frame.family.title, found, float(whole), style, f"{c.whole_in_words(frame)}, {who}")
