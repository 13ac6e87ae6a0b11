"""Word documents (DOCX): speech in paragraphs and tables, codes in comments; written with a comment for each code."""

from __future__ import annotations

import posixpath
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from xml.etree.ElementTree import Element

from threers.errors import InputError
from threers.formats.comments import codes_in, read_times
from threers.formats.documents import Context, Document, Format, Line, Mark
from threers.formats.docx_write import SESSION, SPEAKER, TIME, UNNAMED, UTTERANCE, write
from threers.formats.files import File, local, parse_xml
from threers.formats.paragraphs import Page, require_speech, walk
from threers.formats.selections import Selection, marked
from threers.formats.speech import Spoken, read_speech

# Read without python-docx: it passes over inserted text and does not say where comments lie.

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
#: Names of streams in binary files, as those are stored.
_WORD, _LOCKED = "WordDocument".encode("utf-16-le"), "EncryptedPackage".encode("utf-16-le")
_DRAWINGS = frozenset(("AlternateContent", "drawing", "pict", "object"))
_DELETED = frozenset(("del", "moveFrom"))
_UNSAID = _DRAWINGS | _DELETED | {"instrText", "delText", "pPr", "rPr", "sectPr", "tblPr", "trPr", "tcPr"}
_SIGNS = {"tab": "\t", "noBreakHyphen": "-", "ptab": "\t"}


@dataclass(slots=True)
class _Own:
    """A paragraph as threers writes it: its speaker and times are runs of their own. Places are of the page's text."""

    kind: str
    start: int
    end: int = 0
    said: dict[str, str] = field(default_factory=lambda: dict.fromkeys((SPEAKER, TIME, ""), ""))


@dataclass(slots=True)
class _Content:
    """What a document's main part holds; `anchors`: from and to which place of the text a comment lies."""

    page: Page
    anchors: dict[str, tuple[int, int]] = field(default_factory=dict)
    own: list[_Own] = field(default_factory=list)
    others: int = 0
    left_out: Counter[str] = field(default_factory=Counter)


def _fits(file: File) -> bool:
    if file.content.startswith(_OLE):
        return _WORD in file.content or (_LOCKED in file.content and file.suffix in (".docx", ".doc"))
    return any(name.startswith("word/") and name.endswith(".xml") for name in file.members)


def _read(file: File, context: Context) -> list[Document]:
    if file.content.startswith(_OLE):
        if _LOCKED in file.content:
            raise InputError("a Word file protected by a password; save it without one and read that")
        raise InputError("an old Word file (.doc of before 2007); open it in Word or LibreOffice and save it as .docx")
    main = _related(file, "", "officeDocument") or "word/document.xml"
    content = _content(parse_xml(file.member(main)), Page(context.find))
    text = content.page.text
    rows = list(accumulate((len(line) for line in text.splitlines(keepends=True)), initial=0))
    # What stands at the very end is on the last line.
    rows[-1] += 1
    notes = content.page.notes()
    if any(own.kind == UTTERANCE for own in content.own):
        spoken = list(_own_lines(content, rows))
        content.left_out["paragraphs that are no utterance"] = content.others
    else:
        speech = read_speech(text, context.speaker)
        spoken, notes = speech.spoken, speech.notes + notes
    require_speech(spoken)
    document = _with_marks(content, _comments(file, main), spoken, rows, context)
    document.notes = notes + document.notes
    document.notes += [
        (None, f"{what}: {count} in this file; left out") for what, count in content.left_out.items() if count
    ]
    return [document]


def _related(file: File, part: str, kind: str) -> str | None:
    """The name of the part that another one relates to; the whole package is the part without a name."""
    folder, name = posixpath.split(part)
    relations = posixpath.join(folder, "_rels", f"{name}.rels")
    if relations not in file.members:
        return None
    for one in parse_xml(file.member(relations)):
        target = posixpath.normpath(posixpath.join("/", folder, one.get("Target", ""))).lstrip("/")
        if one.get("Type", "").endswith(f"/{kind}") and target in file.members:
            return target
    return None


def _content(root: Element, page: Page) -> _Content:
    content = _Content(page)
    own: _Own | None = None
    begins, run = 0, ""
    for name, element, opens in walk(root, _is_unsaid):
        if name == "p" and opens:
            begins, kind = page.place, _style(element, "p")
            own = _Own(kind, begins) if kind in (UTTERANCE, SESSION) else None
        elif name == "p":
            _end_paragraph(content, element, own, begins)
            own = None
        elif name == "r":
            run = _style(element, "r") if opens else ""
        elif opens and (words := _words(name, element)):
            page.say(words)
            if own is not None:
                own.said[run if run in own.said else ""] += words
        else:
            _take_layout(content, name, element, opens)
    return content


def _is_unsaid(element: Element) -> bool:
    return local(element) in _UNSAID or (local(element) == "tr" and _within(element, "trPr", "del") is not None)


def _words(name: str, element: Element) -> str:
    # White space that stands in the XML is spaces; lines are broken by elements.
    return " ".join((element.text or "").split("\n")) if name == "t" else _SIGNS.get(name, "")


