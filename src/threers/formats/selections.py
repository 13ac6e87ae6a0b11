"""Stretches of a text that coders selected, to marks on the lines that they touch."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from threers.formats.documents import Document, Line, Mark
from threers.formats.speech import Speech, Spoken, read_speech


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Characters from `start`, before `end`, of a file's text, that a coder gave a code; `row` for messages."""

    row: int
    code: str
    start: int
    end: int
    coder: str = ""
    value: str = ""


def find_lines(text: str, pattern: re.Pattern[str] | None = None, parts: Iterable[tuple[int, int]] = ()) -> Speech:
    """Lines of speech in an annotated text; one that names no speaker is cut at `parts`, else at its line breaks."""
    speech = read_speech(text, pattern)
    if any(one.line.speaker for one in speech.spoken):
        # Their rows are those of the text; a reject's row is that of the file in which it stands.
        return Speech(spoken=speech.spoken, notes=[(None, reason) for _, reason in speech.notes])
    ends = list(accumulate(len(line) for line in text.splitlines(keepends=True)))
    found = []
    for row, (start, end) in enumerate(list(parts) or zip([0, *ends], ends, strict=False), start=1):
        words = text[start:end]
        if said := words.strip():
            start += len(words) - len(words.lstrip())
            found.append(Spoken(Line(row=row, text=" ".join(said.split())), start, start + len(said)))
    return Speech(spoken=found)


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


def from_utf16(text: str) -> Callable[[int], int]:
    """From places that Java and JavaScript count, in UTF-16, to places in the text; what lies beyond it is its end.

    >>> [from_utf16("a😀b")(unit) for unit in range(6)]
    [0, 1, 1, 2, 3, 3]
    """
    if not text or max(text) <= "\uffff":
        return lambda unit: min(max(unit, 0), len(text))
    units = [place for place, letter in enumerate(text) for _ in range(2 if letter > "\uffff" else 1)] + [len(text)]
    return lambda unit: units[min(max(unit, 0), len(units) - 1)]


def clean(text: str) -> str:
    """Without NUL and half surrogate pairs, which JSON can hold and no file can; as long as before."""
    return re.sub("[\0\ud800-\udfff]", "\ufffd", text)
