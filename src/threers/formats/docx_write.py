"""A session as a Word document: a paragraph for each utterance, and for each code a comment by its coder."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

from threers.errors import InputError
from threers.formats import extras
from threers.formats.comments import comment_of, times_of
from threers.formats.documents import Document, Line, Output

#: Styles by which a document is read again without guessing who speaks. A name without spaces is its own identifier.
UTTERANCE, SESSION, SPEAKER, TIME = "ThreersUtterance", "ThreersSession", "ThreersSpeaker", "ThreersTime"
#: Heading of a session without a name.
UNNAMED = "Session"
_NOT_IN_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(documents: Sequence[Document], output: Output) -> bytes:
    """Write one session.

    Codes on the whole session or on a stretch of time are comments on the heading.

    Raises:
        InputError: there are no utterances, or python-docx is not installed.

    """
    (document,) = documents
    if not document.lines:
        raise InputError("the session has no utterances; expected some for comments to lie on")
    docx = extras.load("docx", "DOCX files")
    made = docx.Document()
    _add_styles(made)
    heading = _add_paragraph(made, SESSION, [(_plain(document.session) or UNNAMED, "")])
    runs = [_add_paragraph(made, UTTERANCE, _parts(line)) for line in document.lines]
    for mark in document.marks:
        if mark.code:
            first, last = mark.lines or (0, 0)
            on = [runs[first][0], runs[last][-1]] if mark.lines else heading
            coder = _plain(mark.coder)
            initials = "".join(word[0] for word in coder.split())[:3]
            comment = made.add_comment(on, _plain(comment_of(mark, output.titles)), coder, initials)
            # The same session gives the same document, whenever it is written.
            comment._comment_elm.attrib.pop(docx.oxml.ns.qn("w:date"), None)
    content = io.BytesIO()
    made.save(content)
    return content.getvalue()


def _parts(line: Line) -> list[tuple[str, str]]:
    """The runs of an utterance: text and style."""
    speaker, timed = _plain(line.speaker), line.start is not None or line.end is not None
    parts = [(f"{times_of(line.start, line.end)} ", TIME)] if timed else []
    return [*parts, *([(f"{speaker}: ", SPEAKER)] if speaker else []), (_plain(line.text), "")]


def _plain(text: str) -> str:
    """Text as XML can hold it, on one line."""
    return " ".join(_NOT_IN_XML.sub("", text).split())


def _add_styles(made: Any) -> None:
    kinds = extras.load("docx.enum.style", "DOCX files").WD_STYLE_TYPE
    for name in (UTTERANCE, SESSION):
        made.styles.add_style(name, kinds.PARAGRAPH).base_style = made.styles["Normal"]
    for name in (SPEAKER, TIME):
        made.styles.add_style(name, kinds.CHARACTER)
    made.styles[SESSION].font.bold = made.styles[SPEAKER].font.bold = True


def _add_paragraph(made: Any, style: str, parts: Sequence[tuple[str, str]]) -> list[Any]:
    """Add a paragraph; returns its runs. Styles are set by identifier, which saves a search for each."""
    paragraph = made.add_paragraph()
    paragraph._p.style = style
    runs = []
    for text, run_style in parts:
        run = paragraph.add_run(text)
        if run_style:
            run._r.style = run_style
        runs.append(run)
    return runs
