"""Sessions to a REFI-QDA project, and the layout of their paragraphs, by which they are read again exactly."""

from __future__ import annotations

import io
import re
import uuid
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from threers.errors import InputError
from threers.formats.documents import Document, Line, Mark, Output
from threers.formats.speech import Spoken
from threers.formats.times import clock, seconds

NAMESPACE = "urn:QDA-XML:project:1.0"
#: Of the ids that are made here: the same things have the same ids in every export.
_IDS = uuid.uuid5(uuid.NAMESPACE_URL, NAMESPACE)
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_STAMP, _SPEAKER = "[start - end] ", "speaker: "
_LAYOUT = re.compile(rf"Paragraphs: ({re.escape(_STAMP)})?({_SPEAKER})?text")
#: Characters of a selection's text that stand in its name, as other programs have it.
_NAME = 40


@dataclass(frozen=True)
class Layout:
    """What stands in front of the text of each paragraph: times, and one of these speakers; none: no speaker at all."""

    timed: bool
    speakers: tuple[str, ...]

    @classmethod
    def of(cls, lines: Iterable[Line]) -> Layout:
        """The layout that these utterances need."""
        lines = list(lines)
        speakers = sorted({_plain(line.speaker) for line in lines})
        timed = any(line.start is not None or line.end is not None for line in lines)
        return cls(timed, tuple(speakers) if any(speakers) else ())

    @classmethod
    def read(cls, description: str) -> Layout | None:
        """The layout that the description of a source tells; None: it tells none."""
        first, *speakers = description.strip().splitlines() or [""]
        found = _LAYOUT.fullmatch(first.strip())
        return found and cls(bool(found[1]), ("", *speakers) if found[2] else ())

    def describe(self) -> str:
        """The description of a source that has this layout."""
        first = f"Paragraphs: {_STAMP if self.timed else ''}{_SPEAKER if self.speakers else ''}text"
        return "\n".join([first, *filter(None, self.speakers)])

    def pattern(self) -> re.Pattern[str]:
        """What stands in front of a paragraph's text."""
        stamp = r"\[(?P<start>[\d:.]*) - (?P<end>[\d:.]*)\] " if self.timed else "(?P<start>)(?P<end>)"
        names = "|".join(map(re.escape, sorted(self.speakers, key=len, reverse=True)))
        return re.compile(stamp + (f"(?P<speaker>{names}): " if self.speakers else "(?P<speaker>)"))

    def prefix(self, line: Line) -> str:
        """What stands in front of this utterance's text."""
        start, end = ("" if time is None else clock(time) for time in (line.start, line.end))
        stamp = f"[{start} - {end}] " if self.timed else ""
        return stamp + (f"{_plain(line.speaker)}: " if self.speakers else "")


def read_paragraphs(text: str, layout: Layout) -> list[Spoken]:
    """The utterances of a text of this layout; a paragraph that somebody has added without it has no speaker."""
    pattern = layout.pattern()
    found, at = [], 0
    for row, raw in enumerate(text.splitlines(keepends=True), start=1):
        said = raw.rstrip()
        prefix = pattern.match(said)
        words = said[prefix.end() if prefix else 0 :]
        start, at = at + len(said) - len(words.lstrip()), at + len(raw)
        if not words.strip():
            continue
        named = prefix.groupdict() if prefix else {}
        start_time, end_time = (_milliseconds(named.get(name, "")) for name in ("start", "end"))
        speaker = named.get("speaker", "")
        line = Line(row=row, text=words.strip(), speaker=speaker, start=start_time, end=end_time)
        found.append(Spoken(line, start, start + len(words.strip())))
    return found


def _milliseconds(written: str) -> float | None:
    time = seconds(written)
    return None if time is None else round(time, 3)


def write(documents: Sequence[Document], output: Output) -> bytes:
    """A project with a text for each session, a user for each coder and a code for each code of the codebook.

    The same sessions give the same bytes. A rating stands in the name of its code, as in `W1=3`.

    Raises:
        InputError: nothing to write, a coding on a stretch of time, or speakers whose names run into their texts.

    """
    if not documents:
        raise InputError("no session to write to a REFI-QDA project")
    marks = [mark for document in documents for mark in document.marks]
    if any(mark.lines is None and mark.start is not None for mark in marks):
        raise InputError(
            "a coding lies on a stretch of time, which a text in a REFI-QDA project has not; expected codings on "
            "utterances or sessions; write to a format with times, such as ELAN"
        )
    project = Element("Project", xmlns=NAMESPACE, name="threers", origin="threers")
    if coders := sorted({_plain(mark.coder) for mark in marks} - {""}):
        users = SubElement(project, "Users")
        for coder in coders:
            SubElement(users, "User", guid=_id("User", coder), name=coder)
    _add_codes(project, marks, output)
    _add_variables(project, documents)
    sources = SubElement(project, "Sources")
    texts = dict(_add_source(sources, number, document) for number, document in enumerate(documents))
    indent(project)
    whole = tostring(project, encoding="utf-8", xml_declaration=True)
    return _zipped({"project.qde": whole, **{f"sources/{name}": text.encode() for name, text in texts.items()}})


