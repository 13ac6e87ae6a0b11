"""Places in the texts of a REFI-QDA project: as programs count them, and the times that belong to them.

Places are Unicode characters, counted from 0, by the standard. Some programs count in UTF-16, and a Windows line end as
one character or as two. A byte order mark never counts.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from threers.formats.speech import Spoken

Place = Callable[[int], int]


def counted(text: str, selections: Sequence[tuple[int, int, str]], atlas: bool) -> tuple[Place, str]:
    """From places as the program counts them to places in the text, and a note where it counts in a way of its own.

    That way is taken by which most selections (start, end, name) begin with the words that their names repeat, then by
    which most begin and end with whole words; by the standard where nothing tells. `atlas`: ATLAS.ti is known to count
    a line end as one.
    """
    ends = [found.end() - 1 for found in re.finditer("\r\n", text)]
    wide = [found.start() for found in re.finditer("[\U00010000-\U0010ffff]", text)]
    ways = [(utf16, one) for utf16 in (False, True) for one in (atlas, not atlas)]
    ways = [(utf16, one) for utf16, one in ways if (wide or not utf16) and (ends or one is atlas)]

    def place(way: tuple[bool, bool], number: int) -> int:
        def count(at: int) -> int:
            return at + way[0] * bisect_left(wide, at) - way[1] * bisect_left(ends, at)

        return bisect_left(range(len(text)), number, key=count)

    def fit(way: tuple[bool, bool]) -> tuple[int, int]:
        placed = [(place(way, start), place(way, end), name) for start, end, name in selections]
        named = sum(_begins(text, start, name) for start, _, name in placed)
        return named, sum(_is_border(text, start) + _is_border(text, end) for start, end, _ in placed)

    best = max(ways, key=fit) if len(ways) > 1 else ways[0]
    how = ["in UTF-16"] * best[0] + [f"with {'one place' if best[1] else 'two places'} for a line end"] * bool(ends)
    note = f"places counted otherwise: {' and '.join(how)}, as the words tell with which codings begin and end"
    return lambda number: place(best, number), note if best != ways[0] else ""


def timed(spoken: Sequence[Spoken], points: Iterable[tuple[int, float]]) -> list[Spoken]:
    """Lines with the times (place, seconds) between them: the last before a line's text, and the first after it."""
    points = sorted(points)
    places, times = [place for place, _ in points], [time for _, time in points]
    if len(set(times)) < 2:  # a program that knows no times writes 0 everywhere
        return list(spoken)
    found = []
    for number, one in enumerate(spoken):
        before = spoken[number - 1].end if number else 0
        after = spoken[number + 1].start if number + 1 < len(spoken) else places[-1]
        first, last = bisect_right(places, one.start) - 1, bisect_left(places, one.end)
        start = times[first] if first >= 0 and places[first] >= before else one.line.start
        end = times[last] if last < len(places) and places[last] <= after else one.line.end
        if start is not None and end is not None and end < start:
            end = None
        found.append(Spoken(replace(one.line, start=start, end=end), one.start, one.end))
    return found


def _begins(text: str, at: int, name: str) -> bool:
    name = " ".join(name.split()).rstrip(" .…")
    return len(name) > 3 and " ".join(text[at : at + 2 * len(name)].split()).startswith(name)


def _is_border(text: str, at: int) -> bool:
    return not (text[max(at - 1, 0) : at].isalnum() and text[at : at + 1].isalnum())
