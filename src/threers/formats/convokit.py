"""Conversations of a ConvoKit corpus: its file `utterances.jsonl`, one utterance a line, many sessions in one file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from threers.errors import InputError
from threers.formats.cues import counted_note, folded
from threers.formats.documents import Context, Document, Format, Line
from threers.formats.files import File
from threers.formats.json_values import name, number

#: Longest time of a session in seconds; larger stamps are dates.
_LONGEST = 6 * 3600
#: What an utterance has in ConvoKit, under the names of all its versions; the rest is metadata.
_SPEAKER, _CONVERSATION, _REPLY = ("speaker", "user"), ("conversation_id", "root"), ("reply-to", "reply_to")
_FIELDS = {"id", "text", "timestamp", "meta", "vectors", *_SPEAKER, *_CONVERSATION, *_REPLY}


def fits(file: File) -> bool:
    """Has the first utterance a text, a speaker, a conversation and what it replies to?"""
    keys = file.record.keys()
    return "text" in keys and all(not keys.isdisjoint(names) for names in (_SPEAKER, _CONVERSATION, _REPLY))


def read(file: File, context: Context) -> list[Document]:
    """Read each conversation as a session, its utterances in the order of the file.

    Timestamps count where they are seconds of a session: numbers that grow within the conversation.

    Raises:
        InputError: no line is an utterance with a text.

    """
    said: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    odd: list[int] = []
    silent: list[int] = []
    further: set[str] = set()
    for row, utterance in _utterances(file):
        conversation = _first(utterance, _CONVERSATION)
        if not conversation:
            odd.append(row)
            continue
        meta = utterance.get("meta")
        further |= (utterance.keys() - _FIELDS) | (meta.keys() if isinstance(meta, dict) else set())
        if isinstance(utterance.get("text"), str) and utterance["text"].strip():
            said.setdefault(conversation, []).append((row, utterance))
        else:
            silent.append(row)
    if not said:
        raise InputError("no utterances were found; expected JSON lines with text, speaker and conversation_id")
    sessions = [_session(conversation, utterances) for conversation, utterances in said.items()]
    notes = counted_note(odd, "utterance not readable: it is no JSON object with a conversation_id", "left out")
    notes += counted_note(silent, "no text: an utterance is empty", "left out")
    if further:
        notes.append((None, f"metadata: utterances have {len(further)} further fields; left out"))
    sessions[0].notes[:0] = notes
    return sessions


def _utterances(file: File) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows and their objects, empty where a row is none."""
    rows = enumerate(file.json, start=1) if isinstance(file.json, list) else file.json_lines()
    for row, found in rows:
        yield row, found if isinstance(found, dict) else {}


def _first(utterance: dict[str, Any], names: Sequence[str]) -> str:
    """The first of the fields that is filled; of an object, its `id`."""
    values = (utterance.get(field) for field in names)
    written = (folded(name(value.get("id") if isinstance(value, dict) else value)) for value in values)
    return next(filter(None, written), "")


def _session(conversation: str, utterances: Sequence[tuple[int, dict[str, Any]]]) -> Document:
    lines = [
        Line(row=row, text=folded(one["text"]), speaker=_first(one, _SPEAKER), start=number(one.get("timestamp")))
        for row, one in utterances
    ]
    stamps = [line.start for line in lines]
    stamped = [stamp for stamp in stamps if stamp is not None]
    grows = stamped == stamps and all(before <= after for before, after in pairwise(stamped))
    if not stamped or (grows and 0 <= stamped[0] and stamped[-1] <= _LONGEST and (stamped[0] < stamped[-1])):
        return Document(session=conversation, lines=lines)
    note = (lines[0].row, "time not readable: timestamps are no seconds of a session; utterances kept without them")
    return Document(session=conversation, lines=[replace(line, start=None) for line in lines], notes=[note])


FORMAT = Format(name="convokit", title="ConvoKit corpus", suffixes=(".jsonl",), fits=fits, read=read)
