"""Text with speakers in front of what they say to lines of speech, with their places in the text."""

from __future__ import annotations

import re
from dataclasses import dataclass

from threers.formats.documents import Line
from threers.formats.times import seconds

#: `T:`, `Th.:`, `Patient 2:`, `Therapist -`, `[00:01:02] P:`; f4's `#00:01:02-5#` stands at the end of a line.
_STAMP = r"[\[(#]?(?P<start>\d{1,2}:\d{2}(?::\d{2})?(?:[.,-]\d{1,3})?)[\])#]?"
SPEAKER = re.compile(
    rf"^\s*(?:{_STAMP}\s*)?(?P<speaker>[^\W\d_](?:[\w .'’-]{{0,38}}[\w.])?)\s*(?:\([^)]*\)\s*)?(?::(?!\d)|\s[-–—]\s|\t)\s*"
)


@dataclass(frozen=True, slots=True)
class Spoken:
    """A line of speech, and where its text stands in the file's text: from `start`, before `end`."""

    line: Line
    start: int
    end: int


def find_speech(text: str, pattern: re.Pattern[str] | None = None) -> list[Spoken]:
    """Lines of speech in a text; a line without a speaker goes on with what the speaker before said.

    `pattern`: what stands in front of speech, in place of SPEAKER, with the group `speaker` and perhaps `start`, `end`.
    """
    found: list[Spoken] = []
    at = 0
    for row, raw in enumerate(text.splitlines(keepends=True), start=1):
        begin, at = at, at + len(raw)
        said = raw.rstrip()
        prefix = (pattern or SPEAKER).match(said)
        words = said[prefix.end() if prefix else 0 :]
        if not words.strip():
            continue
        start = begin + len(said) - len(words.lstrip())
        if prefix is None and found:
            last = found[-1]
            joined = Line(row=last.line.row, text=f"{last.line.text} {words.strip()}", speaker=last.line.speaker)
            found[-1] = Spoken(joined, last.start, begin + len(said))
            continue
        named = prefix.groupdict() if prefix else {}
        stamp = seconds(named.get("start") or "")
        line = Line(row=row, text=words.strip(), speaker=(named.get("speaker") or "").strip(), start=stamp)
        found.append(Spoken(line, start, begin + len(said)))
    return found
