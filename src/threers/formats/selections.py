"""Stretches of a text that coders selected, to marks on the lines that they touch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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

    A selection lies on each line of which it covers a letter or digit, unless it covers some line by half or more: then on those
    alone of which it covers half or more, so that a border drawn a word too far codes no neighbour.
    """
    notes: list[tuple[int | None, str]] = []
    marks = []
    for chosen in selections:
        shares = [
            (number, covered / max(1, min(one.end - one.start, chosen.end - chosen.start)))
            for number, one in enumerate(spoken)
            if (covered := min(one.end, chosen.end) - max(one.start, chosen.start)) > 0
        ]
        if not shares:
            notes.append((chosen.row, f"no such utterance: {_nearest(spoken, chosen)}; coding dropped"))
            continue
        half = [number for number, share in shares if share >= 0.5] or [number for number, _ in shares]
        marks.append(
            Mark(row=chosen.row, code=chosen.code, coder=chosen.coder, value=chosen.value, lines=(half[0], half[-1]))
        )
        if len(half) < len(shares):
            notes.append((chosen.row, "selection crosses utterances: it was given to those that it covers by half"))
    return Document(session=session, lines=[one.line for one in spoken], marks=marks, notes=notes)


def _nearest(spoken: Sequence[Spoken], chosen: Selection) -> str:
    before = max((one.line.row for one in spoken if one.end <= chosen.start), default=None)
    after = min((one.line.row for one in spoken if one.start >= chosen.end), default=None)
    near = " and ".join(f"line {row}" for row in (before, after) if row is not None)
    return f"the selection covers no speech; nearest: {near or 'none'}"
