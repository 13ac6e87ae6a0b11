"""Plain text with speakers in front of what they say: `T: …`, `Patient 2: …`, f4 transcripts, Teams and others."""

from __future__ import annotations

from threers.errors import InputError
from threers.formats.documents import Context, Document, Format
from threers.formats.files import HEAD, File
from threers.formats.paragraphs import require_speech
from threers.formats.speech import begins_with_speakers, read_speech

_SUFFIXES = (".txt", ".text", ".md")


def _fits(file: File) -> bool:
    """Is it text, but no markup or records, with the name of a text file or with speakers in front of many lines?"""
    head = file.head.lstrip() or _with_nul(file).lstrip()
    if not head or head.startswith(("{", "[{", '["', "%PDF")) or file.root_name:
        return False
    return file.suffix in _SUFFIXES or begins_with_speakers(head)


def _with_nul(file: File) -> str:
    """The beginning of a text in which few characters are NUL; empty for a binary file."""
    try:
        return file.content[:HEAD].replace(b"\0", b"").decode(file.encoding, errors="replace")
    except InputError:
        return ""


def _read(file: File, context: Context) -> list[Document]:
    speech = read_speech(file.text.removeprefix("\ufeff"), context.speaker)
    require_speech(speech.spoken)
    return [Document(lines=[one.line for one in speech.spoken], notes=speech.notes)]


FORMAT = Format(name="plain", title="plain text", suffixes=_SUFFIXES, fits=_fits, read=_read)