def _add_codes(project: Element, marks: Sequence[Mark], output: Output) -> None:
    """Add the codes of the codebook and of the marks, a rating under its code."""
    coded = [mark for mark in marks if mark.code]
    codes = dict.fromkeys([*output.titles, *(mark.code for mark in coded)])
    if not codes:
        return
    parent = SubElement(SubElement(project, "CodeBook"), "Codes")
    elements = {code: _add_code(parent, code) for code in codes}
    for code, element in elements.items():
        if title := output.titles.get(code):
            SubElement(element, "Description").text = _plain(title)
    for code, written in dict.fromkeys((mark.code, _code(mark)) for mark in coded if mark.value):
        _add_code(elements[code], written)


def _add_code(parent: Element, name: str) -> Element:
    return SubElement(parent, "Code", guid=_id("Code", _plain(name)), name=_plain(name), isCodable="true")


def _add_variables(project: Element, documents: Sequence[Document]) -> None:
    names = sorted({name for document in documents for name, value in document.facts.items() if value})
    variables = SubElement(project, "Variables") if names else project
    for name in names:
        SubElement(variables, "Variable", guid=_id("Variable", name), name=name, typeOfVariable="Text")


def _add_source(sources: Element, number: int, document: Document) -> tuple[str, str]:
    """Add a session; returns its text, and the name of the file for it."""
    key = f"{number} {document.session}"
    name = f"{_id('Text', key)}.txt"
    source = SubElement(sources, "TextSource", guid=_id("Source", key), name=_plain(document.session))
    source.set("plainTextPath", f"internal://{name}")
    layout = Layout.of(document.lines)
    SubElement(source, "Description").text = layout.describe()
    text, spoken = _paragraphs(document.lines, layout)
    on_lines = [mark for mark in document.marks if mark.code and mark.lines]
    for place, mark in enumerate(on_lines):
        first, last = mark.lines or (0, 0)
        start, end = spoken[first].start, spoken[last].end
        selection = SubElement(source, "PlainTextSelection", guid=_id("Selection", f"{key} {place}"))
        selection.set("name", _plain(text[start : min(end, start + _NAME)]) + ("…" if end > start + _NAME else ""))
        selection.set("startPosition", str(start))
        selection.set("endPosition", str(end))
        _add_coding(selection, mark, f"{key} {place}")
    for place, mark in enumerate(mark for mark in document.marks if mark.code and not mark.lines):
        _add_coding(source, mark, f"{key} session {place}")
    for fact, value in sorted(document.facts.items()):
        if value:
            given = SubElement(source, "VariableValue")
            SubElement(given, "VariableRef", targetGUID=_id("Variable", fact))
            SubElement(given, "TextValue").text = _plain(value)
    return name, text


def _paragraphs(lines: Sequence[Line], layout: Layout) -> tuple[str, list[Spoken]]:
    """The text of a session, and where in it each utterance stands."""
    pattern = layout.pattern()
    written, spoken, at = [], [], 0
    for line in lines:
        prefix = layout.prefix(line)
        # A line of nothing but control characters stays a line.
        paragraph = prefix + (_plain(line.text) or "…")
        found = pattern.match(paragraph)
        if found is None or found.end() != len(prefix):
            raise InputError("a speaker's name with a colon cannot be told from the text; give that speaker another")
        spoken.append(Spoken(line, at + len(prefix), at + len(paragraph)))
        written.append(f"{paragraph}\n")
        at += len(paragraph) + 1
    return "".join(written), spoken


def _add_coding(parent: Element, mark: Mark, key: str) -> None:
    coding = SubElement(parent, "Coding", guid=_id("Coding", key))
    if coder := _plain(mark.coder):
        coding.set("creatingUser", _id("User", coder))
        if parent.tag == "PlainTextSelection":
            parent.set("creatingUser", _id("User", coder))
    SubElement(coding, "CodeRef", targetGUID=_id("Code", _plain(_code(mark))))


def _code(mark: Mark) -> str:
    return f"{mark.code}={mark.value}" if mark.value else mark.code


def _plain(text: str) -> str:
    """Text with its white space folded, without what no XML holds; a byte order mark would count as a place or not."""
    return " ".join(_UNWRITABLE.sub("", text).split())


def _id(kind: str, key: str) -> str:
    return str(uuid.uuid5(_IDS, f"{kind} {key.encode('utf-8', errors='replace').decode()}"))


def _zipped(members: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, member in members.items():
            # The hour of writing would make every export another one.
            archive.writestr(zipfile.ZipInfo(name), member, compress_type=zipfile.ZIP_DEFLATED)
    return content.getvalue()
