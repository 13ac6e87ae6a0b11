"""Ratings of whole sessions and segments: what a tagger says of them, and how it learns that. Layer 2, no torch.

A session is described by the mean of what each role says in it, as the untrained backbone reads it. Rates of the codes
would be fewer numbers, but those that a tagger gives to the sessions it learnt from are too good: a rating learnt from
them would trust them too much elsewhere. The untrained backbone knows no session. docs/measured.md compares both.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors import safe_open
from safetensors.numpy import save_file
from scipy.sparse import csr_matrix

from threers.agreement.segments import rated_numbers
from threers.codebook import Codebook
from threers.corpus import Corpus
from threers.ordinal import fit_ordinal, step_probabilities
from threers.score_checks import rating_columns
from threers.settings import Training
from threers.targets import weight_of_coders

logger = logging.getLogger(__name__)

#: From so many rated groups on, a rating is learnt.
FEWEST_GROUPS = 10
#: Inverse strengths of the penalty that are tried, on features whose variances sum to 1; 0: the frequencies alone.
STRENGTHS = (0.0, 1.0, 3.0, 10.0, 30.0, 100.0)
#: Parts that the groups are dealt into for that.
FOLDS = 5
#: A rated unit's probability of what it was given is kept off 0 by this.
EDGE = 1e-6


@dataclass(frozen=True)
class Rating:
    """How one code is rated; a proportional-odds model, see `ordinal`."""

    weights: np.ndarray
    """float64 (n_features,)."""
    thresholds: np.ndarray
    """float64 (n_steps - 1,)."""
    steps: np.ndarray
    """float64 (n_steps,), ascending: the ratings that somebody gave."""

    def rate(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the probable ratings, both (n_units,), from features (n_units, n_features)."""
        p = step_probabilities(x @ self.weights, self.thresholds)
        mean = p @ self.steps
        return mean, np.sqrt(np.maximum(p @ self.steps**2 - mean**2, 0.0))


