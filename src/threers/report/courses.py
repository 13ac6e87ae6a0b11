"""How a patient's sessions went one after the other: rates of marks, and what was rated, on scales shared by all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from threers.report.lanes import Lane
from threers.report.svg import Drawing, Scale

#: Ratings that are drawn at most, and the fewest different values that make a number a rating and no flag.
MOST_RATINGS, FEWEST_VALUES = 6, 3
HIGH, LEFT, WIDTH = 38.0, 146.0, 350.0


@dataclass(frozen=True)
class Course:
    """A patient's drawing."""

    patient: str
    sessions: int
    drawing: Drawing


@dataclass(frozen=True)
class _Measure:
    title: str
    style: str
    values: list[float]
    low: float
    high: float


def patient_courses(rows: Sequence[Any], own: Sequence[Lane]) -> list[Course]:
    """A course for each patient with two sessions or more, in the order of the sessions' numbers."""
    table = pd.DataFrame(
        {
            "patient": [row.facts.get("patient_id") for row in rows],
            "number": pd.to_numeric(pd.Series([row.facts.get("session_number") for row in rows], dtype="object")),
            "row": range(len(rows)),
        }
    )
    measures = _measures(rows, own)
    courses = []
    for patient, part in table[table["patient"].notna()].groupby("patient", sort=True):
        part = part.sort_values(["number", "row"])
        if len(part) > 1 and measures:
            names = [f"{number:g}" if not pd.isna(number) else str(at) for at, number in enumerate(part["number"], 1)]
            courses.append(Course(str(patient), len(part), _draw(str(patient), names, part["row"].tolist(), measures)))
    return courses


def _measures(rows: Sequence[Any], own: Sequence[Lane]) -> list[_Measure]:
    found = []
    for number, lane in enumerate(own):
        values = [row.rates[number] for row in rows]
        if not np.isnan(values).all():
            found.append(_Measure(lane.title, f"lane-{number % 8}", values, 0.0, max(0.1, float(np.nanmax(values)))))
    for name in dict.fromkeys(name for row in rows for name in row.ratings):
        values = [row.ratings.get(name, np.nan) for row in rows]
        known = {value for value in values if not np.isnan(value)}
        if len(known) >= FEWEST_VALUES and len(found) < len(own) + MOST_RATINGS:
            found.append(_Measure(name.replace("_", " "), "rating", values, min(known), max(known)))
    return found


def _draw(patient: str, names: list[str], places: list[int], measures: Sequence[_Measure]) -> Drawing:
    said = "; ".join(f"{m.title}: {', '.join(_figure(m.values[at]) for at in places)}" for m in measures)
    drawing = Drawing(WIDTH, HIGH * len(measures) + 24, f"Course of {patient}", f"Sessions {', '.join(names)}. {said}")
    x = Scale(0, len(places) - 1, LEFT + 14, WIDTH - 16)
    for row, measure in enumerate(measures):
        y = Scale(measure.low, measure.high, (row + 1) * HIGH - 7, row * HIGH + 17)
        drawing.text("label", (0, (row + 0.5) * HIGH + 6), measure.title, room=LEFT - 12)
        points = [(x(n), y(measure.values[at]), measure.values[at]) for n, at in enumerate(places)]
        known = [point for point in points if not np.isnan(point[2])]
        drawing.path(f"thread {measure.style}", [point[:2] for point in known])
        for across, up, value in known:
            drawing.add("circle", f"dot {measure.style}", cx=across, cy=up, r=2.8)
            drawing.text("value middle", (across, up - 6), _figure(value))
    for n, name in enumerate(names):
        drawing.text("tick middle", (x(n), HIGH * len(measures) + 14), name)
    drawing.text("tick", (0, HIGH * len(measures) + 14), "session")
    return drawing


def _figure(value: float) -> str:
    return "?" if np.isnan(value) else f"{value:.1f}".removesuffix(".0")
