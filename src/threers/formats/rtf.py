"""Rich Text Format of Word, WordPad and TextEdit, with speakers in front of what they say."""

from __future__ import annotations

import codecs
import re
from collections import Counter
from dataclasses import dataclass, field, replace

from threers.formats.documents import Context, Document, Format
from threers.formats.files import File
from threers.formats.paragraphs import Page, document_of

# The library striprtf is not used: its patterns for links and fonts take time by the square of a long line, it keeps
# what was deleted with tracked changes, and parts cells by a bar that may as well stand in the text.
_TOKEN = re.compile(
    rb"\\(?P<word>[a-zA-Z]{1,32})(?P<number>-?\d{1,9})? ?|\\'(?P<hex>[0-9a-fA-F]{2})|\\(?P<sign>[^a-zA-Z])"
    rb"|(?P<brace>[{}])|[\r\n]+|(?P<words>[^\\{}\r\n]+)",
    re.DOTALL,
)
#: Groups whose content is no text of the document.
_UNSAID = frozenset(
    "aftncn aftnsep aftnsepc annotation author colortbl comment company datafield datastore doccomm falt filetbl"
    " fldinst footer footerf footerl footerr footnote ftncn ftnsep ftnsepc header headerf headerl headerr info keywords"
    " latentstyles listtable listtext listoverridetable nonesttables objclass objdata operator pict pntext revtbl"
    " rsidtbl rxe stylesheet subject tc template themedata title txe userprops xe xmlnstbl".split()
)
_COUNTED = {b"annotation": "comments", b"footnote": "footnotes"}
_SIGNS = {b"~": " ", b"_": "-", b"-": "", b"\\": "\\", b"{": "{", b"}": "}"}
_WORDS = {
    **{b"tab": "\t", b"emdash": "\u2014", b"endash": "\u2013", b"emspace": " ", b"enspace": " ", b"qmspace": " "},
    **{b"bullet": "\u2022", b"lquote": "\u2018", b"rquote": "\u2019", b"ldblquote": "\u201c", b"rdblquote": "\u201d"},
}
_CODE_PAGES = {b"mac": "mac_roman", b"pc": "cp437", b"pca": "cp850", b"ansi": "cp1252"}
#: Character sets of fonts.
_CHARSETS = {
    **{77: "mac_roman", 128: "cp932", 129: "cp949", 134: "gbk", 136: "big5", 161: "cp1253", 162: "cp1254"},
    **{163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251", 222: "cp874", 238: "cp1250"},
}


@dataclass(frozen=True, slots=True)
class _State:
    """What holds in a group; `skip`: characters that stand in for a Unicode one, for old programs."""

    font: int | None = None
    skip: int = 1
    unsaid: bool = False
    deleted: bool = False
    fonts: bool = False


@dataclass(slots=True)
class _Reading:
    page: Page
    code_page: str = "cp1252"
    fonts: dict[int | None, str] = field(default_factory=dict)
    state: _State = field(default_factory=_State)
    stack: list[_State] = field(default_factory=list)
    held: bytearray = field(default_factory=bytearray)
    units: list[int] = field(default_factory=list)
    standing_in: int = 0
    in_row: bool = False
    left_out: Counter[str] = field(default_factory=Counter)


def _fits(file: File) -> bool:
    return file.content[:64].lstrip().startswith(b"{\\rtf")


def _read(file: File, context: Context) -> list[Document]:
    reading = _Reading(Page(context.find))
    content = file.content.lstrip().replace(b"\0", b"")
    at = 0
    while token := _TOKEN.match(content, at):
        at = token.end()
        if token["word"] == b"bin":
            at += max(0, int(token["number"] or 0))
        _take(reading, token)
        if token["brace"] and not reading.stack:
            break
    _flush(reading)
    document = document_of(reading.page, context)
    if reading.stack:
        document.notes.append((None, "damaged: the file ends in the middle; read up to there"))
    document.notes += [(None, f"{what}: {count} in this file; left out") for what, count in reading.left_out.items()]
    return [document]


def _take(reading: _Reading, token: re.Match[bytes]) -> None:
    if token["words"]:
        _say(reading, token["words"])
    elif token["hex"]:
        _say(reading, bytes([int(token["hex"], 16)]))
    elif token["brace"]:
        _flush(reading)
        reading.standing_in = 0
        if token["brace"] == b"{":
            reading.stack.append(reading.state)
        elif reading.stack:
            reading.state = reading.stack.pop()
    elif token["sign"]:
        _take_sign(reading, token["sign"])
    elif token["word"]:
        _take_word(reading, token["word"], int(token["number"]) if token["number"] else None)


def _take_sign(reading: _Reading, sign: bytes) -> None:
    if sign == b"*":
        reading.state = replace(reading.state, unsaid=True)
    elif sign in b"\r\n":
        _end_line(reading)
    elif sign in _SIGNS:
        _say_text(reading, _SIGNS[sign])


def _take_word(reading: _Reading, word: bytes, number: int | None) -> None:
    state = reading.state
    if word == b"u" and number is not None:
        if not (state.unsaid or state.deleted):
            _flush_bytes(reading)
            reading.units.append(number % 2**16)
        reading.standing_in = state.skip
        return
    if word in _WORDS:
        _say_text(reading, _WORDS[word])
    elif word == b"uc":
        reading.state = replace(state, skip=max(0, number or 0))
    elif word == b"deleted":
        if number != 0 and not state.deleted:
            reading.left_out["tracked deletions"] += 1
        _flush(reading)
        reading.state = replace(state, deleted=number != 0)
    elif word == b"plain":
        _flush(reading)
        reading.state = replace(state, deleted=False)
    elif word == b"fonttbl":
        reading.state = replace(state, unsaid=True, fonts=True)
    elif word.decode() in _UNSAID:
        _flush(reading)
        reading.state = replace(state, unsaid=True)
        if word in _COUNTED:
            reading.left_out[_COUNTED[word]] += 1
    else:
        _take_font(reading, word, number)
        if not state.unsaid:
            _take_place(reading, word)


def _take_font(reading: _Reading, word: bytes, number: int | None) -> None:
    if word == b"f":
        _flush(reading)
        reading.state = replace(reading.state, font=number)
    elif word == b"fcharset" and reading.state.fonts and number in _CHARSETS:
        reading.fonts[reading.state.font] = _CHARSETS[number]
    elif word == b"ansicpg":
        try:
            reading.code_page = codecs.lookup(f"cp{number}").name
        except LookupError:
            reading.code_page = "mac_roman" if number == 10000 else "cp1252"
    elif word in _CODE_PAGES:
        reading.code_page = _CODE_PAGES[word]


def _take_place(reading: _Reading, word: bytes) -> None:
    """Take a word that ends a line, or parts a table."""
    if word in (b"par", b"line", b"sect", b"page"):
        _end_line(reading)
    elif word in (b"trowd", b"intbl") and not reading.in_row:  # a row laid out as the one before has no trowd
        _flush(reading)
        reading.page.begin_row()
        reading.page.begin_cell()
        reading.in_row = True
    elif word in (b"cell", b"nestcell"):
        _flush(reading)
        reading.page.begin_cell()
    elif word == b"row":
        _flush(reading)
        (reading.page.end_row if reading.in_row else reading.page.end_line)()
        reading.in_row = False


def _end_line(reading: _Reading) -> None:
    if not reading.state.unsaid:
        _flush(reading)
        reading.page.end_line(empty=True)


def _say(reading: _Reading, words: bytes) -> None:
    """Take text that is not Unicode, without what stands in for a Unicode character before it."""
    words, reading.standing_in = words[reading.standing_in :], max(0, reading.standing_in - len(words))
    if words and not (reading.state.unsaid or reading.state.deleted):
        _flush_units(reading)
        reading.held += words


def _say_text(reading: _Reading, text: str) -> None:
    reading.standing_in = 0
    if not (reading.state.unsaid or reading.state.deleted):
        _flush(reading)
        reading.page.say(text)


def _flush(reading: _Reading) -> None:
    _flush_bytes(reading)
    _flush_units(reading)


def _flush_bytes(reading: _Reading) -> None:
    if reading.held:
        encoding = reading.fonts.get(reading.state.font, reading.code_page)
        reading.page.say(reading.held.decode(encoding, errors="replace"))
        reading.held.clear()


def _flush_units(reading: _Reading) -> None:
    """Say Unicode characters; those beyond 16 bits stand in the file as two."""
    if reading.units:
        content = b"".join(unit.to_bytes(2, "little") for unit in reading.units)
        reading.page.say(content.decode("utf-16-le", errors="replace"))
        reading.units.clear()


FORMAT = Format(name="rtf", title="Rich Text Format", suffixes=(".rtf",), fits=_fits, read=_read)
