"""Tiers of timed intervals, as ELAN and Praat have them, to lines and marks, and lines and marks to tiers.

A tier that threers writes says so in its name: `threers codes: CODER`, `threers segments: CODER` for codings of
segments, and `threers session: CODER` for those of the whole session. `(tier 2)` behind a name is its second tier, for
what overlaps in time. `#3-5` behind codes are the lines that they lie on, counted by time, written only where the times
alone leave that open.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from threers.formats.documents import Context, Document, Line, Mark

#: Begins the reason where a tier may be speech or not.
UNCLEAR = "unclear tier"
#: Stands for an empty speaker or coder in the name of a tier.
NOBODY = "(nobody)"
#: Values and names beyond are no codes and match no pattern.
_LONGEST = 1000
_OWN = re.compile(r"threers (?P<kind>codes|segments|session): (?P<coder>.*?)(?: \(tier \d+\))?")
_FURTHER = re.compile(r"(?P<name>.*) \(tier \d+\)")
_RATED = re.compile(r"[^=,]++=\s*+[+-]?\d++(?:[.,]\d++)?+\s*+")
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Find = Callable[[str], str | None]
Span = tuple[int, int]
Notes = list[tuple[int | None, str]]


@dataclass(frozen=True, slots=True)
class Interval:
    """What a tier says from `start` to `end`, in seconds; `row`: which interval or annotation of the file, from 1."""

    row: int
    start: float
    end: float
    text: str


@dataclass(kw_only=True)
class Tier:
    """One tier; `parent`: the name of the tier that it hangs below; `points`: its intervals are points in time."""

    name: str
    intervals: list[Interval] = field(default_factory=list)
    participant: str = ""
    annotator: str = ""
    parent: str = ""
    points: bool = False


@dataclass(frozen=True)
class Places:
    """The lines by their times, to find those that an interval means. Spans are in milliseconds."""

    spans: list[Span]
    exact: dict[Span, list[int]]
    starting: dict[int, list[int]]
    ending: dict[int, list[int]]

    @classmethod
    def of(cls, lines: Iterable[Line]) -> Places:
        """Lines that have both times, in the order of their starts."""
        spans = [(milliseconds(line.start or 0), milliseconds(line.end or 0)) for line in lines]
        places = cls(spans, defaultdict(list), defaultdict(list), defaultdict(list))
        for number, span in enumerate(spans):
            places.exact[span].append(number)
            places.starting[span[0]].append(number)
            places.ending[span[1]].append(number)
        return places

    def find(self, start: int, end: int) -> Span | None:
        """First and last of the lines that an interval means.

        The one line with its times, else the lines from the only one that starts with it to the only one that ends
        with it. None: there are no such, or several.
        """
        exact = self.exact.get((start, end), [])
        first, last = (exact, exact) if exact else (self.starting.get(start, []), self.ending.get(end, []))
        return (first[0], last[0]) if len(first) == len(last) == 1 and first[0] <= last[0] else None

    def hull(self, first: int, last: int) -> Span:
        """The interval that `find` takes for these lines."""
        return self.spans[first][0], self.spans[last][1]


def milliseconds(seconds: float) -> int:
    """Times are compared as whole milliseconds."""
    return round(seconds * 1000)


def own_coder(name: str) -> str | None:
    """The coder named by a tier that threers wrote; None: another wrote it."""
    own = _OWN.fullmatch(name)
    if own is None:
        return None
    return "" if own["coder"] == NOBODY else own["coder"]


def clean(text: str) -> str:
    """Text with its white space folded, without the control characters that no XML holds."""
    return " ".join(_UNWRITABLE.sub("", " ".join(text.split())).split())


def read_cell(cell: str, find: Find) -> list[tuple[str, str]]:
    """The codes in an interval's text, as written, each with its rating: `W1; C2=3`, `W1, W2`, `W1|W2`."""
    if find(cell):
        return [(cell.strip(), "")]
    parts: list[str] = []
    for piece in re.split(r"[;|\n\r]", cell):
        parts += [piece] if find(piece) or _RATED.fullmatch(piece) else piece.split(",")
    codes = []
    for part in filter(None, map(str.strip, parts)):
        code, rated, value = ("", "", "") if find(part) else part.rpartition("=")
        codes.append((code.strip(), value.strip()) if rated and code.strip() else (part, ""))
    return codes