def _end_paragraph(content: _Content, element: Element, own: _Own | None, begins: int) -> None:
    page = content.page
    if own is not None:
        own.end = page.length
        content.own.append(own)
    elif page.length > begins:
        content.others += 1
    # With its mark deleted, a paragraph goes on in the next one.
    if _within(element, "pPr", "rPr", "del") is None:
        page.end_line(empty=True)


def _take_layout(content: _Content, name: str, element: Element, opens: bool) -> None:
    page = content.page
    if name == "tr":
        (page.begin_row if opens else page.end_row)()
    elif not opens:
        return
    elif name == "tc":
        page.begin_cell()
    elif name in ("br", "cr"):
        page.end_line(empty=True)
    elif name == "commentRangeStart":
        content.anchors[_attribute(element, "id")] = page.place, page.place
    elif name == "commentRangeEnd":
        start, _ = content.anchors.get(_attribute(element, "id"), (page.length, 0))
        content.anchors[_attribute(element, "id")] = start, max(start, page.length)
    elif name == "commentReference":
        content.anchors.setdefault(_attribute(element, "id"), (page.place, page.place))
    elif name in _DELETED and any(local(one) in ("delText", "t") for one in element.iter()):
        content.left_out["tracked deletions"] += 1
    elif name in _DRAWINGS and any(local(one) == "txbxContent" for one in element.iter()):
        content.left_out["text boxes"] += 1
    elif name in ("footnoteReference", "endnoteReference"):
        content.left_out["footnotes"] += 1


def _within(element: Element, *names: str) -> Element | None:
    """The child of a child, by their names."""
    found: Element | None = element
    for name in names:
        found = next((child for child in (found if found is not None else ()) if local(child) == name), None)
    return found


def _style(element: Element, kind: str) -> str:
    style = _within(element, f"{kind}Pr", f"{kind}Style")
    return "" if style is None else _attribute(style, "val")


def _attribute(element: Element, name: str) -> str:
    return next((value for key, value in element.items() if key.rpartition("}")[2] == name), "")


def _own_lines(content: _Content, rows: Sequence[int]) -> Iterator[Spoken]:
    """Lines as threers writes them; each lies on its whole paragraph, so that a comment on its speaker counts."""
    for own in content.own:
        if own.kind == UTTERANCE:
            speaker, text = (" ".join(own.said[run].split()) for run in (SPEAKER, ""))
            start, end = read_times(own.said[TIME])
            row = bisect_right(rows, own.start)
            line = Line(row=row, text=text, speaker=speaker.removesuffix(":"), start=start, end=end)
            yield Spoken(line, own.start, own.end)


def _comments(file: File, main: str) -> dict[str, tuple[str, str]]:
    """The coder and the text of each comment."""
    part = _related(file, main, "comments")
    found = {}
    for comment in parse_xml(file.member(part)) if part else ():
        pieces = []
        for name, element, opens in walk(comment, _is_unsaid):
            breaks = (name == "p" and not opens) or (name in ("br", "cr") and opens)
            pieces.append("\n" if breaks else _words(name, element) if opens else "")
        found[_attribute(comment, "id")] = _attribute(comment, "author").strip(), "".join(pieces).strip()
    return found


def _with_marks(
    content: _Content,
    comments: dict[str, tuple[str, str]],
    spoken: Sequence[Spoken],
    rows: Sequence[int],
    context: Context,
) -> Document:
    heading = next((own for own in content.own if own.kind == SESSION), None)
    session = " ".join(heading.said[""].split()) if heading else ""
    chosen, on_session = [], []
    for number, (coder, text) in comments.items():
        codes, more = codes_in(text, context.find)
        content.left_out["comment is no code"] += not codes
        content.left_out["words beside codes in comments"] += more and bool(codes)
        if codes and number not in content.anchors:
            content.left_out["comments without a place"] += 1
            continue
        # What lies below the last words lies on them.
        start, end = (min(place, content.page.length) for place in content.anchors.get(number, (0, 0)))
        row = bisect_right(rows, start)
        is_on_heading = heading is not None and heading.start <= start and end <= heading.end
        start, end = _on_speech(start, end, spoken, rows)
        for one in codes:
            if is_on_heading or one.start is not None or one.end is not None:
                mark = Mark(row=row, code=one.code, coder=coder, value=one.value, start=one.start, end=one.end)
                on_session.append(mark)
            else:
                chosen.append(Selection(row=row, code=one.code, start=start, end=end, coder=coder, value=one.value))
    document = marked(spoken, chosen, "" if session == UNNAMED else session)
    document.marks += on_session
    return document


def _on_speech(start: int, end: int, spoken: Sequence[Spoken], rows: Sequence[int]) -> tuple[int, int]:
    """Where a comment lies; on whole lines if it touches no speech, as one on a speaker's name means what is said."""
    touches = bisect_right(spoken, start, key=lambda one: one.end) < bisect_left(spoken, end, key=lambda one: one.start)
    if touches and start < end:
        return start, end
    return rows[bisect_right(rows, start) - 1], rows[bisect_right(rows, end)]


FORMAT = Format(name="docx", title="Word document", suffixes=(".docx", ".doc"), fits=_fits, read=_read, write=write)
