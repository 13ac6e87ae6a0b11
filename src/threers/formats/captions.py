"""Cues of subtitles and segments of speech recognition to lines of speech: who speaks, and where one utterance ends."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from threers.errors import InputError
from threers.formats.cues import Cue, counted_note, folded, plain
from threers.formats.documents import Context, Document, Line
from threers.formats.speakers import find_names

#: Seconds of silence after which a speaker's next cue is a new utterance. Programs cut cues at breaths and at the ends
#: of sentences, which are shorter; a longer silence is one that a coder may want to mark.
GAP = 2.0

_VOICE = re.compile(r"<v(?:\.[^\s<>]*)?(?:\s(?P<name>[^<>]*))?>|</v>")
#: Marks of writing direction, which some programs put in front of a name.
_DIRECTION = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
#: Of a name that need not come back.
_WORDS = 6
_NAMED = re.compile(
    rf"[\s{_DIRECTION}]{{0,20}}(?:(?:-|\u2013|>>)\s{{0,3}})?"
    r"(?:\[(?P<label>[^\[\]:]{1,60})\](?P<colon>:)?(?=.)|(?P<name>[^\W_][^:\[\]<>]{0,59}):(?!\d|//))\s*"
)


def document(cues: Sequence[Cue], context: Context) -> Document:
    """Make a document of cues in which voices, or names in front of the text, may say who speaks.

    Raises:
        InputError: no cue has any text.

    """
    parts = [part for cue in cues for part in _voices(cue)]
    notes: list[tuple[int | None, str]] = []
    if context.speaker is not None or not any(part.speaker for part in parts):
        parts, notes = _named(parts, context.speaker)
    if context.speaker is None and not any(part.speaker for part in parts):
        parts = _titled(parts)
    return merged(parts, notes)


def merged(cues: Sequence[Cue], notes: Sequence[tuple[int | None, str]] = ()) -> Document:
    """Make a document in which cues of one speaker in succession are one utterance.

    A cue without a speaker goes on with the one before, if a speaker is known there. Neither goes over a silence longer
    than GAP, nor back in time. Times are those of the first and the last cue. Without any speaker each cue is a line.

    Raises:
        InputError: no cue has any text.

    """
    silent = [cue.row for cue in cues if not cue.text.strip()]
    inverted = [cue.row for cue in cues if _is_inverted(cue)]
    spoken = [replace(cue, end=None) if _is_inverted(cue) else cue for cue in cues if cue.text.strip()]
    if not spoken:
        raise InputError("no speech was found; expected cues or segments with a text; is the file cut off?")
    groups: list[list[Cue]] = []
    reach: float | None = None
    for cue in spoken:
        if groups and _goes_on(groups[-1][0], reach, cue):
            groups[-1].append(cue)
        else:
            groups.append([cue])
            reach = None
        reach = max((time for time in (reach, cue.start, cue.end) if time is not None), default=None)
    lines = [
        Line(
            row=group[0].row,
            text=folded(" ".join(cue.text for cue in group)),
            speaker=group[0].speaker,
            start=group[0].start,
            end=max((cue.end for cue in group if cue.end is not None), default=None),
        )
        for group in groups
    ]
    found = [*notes, *counted_note(silent, "no text: a cue is empty", "left out")]
    found += counted_note(inverted, "time not readable: a cue ends before it begins", "kept without the end")
    return Document(lines=lines, notes=found + _time_notes(spoken))


def _voices(cue: Cue) -> list[Cue]:
    """Part a cue where its voices change; they share its times, as nothing says where the change is."""
    parts: list[Cue] = []
    speaker, at = "", 0
    for tag in [*_VOICE.finditer(cue.text), None]:
        said = plain(cue.text[at : tag.start() if tag else len(cue.text)])
        if said.strip(_DIRECTION + string.whitespace):
            parts.append(replace(cue, text=said, speaker=speaker))
        if tag:
            speaker, at = folded(plain(tag["name"] or "")).strip(_DIRECTION + string.whitespace), tag.end()
    return parts or [replace(cue, text="")]


def _named(cues: Sequence[Cue], pattern: re.Pattern[str] | None) -> tuple[list[Cue], list[tuple[int | None, str]]]:
    """Part cues at names in front of the text."""
    found = {
        (place, row): prefix
        for place, cue in enumerate(cues)
        for row, line in enumerate(cue.text.split("\n"))
        if (prefix := (pattern or _NAMED).match(line)) is not None and _name(prefix)
    }
    if pattern is None:
        times = Counter(map(_name, found.values()))
        # Many words before a colon are a name if they come back, as Zoom's names with a title and a practice do.
        found = {at: one for at, one in found.items() if len(_name(one).split()) <= _WORDS or times[_name(one)] > 1}
    names = {_name(prefix) for prefix in found.values()} if pattern else _speakers(found, len(cues))
    parts: list[Cue] = []
    for place, cue in enumerate(cues):
        said: list[tuple[str, list[str]]] = [(cue.speaker, [])]
        for row, line in enumerate(cue.text.split("\n")):
            prefix = found.get((place, row))
            if prefix is not None and _name(prefix) in names:
                said.append((_name(prefix), [line[prefix.end() :]]))
            else:
                said[-1][1].append(line)
        texts = [(speaker, "\n".join(lines)) for speaker, lines in said]
        parts += [replace(cue, text=text, speaker=speaker) for speaker, text in texts if text.strip()] or [
            replace(cue, text="")
        ]
    unsure = [cues[place].row for (place, _), one in found.items() if _name(one) not in names and _is_sure(one)]
    what = "perhaps a speaker: a text begins with words and a colon, too rare for a speaker"
    return parts, counted_note(unsure, what, "kept as text")


def _titled(cues: list[Cue]) -> list[Cue]:
    """Take who speaks from the first lines of the texts, if those are names, as in old transcripts of Teams."""
    parted = [cue.text.strip().partition("\n") for cue in cues]
    names = find_names([name for name, _, _ in parted])
    return [
        replace(cue, speaker=folded(name), text=said) if names else cue
        for cue, (name, _, said) in zip(cues, parted, strict=True)
    ]


def _speakers(found: dict[tuple[int, int], re.Match[str]], cues: int) -> set[str]:
    """Which of the names in front of texts are speakers, and not words such as `I said:`.

    Either most cues begin with a name (Zoom, WhisperX name every cue), or two names at least come back and stand
    in front of every twentieth cue at least (others name a speaker where the turn begins).
    """
    if 2 * len({place for place, _ in found}) > cues:
        return {_name(prefix) for prefix in found.values()}
    times = Counter(_name(prefix) for prefix in found.values() if _is_sure(prefix))
    back = {name for name, count in times.items() if count > 1}
    return back if len(back) > 1 and 20 * sum(times[name] for name in back) >= cues else set()


def _name(prefix: re.Match[str]) -> str:
    groups = prefix.groupdict()
    return folded(groups.get("speaker") or groups.get("label") or groups.get("name") or "").strip(
        _DIRECTION + string.whitespace
    )


def _is_sure(prefix: re.Match[str]) -> bool:
    """A name begins with no small letter; in brackets without a colon it has a digit, or it may be `[Music]`."""
    name, groups = _name(prefix), prefix.groupdict()
    in_brackets = groups.get("label") is not None and groups.get("colon") is None
    return not name[0].islower() and (not in_brackets or any(letter.isdigit() for letter in name))


def _is_inverted(cue: Cue) -> bool:
    return cue.start is not None and cue.end is not None and cue.end < cue.start


def _goes_on(first: Cue, reach: float | None, cue: Cue) -> bool:
    if not first.speaker or cue.speaker not in ("", first.speaker):
        return False
    if cue.start is None or reach is None:
        return True
    return cue.start - reach <= GAP and (first.start is None or cue.start >= first.start)


def _time_notes(cues: Sequence[Cue]) -> list[tuple[int | None, str]]:
    backward: list[int] = []
    overlapping: list[int] = []
    timed = [cue for cue in cues if cue.start is not None]
    for before, cue in pairwise(timed):
        if cue.row == before.row or cue.start is None or before.start is None:
            continue
        if cue.start < before.start:
            backward.append(cue.row)
        elif before.end is not None and cue.start < before.end:
            overlapping.append(cue.row)
    notes = counted_note(backward, "time goes backwards: a cue begins before the one above it", "kept")
    return notes + counted_note(overlapping, "times overlap: a cue begins before the one above it has ended", "kept")
