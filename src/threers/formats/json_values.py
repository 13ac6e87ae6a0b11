"""Values in JSON, which may be of any kind, as the numbers and names that they may mean."""

from __future__ import annotations

import math

from threers.formats.tables import cell_text


def number(value: object) -> float | None:
    """A finite number, also one written as text; None: anything else.

    >>> number("4.5"), number(True), number("x")
    (4.5, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def name(value: object) -> str:
    """A text, or a number as a person would write it; empty: anything else.

    >>> name("P"), name(2.0), name(True)
    ('P', '2', '')
    """
    return cell_text(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else ""
