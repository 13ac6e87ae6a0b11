"""Logits to probabilities to tags: calibration, thresholds, the codebook's rules. Layer 2, numpy and scipy only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import expit, logit, softmax

from threers.codebook import Codebook, Family
from threers.errors import InputError
from threers.marks import with_parents

#: Probabilities are kept off 0 by this when their logarithm is taken.
EDGE = 1e-30


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
        except (KeyError, TypeError, ValueError, OverflowError) as error:
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
            first = softmax(temperature * np.log(np.maximum(whole, EDGE)), axis=1)
        else:
            first = np.empty_like(own)
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
            scores = np.log(np.maximum(np.where(np.isnan(own), 0.0, own), EDGE)) + limits
            scores[np.isnan(own)] = -np.inf
            tags[spoken, columns[0] + scores[spoken].argmax(axis=1)] = True
            continue
        tags[:, columns] = own >= limits  # NaN compares false: an illegal code is never tagged
    return with_parents(tags.astype(np.float32), codebook) != 0


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
    return [(place[code], place.get(codebook.codes[code].parent or "")) for code in order]
