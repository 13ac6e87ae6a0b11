"""Tasks to import into Label Studio, with annotations and predictions, and the labelling interface for them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

from threers.errors import InputError
from threers.formats.documents import Document, Line, Mark, Output

#: Coders of this kind are models: what they say are predictions.
MODEL = "model:"
#: The control for a value as written, on the region of its code.
VALUE = "value"


def config(codes: Iterable[str]) -> str:
    """The labelling interface of a project for the tasks that are written here."""
    labels = "".join(f"\n    <Label value={quoteattr(code)}/>" for code in codes)
    choices = labels.replace("<Label ", "<Choice ")
    return f"""<View>
  <ParagraphLabels name="code" toName="dialogue">{labels}
  </ParagraphLabels>
  <Paragraphs name="dialogue" value="$dialogue" layout="dialogue" nameKey="author" textKey="text"/>
  <TextArea name="{VALUE}" toName="dialogue" perRegion="true" placeholder="Rating, if any"/>
  <Header value="The whole session"/>
  <Choices name="session" toName="dialogue" choice="multiple">{choices}
  </Choices>
</View>
"""


def write(documents: Sequence[Document], output: Output) -> bytes:
    """Tasks with the tag Paragraphs; Label Studio takes annotations of members of the project, by e-mail or id."""
    del output
    tasks = [_task(document) for document in documents]
    return json.dumps(tasks, ensure_ascii=False, indent=1).encode()


def _task(document: Document) -> dict[str, Any]:
    dialogue = [_paragraph(line) for line in document.lines]
    coded: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for number, mark in enumerate(document.marks):
        results = coded[mark.coder]
        if mark.code:
            results += _results(mark, f"mark{number}", document.lines)
    return {
        "data": {"session": document.session, **document.facts, "dialogue": dialogue},
        "annotations": [
            _completed_by(coder) | {"result": results}
            for coder, results in coded.items()
            if not coder.startswith(MODEL)
        ],
        "predictions": [
            {"model_version": coder, "result": results} for coder, results in coded.items() if coder.startswith(MODEL)
        ],
    }


def _paragraph(line: Line) -> dict[str, Any]:
    times = {"start": line.start, "end": line.end}
    return {"author": line.speaker, "text": line.text} | {key: time for key, time in times.items() if time is not None}


def _completed_by(coder: str) -> dict[str, Any]:
    if not coder:
        return {}
    is_id = coder.isascii() and coder.isdecimal() and len(coder) < 10 and not (coder[0] == "0" and len(coder) > 1)
    return {"completed_by": int(coder) if is_id else {"email": coder}}


def _results(mark: Mark, key: str, lines: Sequence[Line]) -> list[dict[str, Any]]:
    place: dict[str, Any] = {}
    if on := mark.lines or _lines_at(mark, lines):
        first, last = on
        place = {"start": str(first), "end": str(last), "startOffset": 0, "endOffset": _length(lines[last].text)}
    common = {"id": key, "to_name": "dialogue"}
    if place:
        code = {"from_name": "code", "type": "paragraphlabels", "value": {**place, "paragraphlabels": [mark.code]}}
    else:
        code = {"from_name": "session", "type": "choices", "value": {"choices": [mark.code]}}
    results = [common | code]
    if mark.value:
        value = {"from_name": VALUE, "type": "textarea", "value": {**place, "text": [mark.value]}}
        results.append(common | value)
    return results


def _length(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _lines_at(mark: Mark, lines: Sequence[Line]) -> tuple[int, int] | None:
    """The first and last line that a coded time touches; None for a mark on the whole session."""
    if mark.start is None:
        return None
    end = mark.start if mark.end is None else mark.end
    touched = [
        number
        for number, line in enumerate(lines)
        if line.start is not None and line.start <= end and mark.start <= (line.start if line.end is None else line.end)
    ]
    if not touched:
        raise InputError("a coding lies on a time at which no utterance has one; expected utterances with times")
    return touched[0], touched[-1]
