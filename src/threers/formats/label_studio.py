"""Label Studio: exports as JSON and JSON-MIN, and tasks with annotations and predictions to import there.

A task holds a dialogue (the tag Paragraphs) or a text (the tag Text). What `config` returns sets up a project for the
tasks that are written here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from threers.errors import InputError
from threers.formats.documents import Context, Document, Format, Line, Mark
from threers.formats.files import File
from threers.formats.label_studio_tasks import MODEL, VALUE, config, write
from threers.formats.records import Record, facts, objects, said, sessions, time
from threers.formats.selections import Selection, clean, from_utf16, marked
from threers.formats.speech import Spoken

__all__ = ["FORMAT", "config"]

_LABELS = ("labels", "paragraphlabels", "hypertextlabels", "choices", "taxonomy")
_RATINGS = ("rating", "number")
_TEXT_KEYS = ("text", "content", "utterance", "phrase")


@dataclass(frozen=True, slots=True)
class _Region:
    """A code on a place in a task; no place: on all of it."""

    code: str
    rating: str
    place: dict[str, Any] | None


@dataclass(slots=True)
class _Task:
    """One task: its text or dialogue, and the regions of each coder; a coder may have none."""

    row: int
    key: str
    data: dict[str, Any]
    coded: list[tuple[str, list[_Region]]] = field(default_factory=list)


def _fits(file: File) -> bool:
    record = file.record
    if {"annotation_id", "annotator"} <= record.keys():
        return True
    return isinstance(record.get("data"), dict) and any(
        isinstance(record.get(name), list) for name in ("annotations", "completions", "predictions")
    )


def _read(file: File, context: Context) -> list[Document]:
    notes: list[tuple[int | None, str]] = []
    tasks = list(_tasks(file, context, notes))
    documents = []
    records: list[Record] = []
    for task in tasks:
        dialogue = next((one for one in task.data.values() if _is_dialogue(one)), None)
        text = _text(task.data)
        if dialogue is not None:
            documents.append(_dialogue(task, dialogue, notes))
            if len(tasks) > 1:
                documents[-1].session = documents[-1].session or task.key
        elif text:
            records += _records(task, text, notes)
        else:
            notes.append((task.row, "no text: the task holds neither a text nor a dialogue; task dropped"))
    documents += sessions(records, context) if records else []
    if not documents:
        raise InputError("no tasks with a text or a dialogue; expected Label Studio's export as JSON")
    documents[0].notes += notes
    return documents


def _tasks(file: File, context: Context, notes: list[tuple[int | None, str]]) -> Iterator[_Task]:
    small: dict[str, _Task] = {}
    for row, found in objects(file):
        if not isinstance(found, dict):
            notes.append((row, "not readable: no task of Label Studio; task dropped"))
        elif "annotation_id" in found:
            key = _key(found, row)
            task = small.setdefault(key, _Task(row, key, found))
            task.coded.append(
                (_coder(found.get("annotator")), list(_regions(_results_of_small(found, context), context, row, notes)))
            )
        elif isinstance(found.get("data"), dict):
            yield _full_task(row, found, context, notes)
        else:
            notes.append((row, "not readable: a task without data; task dropped"))
    yield from small.values()


def _full_task(row: int, found: dict[str, Any], context: Context, notes: list[tuple[int | None, str]]) -> _Task:
    task = _Task(row, _key(found, row), found["data"])
    for annotation in _dicts(found.get("annotations")) + _dicts(found.get("completions")):
        if annotation.get("was_cancelled"):
            notes.append((row, "not a coding: the annotator skipped this task; left out"))
        else:
            regions = list(_regions(_dicts(annotation.get("result")), context, row, notes))
            task.coded.append((_coder(annotation.get("completed_by")), regions))
    for prediction in _dicts(found.get("predictions")):
        model = str(prediction.get("model_version") or "")
        if model.startswith(MODEL):
            task.coded.append((clean(model), list(_regions(_dicts(prediction.get("result")), context, row, notes))))
        else:
            notes.append((row, "not a coding: a prediction of some model; left out"))
    return task


def _key(task: dict[str, Any], row: int) -> str:
    """The tool's number of a task; its place in the file where it has none."""
    return str(row if task.get("id") is None else task["id"])


