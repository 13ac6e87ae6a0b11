"""The drawings of a report, from plain numbers. Each is a small square or column that stands beside others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from threers.report.comparison import number
from threers.report.svg import Axes, Drawing, Scale, tick, ticks

WIDTH, HEIGHT = 340.0, 340.0
BOX = (46.0, 46.0, WIDTH - 14.0, HEIGHT - 44.0)
#: Left, right of the scale of a forest plot; the figures stand on its right.
FOREST = (12.0, WIDTH - 48.0)
#: Share of an axis of counts that stays free at its ends, for the circles there.
EDGE = 0.05
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


class Line(NamedTuple):
    """One estimate of a forest plot."""

    who: str
    style: str
    """`coders`, `model-N` or `floor`."""
    sign: str
    estimate: float
    low: float
    high: float


class Entry(NamedTuple):
    """A code of a forest plot: its lines from top to bottom, and floors as ticks on the last of them."""

    title: str
    lines: Sequence[Line]
    floors: Sequence[Line]


class Limit(NamedTuple):
    """A horizontal line of a Bland-Altman plot, with its interval."""

    name: str
    estimate: float
    low: float
    high: float


def forest(title: str, entries: Sequence[Entry]) -> Drawing:
    """Kappa of each code: an estimate per line with its interval, its figure on the right."""
    lowest = min((v for e in entries for one in e.lines for v in (one.estimate, one.low) if not np.isnan(v)), default=0)
    low = max(-0.5, min(0.0, np.floor(lowest * 4) / 4))
    heights = [24 + 15 * len(entry.lines) for entry in entries]
    bottom = 34.0 + sum(heights)
    said = "; ".join(f"{e.title}: {', '.join(f'{one.who} {number(one.estimate)}' for one in e.lines)}" for e in entries)
    drawing = Drawing(WIDTH, bottom + 36, f"Kappa per code, {title}", f"Estimates of kappa. {said}.")
    drawing.text("heading", (8, 18), title, WIDTH - 16)
    x, y = Scale(low, 1.0, *FOREST), 34.0
    for value in (v for v in (-0.5, -0.25, *SHARES) if v >= low):
        drawing.line("grid strong" if value == 0 else "grid", (x(value), y), (x(value), bottom))
        drawing.text("tick middle", (x(value), bottom + 14), tick(value))
    drawing.text("label middle", ((FOREST[0] + FOREST[1]) / 2, bottom + 30), "kappa")
    for entry, height in zip(entries, heights, strict=True):
        drawing.text("row", (FOREST[0], y + 14), entry.title, WIDTH - 2 * FOREST[0])
        for n, one in enumerate(entry.lines):
            _line(drawing, one, x, y + 25 + 15 * n)
        for one in entry.floors:
            if not np.isnan(one.estimate):
                drawing.sign(f"{one.style} stroke", "tick", (x(one.estimate), y + 10 + 15 * len(entry.lines)), 5.5)
        y += height
    return drawing


def _line(drawing: Drawing, one: Line, x: Scale, y: float) -> None:
    if np.isnan(one.estimate):
        drawing.text("tick", (x(0) + 4, y + 4), f"{one.who}: undefined")
        return
    if not np.isnan(one.low):
        drawing.line(f"{one.style} stroke", (x(one.low), y), (x(one.high), y))
    drawing.sign(f"{one.style} fill", one.sign, (x(one.estimate), y))
    drawing.text("value end", (WIDTH - 6, y + 4), number(one.estimate))


class Lean(NamedTuple):
    """How much more often a coder marks a code than the others: percentage points, and the ratio of rates."""

    who: str
    points: float
    low: float
    high: float
    ratio: float


def reach_of(leans: Sequence[Lean]) -> float:
    """How far from 0 a scale must go to hold all of them."""
    drawn = [abs(v) for one in leans for v in (one.points, one.low, one.high) if not np.isnan(v)]
    return 1.05 * max([1.0, *drawn])


def leanings(title: str, leans: Sequence[Lean], reach: float) -> Drawing:
    """Bias of each coder on a scale from -reach to reach, the ratio of rates on the right."""
    bottom = 34.0 + 17 * len(leans)
    said = "; ".join(f"{one.who} {number(one.points, signed=True, digits=1)}" for one in leans)
    drawing = Drawing(WIDTH, bottom + 36, f"Bias of the coders, {title}", f"Percentage points: {said}.")
    drawing.text("heading", (8, 18), title, WIDTH - 60)
    drawing.text("tick end", (WIDTH - 6, 18), "ratio")
    x = Scale(-reach, reach, 86.0, WIDTH - 50)
    for value in ticks(-reach, reach, 4):
        drawing.line("grid strong" if value == 0 else "grid", (x(value), 28), (x(value), bottom))
        drawing.text("tick middle", (x(value), bottom + 14), tick(value))
    drawing.text("label middle", (x(0), bottom + 30), "percentage points")
    for n, one in enumerate(leans):
        y = 40.0 + 17 * n
        drawing.text("row", (8, y + 4), one.who, 74)
        if not np.isnan(one.low):
            drawing.line("coders stroke", (x(one.low), y), (x(one.high), y))
        drawing.sign("coders fill", "circle", (x(one.points), y))
        drawing.text("value end", (WIDTH - 6, y + 4), number(one.ratio))
    return drawing


class Bin(NamedTuple):
    """Utterances with about the same probability: their mean probability, how many of them are marked, how many."""

    p: float
    marked: float
    low: float
    high: float
    n: int


def reliability(title: str, bins: Sequence[Bin], style: str, fewest: int) -> Drawing:
    """Probability against frequency; bins with fewer than `fewest` utterances are hollow."""
    said = "; ".join(f"{number(b.p)} said, {number(b.marked)} marked ({b.n} utterances)" for b in bins)
    drawing = Drawing(WIDTH, HEIGHT, f"Calibration of {title}", f"Mean probability and share marked per bin: {said}.")
    axes = _square(drawing, title, (0, 1), (0, 1), SHARES, SHARES)
    axes.labels("probability given", "share marked by the consensus")
    drawing.line("grid strong", axes.at(0, 0), axes.at(1, 1))
    for b in bins:
        if not np.isnan(b.low):
            drawing.line(f"{style} stroke", axes.at(b.p, b.low), axes.at(b.p, b.high))
    drawing.path(f"{style} thread", [axes.at(b.p, b.marked) for b in bins if b.n >= fewest])
    for b in bins:
        drawing.sign(f"{style} {'fill' if b.n >= fewest else 'hollow'}", "circle", axes.at(b.p, b.marked))
    return drawing


def precision_recall(
    title: str, curve: np.ndarray, chance: float, chosen: tuple[float, float] | None, area: float, style: str
) -> Drawing:
    """Precision against recall over all thresholds, (n, 2) recall and precision; `chosen`: where the tags stand."""
    where = f" The tags stand at recall {number(chosen[0])}, precision {number(chosen[1])}." if chosen else ""
    said = f"Area under the curve {number(area)}; {number(chance)} would be chance.{where}"
    drawing = Drawing(WIDTH, HEIGHT, f"Precision and recall of {title}", said)
    axes = _square(drawing, title, (0, 1), (0, 1), SHARES, SHARES)
    axes.labels("recall", "precision")
    drawing.line("floor dashed", axes.at(0, chance), axes.at(1, chance))
    drawing.path(f"{style} curve", [axes.at(x, y) for x, y in curve])
    if chosen:
        drawing.sign(f"{style} fill", "diamond", axes.at(*chosen), 5.5)
    return drawing


class Step(NamedTuple):
    """A point of a learning curve: groups learnt from, figure, and its interval."""

    size: float
    figure: float
    low: float
    high: float


def learning_curve(title: str, steps: Sequence[Step], groups: str) -> Drawing:
    """Macro-F1 against the number of groups learnt from."""
    said = "; ".join(f"{step.size:.0f}: {number(step.figure)}" for step in steps)
    drawing = Drawing(WIDTH, HEIGHT, f"Learning curve of {title}", f"Macro-F1 by {groups}. {said}.")
    most = 1.05 * max(step.size for step in steps)
    axes = _square(drawing, title, (0, most), (0, 1), ticks(0, most), SHARES)
    axes.labels(groups, "macro-F1")
    known = [step for step in steps if not np.isnan(step.figure)]
    drawing.path("model-1 thread", [axes.at(step.size, step.figure) for step in known])
    for step in known:
        if not np.isnan(step.low):
            drawing.line("model-1 stroke", axes.at(step.size, step.low), axes.at(step.size, step.high))
        drawing.sign("model-1 fill", "circle", axes.at(step.size, step.figure))
    return drawing


def scatter(title: str, who: str, reference: np.ndarray, model: np.ndarray, style: str) -> Drawing:
    """Counts of a code, a session each; sessions at one place make a larger circle."""
    places, times = np.unique(np.column_stack([reference, model]), axis=0, return_counts=True)
    most = float(max(reference.max(initial=1), model.max(initial=1)))
    said = (
        f"{len(model)} sessions; the consensus marked {reference.mean():.1f} utterances per session on average, "
        f"{who} {model.mean():.1f}."
    )
    drawing = Drawing(WIDTH, HEIGHT, f"Counts per session of {title}", said)
    reach = (-EDGE * most, (1 + EDGE) * most)
    axes = _square(drawing, title, reach, reach, ticks(0, most), ticks(0, most))
    axes.labels("marks by the consensus", f"tags by {who}")
    drawing.line("grid strong", axes.at(0, 0), axes.at(most, most))
    for (x, y), n in zip(places, times, strict=True):
        drawing.sign(f"{style} cloud", "circle", axes.at(x, y), _size(n))
    return drawing


def bland_altman(
    title: str, who: str, reference: np.ndarray, model: np.ndarray, limits: Sequence[Limit], style: str
) -> Drawing:
    """Difference of the counts against their mean, with bias and limits of agreement and their intervals."""
    mean, difference = (model + reference) / 2, model - reference
    said = "; ".join(f"{limit.name} {number(limit.estimate)}" for limit in limits)
    drawing = Drawing(WIDTH, HEIGHT, f"Differences of counts per session of {title}", f"{who} minus consensus. {said}.")
    drawn = [v for limit in limits for v in (limit.estimate, limit.low, limit.high) if not np.isnan(v)]
    low, high = (1.05 * float(edge([*drawn, *difference, bound])) for edge, bound in ((min, -1.0), (max, 1.0)))
    most = float(mean.max(initial=1.0))
    reach = (-EDGE * most, (1 + EDGE) * most)
    axes = _square(drawing, title, reach, (low, high), ticks(0, most), ticks(low, high))
    drawing.line("grid strong", axes.at(reach[0], 0), axes.at(reach[1], 0))
    axes.labels("mean of the two counts", f"{who} minus consensus")
    left, _, right, _ = axes.box
    for limit in limits:
        if np.isnan(limit.estimate):
            continue
        if not np.isnan(limit.low):
            band = [(left, axes.y(limit.low)), (right, axes.y(limit.low))]
            drawing.path("band", [*band, (right, axes.y(limit.high)), (left, axes.y(limit.high))], closed=True)
        middle = limit.name == "bias"
        drawing.line(
            "limit" if middle else "limit dashed", (left, axes.y(limit.estimate)), (right, axes.y(limit.estimate))
        )
    places, times = np.unique(np.column_stack([mean, difference]), axis=0, return_counts=True)
    for (x, y), n in zip(places, times, strict=True):
        drawing.sign(f"{style} cloud", "circle", axes.at(x, y), _size(n))
    return drawing


def _size(n: int) -> float:
    """Radius of a circle for n sessions at one place: its area grows with n, up to nine of them."""
    return 3.0 * min(float(np.sqrt(n)), 3.0)


def strip(title: str, figures: Sequence[tuple[int, float, int]], whole: float, style: str, who: str) -> Drawing:
    """Kappa of each session, sorted; `figures` are (number of the session, kappa, units), `whole` that of all."""
    ordered = sorted(figures, key=lambda one: one[1])
    low = max(-1.0, min(0.0, float(np.floor(ordered[0][1] * 4) / 4)))
    said = f"{len(ordered)} sessions; lowest: " + ", ".join(f"session {s}: {number(k)}" for s, k, _ in ordered[:3])
    drawing = Drawing(WIDTH, HEIGHT, f"Agreement session by session, {title}", f"{who}. {said}.")
    y = [v for v in (-1.0, -0.5, *SHARES) if v >= low]
    axes = _square(drawing, title, (0, len(ordered) + 1), (low, 1), [], y)
    axes.labels("sessions, from lowest to highest", "kappa")
    if not np.isnan(whole):
        drawing.line("limit dashed", axes.at(0, whole), axes.at(len(ordered) + 1, whole))
    largest = max(n for *_, n in ordered)
    for place, (_, kappa, n) in enumerate(ordered, 1):
        drawing.sign(f"{style} cloud", "circle", axes.at(place, kappa), 2 + 3.5 * float(np.sqrt(n / largest)))
    # The lowest stand too close together for a number each.
    lowest = ", ".join(str(session) for session, *_ in ordered[:3])
    drawing.text("tick end", (axes.box[2] - 4, axes.box[3] - 7), f"lowest: sessions {lowest}")
    return drawing


def _square(
    drawing: Drawing,
    title: str,
    x: tuple[float, float],
    y: tuple[float, float],
    x_ticks: Sequence[float],
    y_ticks: Sequence[float],
) -> Axes:
    drawing.text("heading", (8, 18), title, WIDTH - 16)
    axes = Axes(drawing, x, y, BOX)
    axes.grid(x_ticks, y_ticks)
    return axes
