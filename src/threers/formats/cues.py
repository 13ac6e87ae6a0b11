"""Cues of subtitles and segments of speech recognition: texts with times, found in a file."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from threers.formats.times import seconds, with_thousandths

# The libraries webvtt-py and srt are not used: they stop at the first odd time, know one voice for each cue, and leave
# `Name: text` in the text.
_TIME = r"-?[\d:.,;]{0,20}"
_TIMING = re.compile(rf"\s*(?P<start>{_TIME})\s*(?:-{{1,3}}>|[\u2013\u2014]>|→)\s*(?P<end>{_TIME})(?=\s|$)")
_COMMENT = re.compile(r"(?:NOTE|STYLE|REGION|WEBVTT)(?:\s|$)")
_COUNTER = re.compile(r"\s*(?:\d{1,9}|[0-9a-fA-F-]{36}(?:/\d{1,9}-\d{1,9})?)\s*")
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
# Only tags that subtitles have: `<laughs>` is the transcriber's.
_TAG = re.compile(
    r"</?(?:c|i|b|u|s|ruby|rt)(?:\.[^\s<>]*)?>|</?(?:lang|font|span|p)(?:[.\s][^<>]*)?>|<\d[\d:.]*>", re.IGNORECASE
)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")


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
