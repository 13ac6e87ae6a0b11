"""Paragraphs, line breaks and table rows of text documents to lines of text, in which speakers are then found."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from threers.errors import InputError
from threers.formats.documents import Context, Document
from threers.formats.speech import read_speech

#: Tables within tables that are told apart; what lies deeper is text of the innermost cell.
_DEPTH = 20
#: A cell that numbers or times a row and names nobody.
_NUMBER = re.compile(r"[\s\d:.,#()\[\]-]*")


@dataclass(slots=True)
class Page:
    """The text of a document as it is put together; a table row is one line, its cells parted by tabs.

    `find`: the codebook's code that a word means. `coded_cells`: how many cells held nothing but codes: they are no
    speech, and a tagger that finds them in it would learn to read its answers.
    """

    find: Callable[[str], str | None]
    pieces: list[str] = field(default_factory=list)
    length: int = 0
    coded_cells: int = 0
    _breaks: int = 0
    _rows: list[list[int]] = field(default_factory=list)
    _fresh: bool = True
    _deeper: int = 0

    @property
    def text(self) -> str:
        """What was said so far."""
        return "".join(self.pieces)

    @property
    def place(self) -> int:
        """Where what is said next will stand."""
        return self.length + self._breaks

    def say(self, words: str) -> None:
        """Add words to the line; white space in front of a line is left out."""
        words = words.lstrip() if self._breaks or self._fresh else words
        if words:
            self._flush()
            self._append(words)
            self._fresh = False

    def end_line(self, *, empty: bool = False) -> None:
        """End the line, if anything stands on it; `empty`: even if nothing does."""
        # A cell's text begins where the cell does, whatever empty paragraphs stand there.
        if not (self._fresh and self._rows):
            self._breaks = self._breaks + 1 if empty else max(self._breaks, 1)

    def begin_row(self) -> None:
        """Begin a row of a table."""
        if len(self._rows) == _DEPTH:
            self._deeper += 1
            return
        self._flush()
        self._rows.append([])

    def begin_cell(self) -> None:
        """Begin a cell; the one before it becomes one line."""
        if not self._rows or self._deeper:
            self.say("\t")
            return
        cells = self._rows[-1]
        if cells:
            self.pieces[cells[-1] :] = [piece.replace("\n", " ") for piece in self.pieces[cells[-1] :]]
            self._append("\t")
            self._breaks = 0
        cells.append(len(self.pieces))
        self._fresh = True

    def end_row(self) -> None:
        """End the row, and take out of it the cells that hold only codes."""
        if self._deeper:
            self._deeper -= 1
        elif self._rows:
            cells = self._rows.pop()
            if len(cells) > 2:
                self._take_codes(cells)
            self._fresh = False
            self._breaks = 1

    def _take_codes(self, cells: list[int]) -> None:
        ends = [*cells[1:], len(self.pieces)]
        texts = ["".join(self.pieces[start:end]).strip() for start, end in zip(cells, ends, strict=True)]
        said = [place for place, text in enumerate(texts) if not (text and _NUMBER.fullmatch(text))][1:]
        coded = [place for place in said if texts[place] and self._is_coded(texts[place])]
        for place in coded if len(coded) < len(said) else coded[1:]:
            self.coded_cells += 1
            for number in range(cells[place], ends[place]):
                # Spaces keep the places of what stands behind.
                self.pieces[number] = " " * len(self.pieces[number])

    def _is_coded(self, text: str) -> bool:
        return self.find(text) is not None or all(
            self.find(part) is not None for part in re.split(r"[,;\s]+", text) if part
        )

    def _flush(self) -> None:
        if self._breaks:
            self._append("\n" * self._breaks)
            self._breaks = 0

    def _append(self, words: str) -> None:
        self.pieces.append(words)
        self.length += len(words)

    def notes(self) -> list[tuple[int | None, str]]:
        """Say what was left out of the text."""
        if not self.coded_cells:
            return []
        advice = "left out; save the table as XLSX or CSV to have its codes read"
        return [(None, f"codes in a table: {self.coded_cells} cells hold only codes; {advice}")]


def document_of(page: Page, context: Context) -> Document:
    """Find the lines of speech on a page.

    Raises:
        InputError: it has none.

    """
    speech = read_speech(page.text, context.speaker)
    require_speech(speech.spoken)
    return Document(lines=[one.line for one in speech.spoken], notes=[*speech.notes, *page.notes()])


def require_speech(lines: Sequence[object]) -> None:
    """Refuse a file without any speech.

    Raises:
        InputError: there are no lines.

    """
    if not lines:
        raise InputError("no speech was found; expected lines such as 'T: text'; is the file empty or cut off?")


def walk(root: Element, skip: Callable[[Element], bool]) -> Iterator[tuple[str, Element, bool]]:
    """Elements as they open (True) and close, with their names; what is skipped opens and closes without its content.

    Without recursion, so that no depth of nesting can exhaust the stack.
    """
    stack: list[tuple[Element, bool]] = [(root, True)]
    while stack:
        element, opens = stack.pop()
        name = element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
        yield name, element, opens
        if opens:
            stack.append((element, False))
            if not skip(element):
                stack.extend((child, True) for child in reversed(element))
