"""Web pages with speakers in front of what they say, whatever their name: many a `.doc` is one."""

from __future__ import annotations

import codecs
import html
import re
from collections.abc import Iterator

from threers.formats.documents import Context, Document, Format
from threers.formats.files import File
from threers.formats.paragraphs import Page, document_of

# Python's html.parser is not used: before 3.13.6 it takes time by the square of what is not closed, so that 100 KB of
# "<a b='" keep it busy for minutes. Here each search ends at the next "<".
_TAG = re.compile(
    r"""<(?P<close>/?)(?P<name>[a-zA-Z][\w:.-]*+)(?:[^<>"']|"[^"<]*+"|'[^'<]*+')*+>|<[/!?a-zA-Z][^<>]*+>"""
)
_BEGINS = re.compile(r"\s*(?:<!DOCTYPE\s+html|<(?:html|head|body|p|div|table|span|br|h[1-6]|center|font|meta)\b)", re.I)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});?")
_CHARSET = re.compile(rb"""charset\s{0,9}=\s{0,9}["']?([\w.:-]{1,40})""", re.IGNORECASE)
#: Footnotes and their signs, as LibreOffice writes them.
_FOOTNOTE = re.compile(r"""<(?:a|div)\s[^>]{0,99}?(?:id|class)=["']?sd(?:foot|end)note""", re.IGNORECASE)
#: A letter in a font of signs is no word: Word writes the bullets of a list so, in front of the text.
_SIGNS = re.compile(r"""font-family:\s{0,9}(?:["']|&quot;)?(?:Wingdings|Webdings|Symbol)\b""", re.IGNORECASE)
_BLOCKS = frozenset(
    "address article aside blockquote body center dd div dl dt figure footer form h1 h2 h3 h4 h5 h6 header hr li main"
    " nav ol p pre section table tbody ul".split()
)
#: Elements whose content is no text of the page, or was struck out of it.
_UNSAID = frozenset("del iframe noscript object script select style svg template textarea title".split())


def _fits(file: File) -> bool:
    return file.root_name.lower() == "html" or _BEGINS.match(_without_comments(file.head)) is not None


def _without_comments(head: str) -> str:
    """The text without comments at its beginning."""
    head = head.lstrip("\ufeff \t\r\n")
    while head.startswith("<!--"):
        head = head.partition("-->")[2].lstrip()
    return head


def _read(file: File, context: Context) -> list[Document]:
    text, notes = _decoded(file)
    page = Page(context.find)
    struck = _fill(page, text)
    document = document_of(page, context)
    document.notes += notes
    if struck:
        document.notes.append((None, f"struck out: {struck} in this file; left out"))
    return [document]


def _decoded(file: File) -> tuple[str, list[tuple[int | None, str]]]:
    """The text in the encoding that the page declares, unless it is UTF-8 or UTF-16 anyway."""
    declared = _CHARSET.search(file.content[:4096])
    if declared and not file.encoding.startswith("utf"):
        name = declared[1].decode("ascii", errors="replace")
        try:
            codec = codecs.lookup(name)
            # A codec may be one of bytes to bytes.
            text, _ = codec.decode(file.content, "replace")
        except (LookupError, ValueError, TypeError, AttributeError):
            return file.text, []
        if isinstance(text, str) and not codec.name.startswith("utf"):
            return text.replace("\0", ""), [(None, f"encoding: not UTF-8; read as {codec.name}, as the page says")]
    return file.text, []


def _fill(page: Page, text: str) -> int:
    """Put the words of a web page on `page`; returns how many deletions were left out."""
    opened: list[str] = []
    struck = 0
    preformatted = False
    for words, name, closes in _tokens(text):
        _say(page, words, preformatted)
        struck += name == "del" and not closes
        if name == "pre":
            preformatted = not closes
        if name == "br":
            page.end_line(empty=True)
        elif name in _BLOCKS:
            page.end_line()
        if name in ("table", "tr", "td"):
            _table(page, name, closes, opened)
    _end_rows(page, opened)
    return struck


def _table(page: Page, name: str, closes: bool, opened: list[str]) -> None:
    """Begin or end a table, row or cell. A row or cell that nothing closes ends where the next one begins."""
    if name == "td":
        if opened[-1:] == ["td"]:
            opened.pop()
        if closes:
            return
        if opened[-1:] != ["tr"]:
            page.begin_row()
            opened.append("tr")
        page.begin_cell()
        opened.append("td")
    elif name == "tr":
        _end_rows(page, opened)
        if not closes:
            page.begin_row()
            opened.append("tr")
    elif not closes:
        opened.append("table")
    else:
        _end_rows(page, opened)
        del opened[-1:]


def _end_rows(page: Page, opened: list[str]) -> None:
    """End what is open in the innermost table."""
    while opened and opened[-1] != "table":
        if opened.pop() == "tr":
            page.end_row()


def _say(page: Page, words: str, preformatted: bool) -> None:
    words = _ENTITY.sub(lambda found: html.unescape(found[0]), words)
    if not preformatted:
        page.say(re.sub(r"\s+", " ", words))
        return
    for place, line in enumerate(words.splitlines() or [""]):
        if place:
            page.end_line(empty=True)
        page.say(line)
    if words.endswith("\n"):
        page.end_line(empty=True)


def _tokens(text: str) -> Iterator[tuple[str, str, bool]]:
    """Words, the name of the tag behind them (empty where there is none), and whether that closes something."""
    unclosed: set[str] = set()
    at = 0
    while (begin := text.find("<", at)) >= 0:
        words = text[at:begin]
        if text.startswith("<!--", begin):
            end = text.find("-->", begin + 4)
            at = end + 3 if end >= 0 else len(text)
            yield words, "", False
            continue
        tag = _TAG.match(text, begin)
        if tag is None:
            at = begin + 1
            yield words + "<", "", False
            continue
        name, closes = (tag["name"] or "").lower(), bool(tag["close"])
        at = tag.end()
        unsaid = (
            name in _UNSAID
            or (name in ("a", "div") and _FOOTNOTE.match(text, begin))
            or (name == "span" and _SIGNS.search(text, begin, at))
        )
        if unsaid and name not in unclosed and not closes and text[at - 2] != "/":
            end_tag = re.compile(f"</{name}\\b", re.IGNORECASE).search(text, at)
            if end_tag is None:
                unclosed.add(name)
            else:
                at = end_tag.start()
        yield words, "td" if name == "th" else name, closes
    yield text[at:], "", False


FORMAT = Format(name="html", title="web page", suffixes=(".html", ".htm"), fits=_fits, read=_read)
