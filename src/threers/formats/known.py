"""The formats of transcripts and annotations that are read and written, and which of them a file has."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

from threers.errors import SettingsError
from threers.formats import brat, tables
from threers.formats.documents import Format
from threers.formats.files import File

#: In the order in which they are tried: what is told by a signature first, plain text last.
_MODULES = (
    *("docx", "odt", "refi", "cas", "webanno", "brat", "elan", "textgrid", "webvtt", "srt", "chat", "rtf", "html"),
    *("label_studio", "doccano", "prodigy", "convokit", "asr", "plain"),
)


def formats() -> list[Format]:
    """Every format that is read, in the order in which they are tried."""
    return [import_module(f"threers.formats.{name}").FORMAT for name in _MODULES]


def writers() -> dict[str, Format]:
    """Every format that is written, by name."""
    from threers.formats import spreadsheets

    found = [*spreadsheets.FORMATS, *formats()]
    return {one.name: one for one in found if one.write is not None}


def writer(name: str, path: Path) -> Format:
    """The format to write: the one that is named, or the one that the path's suffix means.

    Raises:
        SettingsError: no such format; names those there are.

    """
    known = writers()
    if name in known:
        return known[name]
    by_suffix = {suffix.lower(): one for one in reversed(known.values()) for suffix in one.suffixes}
    if not name and path.suffix.lower() in by_suffix:
        return by_suffix[path.suffix.lower()]
    found = f"format: found {name!r}" if name else f"to={path}: no format has the suffix {path.suffix!r}"
    raise SettingsError(f"{found}; expected format= one of {', '.join(known)}, or spss")


def recognise(file: File) -> Format | None:
    """The format that a file's content has; None: a table, or nothing that is known."""
    if tables.is_table(file):
        return None
    return next((one for one in formats() if one.fits(file)), None)


def without_companions(paths: Iterable[Path]) -> list[Path]:
    """The files without those that are read together with another one, such as brat's text beside its codes."""
    paths = list(paths)
    beside = {other for path in paths for other in brat.companions(path)}
    return [path for path in paths if path not in beside]
