"""doccano's exports: JSON lines of texts with labels, of stretches or of the whole text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from threers.errors import InputError
from threers.formats.documents import Context, Document, Format
from threers.formats.files import File
from threers.formats.records import Record, objects, sessions
from threers.formats.selections import clean

#: Where the labels stand: by kind of project, and by version of doccano.
_LABELS = ("label", "labels", "entities", "cats")


def _fits(file: File) -> bool:
    record = file.record
    if not isinstance(record.get("text"), str) or "answer" in record or "_task_hash" in record:
        return False
    return any(isinstance(record.get(name), list) for name in _LABELS)


def _read(file: File, context: Context) -> list[Document]:
    """Nobody is named: doccano writes a file per annotator, or one for all who work together."""
    records = []
    notes: list[tuple[int | None, str]] = []
    for row, found in objects(file):
        if not isinstance(found, dict) or not isinstance(found.get("text"), str) or not found["text"].strip():
            notes.append((row, "not readable: no JSON object with a text; row dropped"))
            continue
        spans, codes, odd = _labels(found)
        if odd:
            notes.append((row, f"not a coding: {odd} labels that are neither a name nor a place with a name; left out"))
        if found.get("relations"):
            notes.append((row, "not a coding: relations between labels; left out"))
        meta = found.get("meta")
        beside = {**found, **meta} if isinstance(meta, dict) else found
        key = "" if found.get("id") is None else str(found["id"])
        records.append(Record(row=row, text=clean(found["text"]), key=key, spans=spans, codes=codes, beside=beside))
    if not records:
        raise InputError("no texts; expected JSON lines with text and label, as doccano exports them")
    if not any(record.spans or record.codes for record in records):
        # Where nothing has a label, nobody has annotated yet.
        records = [replace(record, read=False) for record in records]
    documents = sessions(records, context)
    documents[0].notes += notes
    return documents


def _labels(found: dict[str, Any]) -> tuple[list[tuple[int, int, str]], list[str], int]:
    spans, codes, odd = [], [], 0
    for label in _given(found):
        match label:
            case str():
                codes.append(clean(label))
            case [int(start), int(end), str(code)] | {
                "start_offset": int(start),
                "end_offset": int(end),
                "label": str(code),
            }:
                spans.append((start, end, clean(code)))
            case _:
                odd += 1
    return spans, codes, odd


def _given(found: dict[str, Any]) -> Iterator[Any]:
    for name in _LABELS:
        if isinstance(found.get(name), list):
            yield from found[name]


FORMAT = Format(name="doccano", title="doccano JSON lines", suffixes=(".jsonl", ".json"), fits=_fits, read=_read)
