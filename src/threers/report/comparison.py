"""What a report of agreement is made from, and how its figures are found and written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

from threers.agreement import bootstrap
from threers.agreement.frame import CODERS, CODERS_ON_SHARED_UNITS, CONSENSUS, FLOOR, MODEL, Frame
from threers.agreement.output import ABSENT, LABEL_LENGTH, UNDEFINED, title_of_code
from threers.codebook import Codebook
from threers.corpus import Corpus
from threers.jobs import VerdictRules

#: Up to this many codes each is drawn; above it, those without a parent.
MOST_DRAWN = 8


class Estimate(NamedTuple):
    """A row of the agreement table."""

    estimate: float
    low: float
    high: float
    n_units: float
    n_positive: float
    n_groups: float

    def __str__(self) -> str:
        return interval(self.estimate, self.low, self.high)


@dataclass(frozen=True)
class Comparison:
    """Everything that the parts of a report read."""

    corpus: Corpus
    """With the sessions that are compared only."""
    codings: pd.DataFrame
    """Of people and machines."""
    table: pd.DataFrame
    verdicts: pd.DataFrame
    rules: VerdictRules
    probabilities: Mapping[str, pd.DataFrame]
    frames: list[Frame]
    number_of: Mapping[str, int]
    """session_id -> the number that stands for it on the page."""
    uncoded: int = 0
    """Sessions of the corpus that nobody coded."""
    curve: pd.DataFrame | None = None
    """See `agreement.curve.learning_curve`; None: none was asked for."""
    include_text: bool = False
    _rows: dict[tuple, Estimate] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        columns = ["level", "family", "code", "rater_a", "rater_b", "statistic"]
        keys = zip(*(self.table[name].astype(object) for name in columns), strict=True)
        figures = self.table[list(Estimate._fields)].astype(float).itertuples(index=False, name=None)
        for key, row in zip(keys, figures, strict=True):
            self._rows[tuple(None if pd.isna(part) else part for part in key)] = Estimate(*row)

    @cached_property
    def plan(self) -> bootstrap.Plan:
        """The resamples of the table, drawn again."""
        attrs = self.table.attrs
        return bootstrap.plan(self.frames[0].groups, attrs["resamples"], attrs["seed"], self.method)

    @property
    def method(self) -> str:
        """Kind of the intervals, one of `bootstrap.METHODS`."""
        return next(name for name in bootstrap.METHODS if name in self.table.attrs["interval"].split())

    @property
    def codebook(self) -> Codebook:
        """The codebook of the corpus."""
        return self.corpus.codebook

    @property
    def people(self) -> list[str]:
        """Names of the coders."""
        frame = self.frames[0]
        return [frame.raters[i] for i in frame.people]

    @property
    def group(self) -> str:
        """What a group is, where the corpus knows."""
        return "patient" if self.corpus.manifest.get("grouped_by") == "patient" else "group"

    @property
    def models(self) -> list[str]:
        """Names of the models, as `model:NAME`."""
        return [rater for rater in self.frames[0].raters if rater.startswith(MODEL)]

    @property
    def floors(self) -> list[str]:
        """Names of the floors, as `floor:NAME`."""
        return [rater for rater in self.frames[0].raters if rater.startswith(FLOOR)]

    def shares(self, level: str = "utterance") -> bool:
        """Did two coders judge the same units anywhere?"""
        return bool(((self.table["level"] == level) & (self.table["rater_a"] == CODERS)).any())

    @property
    def by_utterance(self) -> bool:
        """Did anybody code utterances, and not segments only?"""
        return any((frame.marks[:, frame.people] >= 0).any() for frame in self.frames)

    @property
    def by_segment(self) -> bool:
        """Did anybody code segments?"""
        return bool((self.codings["unit"] == "segment").any())

    @property
    def reference(self) -> str:
        """Whom a machine is held against beside the coders: them on shared units, else their consensus."""
        return CODERS_ON_SHARED_UNITS if self.shares() else CONSENSUS

    @property
    def drawn(self) -> tuple[str, ...]:
        """Codes that get drawings of their own."""
        codes = self.codebook.tag_codes()
        return codes if len(codes) <= MOST_DRAWN else tuple(c for c in codes if self.codebook.codes[c].parent is None)

    def find(
        self, a: str, b: str, statistic: str, family: str, code: str | None, level: str = "utterance"
    ) -> Estimate | None:
        """A row of the table; None: not there."""
        return self._rows.get((level, family, code, a, b, statistic))

    def said(
        self,
        a: str,
        b: str,
        statistic: str,
        family: str,
        code: str | None,
        level: str = "utterance",
        signed: bool = False,
    ) -> str:
        """The same in words."""
        found = self.find(a, b, statistic, family, code, level)
        return ABSENT if found is None else interval(found.estimate, found.low, found.high, signed)

    def probability(self, frame: Frame, model: str, code: str) -> np.ndarray | None:
        """A model's probability of a code, (units,), NaN where it gave none; None: it gives none of this code."""
        scores = self.probabilities.get(model)
        if scores is None or f"p_{code}" not in scores:
            return None
        by_unit = scores.set_index(["session_id", "utterance_id"])[f"p_{code}"]
        return by_unit.reindex(frame.units).to_numpy(dtype=float, na_value=np.nan)

    def used(self, frame: Frame) -> list[str]:
        """Codes that a person gave at least once, to an utterance or a segment."""
        marked = (frame.marks[:, frame.people] == 1).any(axis=(1, 2))
        own = self.corpus.codings
        of_segments = set(own.loc[(own["unit"] == "segment") & own["value"].ne(0), "code"].dropna())
        of_segments |= {above for code in of_segments for above in self.codebook.ancestors(code)}
        return [code for code, any_mark in zip(frame.codes, marked, strict=True) if any_mark or code in of_segments]

    def title(self, code: str) -> str:
        """Name and title of a code."""
        return title_of_code(code, self.codebook)

    def label(self, code: str) -> str:
        """The short name that coders know a code by, where it has one."""
        return code if len(code) <= LABEL_LENGTH else self.codebook.codes[code].title

    def whole(self, frame: Frame) -> tuple[str | None, str]:
        """Which figure speaks for a family, and is defined for any two raters: (code, statistic).

        The nominal kappa of codes that exclude each other; else that of the code above all others, where there is one.
        """
        if frame.values is not None:
            return None, "kappa"
        top = top_code(frame, self.codebook)
        return (top, "kappa") if top else (None, "macro_kappa")

    def whole_in_words(self, frame: Frame) -> str:
        """What `whole` measures."""
        code, statistic = self.whole(frame)
        if code:
            return f"kappa of {self.title(code)}"
        return "kappa" if statistic == "kappa" else "mean kappa of the codes"


