"""Prodigy's exports: JSON lines of tasks, each with an answer."""

from __future__ import annotations

from typing import Any

from threers.errors import InputError
from threers.formats.documents import Context, Document, Format
from threers.formats.files import File
from threers.formats.records import Record, objects, sessions
from threers.formats.selections import clean

_ANSWERS = ("accept", "reject", "ignore")


def _fits(file: File) -> bool:
    record = file.record
    if not isinstance(record.get("text"), str):
        return False
    return record.get("answer") in _ANSWERS or ("_task_hash" in record and "_input_hash" in record)


def _read(file: File, context: Context) -> list[Document]:
    records = []
    notes: list[tuple[int | None, str]] = []
    for row, task in objects(file):
        if not isinstance(task, dict) or not isinstance(task.get("text"), str) or not task["text"].strip():
            notes.append((row, "not readable: no JSON object with a text; row dropped"))
            continue
        spans, codes = _codes(task, context)
        answer, reason = task.get("answer", "accept"), ""
        binary = "label" in task and not spans and "accept" not in task
        if answer not in _ANSWERS:
            reason = "an answer that Prodigy does not give"
        elif answer == "ignore":
            reason = "the answer is ignore"
        elif answer == "reject" and not binary:
            # It says that something is wrong, not what would be right.
            reason = "the answer rejects more than one label"
        if reason:
            notes.append((row, f"not a coding: {reason}; utterance kept without it"))
        if answer != "accept":
            spans, codes = [], []
        records.append(
            Record(
                row=row,
                text=clean(task["text"]),
                coder=_coder(task),
                # One text is asked about once for each label.
                key=str(task.get("_input_hash", "")),
                spans=spans,
                codes=codes,
                read=not reason,
                beside={**task, **meta} if isinstance(meta := task.get("meta"), dict) else task,
            )
        )
    if not records:
        raise InputError("no texts; expected JSON lines with text and answer, as Prodigy exports them")
    documents = sessions(records, context)
    documents[0].notes += notes
    return documents


def _codes(task: dict[str, Any], context: Context) -> tuple[list[tuple[int, int, str]], list[str]]:
    """Of stretches, and of the whole text: its label, or the options that were chosen."""
    spans = []
    # Where options are chosen, stretches are what the coder was shown.
    for span in [] if task.get("_view_id") == "choice" and "accept" in task else _list(task.get("spans")):
        match span:
            case {"start": int(start), "end": int(end), "label": str() | int() as code}:
                spans.append((start, end, clean(str(code))))
    if "accept" in task:
        shown = {
            str(one.get("id")): str(one.get("text") or "")
            for one in _list(task.get("options"))
            if isinstance(one, dict)
        }
        chosen = [clean(str(one)) for one in _list(task["accept"]) if isinstance(one, (str, int))]
        return spans, [
            one if context.find(one) or not context.find(shown.get(one, "")) else shown[one] for one in chosen
        ]
    return spans, [clean(str(task["label"]))] if isinstance(task.get("label"), (str, int)) and not spans else []


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _coder(task: dict[str, Any]) -> str:
    named = (task.get(key) for key in ("_annotator_id", "_session_id"))
    return next((clean(name) for name in named if isinstance(name, str) and name), "")


FORMAT = Format(name="prodigy", title="Prodigy JSON lines", suffixes=(".jsonl", ".json"), fits=_fits, read=_read)
