"""Text with speakers in front of what they say to lines of speech, with their places in the text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise

from threers.formats.captions import GAP
from threers.formats.cues import counted_note, read_timing
from threers.formats.documents import Line
from threers.formats.speakers import CLOCK, Prefix, find_names, find_prefix, find_speakers, is_like_a_name, time_of
from threers.formats.times import with_thousandths

#: f4 puts the time at which a paragraph ends behind it.
_BEHIND = re.compile(rf"\s*#(?P<end>{CLOCK})#\s*$")
#: A time in front of speech that names nobody.
_FRONT = re.compile(
    rf"\s*(?:[\[(#]\s?(?P<in>{CLOCK})\s?[\])#]|(?P<bare>\d{{1,3}}:\d{{2}}:\d{{2}}(?:[.,]\d{{1,3}})?)(?=\s|$))\s*"
)
_BEHIND_REACH = 30
#: Of a name below a line of times, and letters of such a line.
_BELOW, _TIMING_REACH = "below", 60
#: What Teams says of who had it transcribe, in the languages of files that were found; what Otter.ai says at the end.
_NOTICE = re.compile(
    r"(?P<who>.{1,60}?) (?:(?:started|stopped) transcription|(?:hat die )?Transkription (?:gestartet|beendet|gestoppt)"
    r"|(?:inició|detuvo) la transcripción)\.?"
)
_FOOTER = "Transcribed by https://otter.ai"
#: The end of a sentence, and not of initials.
_SENTENCE = re.compile(r"(?:[?!\u2026]|(?<!\b[^\W\d_])\.)\s*$")


@dataclass(frozen=True, slots=True)
class Spoken:
    """A line of speech, and where its text stands in the file's text: from `start`, before `end`."""

    line: Line
    start: int
    end: int


@dataclass(kw_only=True)
class Speech:
    """The lines of speech in a text, and notes on what was left out, as in `documents.Document`."""

    spoken: list[Spoken] = field(default_factory=list)
    notes: list[tuple[int | None, str]] = field(default_factory=list)


