"""Logits to probabilities to tags: calibration, thresholds, the codebook's rules. Layer 2, numpy and scipy only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit, log_softmax, logit, softmax

from threers.codebook import Codebook, Family
from threers.errors import InputError
from threers.pooling import surprise
from threers.segments import Segments
from threers.targets import Targets

#: Marks of a family at which what was seen of its thresholds weighs as much as what its probabilities promise.
THRESHOLD_SHRINKAGE = 50.0
#: Thresholds and offsets that are tried; a grid, because F1 is a step function of them.
THRESHOLDS = np.linspace(0.02, 0.9, 89)
PRIOR_POWERS = np.linspace(0.0, 1.2, 25)
#: Where an exclusive family's power starts from, and the marks of its rarest code at which the best one weighs as much.
USUAL_POWER = 0.5
OFFSET_SHRINKAGE = 300.0


@dataclass(frozen=True)
class Decisions:
    """What turns logits into tags, kept in `decisions.json`.

    `temperature`: family -> divisor of its logits. `threshold`: code -> for a multilabel family the probability from
    which on it is tagged; for an exclusive family the offset added to the log-probability before the largest is taken.
    """

    temperature: dict[str, float] = field(default_factory=dict)
    threshold: dict[str, float] = field(default_factory=dict)
    not_learnt: tuple[str, ...] = ()
    """Codes that no coder spoke of: they have no probability and are never tagged."""

    @classmethod
    def neutral(cls, codebook: Codebook) -> Decisions:
        """Temperature 1, threshold one half, no offsets."""
        families = codebook.tag_families()
        return cls(
            {family.name: 1.0 for family in families},
            {code: 0.0 if family.kind == "exclusive" else 0.5 for family in families for code in family.codes},
        )

    @classmethod
    def from_dict(cls, raw: Any, codebook: Codebook, where: str) -> Decisions:
        """Read what `to_dict` wrote. Raises InputError when a family or code of the codebook has no usable value."""
        try:
            found = cls(
                {family.name: float(raw["temperature"][family.name]) for family in codebook.tag_families()},
                {code: float(raw["threshold"][code]) for code in codebook.tag_codes()},
                tuple(str(code) for code in raw["not_learnt"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{where}: no usable value for {error}; it does not fit codebook {codebook.name}; restore the file"
            ) from error
        cold = [name for name, value in found.temperature.items() if not 0 < value < np.inf]
        strange = [code for code, value in found.threshold.items() if not np.isfinite(value)]
        unknown = [code for code in found.not_learnt if code not in codebook.codes]
        if cold or strange or unknown:
            raise InputError(
                f"{where}: no usable value for {(cold or strange or unknown)[0]!r}; expected temperatures above 0, "
                f"finite thresholds, and codes of codebook {codebook.name}; restore the file"
            )
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "temperature": dict(self.temperature),
            "threshold": dict(self.threshold),
            "not_learnt": list(self.not_learnt),
        }


def probabilities(logits: np.ndarray, legal: np.ndarray, codebook: Codebook, decisions: Decisions) -> np.ndarray:
    """Calibrated probabilities, float32 (n, n_codes); NaN where the role may not have the code (`legal`, bool),
    or where it was not learnt.

    Exclusive families: softmax. Multilabel: sigmoid, a child's times its parent's, so it never exceeds it.
    """
    result = np.empty(logits.shape, dtype=np.float32)
    for family, columns in family_columns(codebook):
        scaled = logits[:, columns].astype(np.float64) / decisions.temperature[family.name]
        result[:, columns] = of_family(scaled, family, codebook, np.float32)
    result[~legal] = np.nan
    result[:, [code in decisions.not_learnt for code in codebook.tag_codes()]] = np.nan
    return result


def of_family(logits: np.ndarray, family: Family, codebook: Codebook, dtype: type = np.float64) -> np.ndarray:
    """Probabilities (n, n_codes of the family) from its logits: softmax, or sigmoid times the parent's probability."""
    if family.kind == "exclusive":
        return softmax(logits, axis=1).astype(dtype)
    p = expit(logits).astype(dtype)
    for place, parent in parents_first(family, codebook):
        if parent is not None:
            p[:, place] *= p[:, parent]
    return p


def before_temperature(p: np.ndarray, codebook: Codebook, decisions: Decisions) -> np.ndarray:
    """What `probabilities` would have given with temperature 1, float64 (n, n_codes), from what it gave."""
    result = np.full(p.shape, np.nan)
    for family, columns in family_columns(codebook):
        temperature, own = decisions.temperature[family.name], p[:, columns].astype(np.float64)
        if family.kind == "exclusive":
            # Codes that were not learnt share what is missing to 1.
            unknown = np.isnan(own)
            missing = np.maximum(1 - np.nansum(own, axis=1), 0) / np.maximum(unknown.sum(axis=1), 1)
            whole = np.where(unknown, missing[:, None], own)
            first = softmax(temperature * np.log(np.maximum(whole, 1e-30)), axis=1)
        else:
            first = own.copy()
            for place, parent in parents_first(family, codebook):
                above = 1.0 if parent is None else own[:, parent]
                given = np.divide(own[:, place], above, out=np.zeros(len(own)), where=above > 0)
                first[:, place] = expit(temperature * logit(np.clip(given, 0, 1)))
                if parent is not None:
                    first[:, place] *= first[:, parent]
        result[:, columns] = np.where(np.isnan(own), np.nan, first)
    return result


