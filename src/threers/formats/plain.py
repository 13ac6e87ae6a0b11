"""Plain text with speakers in front of what they say: `T: …`, `Patient 2: …`, f4 transcripts, Teams and others."""

from __future__ import annotations

import re

from threers.formats.documents import Context, Document, Format
from threers.formats.files import File
from threers.formats.paragraphs import require_speech
from threers.formats.speech import begins_with_speakers, read_speech

_SUFFIXES = (".txt", ".text", ".md")
#: Characters that no text has; many of them are a binary file's.
_CONTROL = re.compile(r"[\x01-\x08\x0e-\x1a\x1c-\x1f]")


def _fits(file: File) -> bool:
    """Is it text, but no markup or records, with the name of a text file or with speakers in front of many lines?"""
    head = file.head.lstrip()
    if not head or head.startswith(("{", "[{", '["', "%PDF", "PK\3\4")) or file.root_name:
        return False
    if 200 * len(_CONTROL.findall(head)) > len(head):
        return False
    return file.suffix in _SUFFIXES or begins_with_speakers(head)


def _read(file: File, context: Context) -> list[Document]:
    speech = read_speech(file.text.removeprefix("\ufeff"), context.speaker)
    require_speech(speech.spoken)
    return [Document(lines=[one.line for one in speech.spoken], notes=speech.notes)]


FORMAT = Format(name="plain", title="plain text", suffixes=_SUFFIXES, fits=_fits, read=_read)
