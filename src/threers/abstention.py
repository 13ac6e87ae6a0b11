"""Leave to humans what the tagger is least sure of, and promise an error on the rest. Layer 2, no torch.

Class-conditional conformal risk control over whole patients; docs/promises.md says what it promises and what not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from threers.calibration import Calibration
from threers.codebook import Codebook
from threers.decisions import family_columns
from threers.errors import InputError
from threers.jobs import ScoreRun

#: What the limits promise, with `error` to be filled in.
PROMISE = (
    "Of the utterances of a new patient that the coders would give an answer (a code marked, or not marked), at most "
    "{error:.1%} are expected to get another answer from the tagger without being left to humans: on average over "
    "patients like those of the corpus, and over corpora like it. The out-of-fold scores behind it come from sibling "
    "taggers, so it holds approximately."
)


@dataclass(frozen=True)
class Limits:
    """From which probability on an answer that the tagger did not give cannot be ruled out; all (n_codes,).

    `present`: of the code. `absent`: of its absence, for codes that do not exclude each other. Infinite: the promise
    holds without ruling it out. NaN: nothing is promised, and the tagger tags as it would. `present_groups` and
    `absent_groups`: the patients that each promise rests on.
    """

    error: float
    present: np.ndarray
    absent: np.ndarray
    present_groups: np.ndarray
    absent_groups: np.ndarray

    def of(self, marked: bool) -> tuple[np.ndarray, np.ndarray]:
        """Limits and patients of the codes, or of their absence."""
        return (self.present, self.present_groups) if marked else (self.absent, self.absent_groups)


def fewest_groups(error: float) -> int:
    """Patients below which nothing can be promised: with n of them, no error below 1 / (n + 1)."""
    return math.ceil(1 / error - 1 - 1e-9)


def limits_for(run: ScoreRun, calibration: Calibration | None, codebook: Codebook) -> Limits | None:
    """The limits that keep what a run of `threers score` promises; None where it promises nothing.

    Raises:
        InputError: its tagger has no out-of-fold scores to rest a promise on.

    """
    if not run.abstain:
        return None
    if calibration is None:
        raise InputError(
            f"abstain={run.abstain:g}: tagger {run.tagger} carries no out-of-fold scores, so it can promise nothing; "
            "train it with calibration=FOLDER of threers evaluate on the same corpus"
        )
    return fit_limits(calibration, run.abstain, codebook)


def fit_limits(calibration: Calibration, error: float, codebook: Codebook) -> Limits:
    """Choose limits so that, of a new patient's utterances with a given answer by the coders, at most `error` are
    expected to get another one without being left to humans.

    Conformal risk control (Angelopoulos, Bates, Fisch, Lei & Schuster 2024, theorem 1), for each answer apart
    (Mondrian). The exchangeable draws are the patients that have the answer at all, and the loss of a patient is the
    share of those utterances that get another answer although this one is ruled out: within 0 and 1, and it rises with
    the limit. So the largest limit is taken with (sum of the losses + 1) / (patients + 1) <= error.
    """
    multilabel = np.concatenate(
        [np.full(len(own), family.kind != "exclusive") for family, own in family_columns(codebook)]
    )
    p = calibration.p.astype(np.float64)
    present = [
        _limit(p[yes, c], ~calibration.tags[yes, c], calibration.group[yes], error)
        for c, yes in enumerate((calibration.truth == 1).T)
    ]
    absent = [
        _limit(1 - p[no, c], calibration.tags[no, c], calibration.group[no], error) if multilabel[c] else (np.nan, 0)
        for c, no in enumerate((calibration.truth == 0).T)
    ]
    (of_present, present_groups), (of_absent, absent_groups) = (zip(*found, strict=True) for found in (present, absent))
    return Limits(error, *(np.array(one) for one in (of_present, of_absent, present_groups, absent_groups)))


def _limit(p: np.ndarray, wrong: np.ndarray, group: np.ndarray, error: float) -> tuple[float, int]:
    """The limit of one answer, from utterances that have it by the coders, and the number of their groups.

    `p`: the answer's probability (NaN: it was not learnt, so nothing can be left to humans for its sake); `wrong`: it
    got another answer.
    """
    _, number, units = np.unique(group, return_inverse=True, return_counts=True)
    budget = error * (len(units) + 1) - 1
    if budget < -1e-9:
        return math.nan, len(units)
    rising = np.nan_to_num(p[wrong], nan=-1.0)
    order = np.argsort(rising, kind="stable")
    spent = (1 / units)[number[wrong]][order].cumsum()
    affordable = int((spent <= budget + 1e-9).sum())
    limit = math.inf if affordable == len(order) else float(rising[order[affordable]])
    return (math.nan if limit < 0 else limit), len(units)


def left_open(p: np.ndarray, tags: np.ndarray, limits: Limits, codebook: Codebook) -> np.ndarray:
    """Codes that are left to humans, bool (n, n_codes), from probabilities and tags of the same shape.

    Of codes that exclude each other: the tag and its rivals, where there is one. Of others: each that is tagged though
    its absence, or not tagged though its presence, cannot be ruled out. Humans may answer as they like: where an open
    code could contradict a parent or child, that is left open too.
    """
    p = p.astype(np.float64)
    rival = ~tags & (p >= limits.present)  # NaN compares false
    result = rival | (tags & (1 - p >= limits.absent))
    codes = codebook.tag_codes()
    for family, columns in family_columns(codebook):
        if family.kind == "exclusive":
            doubt = rival[:, columns].any(axis=1, keepdims=True)
            result[:, columns] = doubt & (rival | tags)[:, columns]
            continue
        pairs = [(codes.index(code), codes.index(above)) for code in family.codes for above in codebook.ancestors(code)]
        for child, parent in pairs:
            result[:, parent] |= result[:, child] & ~tags[:, child] & ~tags[:, parent]
        for child, parent in pairs:
            result[:, child] |= result[:, parent] & tags[:, parent] & tags[:, child]
    return result


def describe(calibration: Calibration, limits: Limits, sessions: pd.DataFrame, codebook: Codebook) -> dict[str, Any]:
    """What is promised and what was left to humans, for the manifest of a scores folder.

    `sessions`: the summary of its sessions. Keys: `error`, `promise` (in words), `groups` (patients in all),
    `fewest_groups`, `left_to_humans` (share of the utterances), `codes` (see `check`, each with the number of
    utterances in which the code was left to humans).
    """
    left = {code: int(sessions[f"abstained_{code}"].sum()) for code in codebook.tag_codes()}
    return {
        "error": limits.error,
        "promise": PROMISE.format(error=limits.error),
        "groups": calibration.groups,
        "fewest_groups": fewest_groups(limits.error),
        "left_to_humans": float(sessions["n_abstained"].sum() / sessions["n_utterances"].sum()),
        "codes": [row | {"left_to_humans": left[row["code"]]} for row in check(calibration, limits, codebook)],
    }


def check(calibration: Calibration, limits: Limits, codebook: Codebook) -> list[dict[str, Any]]:
    """What is promised of each code and each answer, and what the same rule did on patients kept out.

    Keys: `code`, `answer` (`marked` or `not marked`), `groups` (patients that have it), `promised` (the error, None:
    nothing), `error_before` (without leaving anything to humans), `error_realised` and `kept_right` (share of the
    answers given without humans that are right), the last two with limits set on the other folds: means over patients,
    except `kept_right`, which is over utterances. None: undefined, or the other folds have too few patients.
    """
    opened, of_folds = left_out_of_fold(calibration, limits.error, codebook)
    rows = []
    for family, columns in family_columns(codebook):
        alone = family.kind == "exclusive"
        if alone:
            opened[:, columns] = opened[:, columns].any(axis=1, keepdims=True)
        for code, c in zip(family.codes, columns, strict=True):
            for marked in (True,) if alone else (True, False):
                limit, groups = limits.of(marked)
                rows.append(
                    {
                        "code": code,
                        "answer": "marked" if marked else "not marked",
                        "groups": int(groups[c]),
                        "promised": None if np.isnan(limit[c]) else limits.error,
                        **_errors(calibration, c, marked, ~opened[:, c]),
                    }
                )
                if any(np.isnan(one.of(marked)[0][c]) for one in of_folds):
                    rows[-1] |= {"error_realised": None, "kept_right": None}
    return rows


def _errors(calibration: Calibration, c: int, marked: bool, kept: np.ndarray) -> dict[str, float | None]:
    """Errors of one answer before and after leaving to humans what is not `kept` (n,)."""
    has = calibration.truth[:, c] == marked
    said = calibration.tags[:, c] == marked
    given = said & kept & (calibration.truth[:, c] >= 0)
    group = calibration.group[has]
    return {
        "error_before": _mean_of_groups(~said[has], group),
        "error_realised": _mean_of_groups((~said & kept)[has], group),
        "kept_right": float(has[given].mean()) if given.any() else None,
    }


def left_out_of_fold(calibration: Calibration, error: float, codebook: Codebook) -> tuple[np.ndarray, list[Limits]]:
    """What is left to humans with limits set on the other folds, bool (n, n_codes), and these limits, fold by fold."""
    result, of_folds = np.zeros_like(calibration.tags), []
    for fold in np.unique(calibration.fold):
        own = calibration.fold == fold
        of_folds.append(fit_limits(calibration.rows(~own), error, codebook))
        result[own] = left_open(calibration.p[own], calibration.tags[own], of_folds[-1], codebook)
    return result, of_folds


def _mean_of_groups(wrong: np.ndarray, group: np.ndarray) -> float | None:
    """Mean over groups of each one's share."""
    if not len(group):
        return None
    _, number, units = np.unique(group, return_inverse=True, return_counts=True)
    return float((np.bincount(number, weights=wrong) / units).mean())