@dataclass(frozen=True)
class Ratings:
    """`of`: by code how it is rated. `minutes`: length of the segments that coders rated."""

    of: dict[str, Rating]
    minutes: float

    def rate(
        self, vectors: np.ndarray, tokens: np.ndarray, utterances: pd.DataFrame, codebook: Codebook
    ) -> pd.DataFrame:
        """Rate the sessions, and segments, of utterances; arguments as of `describe`.

        Returns:
            A row per utterance, float32: `rating_CODE`, the rating to be expected of its session or segment, and
            `rating_sd_CODE`, the standard deviation of the probable ratings. Null without a start time, for segments.

        """
        found: dict[str, np.ndarray] = {}
        units = {code: codebook.rating_codes()[code] for code in self.of}
        described = {
            unit: describe(vectors, tokens, utterances, codebook, unit, self.minutes) for unit in set(units.values())
        }
        for code, rating in self.of.items():
            x, _, member = described[units[code]]
            for name, figure in zip(rating_columns(code), rating.rate(x), strict=True):
                found[name] = np.append(figure, np.nan)[member].astype(np.float32)
        return pd.DataFrame(found)

    def save(self, path: Path) -> None:
        """Write as safetensors."""
        tensors = {f"{part}.{code}": array for code, own in self.of.items() for part, array in vars(own).items()}
        save_file(tensors, str(path), metadata={"minutes": repr(self.minutes)})

    @classmethod
    def load(cls, path: Path, codebook: Codebook, width: int) -> Ratings:
        """Read what `save` wrote; `width`: of the vectors of utterances. Raises ValueError where it does not fit."""
        with safe_open(str(path), "np") as file:
            minutes = float((file.metadata() or {})["minutes"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        codes = [name.removeprefix("steps.") for name in tensors if name.startswith("steps.")]
        of = {code: Rating(*(tensors[f"{part}.{code}"] for part in Rating.__annotations__)) for code in codes}
        for code, own in of.items():
            fits = own.weights.shape == (width * len(codebook.roles),) and own.thresholds.shape == (len(own.steps) - 1,)
            if code not in codebook.rating_codes() or not fits:
                raise ValueError(code)
        return cls(of, minutes)


def describe(
    vectors: np.ndarray, tokens: np.ndarray, utterances: pd.DataFrame, codebook: Codebook, unit: str, minutes: float
) -> tuple[np.ndarray, pd.MultiIndex, np.ndarray]:
    """Features of the sessions, or segments of `minutes`, that utterances form.

    Args:
        vectors: float32 (n_utterances, width), from `Pretrained.vectors`.
        tokens: int (n_utterances,), length of each.
        utterances: session_id, role, start.
        codebook: its roles.
        unit: `session` or `segment`.
        minutes: length of a segment.

    Returns:
        For each role the mean of its tokens' vectors, one beside the other, (n_units, n_roles * width), 0 for a role
        that is silent; (session_id, unit_id) of the units; the unit of each utterance, -1 for none.

    """
    number = rated_numbers(utterances["start"].to_numpy(dtype=float), unit, minutes)
    keys = pd.MultiIndex.from_arrays([utterances["session_id"], number], names=["session_id", "unit_id"])
    units = keys[number >= 0].unique()
    member = units.get_indexer(keys)
    blocks = []
    for role in codebook.roles:
        rows = np.flatnonzero((utterances["role"] == role).to_numpy() & (member >= 0))
        shape = (len(units), len(utterances))
        weight = csr_matrix((tokens[rows].astype(np.float64), (member[rows], rows)), shape)
        blocks.append(weight @ vectors / np.maximum(weight.sum(axis=1).A1, 1)[:, None])
    return np.hstack(blocks), units, member


def fit_rating(
    x: np.ndarray, ratings: pd.DataFrame, group: np.ndarray, correlation: float, seed: int
) -> tuple[Rating | None, dict[str, Any]]:
    """Learn one code's ratings; how strong the penalty is, cross-validation over groups decides.

    Args:
        x: (n_units, n_features) from `describe`.
        ratings: (n_units, n_coders), NaN where a coder gave none; every unit has one.
        group: (n_units,) of each unit.
        correlation: how much coders repeat each other, see `targets.weight_of_coders`.
        seed: deals the groups.

    Returns:
        The rating, None where fewer than FEWEST_GROUPS groups were rated or all ratings are the same; and for the
        manifest how many units, groups and coders there were, and the mean loss on groups kept out (minus the log of
        the probability of what coders gave), of the chosen penalty and of the frequencies alone. The frequencies are
        chosen where the others gain no more than the standard error, over groups, of that gain.

    """
    values = ratings.to_numpy(dtype=float)
    steps = np.unique(values[~np.isnan(values)])
    groups = len(np.unique(group))
    found = {"units": len(values), "groups": groups, "coders": values.shape[1], "steps": steps.tolist()}
    if groups < FEWEST_GROUPS or len(steps) < 2:
        return None, found
    given = (values[:, :, None] == steps).sum(axis=1).astype(float)
    coders = given.sum(axis=1)
    share, weight = given / coders[:, None], weight_of_coders(coders, correlation)
    fold = np.random.default_rng(seed).permutation(groups)[np.unique(group, return_inverse=True)[1]] % FOLDS
    losses = {strength: _losses(x, share, fold, weight, strength) for strength in STRENGTHS}
    mean = {strength: float(np.average(own, weights=weight)) for strength, own in losses.items()}
    best = min(STRENGTHS, key=mean.__getitem__)
    gain = pd.Series(weight * (losses[0.0] - losses[best])).groupby(group).sum().to_numpy()
    # Of several that say nothing, one always happens to be the best.
    if gain.sum() <= gain.std(ddof=1) * np.sqrt(groups):
        best = 0.0
    found |= {"strength": best, "loss": mean[best], "loss_of_frequencies": mean[0.0]}
    return Rating(*_regress(x, share, weight, best), steps), found


def _losses(x: np.ndarray, share: np.ndarray, fold: np.ndarray, weight: np.ndarray, strength: float) -> np.ndarray:
    """Loss of each unit, (n_units,), under a model that learnt from the other parts of the groups."""
    p = np.zeros_like(share)
    for part in range(FOLDS):
        learn = fold != part
        weights, thresholds = _regress(x[learn], share[learn], weight[learn], strength)
        p[~learn] = step_probabilities(x[~learn] @ weights, thresholds)
    return -(share * np.log(np.maximum(p, EDGE))).sum(axis=1)


def _regress(x: np.ndarray, share: np.ndarray, weight: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights (n_features,) and thresholds (n_steps - 1,), of features as they are."""
    middle = np.average(x, axis=0, weights=weight)
    spread = np.sqrt(np.average(((x - middle) ** 2).sum(axis=1), weights=weight)) or 1.0
    z = (x - middle) / spread if strength else x[:, :0]
    # One imagined rating of a middling unit, spread over all steps: some part of the groups may lack a step.
    z = np.vstack([z, np.zeros((1, z.shape[1]))])
    share = np.vstack([share, np.full((1, share.shape[1]), 1 / share.shape[1])])
    own, thresholds = fit_ordinal(z, share, np.append(weight, 1.0), strength or 1.0)
    weights = np.zeros(x.shape[1])
    weights[: len(own)] = own / spread
    return weights, thresholds + middle @ weights


def learn_ratings(
    vectors: np.ndarray, tokens: np.ndarray, corpus: Corpus, training: Training
) -> tuple[Ratings | None, dict[str, Any]]:
    """Learn every rating that the coders of a corpus gave; `vectors` and `tokens` of its utterances as in `describe`.

    Returns the ratings, None where nothing was learnt, and by code what `fit_rating` found.
    """
    of, found = {}, {}
    group_of = corpus.group_of
    described = {}
    for code, unit in corpus.codebook.rating_codes().items():
        if unit not in described:
            described[unit] = describe(
                vectors, tokens, corpus.utterances, corpus.codebook, unit, training.segment_minutes
            )
        x, units, _ = described[unit]
        given = rated(corpus.codings, code, unit)
        held = given.index.isin(units)
        if not held.all():
            logger.warning(
                "the rating %s: in %d of %d rated %ss no utterance starts, so they are not learnt from. Segments are "
                "numbered from 0, each of training.segment_minutes=%g",
                *(code, (~held).sum(), len(held), unit, training.segment_minutes),
            )
        given = given[held]
        if given.empty:
            continue
        group = group_of.loc[given.index.get_level_values("session_id")].to_numpy()
        x = x[units.get_indexer(given.index)]
        rating, found[code] = fit_rating(x, given, group, training.coder_correlation, training.seed)
        if rating is not None:
            of[code] = rating
        _say(code, unit, found[code])
    return (Ratings(of, training.segment_minutes) if of else None), found


def rated(codings: pd.DataFrame, code: str, unit: str) -> pd.DataFrame:
    """Ratings of a code: a row per (session_id, unit_id) that anybody rated, a column per coder."""
    own = codings[(codings["unit"] == unit) & (codings["code"] == code)]
    own = own.assign(unit_id=own["unit_id"] if unit == "segment" else 0)
    return own.pivot_table(index=["session_id", "unit_id"], columns="coder_id", values="value", aggfunc="last")


def rated_sessions(codings: pd.DataFrame, codebook: Codebook) -> list[str]:
    """Sessions that have a rating, or a segment that has."""
    own = pd.MultiIndex.from_frame(codings[["code", "unit"]]).isin(list(codebook.rating_codes().items()))
    return list(codings.loc[own, "session_id"].unique())


def _say(code: str, unit: str, found: dict[str, Any]) -> None:
    if "loss" not in found:
        why = (
            f"{unit}s of {found['groups']} groups are rated, and it takes {FEWEST_GROUPS} groups"
            if found["groups"] < FEWEST_GROUPS
            else f"every rating is {found['steps'][0]:g}"
        )
        logger.warning("the rating %s is not learnt: %s", code, why)
    elif not found["strength"]:
        logger.warning(
            "the rating %s: on groups kept out nothing was better than the frequencies of the ratings, so the tagger "
            "gives every %s the same. More rated groups may help",
            code,
            unit,
        )
