"""Temperature and thresholds, fitted on sessions kept aside; and the quick figure that chooses an epoch. Layer 2."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_expit, log_softmax

from threers.codebook import Codebook, Family
from threers.decisions import EDGE, Decisions, consensus, family_columns, of_family, probabilities
from threers.pooling import surprise
from threers.segments import Segments, any_of_members
from threers.targets import Targets

#: Logarithms of the temperatures between which the best one is sought.
LOG_TEMPERATURES = np.linspace(np.log(0.25), np.log(8.0), 174)
#: Marks of a family at which what was seen of its thresholds weighs as much as what its probabilities promise.
THRESHOLD_SHRINKAGE = 50.0
#: Thresholds and offsets that are tried; a grid, because F1 is a step function of them.
THRESHOLDS = np.linspace(0.02, 0.9, 89)
PRIOR_POWERS = np.linspace(0.0, 1.2, 25)
#: Where an exclusive family's power starts from, and the marks of its rarest code at which the best one weighs as much.
USUAL_POWER = 0.5
OFFSET_SHRINKAGE = 300.0


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
    held = any_of_members(tags, segments.member, len(segments.present))
    return held, segments.present[:, columns] >= 0.5, segments.known[:, columns]


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

    # The likelihood of counts has several minima close together; which one is found is not to hang on rounding.
    best = int(np.argmin([loss(log_t) for log_t in LOG_TEMPERATURES]))
    around = LOG_TEMPERATURES[[max(best - 1, 0), min(best + 1, len(LOG_TEMPERATURES) - 1)]]
    return float(np.exp(minimize_scalar(loss, bounds=tuple(around), method="bounded").x))


def _fit_offsets(p: np.ndarray, share: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    if not len(p):
        return -USUAL_POWER * np.log(frequency)
    truth = np.eye(share.shape[1], dtype=bool)[share.argmax(axis=1)]
    log_p, log_frequency = np.log(np.maximum(p.astype(np.float64), EDGE)), np.log(frequency)

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