def tag(p: np.ndarray, codebook: Codebook, decisions: Decisions) -> np.ndarray:
    """Tags, bool (n, n_codes), from probabilities as `probabilities` gives them; a tagged child tags its parents."""
    tags = np.zeros(p.shape, dtype=bool)
    for family, columns in family_columns(codebook):
        limits = np.array([decisions.threshold[code] for code in family.codes])
        own = p[:, columns].astype(np.float64)
        if family.kind == "exclusive":
            spoken = ~np.isnan(own).all(axis=1)
            scores = np.log(np.maximum(np.where(np.isnan(own), 0.0, own), 1e-30)) + limits
            scores[np.isnan(own)] = -np.inf
            tags[spoken, columns[0] + scores[spoken].argmax(axis=1)] = True
            continue
        marked = own >= limits  # NaN compares false: an illegal code is never tagged
        for place, parent in reversed(parents_first(family, codebook)):
            if parent is not None:
                marked[:, parent] |= marked[:, place]
        tags[:, columns] = marked
    return tags


def fit_decisions(
    logits: np.ndarray,
    targets: Targets,
    legal: np.ndarray,
    codebook: Codebook,
    frequency: np.ndarray,
    not_learnt: tuple[str, ...] = (),
) -> Decisions:
    """Fit temperatures and thresholds on utterances that training did not see; logits and `legal` are (n, n_codes).

    Sessions kept aside are few, and thresholds chosen for the best F1 on a handful of marks are chance. So little is
    fitted there. Temperature: one per family, least negative log-likelihood of the coders' shares (Guo et al. 2017).
    Threshold of a multilabel code: the one with the best F1 to be expected if its calibrated probabilities hold
    (Lipton, Elkan & Naryanaswamy 2014), times one factor per family: by how much the best F1 found lies elsewhere,
    shrunk towards 1. Offsets of an exclusive family: minus a multiple of the logarithm of each code's `frequency`
    (n_codes,) in training, that with the best macro-F1, shrunk towards USUAL_POWER (logit adjustment, Menon et al.
    2021). Where only segments were coded, temperature is fitted on these, and nothing else is fitted: no factor, and
    USUAL_POWER.
    """
    start = Decisions.neutral(codebook)
    temperature, threshold = dict(start.temperature), dict(start.threshold)
    share, known, segments = targets.share, targets.coders > 0, targets.segments
    inside = np.zeros_like(known) if segments is None else segments.legal
    for family, columns in family_columns(codebook):
        if (known | inside)[:, columns].any():
            own = (logits[:, columns], share[:, columns], targets.given[:, columns], known[:, columns])
            temperature[family.name] = _fit_temperature(
                family.kind, *own, _of_segments(segments, family, columns, codebook)
            )
    calibrated = probabilities(logits, legal, codebook, Decisions(temperature, threshold))
    for family, columns in family_columns(codebook):
        p, truth, coded = calibrated[:, columns], share[:, columns], known[:, columns]
        if family.kind == "exclusive":
            rows = coded.all(axis=1)
            if (coded | inside[:, columns]).any():
                offsets = _fit_offsets(p[rows], truth[rows], frequency[columns])
                threshold.update(zip(family.codes, offsets.tolist(), strict=True))
        else:
            limits = _fit_thresholds(p, truth >= 0.5, coded, inside[:, columns])
            threshold.update(zip(family.codes, limits.tolist(), strict=True))
    return Decisions(temperature, threshold, not_learnt)


def macro_f1(tags: np.ndarray, targets: Targets, codebook: Codebook) -> dict[str, float]:
    """Macro-F1 per family against the plurality (exclusive) or at least half (multilabel) of the coders.

    Of a family of which only segments were coded: whether a segment holds each code. Codes that nobody marked are left
    out of the mean; a family without any mark is left out of the result. A quick figure for choosing an epoch; what is
    reported comes from `threers.agreement`.
    """
    figures = {}
    for family, columns in family_columns(codebook):
        found, judged = tags[:, columns], targets.coders[:, columns] > 0
        truth = consensus(family, targets.share[:, columns])
        if targets.segments is not None and not judged.any():
            found, truth, judged = _by_segment(found, targets.segments, columns)
        scores = [
            _f1(found[known, place], truth[known, place])
            for place in range(len(columns))
            if truth[known := judged[:, place], place].any()
        ]
        if scores:
            figures[family.name] = float(np.mean(scores))
    return figures


