"""OpenDocument texts (ODT, and flat FODT) of LibreOffice and others, with speakers in front of what they say."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element

from threers.errors import InputError
from threers.formats.documents import Context, Document, Format
from threers.formats.files import File, local, parse_xml
from threers.formats.paragraphs import Page, document_of, walk

_KIND = b"opendocument.text"
#: Elements whose content is no text of the document, and what a note calls those that a reader may miss.
_UNSAID = {
    "annotation": "comments",
    "deletion": "tracked deletions",
    "note": "footnotes",
    **dict.fromkeys(("desc", "title", "meta", "styles", "automatic-styles", "master-styles", "ruby-text"), ""),
}


def _fits(file: File) -> bool:
    if file.members:
        return _KIND in file.content[:200] or (
            "content.xml" in file.members and "META-INF/manifest.xml" in file.members and file.suffix == ".odt"
        )
    return file.root_name == "document" and _KIND.decode() in file.head


def _read(file: File, context: Context) -> list[Document]:
    page = Page(context.find)
    left_out = _fill(page, _root(file))
    document = document_of(page, context)
    document.notes += [(None, f"{what}: {count} in this file; left out") for what, count in left_out.items()]
    return [document]


def _root(file: File) -> Element:
    if not file.members:
        return file.xml
    if "META-INF/manifest.xml" in file.members and b"encryption-data" in file.member("META-INF/manifest.xml"):
        raise InputError("the document is protected by a password; save it without one and read that")
    return parse_xml(file.member("content.xml"))


def _fill(page: Page, root: Element) -> dict[str, int]:
    """Put the words of a document on `page`; returns how many of what were left out."""
    left_out: dict[str, int] = {}
    # White space between paragraphs is none of the text.
    paragraphs = 0
    for name, element, opens in walk(root, lambda element: local(element) in _UNSAID):
        if name in _UNSAID:
            if opens and (what := _UNSAID[name]):
                left_out[what] = left_out.get(what, 0) + 1
        elif name in ("p", "h"):
            paragraphs += 1 if opens else -1
            if not opens:
                page.end_line(empty=True)
        elif name == "table-row":
            (page.begin_row if opens else page.end_row)()
        elif opens and name == "table-cell":
            page.begin_cell()
        elif opens and name == "line-break":
            page.end_line(empty=True)
        elif opens and name in ("tab", "s"):
            page.say("\t" if name == "tab" else " ")
        words = element.text if opens else element.tail
        if paragraphs and words and not (opens and name in _UNSAID):
            page.say(re.sub(r"\s+", " ", words))
    return left_out


FORMAT = Format(name="odt", title="OpenDocument text", suffixes=(".odt", ".fodt"), fits=_fits, read=_read)
