"""The fenced blocks of the documentation: what is a command, what is a file, and what is an answer."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^```(\w*)$")
#: The line above a block that is the content of a file.
NAMED = re.compile(r"`([\w./-]+)`:$")


@dataclass(frozen=True)
class Block:
    """A fenced block: page and heading that it stands under, its language, the file that it is, if any, its lines."""

    page: str
    heading: str
    language: str
    file: str
    lines: tuple[str, ...]


def pages() -> list[Path]:
    """README.md, then the pages of the site in the order of its menu."""

    def files(entry) -> Iterator[str]:
        if isinstance(entry, str):
            yield entry
        for one in entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else ():
            yield from files(one)

    menu = yaml.safe_load((ROOT / "properdocs.yml").read_text(encoding="utf-8"))["nav"]
    return [ROOT / "README.md", *(ROOT / "docs" / name for name in files(menu))]


def blocks(page: Path) -> list[Block]:
    """The blocks of a page in their order."""
    name, found = str(page.relative_to(ROOT)), []
    lines = iter(page.read_text(encoding="utf-8").splitlines())
    above = heading = ""
    for line in lines:
        if opened := FENCE.match(line):
            inside = []
            for one in lines:
                if one == "```":
                    break
                inside.append(one)
            file = NAMED.search(above)
            found.append(Block(name, heading, opened[1], file[1] if file else "", tuple(inside)))
        above = line or above
        heading = line if line.startswith("#") else heading
    return found


def commands(block: Block) -> Iterator[str]:
    """The commands of a block, those over several lines in one."""
    whole = re.sub(r"\\\n\s*", "", "\n".join(block.lines))
    return (line for line in whole.splitlines() if shlex.split(line, comments=True))
