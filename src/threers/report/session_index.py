"""The index of a batch: a sortable table with a small drawing of each session, and each patient's course."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from threers.agreement.frame import by_people
from threers.codebook import Codebook
from threers.episodes import definition, find_ruptures, has_any, segment_of
from threers.report.courses import Course, patient_courses
from threers.report.html import environment, file_stem, inline, policy
from threers.report.lanes import Lane, lanes
from threers.report.scored import FACTS, ScoredSession
from threers.report.session_page import Settings
from threers.report.svg import Drawing

#: A session is unusual in a figure whose modified z-score goes beyond this (Iglewicz & Hoaglin 1993), given so many.
FAR, FEWEST = 3.5, 8
STYLES, SCRIPTS = ("style.css", "session.css", "index.css"), ("index.js",)
#: Parts into which a session without times is cut for its drawing.
TENTHS = 10


@dataclass
class Row:
    """What the index says of a session. `counts`, `rates` (per 5 minutes, null without times), `bins` (marks per
    segment) are by lane; `ratings`: what the corpus knows of the session in numbers, coders' ratings too.
    """

    session_id: str
    facts: Mapping[str, Any]
    minutes: float
    utterances: int
    counts: list[int]
    rates: list[float]
    bins: list[np.ndarray]
    ruptures: int
    repaired: int
    ratings: dict[str, float]
    unusual: list[str] = field(default_factory=list)

    @property
    def file(self) -> str:
        """Name of its page."""
        return f"{file_stem(self.session_id)}.html"


def index_row(session: ScoredSession, settings: Settings) -> Row:
    """Count what the index shows of a session; its utterances need not be kept."""
    scores, codebook = session.scores, settings.codebook
    timed = scores["start"].notna()
    last = scores["end"].fillna(scores["start"]).max()
    minutes = float(last - scores["start"].min()) / 60 if timed.any() else np.nan
    marks = [has_any(scores["tags"], frozenset(lane.codes)) for lane in lanes(codebook)]
    if timed.any():
        bins = segment_of(scores["start"].where(timed, scores["start"].min()), settings.minutes).to_numpy()
        bins = bins - bins.min()
    else:
        bins = np.arange(len(scores)) * TENTHS // len(scores)
    length = int(bins.max()) + 1
    found = find_ruptures(scores, codebook, settings.minutes, settings.within)
    known = timed.to_numpy() | (not timed.any())
    return Row(
        session_id=session.session_id,
        facts={name: session.facts.get(name) for name in FACTS},
        minutes=minutes,
        utterances=len(scores),
        counts=[int(own.sum()) for own in marks],
        rates=[float(own.sum()) / minutes * 5 if minutes > 0 else np.nan for own in marks],
        bins=[np.bincount(bins[own & known], minlength=length) for own in marks],
        ruptures=len(found),
        repaired=sum(one.repaired is not None for one in found),
        ratings=_ratings(session, codebook),
    )


def index_page(rows: Sequence[Row], settings: Settings) -> str:
    """One HTML file: the table, and the courses of patients with several sessions.

    Blind, it names the sessions and says nothing of their tags.
    """
    own = lanes(settings.codebook)
    timed = any(row.minutes > 0 for row in rows)
    _mark_unusual(rows, own)
    most = max((int(bins.max()) for row in rows for bins in row.bins if len(bins)), default=1)
    longest = max((len(bins) for row in rows for bins in row.bins), default=1)
    style, script = inline(*STYLES), inline(*SCRIPTS)
    courses: list[Course] = [] if settings.blind else patient_courses(rows, own)
    return (
        environment()
        .get_template("index.html.j2")
        .render(
            settings=settings,
            rows=rows,
            lanes=own,
            timed=timed,
            patients=any(not pd.isna(row.facts.get("patient_id")) for row in rows),
            ruptures=bool(settings.codebook.course_codes("rupture")) and timed,
            definition=definition(settings.codebook, settings.minutes, settings.within),
            unusual=any(row.unusual for row in rows),
            limits=(FAR, FEWEST),
            drawing=lambda row, number: _drawing(row, own, max(1, most), longest).svg(f"session-{number}"),
            courses=courses,
            plain=_plain,
            style=style,
            script=script,
            policy=policy([style], [script]),
        )
    )


def _ratings(session: ScoredSession, codebook: Codebook) -> dict[str, float]:
    """Numbers of the sessions table beside its usual columns; of each rating of the session the mean over people."""
    found = {
        str(name): float(value)
        for name, value in session.facts.items()
        if name not in FACTS and isinstance(value, int | float | np.number) and not pd.isna(value)
    }
    own = session.codings[(session.codings["unit"] == "session") & by_people(session.codings)]
    for family in codebook.families_on("session"):
        for code in family.codes if family.kind == "rating" else ():
            given = own.loc[own["code"] == code, "value"]
            if len(given):
                found[codebook.codes[code].title] = float(given.mean())
    return found


def _mark_unusual(rows: Sequence[Row], own: Sequence[Lane]) -> None:
    figures = [(lane.title.lower(), [row.rates[number] for row in rows]) for number, lane in enumerate(own)]
    for name, values in [*figures, ("length", [row.minutes for row in rows])]:
        for row, z in zip(rows, modified_z(np.array(values, dtype=float)), strict=True):
            if abs(z) > FAR:
                row.unusual.append(f"{'▲' if z > 0 else '▼'} {name}")


def modified_z(values: np.ndarray) -> np.ndarray:
    """0.6745 (x - median) / MAD (Iglewicz & Hoaglin 1993), 0 where too few values are known or half of them are one."""
    known = values[~np.isnan(values)]
    middle = np.median(known) if len(known) else 0.0
    spread = np.median(np.abs(known - middle)) if len(known) >= FEWEST else 0.0
    return np.nan_to_num(0.6745 * (values - middle) / spread) if spread else np.zeros(len(values))


def _drawing(row: Row, own: Sequence[Lane], most: int, longest: int) -> Drawing:
    """Marks per segment, a lane under the other; the same scales for all sessions."""
    high, width = (11.0, 150.0) if len(own) <= 4 else (7.0, 150.0)
    step = width / longest
    said = "; ".join(f"{lane.title}: {' '.join(map(str, bins))}" for lane, bins in zip(own, row.bins, strict=True))
    drawing = Drawing(width, (high + 2) * len(own), f"Session {row.session_id}", f"Marks per segment. {said}")
    for number, bins in enumerate(row.bins):
        base = number * (high + 2) + (1 if own[number].below else high + 1)
        side = 1 if own[number].below else -1
        d = "".join(
            f"M{(at + 0.5) * step:.1f} {base:g}v{side * high * n / most:.1f}" for at, n in enumerate(bins.tolist()) if n
        )
        drawing.add("path", f"base lane-{number % 8}", d=f"M0 {base:g}H{len(bins) * step:.1f}")
        if d:
            drawing.add("path", f"bins lane-{number % 8}", d=d, stroke_width=max(1.0, step * 0.72))
    return drawing


def _plain(value: Any, digits: int = 0) -> str:
    """A figure for a cell, empty where it is not known."""
    if value is None or pd.isna(value):
        return ""
    return f"{value:.{digits}f}" if isinstance(value, int | float | np.number) else str(value)