def document_of(tiers: Sequence[Tier], context: Context, notes: Iterable[tuple[int | None, str]] = ()) -> Document:
    """Read tiers: those of codes to marks, the others to lines in the order of their starts."""
    document = Document(notes=list(notes))
    patterns = [tier_pattern(written) for written in context.code_tiers]
    coders = {n: _coder(tier, context, patterns) for n, tier in enumerate(tiers)}
    codes = {n: coder for n, coder in coders.items() if coder is not None}
    document.guessed = 0 if patterns else sum(own_coder(tiers[n].name) is None for n in codes)
    order = parents_first(tiers)
    speech = _speech(tiers, order, codes, context, document.notes)
    names = {tiers[n].name for n in speech}
    said = sorted(
        (milliseconds(one.start), milliseconds(one.end), n, place)
        for n in speech
        for place, one in enumerate(tiers[n].intervals)
        if one.text.strip()
    )
    lines_of: dict[int, list[tuple[Span, int]]] = defaultdict(list)
    for start, end, n, place in said:
        one = tiers[n].intervals[place]
        lines_of[n].append(((start, end), len(document.lines)))
        text, speaker = " ".join(one.text.split()), _speaker(tiers[n], names)
        document.lines.append(Line(row=one.row, text=text, speaker=speaker, start=one.start, end=one.end))
    places, above = Places.of(document.lines), _speech_above(tiers, order, speech)
    for n, coder in codes.items():
        _add_marks(document, tiers[n], coder, context.find, places, lines_of.get(above.get(n, -1), []))
    return document


def parents_first(tiers: Sequence[Tier]) -> list[int]:
    """Places of the tiers, each after the one that it hangs below; those that hang in a circle come last."""
    known = {tier.name for tier in tiers}
    below: dict[str, list[int]] = defaultdict(list)
    for n, tier in enumerate(tiers):
        below[tier.parent if tier.parent in known else ""].append(n)
    order = list(below.pop("", []))
    for n in order:
        order += below.pop(tiers[n].name, [])
    return order + [n for rest in below.values() for n in rest]


def tier_pattern(written: str) -> re.Pattern[str]:
    """What a name in `code_tiers` fits: `*` is any text, `{coder}` the name of the coder; case does not count."""
    literal = re.escape(written.strip()).replace(r"\*", ".*").replace(r"\{coder\}", "(?P<coder>.+)", 1)
    return re.compile(literal.replace(r"\{coder\}", "(?P=coder)"), re.IGNORECASE)


def _coder(tier: Tier, context: Context, patterns: Sequence[re.Pattern[str]]) -> str | None:
    """The coder of a tier of codes, empty where nobody is named; None: the tier holds no codes."""
    own = own_coder(tier.name)
    if own is not None:
        return tier.annotator or own
    for pattern in patterns:
        if found := pattern.fullmatch(tier.name[:_LONGEST]):
            return tier.annotator or (found.groupdict().get("coder") or "").strip()
    if _is_speakers(tier, context):  # even if all they say is "W2"
        return None
    values = [one.text for one in tier.intervals if one.text.strip()]
    return tier.annotator if values and not patterns and all(_only_codes(v, context.find) for v in values) else None


def _is_speakers(tier: Tier, context: Context) -> bool:
    """Does the tier's name say that it is a speaker's: their own, or one that `speech_tiers` fits?"""
    further = _FURTHER.fullmatch(tier.name)
    name = further["name"] if further else tier.name
    named = bool(name) and (tier.participant in (name, tier.name) or context.knows(name))
    return named or any(tier_pattern(written).fullmatch(name[:_LONGEST]) for written in context.speech_tiers)


def _looks_coded(texts: Sequence[str]) -> bool:
    """Are these few short values that come back, as of gestures, rather than what someone says?"""
    short = all(len(text) <= 24 and len(text.split()) <= 2 for text in texts)
    return short and len(texts) >= 4 and 2 * len({text.strip().casefold() for text in texts}) <= len(texts)


def _only_codes(value: str, find: Find) -> bool:
    codes = read_cell(value, find) if len(value) <= _LONGEST else []
    return bool(codes) and all(find(code) for code, _ in codes)


