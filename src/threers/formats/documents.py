"""What a transcript or annotation file says, whatever its format: lines of speech, and the marks of coders on them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from threers.codebook import UNITS

if TYPE_CHECKING:
    from threers.formats.files import File

#: The code that a word means, or None.
Find = Callable[[str], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One utterance as a file has it; `row`: its line, cue or paragraph in the file, from 1; times in seconds."""

    row: int
    text: str
    speaker: str = ""
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One coding as a file has it.

    It lies on the lines from `lines[0]` to `lines[1]` (places in `Document.lines`, both counted), else on the time from
    `start` to `end` in seconds, else on the whole session. `code` as written; empty: the coder read this and marked
    nothing. `coder` empty: the file names nobody. `value`: a rating, as written; empty: present. `row`: as for `Line`.
    `segment`: the number of the segment that the time from `start` to `end` is, for a writer; no reader says it.
    """

    row: int
    code: str
    coder: str = ""
    value: str = ""
    lines: tuple[int, int] | None = None
    start: float | None = None
    end: float | None = None
    segment: int | None = None


@dataclass(kw_only=True)
class Document:
    """One session in one file.

    `session` empty: the file's name says which. `notes`: (row or None, reason) for what was left out or repaired; a
    reason is `kind: detail; what was done` and quotes no text. `facts`: `patient`, `therapist`, `session_number`, as
    far as the file says. `guessed`: tiers that were taken for codes because nothing else stands in them. `judged`: the
    tool keeps an answer for each line, so a line without a mark of a coder's is one that they did not read.
    """

    session: str = ""
    lines: list[Line] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    notes: list[tuple[int | None, str]] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    guessed: int = 0
    judged: bool = False


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a reader of documents may need to know.

    `find`: the codebook's code that a word means, or None. `knows`: has someone said which role this speaker has?
    `speaker`: a lab's own pattern for the beginning of a line of speech, with the group `speaker` and perhaps `start`
    and `end`; None: the usual ones. `code_tiers`: names of tiers that hold codes, with `*` for any text and `{coder}`
    for the coder's name; empty: those that hold only codes. `speech_tiers`: names of tiers of speech, with `*`; empty:
    those that hold words, but no codes, and hang below none.
    """

    find: Find
    knows: Callable[[str], bool] = lambda name: False
    speaker: re.Pattern[str] | None = None
    code_tiers: tuple[str, ...] = ()
    speech_tiers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Output:
    """What a writer of documents may need beside them.

    `titles`: code -> its title. `roles`: the codebook's roles. `original`: the file that the session was imported from,
    for formats that add to it; None: not given.
    """

    titles: dict[str, str]
    roles: tuple[str, ...]
    original: File | None = None


@dataclass(frozen=True, kw_only=True)
class Format:
    """One kind of transcript or annotation file.

    `fits`: does the file's content look like it? It must be cheap and never raise. `read`: its sessions; raises
    InputError for a damaged file. `write`: sessions to the content of a file, None where that is not offered; with
    `together` one file holds all sessions, else one each. `units`: what codings it can hold are about. `settings`: XML
    that the tool must be set up with for the codes of such a file, None where it needs none.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    fits: Callable[[File], bool]
    read: Callable[[File, Context], list[Document]]
    write: Callable[[Sequence[Document], Output], bytes] | None = None
    together: bool = False
    units: tuple[str, ...] = UNITS
    settings: Callable[[Sequence[str]], str] | None = None