@dataclass(slots=True)
class _Turn:
    row: int
    speaker: str
    start: str
    end: str
    words: list[str]
    first: int = -1
    last: int = -1


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of the text: from `begin`, what is said in it, from the place `at`, and what stands around that."""

    row: int
    begin: int
    said: str
    prefix: Prefix | None
    behind: str


def read_speech(text: str, pattern: re.Pattern[str] | None = None) -> Speech:
    """Lines of speech in a text; a line without a speaker goes on with what the speaker before said.

    What stands before the first speaker is no speech. Where no line has a speaker, every line is one of its own.
    `pattern`: what stands in front of speech, in place of `speakers.SPEAKER`, with the group `speaker` and perhaps
    `start`, `end`.
    """
    rows = list(_rows(text, pattern))
    speech = Speech()
    if pattern is None:
        rows = _without_notices(_named_below_times(rows), speech)
    prefixes = [row.prefix for row in rows if row.prefix]
    below = {(one.style, one.key) for one in prefixes if pattern or one.style == _BELOW}
    chosen = below or find_speakers(prefixes, len(rows))
    if not chosen:
        why = "no line fits speaker_pattern" if pattern else "no line begins with one"
        speech.notes.append((None, f"no speakers: {why}; every line kept as an utterance of nobody"))
    else:
        rows = _without_header(rows, chosen, speech)
        _note_unsure(rows, chosen, speech)
    turns = _turns(rows, chosen)
    silent = [turn.row for turn in turns if not turn.words]
    speech.notes += counted_note(silent, "no text: a speaker says nothing", "left out")
    spoken = [turn for turn in turns if turn.words]
    unread = [one.row for one in spoken for time in (one.start, one.end) if time and time_of(time) is None]
    speech.notes += counted_note(unread, "time not readable", "utterance kept without it")
    speech.spoken = [_spoken(turn) for turn in spoken]
    return speech


def begins_with_speakers(head: str) -> bool:
    """Do speakers stand in front of a good share of the lines at the beginning of a text?"""
    rows = list(_rows(head, None))
    prefixes = [row.prefix for row in rows if row.prefix]
    chosen = find_speakers(prefixes, len(rows))
    return 5 * sum((prefix.style, prefix.key) in chosen for prefix in prefixes) >= len(rows) > 0


def _rows(text: str, pattern: re.Pattern[str] | None) -> Iterator[_Row]:
    """Lines that are not empty."""
    at = 0
    for row, raw in enumerate(text.splitlines(keepends=True), start=1):
        begin, at = at, at + len(raw)
        said = raw.rstrip()
        if not said:
            continue
        cut = max(0, len(said) - _BEHIND_REACH)
        behind = _BEHIND.search(said, cut)
        said = said[: behind.start()].rstrip() if behind else said
        # A name before a tab with nothing behind it: in a table, the cell of its speech is empty.
        prefix = find_prefix(f"{said}\t" if raw.startswith("\t", len(said)) else said, pattern)
        yield _Row(row, begin, said, prefix, behind["end"] if behind else "")


def _named_below_times(rows: list[_Row]) -> list[_Row]:
    """Rows in which a name below a line of times begins a turn, as in old transcripts of Teams; else the same rows."""
    times = [read_timing(row.said[:_TIMING_REACH]) if row.said[-1:].isdigit() else None for row in rows]
    named = [n + 1 for n, (here, below) in enumerate(pairwise(times)) if here and not below]
    if not find_names([rows[n].said.strip() for n in named]):
        return rows
    written = with_thousandths([time for n in named for time in times[n - 1] or ()])
    turns = {n: (written[2 * place], written[2 * place + 1]) for place, n in enumerate(named)}
    return [
        replace(row, prefix=Prefix(" ".join(row.said.split()), len(row.said), *turns[n], style=_BELOW))
        if n in turns
        else row
        for n, row in enumerate(rows)
        if not times[n]
    ]


def _without_notices(rows: list[_Row], speech: Speech) -> list[_Row]:
    """Rows without those by which a program says that it transcribed.

    Teams names who had it do so: someone who speaks, or on the last line anyone.
    """
    names = {row.prefix.key for row in rows if row.prefix}
    notices = []
    for row in rows:
        said, is_last = row.said.strip(), row is rows[-1]
        who = found["who"] if (found := _NOTICE.fullmatch(said)) else ""
        is_name = who.casefold() in names or (is_last and is_like_a_name(who))
        if (who and is_name) or (is_last and said == _FOOTER):
            notices.append(row.row)
    speech.notes += counted_note(notices, "notice: a program says that it transcribed", "left out")
    return [row for row in rows if row.row not in notices]


def _without_header(rows: list[_Row], chosen: set[tuple[str, str]], speech: Speech) -> list[_Row]:
    """Rows from the first speaker on. `Patient: 12` above the first speaker who comes back is no speech either."""
    counts = Counter((row.prefix.style, row.prefix.key) for row in rows if row.prefix)
    back = {one for one in chosen if counts[one] > 1}
    sure = back if len(back) > 1 else chosen
    begins = next((row.prefix for row in rows if row.prefix and (row.prefix.style, row.prefix.key) in sure), None)
    first = 0
    for place, row in enumerate(rows):
        key = (row.prefix.style, row.prefix.key) if row.prefix else None
        if key in sure:
            break
        if key in chosen and row.prefix is not None:
            if _is_before(row.prefix, begins) or not _is_entry(row.said[row.prefix.length :]):
                break
        first = place + 1
    times = [row for row in rows[:first] if _is_time(row)]
    header = [row.row for row in rows[:first] if not _is_time(row)]
    speech.notes += counted_note(header, "header: text before the first speaker", "left out")
    return times + rows[first:]


def _is_before(prefix: Prefix, other: Prefix | None) -> bool:
    """Do both have a time, the other one no earlier? So has a turn, and no entry of a form such as `Begin 10:30`."""
    mine, theirs = (time_of(one.start) if one and one.start else None for one in (prefix, other))
    return mine is not None and theirs is not None and mine <= theirs


def _is_time(row: _Row) -> bool:
    """Does the row hold a time alone?"""
    front = _FRONT.match(row.said)
    return front is not None and front.end() == len(row.said)


def _is_entry(words: str) -> bool:
    """May it be an entry of a form, such as a name, a number or a date?"""
    return len(words) < 60 and len(words.split()) <= 5 and _SENTENCE.search(words) is None


def _note_unsure(rows: list[_Row], chosen: set[tuple[str, str]], speech: Speech) -> None:
    unsure = [
        row.row
        for row in rows
        if row.prefix
        and row.prefix.style in ("colon", "alone")
        and (row.prefix.style, row.prefix.key) not in chosen
        and is_like_a_name(row.prefix.speaker)
    ]
    speech.notes += counted_note(unsure, "perhaps a speaker: a line begins like one, too rarely", "kept as text")


def _turns(rows: list[_Row], chosen: set[tuple[str, str]]) -> list[_Turn]:
    turns: list[_Turn] = []
    waiting = ""
    for row in rows:
        prefix = row.prefix if row.prefix and (row.prefix.style, row.prefix.key) in chosen else None
        front = _FRONT.match(row.said[:_BEHIND_REACH]) if prefix is None else None
        length = prefix.length if prefix else front.end() if front else 0
        words = row.said[length:]
        if prefix is not None and turns and _goes_on(turns[-1], prefix):
            turns[-1].end = prefix.end
        elif prefix is not None:
            turns.append(_Turn(row.row, prefix.speaker, prefix.start or waiting, prefix.end, []))
            waiting = ""
            _say(turns[-1], prefix.comment)
        elif not chosen and words.strip():
            turns.append(_Turn(row.row, "", _time(front) or waiting, "", []))
            waiting = ""
        elif not words.strip() and front:
            waiting = _time(front)
        if words.strip() and turns:
            turn = turns[-1]
            at = row.begin + len(row.said) - len(words.lstrip())
            turn.first, turn.last = (at if turn.first < 0 else turn.first), row.begin + len(row.said)
            _say(turn, words)
        if row.behind:
            waiting = row.behind
            if turns:
                turns[-1].end = row.behind
    return turns


def _goes_on(turn: _Turn, prefix: Prefix) -> bool:
    """Is this the same speaker, cut at a breath? Only below lines of times, as programs write them."""
    if prefix.style != _BELOW or prefix.speaker != turn.speaker:
        return False
    before, after = time_of(turn.end), time_of(prefix.start)
    return before is not None and after is not None and after - before <= GAP


def _say(turn: _Turn, words: str) -> None:
    if words.strip():
        turn.words.append(" ".join(words.split()))


def _time(front: re.Match[str] | None) -> str:
    return (front["in"] or front["bare"]) if front else ""


def _spoken(turn: _Turn) -> Spoken:
    line = Line(
        row=turn.row,
        text=" ".join(turn.words),
        speaker=turn.speaker,
        start=time_of(turn.start) if turn.start else None,
        end=time_of(turn.end) if turn.end else None,
    )
    return Spoken(line, turn.first, turn.last)