def _speech(
    tiers: Sequence[Tier], order: Sequence[int], codes: Mapping[int, str], context: Context, notes: Notes
) -> list[int]:
    """Places of the tiers of speech; the others that hold something are noted."""
    values = {n: [i.text for i in tiers[n].intervals if i.text.strip()] for n in order if n not in codes}
    worded = {n for n, texts in values.items() if any(c.isalpha() for text in texts for c in text)}
    worded_below = {tiers[n].parent for n in worded}
    own = {n for n in values if _is_speakers(tiers[n], context)}
    speaking = {tiers[n].participant for n in worded if n in own or not _looks_coded(values[n])} - {""}
    speech: list[int] = []
    spoken: dict[str, bool] = {}
    for n in order:
        tier, above = tiers[n], spoken.get(tiers[n].parent, False)
        spoken[tier.name] = above
        texts = values.get(n)
        if not texts:
            continue
        coded = sum(_only_codes(text, context.find) for text in texts)
        which, held = f"tier {n + 1} of the file", f"its {len(texts)} values were left out"
        if tier.points:
            notes.append((None, f"point tier: {which} holds points that are not all codes; {held}"))
        elif context.speech_tiers and n not in own:
            notes.append((None, f"tier not named: {which} holds text, but speech_tiers does not fit it; {held}"))
        elif coded == len(texts) and n not in own:
            notes.append((None, f"code tier not named: {which} holds codes, but code_tiers does not fit it; {held}"))
        elif above and not (context.speech_tiers and n in own):
            notes.append((None, f"dependent tier: {which} holds text below a tier of speech; {held}"))
        elif n not in worded and tier.name in worded_below:
            notes.append((None, f"reference tier: {which} holds no words, but one below it does; {held}"))
        elif tier.participant in speaking and n not in own and _looks_coded(texts):
            what = f"{which} repeats few short values, and its participant speaks on another tier"
            notes.append((None, f"{UNCLEAR}: {what}; {held}"))
        else:
            speech.append(n)
            spoken[tier.name] = True
            if coded:
                notes.append(
                    (None, f"codes in speech: {coded} of {len(texts)} values of {which} are codes; all kept as speech")
                )
    return sorted(speech)


def _speech_above(tiers: Sequence[Tier], order: Sequence[int], speech: Sequence[int]) -> dict[int, int]:
    """For each tier that hangs below one of speech, the place of the nearest such."""
    nearest: dict[str, int] = {}
    above: dict[int, int] = {}
    spoken = set(speech)
    for n in order:
        if tiers[n].parent in nearest:
            above[n] = nearest[tiers[n].parent]
        if n in spoken or n in above:
            nearest[tiers[n].name] = n if n in spoken else above[n]
    return above


def _speaker(tier: Tier, names: set[str]) -> str:
    further = _FURTHER.fullmatch(tier.name)
    name = further["name"] if further and further["name"] in names else tier.name
    speaker = " ".join((tier.participant or name).split())
    return "" if speaker == NOBODY else speaker


def _add_marks(
    document: Document, tier: Tier, coder: str, find: Find, places: Places, above: list[tuple[Span, int]]
) -> None:
    """Add the marks of a tier of codes; `above`: the lines of the tier of speech that it hangs below."""
    own = _OWN.fullmatch(tier.name)
    for one in tier.intervals:
        cell, named = _named_lines(one.text) if own else (one.text, None)
        start, end = milliseconds(one.start), milliseconds(one.end)
        lines = _around(above, start, end) or places.find(start, end)
        if named is not None:
            if 0 <= named[0] <= named[1] < len(places.spans) and places.hull(*named) == (start, end):
                lines = named
            else:
                problem = "lines moved: the lines named here have other times than the coding; it was kept by time"
                document.notes.append((one.row, problem))
        for code, value in read_cell(cell, find):
            mark = Mark(row=one.row, code=code, coder=coder, value=value)
            if own is None or own["kind"] != "session":
                # A segment is no utterance, though it may begin and end with one.
                on = None if own and own["kind"] == "segments" else lines
                mark = replace(mark, lines=on, start=one.start, end=one.end)
            document.marks.append(mark)


def _around(lines: list[tuple[Span, int]], start: int, end: int) -> Span | None:
    """The line that an annotation on a tier below belongs to: the one that has it within its times."""
    place = bisect_right(lines, start, key=lambda line: line[0][0]) - 1
    return (lines[place][1],) * 2 if place >= 0 and end <= lines[place][0][1] else None


def _named_lines(cell: str) -> tuple[str, Span | None]:
    codes, mark, numbers = cell.rpartition("#")
    found = re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", numbers.strip())
    if not mark or found is None:
        return cell, None
    return codes, (int(found[1]) - 1, int(found[2] or found[1]) - 1)