def _results_of_small(record: dict[str, Any], context: Context) -> list[dict[str, Any]]:
    """JSON-MIN has results without their types: under each control's name a list of regions, or what was chosen."""
    results = []
    for name, value in record.items():
        chosen = value.get("choices") if isinstance(value, dict) else value
        for one in _dicts(value):
            place = str([one.get(key) for key in ("start", "startOffset", "end", "endOffset")])
            results += [{"id": place, "type": kind, "value": one} for kind in (*_LABELS, *_RATINGS) if kind in one]
        if isinstance(chosen, str) and name not in ("text", "annotator") and context.find(chosen):
            results.append({"type": "choices", "value": {"choices": [chosen]}})
        elif isinstance(chosen, list) and isinstance(value, dict):
            results.append({"type": "choices", "value": {"choices": chosen}})
    return results


def _regions(
    results: Sequence[dict[str, Any]], context: Context, row: int, notes: list[tuple[int | None, str]]
) -> Iterator[_Region]:
    """Results of one annotation; those with one id say more of one region: its place, its code, its rating."""
    ratings: dict[Any, str] = {}
    places: dict[Any, dict[str, Any]] = {}
    others: Counter[str] = Counter()
    for result in results:
        value, key = _value(result), str(result.get("id", ""))
        if key and {"start", "end"} <= value.keys():
            places.setdefault(key, value)
        kind = str(result.get("type", ""))
        written = value.get(kind)
        if kind in _RATINGS and isinstance(written, (int, float)):
            ratings[key] = str(written)
        elif kind == "textarea" and result.get("from_name") == VALUE and isinstance(value.get("text"), list):
            ratings[key] = clean("".join(one for one in value["text"] if isinstance(one, str)))
        elif kind not in _LABELS:
            others[kind if kind.isidentifier() else "unknown"] += 1
    for result in results:
        value, key = _value(result), str(result.get("id", ""))
        kind = str(result.get("type", ""))
        place = value if {"start", "end"} <= value.keys() else places.get(key)
        for written in value.get(kind) or [] if kind in _LABELS and isinstance(value.get(kind), list) else []:
            if code := _code(written, context):
                yield _Region(code, ratings.get(key, ""), place)
    for kind, count in others.items():
        notes.append((row, f"not a coding: {count} results of type {kind}; left out"))


def _code(written: Any, context: Context) -> str:
    """A label; of a taxonomy's path the most special part that is a code."""
    if isinstance(written, list):
        parts = [part for part in written if isinstance(part, str)]
        return clean(next((part for part in reversed(parts) if context.find(part)), parts[-1] if parts else ""))
    return clean(written) if isinstance(written, str) else ""


def _dialogue(task: _Task, dialogue: list[dict[str, Any]], notes: list[tuple[int | None, str]]) -> Document:
    """Paragraphs as if they stood in one text, each on a line."""
    spoken: list[Spoken] = []
    at = 0
    for number, one in enumerate(dialogue, start=1):
        text = clean(next((one[key] for key in _TEXT_KEYS if isinstance(one.get(key), str)), ""))
        line = Line(row=number, text=text, speaker=said(one, "speaker"), start=time(one, "start"), end=_end(one))
        spoken.append(Spoken(line, at, at + len(text)))
        at += len(text) + 1
    units = [from_utf16(one.line.text) for one in spoken]
    selections = []
    whole = []
    for coder, regions in task.coded:
        if not regions and spoken:
            whole.append(Mark(row=task.row, code="", coder=coder, lines=(0, len(spoken) - 1)))
        for region in regions:
            if region.place is None:
                whole.append(Mark(row=task.row, code=region.code, coder=coder, value=region.rating))
            elif place := _paragraphs(region.place, spoken, units):
                start, end = place
                selections.append(
                    Selection(row=task.row, code=region.code, coder=coder, value=region.rating, start=start, end=end)
                )
            else:
                notes.append((task.row, "no such utterance: a region beyond the dialogue; coding dropped"))
    document = marked(spoken, selections, said(task.data, "session"))
    document.marks += whole
    document.facts = facts(task.data)
    return document


