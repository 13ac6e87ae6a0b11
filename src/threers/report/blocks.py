"""What a report is made of: sections of paragraphs, lists, tables and figures, which the templates turn into HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from threers.report.svg import Drawing


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    text: str
    macro: ClassVar[str] = "heading"


@dataclass(frozen=True)
class Text:
    """A paragraph; `kind` is `plain`, `small` or `warning`."""

    text: str
    kind: str = "plain"
    macro: ClassVar[str] = "text"


@dataclass(frozen=True)
class Items:
    """A list; of pairs, the first of each is what the second explains."""

    items: Sequence[str | tuple[str, str]]
    macro: ClassVar[str] = "items"


@dataclass(frozen=True)
class Row:
    """Cells of a table's row, the first its header; a row of one cell heads the rows after it."""

    cells: Sequence[str]


@dataclass(frozen=True)
class Table:
    """A table with a header row and a header column."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Row]
    running_text: Sequence[int] = ()
    """Columns that hold sentences, which may break into lines."""
    strong: int = 0
    """A column that the eye should find; 0: none."""
    number: int = 0
    macro: ClassVar[str] = "table"


@dataclass(frozen=True)
class Cell:
    """A cell of a matrix: a figure, a smaller one under it, and how strongly the cell is tinted (0 to 1)."""

    text: str
    below: str = ""
    tint: float = 0.0


@dataclass(frozen=True)
class Matrix:
    """A table of one thing against another."""

    caption: str
    corner: str
    head: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]
    number: int = 0
    macro: ClassVar[str] = "matrix"


@dataclass(frozen=True)
class Key:
    """One entry of a legend: the sign drawn, the CSS class of its colour, what it stands for."""

    sign: str
    colour: str
    text: str


@dataclass(frozen=True)
class Figure:
    """Small drawings side by side that share a caption and a legend."""

    caption: str
    drawings: Sequence[Drawing]
    legend: Sequence[Key] = ()
    number: int = 0
    macro: ClassVar[str] = "figure"


Block = Heading | Text | Items | Table | Matrix | Figure


@dataclass(frozen=True)
class Section:
    """A part of the page; `name` is its anchor."""

    name: str
    title: str
    blocks: Sequence[Block] = field(default_factory=tuple)


def numbered(sections: Sequence[Section]) -> list[Section]:
    """Number tables and figures from 1 in the order of the page; a table without rows is left out."""
    count = {"table": 0, "figure": 0}
    found = []
    for section in sections:
        blocks: list[Block] = []
        for block in section.blocks:
            if isinstance(block, Table | Matrix) and not block.rows:
                continue
            if isinstance(block, Table | Matrix | Figure):
                kind = "figure" if isinstance(block, Figure) else "table"
                count[kind] += 1
                block = replace(block, number=count[kind])
            blocks.append(block)
        found.append(replace(section, blocks=blocks))
    return found
