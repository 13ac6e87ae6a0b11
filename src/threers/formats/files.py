"""One file in the ways that formats look at it: text, JSON, XML, zip members. Guarded against hostile content."""

from __future__ import annotations

import hashlib
import io
import json
import re
import string
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import charset_normalizer
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring, iterparse

from threers.errors import InputError

#: Bytes that a zip's member, and a zip in all, may unpack to.
MEMBER_LIMIT, ZIP_LIMIT = 2**28, 2**30
_NO_ENTITIES = {"forbid_dtd": False, "forbid_entities": True, "forbid_external": True}
#: Bytes at a file's beginning by which its format is told.
HEAD = 2**16
#: Texts without a byte order mark that are not UTF-8: Western Windows and old Macintosh.
_OTHER_ENCODINGS = ["cp1252", "mac_roman"]
_UNMARKED = ("utf-16-be", "utf-16-le")


class File:
    """A file that is read at most once, and decoded, parsed or unpacked at most once.

    Raises:
        InputError: the file cannot be read, or is empty (brat's `.ann` may be: nothing is marked); no message holds the
            file's name.

    """

    def __init__(self, path: Path, content: bytes | None = None) -> None:
        self.path = path
        self.suffix = path.suffix.lower()
        if content is None:
            try:
                content = path.read_bytes()
            except OSError as error:
                raise InputError(f"{error.strerror or error}; expected a file that you may read") from error
        if self.suffix != ".ann" and not content.strip(b"\0" + string.whitespace.encode()):
            raise InputError("the file is empty; expected a transcript or table")
        self.content = content

    @cached_property
    def sha256(self) -> str:
        """Of the content, in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()

    @cached_property
    def encoding(self) -> str:
        """UTF-8, UTF-16 (with a byte order mark or without), Windows-1252 or Mac Roman, whichever the bytes fit.

        Raises:
            InputError: none of them fits, as with a binary file.

        """
        content = self.content
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            return "utf-16"
        if found := _unmarked_utf16(content[:HEAD]):
            return found
        try:
            content.decode("utf-8")
            return "utf-8-sig"
        except UnicodeDecodeError:
            pass
        if b"\0" in content[:HEAD] and content[:HEAD].count(0) > len(content[:HEAD]) // 100:
            raise InputError("not a text file; expected text in UTF-8, UTF-16, Windows-1252 or Mac Roman")
        # What tells them apart are the letters beyond ASCII, so lines without any would only slow the search.
        telling = b"\n".join(line[:HEAD] for line in content.split(b"\n") if not line.isascii())[:HEAD]
        best = charset_normalizer.from_bytes(telling, cp_isolation=_OTHER_ENCODINGS).best()
        return best.encoding if best else "cp1252"

    @cached_property
    def text(self) -> str:
        """The content as text; NUL characters are taken out, and what no encoding has becomes U+FFFD.

        Raises:
            InputError: the file holds no text.

        """
        return self.content.decode(self.encoding, errors="replace").replace("\0", "")

    @property
    def notes(self) -> list[tuple[None, str]]:
        """What was done to read the text, as far as it was read: an unusual encoding, NUL characters."""
        notes: list[tuple[None, str]] = []
        if "text" not in vars(self):
            return notes
        if self.encoding in _UNMARKED:
            notes.append((None, f"encoding: no byte order mark; read as {self.encoding}"))
        if self.encoding in _OTHER_ENCODINGS:
            notes.append((None, f"encoding: not UTF-8; read as {self.encoding}"))
        if "utf-16" not in self.encoding and b"\0" in self.content:
            notes.append((None, f"NUL characters: {self.content.count(0)} of them; left out"))
        if "\ufffd" in self.text:
            notes.append((None, f"unreadable characters: {self.text.count(chr(0xFFFD))} of them; shown as U+FFFD"))
        return notes

    @cached_property
    def head(self) -> str:
        """The text at the file's beginning, without NUL characters and without raising; empty where there is none."""
        start = self.content[:HEAD]
        try:
            encoding = self.encoding
        except InputError:
            return ""
        return start.decode(encoding, errors="ignore").lstrip("\ufeff").replace("\0", "")

    @cached_property
    def json(self) -> Any:
        """The content as JSON; None where it is not JSON."""
        if self.head.lstrip()[:1] not in ("{", "["):
            return None
        try:
            return load_json(self.text)
        except (ValueError, RecursionError):
            return None

    @cached_property
    def record(self) -> dict[str, Any]:
        """The first JSON object: of a list, of JSON lines, or the file itself; empty where there is none."""
        found = self.json
        if found is None and self.head.lstrip()[:1] == "{":
            try:
                # The whole text: a session in one line is longer than the head.
                found = load_json(self.text.lstrip().partition("\n")[0])
            except (ValueError, RecursionError):
                found = None
        if isinstance(found, list):
            found = next(iter(found), None)
        return found if isinstance(found, dict) else {}

    def json_lines(self) -> Iterator[tuple[int, Any]]:
        """The number and the value of each line of JSON; None for a line that is not JSON."""
        for number, line in enumerate(self.text.split("\n"), start=1):
            if line.strip():
                try:
                    yield number, load_json(line)
                except (ValueError, RecursionError):
                    yield number, None

    @cached_property
    def root_name(self) -> str:
        """Name of the XML root element as written, without its prefix; empty where the file is not XML."""
        head = self.head.lstrip()
        for begin, end in (("<?", "?>"), ("<!--", "-->")) * 3:
            while head.startswith(begin):
                head = head.partition(end)[2].lstrip()
        if kind := re.match(r"<!DOCTYPE[^>\[]*(\[.*?\])?\s*>", head, flags=re.DOTALL | re.IGNORECASE):
            head = head[kind.end() :].lstrip()
        found = re.match(r"<(?:[\w.-]+:)?([\w.-]+)[\s/>]", head)
        return found[1] if found else ""

    @cached_property
    def xml(self) -> Element:
        """The root element.

        Raises:
            InputError: not well-formed, or it declares entities, which are never expanded.

        """
        return parse_xml(self.content)

    @cached_property
    def members(self) -> tuple[str, ...]:
        """Names in a zip, without raising; none where the file is not a zip."""
        if self._zip is None:
            return ()
        return tuple(self._zip.namelist())

    def member(self, name: str) -> bytes:
        """Unpack one member of a zip.

        Raises:
            InputError: no such member, it is damaged, or the zip is hostile (too large, names that climb out).

        """
        if self._zip is None:
            raise InputError("not a zip archive, or a damaged one")
        self.require_harmless()
        try:
            with self._zip.open(name) as member:
                content = member.read(MEMBER_LIMIT + 1)
        except KeyError:
            raise InputError(f"the archive lacks {name}") from None
        except Exception as error:  # zlib and lzma have errors of their own
            raise InputError(f"the archive is damaged or protected: {name} cannot be unpacked") from error
        if len(content) > MEMBER_LIMIT:
            raise InputError(f"the archive unpacks to more than {MEMBER_LIMIT // 2**20} MB; not read")
        return content

    @cached_property
    def _zip(self) -> zipfile.ZipFile | None:
        if not self.content.startswith(b"PK"):
            return None
        try:
            return zipfile.ZipFile(io.BytesIO(self.content))
        except Exception:
            return None

    def require_harmless(self) -> None:
        """Refuse a zip that is too large or names files outside of itself; for libraries that unpack one themselves.

        Raises:
            InputError: it is hostile.

        """
        infos = self._zip.infolist() if self._zip else []
        for info in infos:
            path = PurePosixPath(info.filename.replace("\\", "/"))
            if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", info.filename):
                raise InputError("the archive names a file outside of itself; not read")
        if any(i.file_size > MEMBER_LIMIT for i in infos) or sum(i.file_size for i in infos) > ZIP_LIMIT:
            raise InputError(f"the archive unpacks to more than {MEMBER_LIMIT // 2**20} MB; not read")


