"""SubRip subtitles (SRT), as transcription services and speech recognition export them."""

from __future__ import annotations

import re

from threers.errors import InputError
from threers.formats.captions import document
from threers.formats.cues import find_cues, is_timing
from threers.formats.documents import Context, Document, Format
from threers.formats.files import File

#: Where on the screen a text stands, or how it looks: `{\an8}`.
_POSITION = re.compile(r"\{\\[^{}\n]*\}")


def fits(file: File) -> bool:
    """Do times with an arrow stand on one of the first lines, and is it not WebVTT?"""
    head = file.head.lstrip()
    first = [line for line in head[:2000].splitlines() if line.strip()][:3]
    return not head.startswith("WEBVTT") and any(map(is_timing, first))


def read(file: File, context: Context) -> list[Document]:
    """Read the session; speakers stand in front of texts as `Name:` or `[Speaker 1]`.

    Raises:
        InputError: no text with times.

    """
    found = find_cues(_POSITION.sub("", file.text), web=False)
    if not found.cues:
        raise InputError("no cues were found; expected times such as 00:00:01,000 --> 00:00:04,000")
    session = document(found.cues, context)
    session.notes[:0] = found.notes
    return [session]


FORMAT = Format(name="srt", title="SubRip subtitles", suffixes=(".srt",), fits=fits, read=read)
