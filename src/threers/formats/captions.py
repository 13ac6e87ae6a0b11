"""Cues of subtitles and segments of speech recognition to lines of speech: who speaks, and where one utterance ends."""

from __future__ import annotations

import html
import re
import string
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from threers.errors import InputError
from threers.formats.documents import Context, Document, Line
from threers.formats.speakers import find_names
from threers.formats.times import seconds, with_thousandths

#: Seconds of silence after which a speaker's next cue is a new utterance. Programs cut cues at breaths and at the ends
#: of sentences, which are shorter; a longer silence is one that a coder may want to mark.
GAP = 2.0

# The libraries webvtt-py and srt are not used: they stop at the first odd time, know one voice for each cue, and leave
# `Name: text` in the text.
_TIME = r"-?[\d:.,;]{0,20}"
_TIMING = re.compile(rf"\s*(?P<start>{_TIME})\s*(?:-{{1,3}}>|[\u2013\u2014]>|→)\s*(?P<end>{_TIME})(?=\s|$)")
_COMMENT = re.compile(r"(?:NOTE|STYLE|REGION|WEBVTT)(?:\s|$)")
_COUNTER = re.compile(r"\s*(?:\d{1,9}|[0-9a-fA-F-]{36}(?:/\d{1,9}-\d{1,9})?)\s*")
_VOICE = re.compile(r"<v(?:\.[^\s<>]*)?(?:\s(?P<name>[^<>]*))?>|</v>")
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
# Only tags that subtitles have: `<laughs>` is the transcriber's.
_TAG = re.compile(
    r"</?(?:c|i|b|u|s|ruby|rt)(?:\.[^\s<>]*)?>|</?(?:lang|font|span|p)(?:[.\s][^<>]*)?>|<\d[\d:.]*>", re.IGNORECASE
)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
#: Marks of writing direction, which some programs put in front of a name.
_DIRECTION = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
_NAMED = re.compile(
    rf"[\s{_DIRECTION}]{{0,20}}(?:(?:-|\u2013|>>)\s{{0,3}})?"
    r"(?:\[(?P<label>[^\[\]:]{1,60})\](?P<colon>:)?(?=.)|(?P<name>[^\W_][^:\[\]<>]{0,59}):(?!\d|//))\s*"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """A text with its times as a file has it; `identifier`: what stands above the times."""

    row: int
    text: str
    speaker: str = ""
    start: float | None = None
    end: float | None = None
    identifier: str = ""


@dataclass(slots=True, kw_only=True)
class Captions:
    """What a file of cues holds; `comments`: blocks of WebVTT that are no cues; `notes`: as for Document."""

    cues: list[Cue] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    notes: list[tuple[int | None, str]] = field(default_factory=list)


def is_timing(line: str) -> bool:
    """Do the times of a cue stand on this line, one of them at least?"""
    return read_timing(line) is not None


def read_timing(line: str) -> tuple[str, str] | None:
    """The times of a cue as they stand on this line, one of them at least; None: it has none."""
    found = _TIMING.match(line)
    return (found["start"], found["end"]) if found and ":" in found["start"] + found["end"] else None


def find_cues(text: str, *, web: bool) -> Captions:
    """Find the cues; `web`: as WebVTT has them, with comments, styles and identifiers of any kind.

    Text belongs to the times above it, over empty lines too: some services put one below the times, and speech may hold
    one.
    """
    stretches: list[tuple[int, re.Match[str] | None, list[str]]] = [(0, None, [])]
    for row, line in enumerate(re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff")), start=1):
        if is_timing(line):
            stretches.append((row, _TIMING.match(line), []))
        else:
            stretches[-1][2].append(line)
    found = Captions()
    lost: list[int] = []
    timings = [times[which] for _, times, _ in stretches if times for which in ("start", "end")]
    written = iter(with_thousandths(timings))
    identifier = ""
    for place, (row, times, lines) in enumerate(stretches):
        below = _take_identifier(lines, web) if place + 1 < len(stretches) else ""
        start, end = (seconds(next(written)), seconds(next(written))) if times else (None, None)
        said: list[str] = []
        here = Cue(row=row, text="", start=start, end=end, identifier=identifier)
        for offset, block in _blocks(lines):
            if web and (offset or not times) and _COMMENT.match(block[0]):
                found.comments.append("\n".join(block))
            elif offset and len(block) > 1 and block[0].strip() == _next_counter(here):
                found.cues.append(replace(here, text="\n".join(said)))
                here, said = Cue(row=row + offset + 1, text="", identifier=block[0].strip()), block[1:]
            elif times:
                said += block
            else:
                lost.append(row + offset + 1)
        if times:
            found.cues.append(replace(here, text="\n".join(said)))
        identifier = below
    untimed = [cue.row for cue in found.cues if cue.start is None or cue.end is None]
    found.notes += counted_note(lost, "no time: a text stands before the first time", "left out")
    found.notes += counted_note(untimed, "time not readable: a cue lacks its start or its end", "kept without it")
    return found


def counted_note(rows: Sequence[int], what: str, done: str) -> list[tuple[int | None, str]]:
    """Make one note at the first of the rows, saying how many such there are; none without rows."""
    return [(rows[0], f"{what} ({len(rows)} such in this session); {done}")] if rows else []


def plain(text: str) -> str:
    """Text of a cue without the tags and entities of subtitles."""
    return _ENTITY.sub(lambda found: html.unescape(found[0]), _TAG.sub("", _BREAK.sub("\n", text)))


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


def folded(text: str) -> str:
    """Text with each stretch of white space as one space, and without halves of characters, which JSON can hold."""
    return " ".join(text.encode("utf-8", errors="replace").decode().split())


def _blocks(lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Lines between empty ones, with the place of the first."""
    block: list[str] = []
    for place, line in enumerate([*lines, ""]):
        if line.strip():
            block.append(line)
        elif block:
            yield place - len(block), block
            block = []


def _take_identifier(lines: list[str], web: bool) -> str:
    """Take from the lines above a cue's times the identifier of that cue: a counter, or in WebVTT a line by itself."""
    if not lines or "WEBVTT" in lines[-1]:
        return ""
    alone = web and bool(lines[-1].strip()) and (len(lines) == 1 or not lines[-2].strip())
    if alone or _COUNTER.fullmatch(lines[-1]):
        return lines.pop().strip()
    if not lines[-1].strip() and len(lines) > 1 and _COUNTER.fullmatch(lines[-2]):
        return lines.pop(-2).strip()
    return ""


def _next_counter(cue: Cue) -> str:
    # Python refuses to read numbers of thousands of digits.
    return str(int(cue.identifier) + 1) if re.fullmatch(r"\d{1,9}", cue.identifier) else ""


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
    name = folded(groups.get("speaker") or groups.get("label") or groups.get("name") or "").strip(
        _DIRECTION + string.whitespace
    )
    return name if "speaker" in groups or len(name.split()) <= 6 else ""


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
