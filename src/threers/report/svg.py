"""Plain SVG: a drawing with a title and a description, and axes that turn figures into places on it.

Colours, line widths and sizes of type are CSS classes of the page (`templates/style.css`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

#: Width of a letter at the size that drawings use, on average, in units of the drawing.
LETTER = 6.2


class Drawing:
    """An SVG of fixed proportions that scales with the page. Positions are from the top left corner."""

    def __init__(self, width: float, height: float, title: str, description: str) -> None:
        """`title` names the drawing, `description` says in words what is to be seen, for those who do not see it."""
        self.width, self.height = width, height
        self.title, self.description = title, description
        self._parts: list[str] = []

    def add(self, tag: str, style: str, content: str = "", **attributes: object) -> None:
        """Append an element with the CSS class `style`; numbers are rounded, text is escaped."""
        given = {"class": style, **{name.replace("_", "-"): value for name, value in attributes.items()}}
        written = "".join(f' {name}="{_plain(value)}"' for name, value in given.items() if value != "")
        self._parts.append(f"<{tag}{written}>{escape(content)}</{tag}>" if content else f"<{tag}{written}/>")

    def line(self, style: str, start: tuple[float, float], end: tuple[float, float]) -> None:
        """A straight line."""
        self.add("line", style, x1=start[0], y1=start[1], x2=end[0], y2=end[1])

    def path(self, style: str, points: Iterable[tuple[float, float]], closed: bool = False) -> None:
        """A line through points, or with `closed` an area."""
        joined = " L".join(f"{_plain(x)} {_plain(y)}" for x, y in points)
        if joined:
            self.add("path", style, d=f"M{joined}{' Z' if closed else ''}")

    def text(self, style: str, at: tuple[float, float], content: str, room: float = 0) -> None:
        """Write text at its baseline; cut short where it would be wider than `room`."""
        letters = int(room / LETTER) if room else len(content)
        shown = content if len(content) <= letters else content[: max(letters - 1, 1)].rstrip() + "…"
        self.add("text", style, shown, x=at[0], y=at[1])

    def sign(self, style: str, kind: str, at: tuple[float, float], size: float = 4.5) -> None:
        """A mark: `circle`, `diamond` or `tick`."""
        x, y = at
        if kind == "circle":
            self.add("circle", style, cx=x, cy=y, r=size)
        elif kind == "diamond":
            far = size * 1.3
            self.path(style, [(x, y - far), (x + far, y), (x, y + far), (x - far, y)], closed=True)
        else:
            self.line(style, (x, y - size), (x, y + size))

    def svg(self, name: str) -> Markup:
        """The element, with ids that begin with `name`."""
        head = (
            f'<svg viewBox="0 0 {_plain(self.width)} {_plain(self.height)}" role="img" '
            f'aria-labelledby="{escape(name)}-title" aria-describedby="{escape(name)}-text">'
            f'<title id="{escape(name)}-title">{escape(self.title)}</title>'
            f'<desc id="{escape(name)}-text">{escape(self.description)}</desc>'
        )
        return Markup(head + "".join(self._parts) + "</svg>")


class Scale(NamedTuple):
    """A linear scale: from `low` to `high` on the paper from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Place of a value; what lies outside stands at the rim."""
        share = (min(max(value, self.low), self.high) - self.low) / ((self.high - self.low) or 1.0)
        return self.start + share * (self.end - self.start)


class Axes:
    """The frame of a plot: scales, grid and labels."""

    def __init__(
        self, drawing: Drawing, x: tuple[float, float], y: tuple[float, float], box: tuple[float, float, float, float]
    ) -> None:
        """`box`: left, top, right, bottom of the plot within the drawing."""
        left, top, right, bottom = self.box = box
        self.drawing, self.x, self.y = drawing, Scale(*x, left, right), Scale(*y, bottom, top)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Place of a point."""
        return self.x(x), self.y(y)

    def grid(self, x: Sequence[float], y: Sequence[float]) -> None:
        """Thin lines with their values at the left and below."""
        left, top, right, bottom = self.box
        for value in x:
            self.drawing.line("grid", (self.x(value), top), (self.x(value), bottom))
            self.drawing.text("tick middle", (self.x(value), bottom + 14), tick(value))
        for value in y:
            self.drawing.line("grid", (left, self.y(value)), (right, self.y(value)))
            self.drawing.text("tick end", (left - 5, self.y(value) + 4), tick(value))

    def labels(self, x: str, y: str) -> None:
        """Name the axes: x below, y above the upper left corner, where it reads without turning the head."""
        left, top, right, bottom = self.box
        self.drawing.text("label middle", ((left + right) / 2, bottom + 30), x)
        self.drawing.text("label", (8, top - 8), y)


def tick(value: float) -> str:
    """A value at an axis."""
    return f"{value:g}".replace("-", "\N{MINUS SIGN}")


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round values from low to high, at most `most` + 1."""
    if high <= low:
        return [low]
    step = 10.0 ** len(str(int(high - low)))
    for smaller in (2, 2.5, 2) * 6:
        if (high - low) / (step / smaller) > most:
            break
        step /= smaller
    first = int(low / step) - (low < 0)
    values = [round(n * step, 10) for n in range(first, int(high / step) + 1)]
    return [value for value in values if low <= value <= high]


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}".removesuffix(".0")
    return str(escape(value))
