"""Stretches of a text that coders selected, to marks on the lines that they touch."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from threers.formats.documents import Document, Mark
from threers.formats.speech import Spoken


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Characters from `start`, before `end`, of a file's text, that a coder gave a code; `row` for messages."""

    row: int
    code: str
    start: int
    end: int
    coder: str = ""
    value: str = ""


def marked(spoken: Sequence[Spoken], selections: Iterable[Selection], session: str = "") -> Document:
    """A document of lines and the marks on them; a selection that touches no line's text is a note with the nearest.

    A selection lies on each line that it touches, unless it covers some line by half or more (or lies in it by half or
    more): then on those alone, so that a border drawn a word too far codes no neighbour. `spoken`: in the text's order.
    """
    document = Document(session=session, lines=[one.line for one in spoken])
    starts, ends = [one.start for one in spoken], [one.end for one in spoken]
    for chosen in selections:
        first, last = bisect_right(ends, chosen.start), bisect_left(starts, chosen.end) - 1
        if first > last or chosen.start >= chosen.end:
            document.notes.append((chosen.row, f"no such utterance: {_nearest(spoken, starts, ends, chosen)}"))
            continue
        lines = _by_half(spoken, first, last, chosen)
        if lines != (first, last):
            reason = "selection crosses utterances: covers one by less than half; coding given to the others"
            document.notes.append((chosen.row, reason))
        document.marks.append(
            Mark(row=chosen.row, code=chosen.code, coder=chosen.coder, value=chosen.value, lines=lines)
        )
    return document


def _by_half(spoken: Sequence[Spoken], first: int, last: int, chosen: Selection) -> tuple[int, int]:
    """Without the first or last line where little of it is covered; the lines between them are covered whole."""

    def much(number: int) -> bool:
        one = spoken[number]
        covered = min(one.end, chosen.end) - max(one.start, chosen.start)
        return 2 * covered >= min(one.end - one.start, chosen.end - chosen.start)

    begins, stops = much(first), much(last)
    if not begins and not stops and last - first < 2:
        return first, last
    return first + (not begins), last - (not stops)


def _nearest(spoken: Sequence[Spoken], starts: list[int], ends: list[int], chosen: Selection) -> str:
    before, after = bisect_right(starts, chosen.start) - 1, bisect_left(ends, chosen.end)
    rows = [spoken[number].line.row for number in sorted({before, after}) if 0 <= number < len(spoken)]
    near = " and ".join(f"line {row}" for row in rows) or "none"
    return f"the selection covers no speech, nearest: {near}; coding dropped"


def from_utf16(text: str) -> list[int] | None:
    """Place in the text of each UTF-16 code unit, in which Java and JavaScript count; None: both count alike.

    >>> from_utf16("a😀b")
    [0, 1, 1, 2, 3]
    """
    if not text or max(text) <= "\uffff":
        return None
    widths = [2 if letter > "\uffff" else 1 for letter in text]
    ends = list(accumulate(widths))
    places = [0] * (ends[-1] + 1)
    for place, (end, width) in enumerate(zip(ends, widths, strict=True)):
        places[end - width : end] = [place] * width
    places[-1] = len(text)
    return places