def _by_segment(tags: np.ndarray, segments: Segments, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bool (n_segments, n_codes of the family): holds a segment the code, by its tags, and by its coders; is that
    known?
    """
    held = np.zeros((len(segments.present), len(columns)), dtype=bool)
    np.logical_or.at(held, segments.member[segments.member >= 0], tags[segments.member >= 0])
    return held, segments.present[:, columns] >= 0.5, segments.known[:, columns]


def consensus(family: Family, share: np.ndarray) -> np.ndarray:
    """Bool (n, n_codes of the family): the plurality, first in the codebook on a tie, or at least half."""
    if family.kind == "exclusive":
        return np.eye(share.shape[1], dtype=bool)[share.argmax(axis=1)] & (share.max(axis=1, keepdims=True) > 0)
    return share >= 0.5


def family_columns(codebook: Codebook) -> list[tuple[Family, np.ndarray]]:
    """Each taggable family with the places of its codes in `codebook.tag_codes()`; they stand side by side."""
    result, start = [], 0
    for family in codebook.tag_families():
        result.append((family, np.arange(start, start + len(family.codes))))
        start += len(family.codes)
    return result


def parents_first(family: Family, codebook: Codebook) -> list[tuple[int, int | None]]:
    """(place, parent's place or None) of each code of a family, every parent before its children."""
    place = {code: number for number, code in enumerate(family.codes)}
    order = sorted(family.codes, key=lambda code: len(codebook.ancestors(code)))
    parents: Sequence[str | None] = [codebook.codes[code].parent for code in order]
    return [
        (place[code], None if parent is None else place[parent]) for code, parent in zip(order, parents, strict=True)
    ]


def _of_segments(
    segments: Segments | None, family: Family, columns: np.ndarray, codebook: Codebook
) -> Callable[[np.ndarray], float]:
    """From a family's logits to minus the log-likelihood of what was said of segments."""
    if segments is None:
        return lambda _: 0.0
    return lambda logits: surprise(of_family(logits, family, codebook), segments, columns)[0]


def _fit_temperature(
    kind: str,
    logits: np.ndarray,
    share: np.ndarray,
    given: np.ndarray,
    known: np.ndarray,
    of_segments: Callable[[np.ndarray], float],
) -> float:
    def loss(log_t: float) -> float:
        z = logits / np.exp(log_t)
        if kind == "exclusive":
            return float(-(known * share * log_softmax(z, axis=1)).sum()) + of_segments(z)
        return float(-(known * (share * log_expit(z) + (given - share) * log_expit(-z))).sum()) + of_segments(z)

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.25), np.log(8.0)), method="bounded").x))


def _fit_offsets(p: np.ndarray, share: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    if not len(p):
        return -USUAL_POWER * np.log(frequency)
    truth = np.eye(share.shape[1], dtype=bool)[share.argmax(axis=1)]
    log_p, log_frequency = np.log(np.maximum(p.astype(np.float64), 1e-30)), np.log(frequency)

    def figure(power: float) -> float:
        chosen = np.eye(p.shape[1], dtype=bool)[(log_p - power * log_frequency).argmax(axis=1)]
        return float(np.mean([_f1(chosen[:, c], truth[:, c]) for c in range(p.shape[1]) if truth[:, c].any()]))

    figures = np.array([figure(power) for power in PRIOR_POWERS])
    # The middle of the plateau of nearly best powers moves less from sample to sample than its peak.
    best = PRIOR_POWERS[figures >= figures.max() - 0.005].mean()
    rarest = truth.sum(axis=0).min()
    power = (rarest * best + OFFSET_SHRINKAGE * USUAL_POWER) / (rarest + OFFSET_SHRINKAGE)
    return -power * log_frequency


def _fit_thresholds(p: np.ndarray, truth: np.ndarray, known: np.ndarray, inside: np.ndarray) -> np.ndarray:
    known, inside = known & ~np.isnan(p), inside & ~np.isnan(p)
    marks = int(truth[known].sum())
    if not marks and not inside.any():
        return np.full(p.shape[1], 0.5)
    own = np.array([_expected_best(p[rows, code]) for code, rows in enumerate((known | inside).T)])
    if not marks:
        return np.clip(own, THRESHOLDS[0], THRESHOLDS[-1])
    factor = (_best_threshold(p[known], truth[known]) / _expected_best(p[known])) ** (
        marks / (marks + THRESHOLD_SHRINKAGE)
    )
    return np.clip(own * factor, THRESHOLDS[0], THRESHOLDS[-1])


def _expected_best(p: np.ndarray) -> float:
    """The threshold with the largest expected F1, 2 (sum of p above it) / (number above it + sum of all p)."""
    if not len(p) or not p.any():
        return 0.5
    falling = np.sort(p.astype(np.float64))[::-1]
    expected = 2 * falling.cumsum() / (np.arange(1, len(p) + 1) + falling.sum())
    return float(falling[expected.argmax()])


def _best_threshold(p: np.ndarray, truth: np.ndarray) -> float:
    figures = np.array([_f1(p >= limit, truth) for limit in THRESHOLDS])
    return float(THRESHOLDS[figures >= figures.max() - 0.005].mean())


def _f1(marked: np.ndarray, truth: np.ndarray) -> float:
    both = int((marked & truth).sum())
    total = int(marked.sum()) + int(truth.sum())
    return 2 * both / total if total else 0.0
