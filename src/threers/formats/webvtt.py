"""WebVTT captions, as Zoom, Teams and speech recognition write them; written with the codes in each cue.

In a file that threers wrote every cue is an utterance. Its last lines are the coders' codes, as players show them:

    <v Patient>I don't know.</v>
    <c.codes>[W2, W3=2 - anna]</c>
    <c.codes>[W2 (1/3) - model:mpnet]</c>

`=2` is a value, `(1/3)` the first of the three utterances on which the coding lies; a dash with spaces stands before
the coder. A coder may correct these lines in any editor. What no cue can say (codings of times and of the session, what
a coder read and left unmarked, the session's name) is JSON in a comment at the beginning.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from threers.errors import InputError
from threers.formats.captions import document
from threers.formats.cues import Captions, Cue, counted_note, find_cues, folded, is_timing, plain
from threers.formats.documents import Context, Document, Format, Line, Mark, Output
from threers.formats.files import File
from threers.formats.times import clock

#: First words of the comment in a file that threers wrote.
_OWN = "NOTE threers"
#: Identifier of a cue whose end was made up, because a cue must have one.
_NO_END = "end unknown"
#: Seconds for which a cue is shown that has no end, with nothing after it.
_SHOWN = 2.0
_CODES = re.compile(r"<c\.codes>\[(.*)\]</c>\s*")
_LABEL = re.compile(r"([^=(]*)(?:=([^(]*?))?(?: \((\d{1,6})/(\d{1,6})\))?")
_SPEAKER = re.compile(r"<v(?:\.[^\s<>]*)?\s([^<>]*)>")
_DASH = re.compile(r" [\u2013\u2014-] ")
# What would end a code, a value or a coder, and white space that folding would change.
_RESERVED = re.compile(r"[%\[\]=,()\u2013\u2014\x00-\x1f\x7f-\x9f]|^\s|\s$|\s(?=\s)|[^\S ]|(?<= )-(?= )|^-|-$")


def fits(file: File) -> bool:
    """Does the file begin with WEBVTT?"""
    return file.head.lstrip().startswith("WEBVTT")


def read(file: File, context: Context) -> list[Document]:
    """Read the session; speakers are voices (`<v Name>`), or stand in front of texts as `Name:`.

    Raises:
        InputError: no text with times.

    """
    found = find_cues(file.text, web=True)
    if not found.cues:
        raise InputError("no cues were found; expected times such as 00:00:01.000 --> 00:00:04.000")
    comment = next((comment for comment in found.comments if comment.startswith(_OWN)), None)
    session = document(found.cues, context) if comment is None else _own(found, comment)
    session.notes[:0] = found.notes
    return [session]


def write(documents: Sequence[Document], output: Output) -> bytes:
    """Write one session: a cue for each utterance, with the coders' codes below the text.

    Raises:
        InputError: an utterance has no start.

    """
    (session,) = documents
    untimed = sum(line.start is None for line in session.lines)
    if untimed:
        raise InputError(f"{untimed} utterances have no time, which WebVTT needs; choose a format without times")
    hidden = {"session": session.session, "marks": _hidden([m for m in session.marks if not m.lines or not m.code])}
    # No arrow may stand in a comment.
    blocks = ["WEBVTT", f"{_OWN}\n{json.dumps(hidden).replace('>', chr(92) + 'u003e')}"]
    below: dict[int, dict[str, list[str]]] = {}
    for mark in session.marks:
        first, last = mark.lines if mark.lines and mark.code else (0, -1)
        for number in range(first, last + 1):
            part = f" ({number - first + 1}/{last - first + 1})" if last > first else ""
            label = _quoted(mark.code) + (f"={_quoted(mark.value)}" if mark.value else "") + part
            below.setdefault(number, {}).setdefault(mark.coder, []).append(label)
    for number, line in enumerate(session.lines):
        after = session.lines[number + 1].start if number + 1 < len(session.lines) else None
        blocks.append("\n".join([*_cue(number, line, after), *_labels(below.get(number, {}))]))
    return ("\n\n".join(blocks) + "\n").encode("utf-8", errors="replace")


def _cue(number: int, line: Line, after: float | None) -> list[str]:
    start = line.start or 0.0
    end = line.end if line.end is not None else after if after is not None and after > start else start + _SHOWN
    identifier = f"{number + 1}" if line.end is not None else f"{number + 1} {_NO_END}"
    text = _escaped(folded(line.text))
    speaker = _escaped(folded(line.speaker))
    said = f"<v {speaker}>{text}</v>" if speaker or not text or is_timing(text) else text
    return [identifier, f"{_stamp(start)} --> {_stamp(end)}", said]


def _labels(below: dict[str, list[str]]) -> Iterator[str]:
    for coder, labels in below.items():
        by = f" \u2013 {_quoted(coder)}" if coder else ""
        yield f"<c.codes>[{_escaped(', '.join(labels) + by)}]</c>"


def _stamp(time: float) -> str:
    whole = clock(time)
    return whole if "." in whole else f"{whole}.000"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _quoted(field: str) -> str:
    return _RESERVED.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), field)


def _hidden(marks: Sequence[Mark]) -> list[dict[str, Any]]:
    """Marks for the comment; of what a coder left unmarked, neighbouring lines are one."""
    written: list[dict[str, Any]] = []
    for mark in marks:
        last = written[-1] if written else {}
        empty = {"coder": mark.coder, "code": "", "value": ""}
        if not mark.code and not mark.value and mark.lines and last and {key: last[key] for key in empty} == empty:
            if last["lines"] and last["lines"][1] + 1 == mark.lines[0]:
                last["lines"] = [last["lines"][0], mark.lines[1]]
                continue
        written.append(
            {
                "coder": mark.coder,
                "code": mark.code,
                "value": mark.value,
                "lines": list(mark.lines) if mark.lines else None,
                "start": mark.start,
                "end": mark.end,
            }
        )
    return written


def _own(found: Captions, comment: str) -> Document:
    """Make a document of a file that threers wrote: each cue is an utterance."""
    session = Document()
    labels: list[tuple[int, str]] = []
    for number, cue in enumerate(found.cues):
        texts = cue.text.split("\n")
        below: list[str] = []
        while len(texts) > 1 and (codes := _CODES.fullmatch(texts[-1])):
            texts.pop()
            below.append(plain(codes[1]))
        labels += [(number, label) for label in reversed(below)]
        session.lines.append(_line(cue, "\n".join(texts)))
    session.marks, session.notes = _shown_marks(labels, found.cues)
    hidden = _parsed(comment)
    if hidden is None:
        session.notes.append((None, "comment not readable: what threers wrote is damaged; codings in it left out"))
        return session
    session.session = str(hidden.get("session") or "")
    entries = hidden.get("marks")
    marks = [_hidden_mark(entry, len(session.lines)) for entry in entries] if isinstance(entries, list) else []
    session.marks += [mark for mark in marks if mark is not None]
    lost = [1 for mark in marks if mark is None]
    session.notes += counted_note(lost, "no such utterance: a coding in the comment fits no cue", "coding dropped")
    return session


def _line(cue: Cue, said: str) -> Line:
    voice = _SPEAKER.match(said)
    speaker, text = (voice[1], said[voice.end() :].rstrip().removesuffix("</v>")) if voice else ("", said)
    end = None if cue.identifier.endswith(_NO_END) else cue.end
    return Line(row=cue.row, text=folded(plain(text)), speaker=folded(plain(speaker)), start=cue.start, end=end)


def _shown_marks(
    labels: Sequence[tuple[int, str]], cues: Sequence[Cue]
) -> tuple[list[Mark], list[tuple[int | None, str]]]:
    """Marks that the cues' last lines say, those over several cues once."""
    marks: list[Mark] = []
    begun: set[tuple[Mark, int]] = set()
    broken: list[int] = []
    for number, label in labels:
        codes, coder = [*_DASH.split(label, maxsplit=1), ""][:2]
        for written in filter(None, map(str.strip, codes.split(","))):
            found = _LABEL.fullmatch(written)
            code, value, at, of = found.groups() if found else (written, None, None, None)
            place, length = int(at or 1), int(of or 1)
            what = Mark(row=0, coder=unquote(coder), code=unquote(code), value=unquote(value or ""))
            if place > 1 and (what, number - place + 1) in begun:
                continue
            last = min(number + length - place, len(cues) - 1) if place == 1 else number
            if place > 1 or last < number + length - 1:
                broken.append(cues[number].row)
            begun.add((what, number))
            marks.append(replace(what, row=cues[number].row, lines=(number, max(number, last))))
    detail = "coding incomplete: not all its utterances are there"
    return marks, counted_note(broken, detail, "kept on those that are")


def _parsed(comment: str) -> dict[str, Any] | None:
    try:
        hidden = json.loads(comment.removeprefix(_OWN))
    except (ValueError, RecursionError):
        return None
    return hidden if isinstance(hidden, dict) else None


def _hidden_mark(entry: object, count: int) -> Mark | None:
    if not isinstance(entry, dict):
        return None
    coder, code, value = (str(entry.get(name) or "") for name in ("coder", "code", "value"))
    lines = entry.get("lines")
    if lines is not None:
        whole = isinstance(lines, list) and len(lines) == 2 and all(type(number) is int for number in lines)
        if not whole or not 0 <= lines[0] <= lines[1] < count:
            return None
        lines = (lines[0], lines[1])
    start, end = _finite(entry.get("start")), _finite(entry.get("end"))
    return Mark(row=1, code=code, coder=coder, value=value, lines=lines, start=start, end=end)


def _finite(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and abs(value) < 1e9 and math.isfinite(value) else None


FORMAT = Format(name="webvtt", title="WebVTT captions", suffixes=(".vtt",), fits=fits, read=read, write=write)