def _end(one: dict[str, Any]) -> float | None:
    start, end, duration = time(one, "start"), time(one, "end"), one.get("duration")
    if end is None and start is not None and isinstance(duration, (int, float)) and 0 <= duration < 1e9:
        return start + duration
    return end


def _paragraphs(
    place: dict[str, Any], spoken: Sequence[Spoken], units: Sequence[Callable[[int], int]]
) -> tuple[int, int] | None:
    """From paragraph and offset in it, which count from 0 and may be numbers or text, to places in the text."""
    first, last = _number(place.get("start")), _number(place.get("end"))
    if first is None or last is None or max(first, last) >= len(spoken):
        return None
    begin, stop = _number(place.get("startOffset")), _number(place.get("endOffset"))
    start = spoken[first].start + units[first](begin or 0)
    return start, spoken[last].end if stop is None else spoken[last].start + units[last](stop)


def _number(value: Any) -> int | None:
    return int(value) if re.fullmatch(r"\d{1,9}", str(value)) else None


def _records(task: _Task, text: str, notes: list[tuple[int | None, str]]) -> Iterator[Record]:
    if not task.coded:
        yield Record(row=task.row, text=text, key=task.key, read=False, beside=task.data)
    for coder, regions in task.coded:
        if any(region.rating for region in regions):
            notes.append((task.row, "not a coding: ratings of stretches of a text; codes kept without them"))
        spans, lost = _places(regions, text)
        if lost:
            what = f"place not readable: {lost} regions have no numbers for it, as those of the tag HyperText"
            notes.append((task.row, f"{what}; codings dropped"))
        yield Record(
            row=task.row,
            text=text,
            coder=coder,
            key=task.key,
            spans=spans,
            codes=[region.code for region in regions if region.place is None],
            read=not lost,
            beside=task.data,
        )


def _places(regions: Sequence[_Region], text: str) -> tuple[list[tuple[int, int, str]], int]:
    """Places in a text, and how many could not be read.

    Versions before 1.6 counted as JavaScript does, later ones don't; the quoted text tells.
    """
    found = []
    lost = 0
    unit = from_utf16(text)
    for region, place in ((one, one.place) for one in regions if one.place is not None):
        start, end = _number(place.get("start")), _number(place.get("end"))
        if start is None or end is None:
            lost += 1
            continue
        older = unit(start), unit(end)
        if place.get("text") not in (None, text[start:end]) and place["text"] == text[older[0] : older[1]]:
            start, end = older
        found.append((start, end, region.code))
    return found, lost


def _text(data: dict[str, Any]) -> str:
    """The text that was annotated: what is called so, else the longest."""
    texts = [value for value in data.values() if isinstance(value, str) and value.strip()]
    named = next((data[key] for key in _TEXT_KEYS if data.get(key) in texts), None)
    return clean(named or max(texts, key=len, default=""))


def _is_dialogue(value: Any) -> bool:
    return bool(_dicts(value)) and len(_dicts(value)) == len(value) and any(key in value[0] for key in _TEXT_KEYS)


def _coder(who: Any) -> str:
    """The id or e-mail address of who completed an annotation, as the file has it."""
    if isinstance(who, dict):
        who = who.get("email") or who.get("id")
    return clean(str(who)) if isinstance(who, (str, int)) else ""


def _value(result: dict[str, Any]) -> dict[str, Any]:
    value = result.get("value")
    return value if isinstance(value, dict) else {}


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


FORMAT = Format(
    name="label_studio",
    title="Label Studio JSON",
    suffixes=(".json",),
    fits=_fits,
    read=_read,
    write=write,
    together=True,
    units=("utterance", "session"),
    settings=config,
)
