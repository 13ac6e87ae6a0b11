"""Standoff annotations of brat: an `.ann` file of labelled stretches beside a `.txt` of the same name.

Codes may be entities or events of a project; what a coder says of an event belongs to its trigger. An empty `.ann` says
that nothing is marked, not that somebody has read the text: brat lays one down for each text that it is given.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from threers.errors import InputError
from threers.formats.documents import Context, Document, Format
from threers.formats.files import File
from threers.formats.selections import Selection, find_lines, marked

_SPAN = re.compile(r"(T\S*)\t(\S+) (\d{1,9} \d{1,9}(?:;\d{1,9} \d{1,9})*)(?:\t(.*))?")
_EVENT = re.compile(r"(E\S*)\t[^\s:]+:(\S+) ?(.*)")
_ATTRIBUTE = re.compile(r"[AM]\S*\t(\S+) (\S+)(?: (.*))?")
_ANY = re.compile(r"[TAMERN#*]\S*\t\S")
_NAMES = {
    "E": "events with arguments",
    "R": "relations",
    "*": "relations",
    "N": "normalisations",
    "#": "notes of annotators",
}


@dataclass(slots=True)
class _Span:
    row: int
    kind: str
    places: list[tuple[int, int]]
    covered: str
    attributes: list[tuple[str, str]] = field(default_factory=list)


def companions(path: Path) -> list[Path]:
    """The text that belongs to an `.ann` file."""
    text = path.with_suffix(".txt")
    return [text] if path.suffix.lower() == ".ann" and text.is_file() else []


def _fits(file: File) -> bool:
    lines = [line for line in file.head.splitlines()[:20] if line.strip()]
    if not lines:
        return file.suffix == ".ann" and not file.content.strip()
    return all(_ANY.match(line) for line in lines) and any(_SPAN.match(line) for line in lines)


def _read(file: File, context: Context) -> list[Document]:
    beside = companions(file.path)
    if not beside:
        raise InputError("annotations without their text; expected a .txt file of the same name beside the .ann file")
    spans, notes = _spans(file.text)
    try:
        annotated = File(beside[0])
        text, lost = _as_annotated(annotated.text, spans)
    except InputError as error:
        raise InputError(f"the .txt file beside the .ann file: {error}") from error
    notes += [(None, f"{reason}, in the .txt file") for _, reason in annotated.notes]
    if lost:
        reason = (
            f"the text differs from what {lost} of {len(spans)} annotations say it is; they are kept by their place"
        )
        notes.append((None, f"text changed: {reason}"))
    chosen, left_out = _selections(spans, context)
    speech = find_lines(text, context.speaker)
    document = marked(speech.spoken, chosen)
    # Pieces of one annotation that lie in one utterance are one coding.
    document.marks = list(dict.fromkeys(document.marks))
    document.notes += speech.notes + notes + left_out
    return [document]


def _spans(content: str) -> tuple[list[_Span], list[tuple[int | None, str]]]:
    spans: dict[str, _Span] = {}
    notes: list[tuple[int | None, str]] = []
    others: Counter[str] = Counter()
    attributes = []
    triggers: dict[str, str] = {}
    for row, line in enumerate(content.split("\n"), start=1):
        line = line.rstrip("\r")
        if found := _SPAN.fullmatch(line):
            places = [(int(start), int(end)) for start, end in (p.split(" ") for p in found[3].split(";"))]
            spans[found[1]] = _Span(row, found[2], places, found[4] or "")
        elif found := _ATTRIBUTE.fullmatch(line):
            attributes.append((row, found))
        elif (found := _EVENT.fullmatch(line)) and not found[3]:
            triggers[found[1]] = found[2]
        elif line[:1] in _NAMES:
            others[_NAMES[line[0]]] += 1
        elif line.strip():
            notes.append((row, "not readable: no line of brat's standoff format; row dropped"))
    for row, found in attributes:
        if of := spans.get(triggers.get(found[2], found[2])):
            of.attributes.append((found[1], (found[3] or "").strip()))
        else:
            notes.append((row, "no such annotation: an attribute of nothing; row dropped"))
    notes += [(None, f"not a coding: {count} {name} in this file; left out") for name, count in others.items()]
    return list(spans.values()), notes


def _as_annotated(text: str, spans: Iterable[_Span]) -> tuple[str, int]:
    """The text in the form whose places fit the annotations, and how many still don't.

    Places slip where line ends were changed after annotation, and by a byte order mark, which brat counts.
    """

    def lost(form: str) -> int:
        return sum(
            bool(one.covered) and " ".join(form[start:end] for start, end in one.places).split() != one.covered.split()
            for one in spans
        )

    forms = dict.fromkeys((text, text.replace("\r\n", "\n"), f" {text}", re.sub(r"\r?\n", "\r\n", text)))
    losses = {form: lost(form) for form in forms}
    best = min(losses, key=losses.__getitem__)
    return best, losses[best]


def _selections(spans: Iterable[_Span], context: Context) -> tuple[list[Selection], list[tuple[int | None, str]]]:
    """One for each stretch: its type, and each attribute that names a code. A number beside them is the rating."""
    chosen = []
    left_out: Counter[str] = Counter()
    for one in spans:
        codes = [_code(one.kind, context)]
        values = []
        for name, value in one.attributes:
            if context.find(_code(value or name, context)):
                codes.append(_code(value or name, context))
            elif re.fullmatch(r"\d+(?:\.\d+)?", value):
                values.append(value)
            else:
                left_out[name] += 1
        if len(codes) > 1 and not context.find(codes[0]):
            del codes[0]
        value = values[0] if len(values) == 1 else ""
        chosen += [
            Selection(row=one.row, code=code, start=start, end=end, value=value)
            for code in codes
            for start, end in one.places
        ]
    return chosen, [
        (None, f"not a code: attribute {name}, {count} times; left out") for name, count in left_out.items()
    ]


def _code(written: str, context: Context) -> str:
    """In brat's names an underline stands for a space."""
    spaced = written.replace("_", " ")
    return spaced if not context.find(written) and context.find(spaced) else written


FORMAT = Format(name="brat", title="brat standoff annotations", suffixes=(".ann",), fits=_fits, read=_read)
