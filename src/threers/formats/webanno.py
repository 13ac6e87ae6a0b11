"""WebAnno TSV 3, the table of tokens that INCEpTION and WebAnno export."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePath

from threers.errors import InputError
from threers.formats.documents import Context, Document, Format
from threers.formats.files import File
from threers.formats.inception import Feature, annotated, annotator, holds, layer_named, read_all
from threers.formats.selections import from_utf16

_TOKEN = re.compile(r"(\d{1,9}-\d{1,9}(?:\.\d{1,9})?)\t(\d{1,9})-(\d{1,9})\t([^\t]*)(?:\t(.*))?")
_STACKED = re.compile(r"(?:[^\\|]|\\.)+")
_ID = re.compile(r"(?<!\\)\[(\d{1,9})\]$")
_CONTROL = {"t": "\t", "n": "\n", "r": "\r", "b": "\b", "f": "\f"}


@dataclass(slots=True)
class _Sentence:
    lines: list[str] = field(default_factory=list)
    start: int | None = None


@dataclass(slots=True)
class _Token:
    row: int
    id: str
    start: int
    end: int
    cells: list[str]


def _fits(file: File) -> bool:
    return holds(file, (".tsv",), _is_tsv)


def _is_tsv(file: File) -> bool:
    return file.head.startswith("#FORMAT=WebAnno TSV 3")


def _read(file: File, context: Context) -> list[Document]:
    return read_all(file, context, _is_tsv, _read_one)


def _read_one(file: File, path: PurePath, context: Context) -> Document:
    columns, sentences, tokens, notes = _parse(file.text)
    text, places = _text(sentences, 2 * len(file.text))
    place = from_utf16(text)
    features = [
        Feature(row=row, layer=layer, name=name, value=value, start=place(start), end=place(end))
        for row, layer, name, value, start, end in _values(columns, tokens)
    ]
    document = annotated(text, features, context, annotator(path), [(place(a), place(b)) for a, b in places])
    document.notes += notes
    return document


def _parse(
    content: str,
) -> tuple[list[tuple[str, str] | None], list[_Sentence], list[_Token], list[tuple[int | None, str]]]:
    columns: list[tuple[str, str] | None] = []
    sentences: list[_Sentence] = []
    tokens: list[_Token] = []
    notes: list[tuple[int | None, str]] = []
    in_text = links = False
    for row, line in enumerate(content.lstrip("\ufeff").split("\n"), start=1):
        line = line.rstrip("\r")
        was_in_text, in_text = in_text, line.startswith("#Text=")
        if in_text:
            if not was_in_text:
                sentences.append(_Sentence())
            sentences[-1].lines.append(_plain(line.removeprefix("#Text=")))
        elif line.startswith("#T_SP="):
            columns += _columns(line.removeprefix("#T_SP="))
        elif line.startswith(("#T_RL=", "#T_CH=")):
            links = True
        elif (found := _TOKEN.fullmatch(line)) and sentences:
            token = _Token(row, found[1], int(found[2]), int(found[3]), (found[5] or "").split("\t"))
            tokens.append(token)
            if sentences[-1].start is None:
                sentences[-1].start = token.start
        elif line.strip() and not line.startswith("#"):
            notes.append((row, "not readable: no token of WebAnno TSV 3; row dropped"))
    if not tokens:
        raise InputError("no text with tokens; expected the lines #Text= and tokens of WebAnno TSV 3")
    if links:
        notes.append((None, "not a coding: layers of relations or chains; left out"))
    return columns, sentences, tokens, notes


def _columns(declared: str) -> Iterator[tuple[str, str] | None]:
    """Layer and feature of each column of a layer of spans; None: one that links to other spans.

    Chains and relations stand to the right of all spans, so their columns need no count.
    """
    layer, *features = [name for name in declared.split("|") if name] or [""]
    if not features:
        yield layer, ""
    link = False
    for name in features:
        target, link = link, name.startswith("ROLE_")
        yield None if link or target else (layer, name)


def _text(sentences: list[_Sentence], longest: int) -> tuple[str, list[tuple[int, int]]]:
    """The text, and where in it sentences stand, counted as Java does.

    The file doesn't say what stood between sentences. They are taken for lines, since a speaker's name only begins a
    line; read_speech joins a sentence without a speaker to the one before.
    """
    pieces: list[str] = []
    places = []
    at = 0
    for one in sentences:
        words = "\n".join(one.lines)
        gap = (at if one.start is None else one.start) - at
        if gap < 0 or gap > longest:
            raise InputError("places of tokens that do not fit the text; is the file damaged?")
        pieces += ["\n" + " " * (gap - 1) if gap else "", words]
        end = at + gap + len(words.encode("utf-16-le", "surrogatepass")) // 2
        places.append((at + gap, end))
        at = end
    return "".join(pieces), places


def _values(
    columns: list[tuple[str, str] | None], tokens: list[_Token]
) -> Iterator[tuple[int, str, str, str, int, int]]:
    """Row, layer, feature, value, start and end of each annotation; tokens with one number in brackets are one.

    An annotation without any value has its layer's name for one.
    """
    places: dict[tuple[str, str], tuple[int, int, int]] = {}
    values: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for token in tokens:
        for column, cell in zip(columns, token.cells, strict=False):
            if column is None or cell in ("_", ""):
                continue
            for number, stacked in enumerate(_STACKED.findall(cell)):
                known = _ID.search(stacked)
                value = stacked[: known.start()] if known else stacked
                key = (column[0], f"[{known[1]}]" if known else f"{token.id}/{number}")
                row, start, end = places.get(key, (token.row, token.start, token.end))
                places[key] = row, min(start, token.start), max(end, token.end)
                if value != "*":
                    values[key][column[1]] = _plain(value)
    for (layer, number_of), (row, start, end) in places.items():
        for name, value in (values[layer, number_of] or {"": layer_named(layer)}).items():
            yield row, layer, name, value, start, end


def _plain(written: str) -> str:
    """Without the backslashes before reserved characters."""
    return re.sub(r"\\(.)", lambda found: _CONTROL.get(found[1], found[1]), written, flags=re.DOTALL)


FORMAT = Format(name="webanno", title="WebAnno TSV 3 (INCEpTION)", suffixes=(".tsv", ".zip"), fits=_fits, read=_read)
