"""Praat TextGrids, long and short, in UTF-8 or UTF-16: speech and codes in tiers, read and written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from threers.errors import InputError
from threers.formats.documents import Context, Document, Format, Output
from threers.formats.files import File
from threers.formats.new_tiers import new_tiers, own_tiers
from threers.formats.tiers import Interval, Notes, Tier, document_of

# Not read with praatio, which cuts the text wherever `item [` or "TextTier" stands, in what is said too, and leaves the
# doubled quotes of points. Praat itself takes from the text only quoted strings, <flags> and numbers that stand free.
_TOKEN = re.compile(
    r'"(?P<string>(?:[^"]++|"")*+)(?P<closed>"|\Z)|(?<!\S)(?:![^\n]*+|<(?P<flag>\w++)>(?!\S))'
    r"|(?<![^\s=])(?P<number>[-+]?(?:\d++(?:\.\d*+)?+|\.\d++)(?:[eE][-+]?\d++)?+)(?!\S)"
)
_BEGIN = re.compile(r'\s*(?:File type\s*=\s*)?"ooTextFile(?: short)?"\s*(?:Object class\s*=\s*)?"TextGrid(?: \d)?"')
_OTHER_FORMS = (b"ooBinaryFile\x08TextGrid", b'"Praat chronological TextGrid')
#: Seconds; no recording has more.
_LONGEST = 1e8


@dataclass(kw_only=True)
class _Grid:
    """A TextGrid: the time that it covers, in seconds, its tiers, and notes on what was repaired."""

    start: float = 0.0
    end: float = 0.0
    tiers: list[Tier] = field(default_factory=list)
    notes: Notes = field(default_factory=list)


def _fits(file: File) -> bool:
    return file.content.startswith(_OTHER_FORMS) or _BEGIN.match(file.head) is not None


def _read(file: File, context: Context) -> list[Document]:
    grid = _parse(file)
    return [document_of(grid.tiers, context, grid.notes)]


def _parse(file: File) -> _Grid:
    if file.content.startswith(_OTHER_FORMS):
        raise InputError("a TextGrid in binary or chronological form; open it in Praat and choose 'Save as text file'")
    tokens = _TOKEN.finditer(file.text)
    if _take(tokens, "string")[:10] != "ooTextFile" or not _take(tokens, "string").startswith("TextGrid"):
        raise InputError(
            "the file does not begin as a TextGrid does; expected a TextGrid saved by Praat as a text file"
        )
    grid = _Grid(start=_time(tokens), end=_time(tokens))
    rows = count(1)
    if _take(tokens, "flag") == "exists":
        for _ in range(_size(tokens)):
            grid.tiers.append(_tier(tokens, rows, grid.notes))
    return grid


def _tier(tokens: Iterator[re.Match[str]], rows: Iterator[int], notes: Notes) -> Tier:
    kind = _take(tokens, "string")
    if kind not in ("IntervalTier", "TextTier"):
        raise InputError(
            "the TextGrid has a tier of an unknown kind; expected IntervalTier or TextTier. Is it damaged?"
        )
    tier = Tier(name=_take(tokens, "string"), points=kind == "TextTier")
    _time(tokens), _time(tokens)
    for _ in range(_size(tokens)):
        row, start = next(rows), _time(tokens)
        end = start if tier.points else _time(tokens)
        text = _take(tokens, "string")
        if start > end:
            notes.append((row, "time goes backwards: the interval ends before it begins; the two were exchanged"))
        tier.intervals.append(Interval(row, min(start, end), max(start, end), text))
    return tier


def _take(tokens: Iterator[re.Match[str]], kind: str) -> str:
    """The next value of the text, which must be of this kind: string, number or flag."""
    token = next((token for token in tokens if token.lastgroup is not None), None)
    if token is None or token["closed"] == "":
        raise InputError("the TextGrid ends too early; is the file cut off?")
    if token[kind] is None:
        line = token.string.count("\n", 0, token.start()) + 1
        raise InputError(
            f"the TextGrid is damaged at line {line}: expected a {kind}; open it in Praat and save it again"
        )
    return token[kind].replace('""', '"')


def _time(tokens: Iterator[re.Match[str]]) -> float:
    seconds = float(_take(tokens, "number"))
    if not -_LONGEST <= seconds <= _LONGEST:
        raise InputError("the TextGrid has a time that no recording has; expected seconds. Is it damaged?")
    return seconds


def _size(tokens: Iterator[re.Match[str]]) -> int:
    # A size that is too large ends where the text ends.
    size = float(_take(tokens, "number"))
    return int(size) if 0 <= size <= _LONGEST else int(_LONGEST)


def _write(documents: Sequence[Document], output: Output) -> bytes:
    (document,) = documents
    grid, others = _Grid(), None
    if output.original is not None and _fits(output.original):
        grid = _parse(output.original)
        own = {tier.name for tier in own_tiers(grid.tiers, document)}
        grid.tiers = others = [tier for tier in grid.tiers if tier.name not in own]
    added = new_tiers(document, output.titles, others)
    last = max((one.end for tier in added for one in tier.intervals), default=0.0)
    # New times are whole milliseconds, which may lie a fraction beyond the end.
    grid.end = grid.end if grid.end and last - grid.end < 0.001 else max(last, grid.end)
    grid.tiers = grid.tiers + added
    return "".join(_long_form(grid)).encode("utf-8")


def _long_form(grid: _Grid) -> Iterator[str]:
    start, end = _number(grid.start), _number(grid.end)
    yield f'File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = {start} \nxmax = {end} \n'
    yield f"tiers? <exists> \nsize = {len(grid.tiers)} \nitem []: \n"
    for place, tier in enumerate(grid.tiers, start=1):
        kind, name = ("TextTier", "points") if tier.points else ("IntervalTier", "intervals")
        yield f'    item [{place}]:\n        class = "{kind}" \n        name = {_quoted(tier.name)} \n'
        intervals = tier.intervals if tier.points else list(_without_gaps(tier.intervals, grid))
        yield f"        xmin = {start} \n        xmax = {end} \n        {name}: size = {len(intervals)} \n"
        for number, one in enumerate(intervals, start=1):
            yield f"        {name} [{number}]:\n"
            if tier.points:
                yield f"            number = {_number(one.start)} \n            mark = {_quoted(one.text)} \n"
            else:
                yield f"            xmin = {_number(one.start)} \n            xmax = {_number(one.end)} \n"
                yield f"            text = {_quoted(one.text)} \n"


def _without_gaps(intervals: Sequence[Interval], grid: _Grid) -> Iterator[Interval]:
    """The intervals with empty ones between them, for a tier of Praat covers all of the time."""
    at = grid.start
    for one in intervals:
        if one.start > at:
            yield Interval(0, at, one.start, "")
        at = min(one.end, grid.end)
        yield replace(one, end=at)
    if at < grid.end:
        yield Interval(0, at, grid.end, "")


def _quoted(text: str) -> str:
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def _number(seconds: float) -> str:
    return repr(seconds).removesuffix(".0")


FORMAT = Format(name="textgrid", title="Praat TextGrid", suffixes=(".TextGrid",), fits=_fits, read=_read, write=_write)