def _unmarked_utf16(start: bytes) -> str | None:
    """UTF-16 by its NUL bytes: one in nearly every Latin letter, and in the line ends of every script."""
    # The last character may have been cut in two.
    start = start[: max(len(start) // 2 * 2 - 2, 2)]
    nul = [start[half::2].count(0) for half in (0, 1)]
    if 50 * min(nul) > max(nul) or not max(nul):
        return None
    encoding = _UNMARKED[0] if nul[0] > nul[1] else _UNMARKED[1]
    text = start.decode(encoding, errors="replace")
    if 100 * text.count("\ufffd") > len(text):
        return None
    ends = text.count("\n") + text.count("\r")
    lone = start.count(b"\n") + start.count(b"\r") - ends
    return encoding if 4 * max(nul) > len(start) or ends > 9 * lone else None


def load_json(text: str) -> Any:
    """Parse JSON; halves of characters, which no file of text can hold, become `?`.

    Raises:
        ValueError, RecursionError: it is not JSON, or nested too deep.

    """
    found = json.loads(text)
    if "\\ud" in text or "\\uD" in text:
        found = json.loads(json.dumps(found, ensure_ascii=False).encode("utf-8", "replace"))
    return found


def parse_xml(content: bytes) -> Element:
    """Parse XML without entities, external or internal.

    Raises:
        InputError: not well-formed, or entities are declared.

    """
    with _well_formed():
        return fromstring(content, **_NO_ENTITIES)


def walk_xml(content: bytes) -> Iterator[tuple[str, Element]]:
    """Each element of XML when it starts and when it ends, as (`start` or `end`, element). Raises as `parse_xml`."""
    with _well_formed():
        yield from iterparse(io.BytesIO(content), events=("start", "end"), **_NO_ENTITIES)


@contextmanager
def _well_formed() -> Iterator[None]:
    try:
        yield
    except DefusedXmlException as error:
        raise InputError("the XML declares entities, which are not read") from error
    except (ParseError, ValueError, LookupError, RecursionError) as error:
        where = getattr(error, "position", None)
        place = f" (line {where[0]}, column {where[1]})" if where else ""
        raise InputError(f"not well-formed XML{place}; is the file damaged?") from error


def local(element: Element) -> str:
    """An element's name without its namespace."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