def top_code(frame: Frame, codebook: Codebook) -> str | None:
    """The one code of a family that is above all others, or the only one."""
    tops = [code for code in frame.codes if codebook.codes[code].parent is None]
    return tops[0] if len(tops) == 1 else None


def short(rater: str) -> str:
    """A rater's name on the page."""
    return rater.removeprefix(MODEL).removeprefix(FLOOR)


def number(value: float, signed: bool = False, digits: int = 2) -> str:
    """Write a figure with so many decimals and a true minus."""
    if np.isnan(value):
        return UNDEFINED
    # What rounds to 0 has no sign, not even the minus of -0.0.
    rounded = round(value, digits) + 0.0
    return f"{rounded:{'+' if signed and rounded else ''}.{digits}f}".replace("-", "\N{MINUS SIGN}")


def interval(estimate: float, low: float, high: float, signed: bool = False) -> str:
    """An estimate with its interval in brackets, where it has one."""
    if np.isnan(estimate) or np.isnan(low):
        return number(estimate, signed)
    return f"{number(estimate, signed)} [{number(low, signed)}, {number(high, signed)}]"


def share(part: float, whole: float, digits: int = 1) -> str:
    """A percentage."""
    return ABSENT if not whole else f"{100 * part / whole:.{digits}f} %"


def count(n: int, what: str, many: str = "") -> str:
    """A number with its noun."""
    return f"{n:,} {what if n == 1 else many or what + 's'}"


def whole_number(n: float) -> str:
    """A count; empty where there is none."""
    return "" if np.isnan(n) else f"{int(n):,}"


def listed(names: list[str]) -> str:
    """Names in a sentence."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
