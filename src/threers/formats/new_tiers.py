"""Lines and marks to tiers in which no two intervals overlap, as ELAN and Praat demand, that read back the same."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from threers.codebook_checks import spelling
from threers.errors import InputError
from threers.formats.documents import Context, Document, Line, Mark
from threers.formats.tiers import NOBODY, Interval, Places, Span, Tier, clean, document_of, milliseconds, own_coder

_TAKEN = re.compile(r"threers (codes|segments|session): .*|.* \(tier \d+\)|" + re.escape(NOBODY))


def own_tiers(tiers: Sequence[Tier], document: Document) -> list[Tier]:
    """Those among a file's tiers that threers wrote for coders of the document, and would write again."""
    coders = {clean(mark.coder) for mark in document.marks}
    return [tier for tier in tiers if own_coder(tier.name) in coders]


def new_tiers(document: Document, titles: Mapping[str, str], others: Sequence[Tier] | None = None) -> list[Tier]:
    """Tiers that say what a document says.

    `titles`: code -> its title. `others`: the tiers of a file to which these are added; then no speech is among the new
    ones, and no coding that those others hold already.

    Raises:
        InputError: a line lacks times, or a speaker or coder is called as only tiers of threers are.

    """
    document = _in_time_order(document)
    places = Places.of(document.lines)
    find = _finder(titles)
    held = _held(document, others or [], find, places)
    marks = [mark for mark in document.marks if mark.code and _identity(mark, places, find) not in held]
    return ([] if others is not None else list(_speech(document.lines, places))) + list(_codes(marks, places))


def _in_time_order(document: Document) -> Document:
    """Sort lines by start and end, and those alike as their speakers first speak; marks keep to their lines."""
    for line in document.lines:
        if line.start is None or line.end is None or milliseconds(line.start) >= milliseconds(line.end):
            raise InputError(
                f"line {line.row} of the session has no start and end, or ends before it begins; expected times for "
                "every line. Choose a format without times, such as a table"
            )
    spans = Places.of(document.lines).spans
    order = sorted(range(len(spans)), key=spans.__getitem__)
    first: dict[str, int] = {}
    for place, n in enumerate(order):
        first.setdefault(clean(document.lines[n].speaker), place)
    order.sort(key=lambda n: (spans[n], first[clean(document.lines[n].speaker)]))
    now = {before: place for place, before in enumerate(order)}
    marks = []
    for mark in document.marks:
        if mark.lines is not None:
            first_line, last_line = sorted(now[n] for n in mark.lines)
            mark = replace(mark, lines=(first_line, last_line))
        marks.append(mark)
    return replace(document, lines=[document.lines[n] for n in order], marks=marks)


def _speech(lines: Sequence[Line], places: Places) -> Iterator[Tier]:
    said: dict[str, list[Interval]] = defaultdict(list)
    for line, (start, end) in zip(lines, places.spans, strict=True):
        # A line of nothing but control characters stays a line.
        said[clean(line.speaker)].append(Interval(0, start / 1000, end / 1000, clean(line.text) or "…"))
    for speaker, intervals in said.items():
        for name, row in _named_rows("", speaker, intervals):
            yield Tier(name=name, intervals=row, participant=speaker)


def _codes(marks: Iterable[Mark], places: Places) -> Iterator[Tier]:
    cells: dict[tuple[str, str], dict[tuple[Span, str, str], list[str]]] = defaultdict(lambda: defaultdict(list))
    for mark in marks:
        span, named = _span(mark, places), ""
        kind = "session" if span is None else "codes" if mark.segment is None else "segments"
        if mark.lines and places.find(*places.hull(*mark.lines)) != mark.lines:
            named = " #" + "-".join(str(n + 1) for n in sorted(set(mark.lines)))
        span = span or (0, max([end for _, end in places.spans], default=1000))
        # ELAN and Praat have no interval without length.
        span = span[0], max(span[1], span[0] + 1)
        code = clean(mark.code)
        alone = code if re.search("[;|,=#]", code) else ""
        written = f"{code}={clean(mark.value)}" if mark.value else code
        cells[kind, clean(mark.coder)][span, named, alone].append(written)
    for (kind, coder), of_coder in sorted(cells.items()):
        intervals = [
            Interval(0, start / 1000, end / 1000, "; ".join(codes) + named)
            for ((start, end), named, _), codes in sorted(of_coder.items())
        ]
        for name, row in _named_rows(f"threers {kind}: ", coder, intervals):
            yield Tier(name=name, intervals=row, annotator=coder)


def _named_rows(prefix: str, who: str, intervals: Iterable[Interval]) -> Iterator[tuple[str, list[Interval]]]:
    """Deal sorted intervals to as few tiers as keep them apart, and name these."""
    if _TAKEN.fullmatch(who):
        raise InputError(
            "a speaker or coder is called as tiers of threers are: 'threers codes: …', 'threers segments: …', "
            f"'threers session: …', '… (tier 2)' or '{NOBODY}'; give them another name"
        )
    rows: list[list[Interval]] = []
    for one in intervals:
        row = next((row for row in rows if row[-1].end <= one.start), None)
        if row is None:
            rows.append([one])
        else:
            row.append(one)
    for number, row in enumerate(rows, start=1):
        yield prefix + (who or NOBODY) + (f" (tier {number})" if number > 1 else ""), row


def _span(mark: Mark, places: Places) -> Span | None:
    """The milliseconds that a mark covers; None: the whole session."""
    if mark.lines is not None:
        return places.hull(*mark.lines)
    if mark.start is None:
        return None
    start = max(0, milliseconds(mark.start))
    return start, max(start, milliseconds(mark.start if mark.end is None else mark.end))


def _finder(titles: Mapping[str, str]) -> Callable[[str], str | None]:
    words = {spelling(word): code for code, title in titles.items() for word in (title, code)}
    return lambda word: words.get(spelling(word))


def _identity(mark: Mark, places: Places, find: Callable[[str], str | None]) -> tuple[str, str, str, Span | None]:
    """What makes two marks of two documents the same coding."""
    return clean(mark.coder), find(mark.code) or mark.code, mark.value, _span(mark, places)


def _held(
    document: Document, others: Sequence[Tier], find: Callable[[str], str | None], places: Places
) -> set[tuple[str, str, str, Span | None]]:
    """The codings that tiers hold already. A tier without an annotator is that of the coder whom its name names."""
    coders = sorted({clean(mark.coder) for mark in document.marks} - {""}, key=len, reverse=True)
    named = [
        tier if tier.annotator else replace(tier, annotator=next((c for c in coders if c in tier.name), ""))
        for tier in others
    ]
    read = document_of(named, Context(find=find))
    own_places = Places.of(read.lines)
    return {_identity(mark, own_places, find) for mark in read.marks}
