"""Records of annotation tools, each a session or an utterance with its labels, to documents."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from threers.formats.cues import counted_note
from threers.formats.documents import Context, Document, Line, Mark
from threers.formats.files import File
from threers.formats.selections import Selection, clean, find_lines, marked
from threers.formats.times import seconds

#: What labs call what they keep beside a text.
_KEYS = {
    "session": ("session", "session_id", "session_name", "document", "doc_id", "document_id"),
    "order": ("order", "turn", "turn_id", "utterance", "utterance_id", "number", "line", "row"),
    "speaker": ("speaker", "author", "role", "name"),
    "start": ("start", "start_time", "begin"),
    "end": ("end", "end_time", "stop"),
    "patient": ("patient", "patient_id"),
    "therapist": ("therapist", "therapist_id"),
    "session_number": ("session_number",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A text, and what one coder said of stretches of it (`spans`: start, end, code) and of all of it (`codes`).

    `read`: the coder has judged it, so no code means that nothing was marked. `beside`: what the lab keeps beside the
    text. `key` tells records of one text apart from those of an equal text; empty: the tool doesn't say.
    """

    row: int
    text: str
    coder: str = ""
    key: str = ""
    spans: Sequence[tuple[int, int, str]] = ()
    codes: Sequence[str] = ()
    read: bool = True
    beside: Mapping[str, Any] = field(default_factory=dict)


def objects(file: File) -> Iterator[tuple[int, Any]]:
    """The numbers and values of a JSON list or of JSON lines; None for what is not JSON."""
    found = file.json
    if found is None:
        yield from file.json_lines()
    else:
        yield from enumerate(found if isinstance(found, list) else [found], start=1)


def said(beside: Mapping[str, Any], what: str) -> str:
    """What the lab keeps beside a text as `what`, by any of its usual names; empty where it keeps none."""
    values = (beside.get(key) for key in _KEYS[what])
    return next((clean(str(value)) for value in values if isinstance(value, (str, int, float)) and value != ""), "")


def time(beside: Mapping[str, Any], what: str) -> float | None:
    """Seconds at the `start` or `end` of what is said; None: not given, or not readable."""
    written = said(beside, what)
    try:
        found = float(written)
    except ValueError:
        return seconds(written)
    return found if math.isfinite(found) and found >= 0 else None


def facts(beside: Mapping[str, Any]) -> dict[str, str]:
    """Patient, therapist and number of the session, as far as they are given."""
    return {what: value for what in ("patient", "therapist", "session_number") if (value := said(beside, what))}


def sessions(records: Sequence[Record], context: Context) -> list[Document]:
    """Documents of records, each of which is a session where most of them have several lines of speech."""
    many = sum(len(find_lines(record.text, context.speaker).spoken) > 1 for record in records)
    groups: dict[tuple[str, str], list[Record]] = defaultdict(list)
    if 2 * many > len(records):
        for record in records:
            groups[said(record.beside, "session"), record.text].append(record)
        names = _names([session for session, _ in groups], [group[0].key for group in groups.values()])
        return [_one_text(group, name, context) for name, group in zip(names, groups.values(), strict=True)]
    for record in records:
        groups[said(record.beside, "session"), ""].append(record)
    return [_utterances(group, session, context) for (session, _), group in groups.items()]


def _names(sessions: Sequence[str], keys: Sequence[str]) -> list[str]:
    """A lone session may take the file's name; several that have no name take the tool's number for the text."""
    if len(sessions) == 1 or all(sessions):
        return list(sessions)
    return [session or key or str(number) for number, (session, key) in enumerate(zip(sessions, keys, strict=True), 1)]


def _one_text(group: Sequence[Record], session: str, context: Context) -> Document:
    selections = [
        Selection(row=record.row, code=code, coder=record.coder, start=start, end=end)
        for record in group
        for start, end, code in record.spans
    ]
    speech = find_lines(group[0].text, context.speaker)
    document = marked(speech.spoken, selections, session)
    document.notes += speech.notes
    document.facts = facts(group[0].beside)
    document.marks += [Mark(row=record.row, code=code, coder=record.coder) for record in group for code in record.codes]
    coded = {record.coder for record in group if record.spans or record.codes}
    for record in group:
        if record.read and record.coder not in coded and document.lines:
            coded.add(record.coder)
            whole = (0, len(document.lines) - 1)
            document.marks.append(Mark(row=record.row, code="", coder=record.coder, lines=whole))
    return document


def _utterances(group: Sequence[Record], session: str, context: Context) -> Document:
    """Coders who judged the same utterances have a record each; equal texts are told apart by their turn."""
    lines: dict[tuple[str, ...], Line] = {}
    codes: dict[tuple[tuple[str, ...], str], dict[str, int]] = defaultdict(dict)
    turns: Counter[tuple[str, ...]] = Counter()
    for record in group:
        line = _line(record, context)
        identity: tuple[str, ...] = (line.speaker, line.text, str(line.start))
        place = said(record.beside, "order") or record.key
        if not place:
            turns[*identity, record.coder, *record.codes] += 1
            place = str(turns[*identity, record.coder, *record.codes])
        identity = (*identity, place)
        lines.setdefault(identity, line)
        given = codes[identity, record.coder]
        if record.read:
            given.setdefault("", record.row)
        for code in (*(code for *_, code in record.spans), *record.codes):
            given.setdefault(code, record.row)
    times = [(one, end) for one in group for end in ("start", "end")]
    unread = [one.row for one, end in times if said(one.beside, end) and time(one.beside, end) is None]
    return Document(
        session=session,
        lines=list(lines.values()),
        marks=list(_marks(codes, {identity: number for number, identity in enumerate(lines)})),
        notes=counted_note(unread, "time not readable", "utterance kept without it"),
        facts=facts(group[0].beside),
        judged=True,
    )


def _marks(
    codes: Mapping[tuple[tuple[str, ...], str], dict[str, int]], numbers: Mapping[tuple[str, ...], int]
) -> Iterable[Mark]:
    for (identity, coder), given in codes.items():
        number = numbers[identity]
        for code, row in given.items():
            if code or len(given) == 1:
                yield Mark(row=row, code=code, coder=coder, lines=(number, number))


def _line(record: Record, context: Context) -> Line:
    spoken = find_lines(record.text, context.speaker).spoken
    named = spoken[0].line if len(spoken) == 1 else Line(row=record.row, text=record.text.strip())
    start, end = time(record.beside, "start"), time(record.beside, "end")
    return Line(
        row=record.row,
        text=named.text,
        speaker=said(record.beside, "speaker") or named.speaker,
        start=named.start if start is None else start,
        end=end,
    )
