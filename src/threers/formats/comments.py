"""What coders write in the comments of a Word document: codes, with values, times and titles, to and from text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from threers.formats.documents import Find, Mark
from threers.formats.times import clock, seconds

_TIMES = re.compile(r"\[(?P<start>[\d:.]{4,15})? ?\u2013 ?(?P<end>[\d:.]{4,15})?\] ?")
_WITH_TITLE = re.compile(r"(?P<code>[^()]+?)\s*\((?P<title>[^()]*)\)")
#: Looks like a code, mistyped or of another codebook.
_ALIKE = re.compile(r"[A-Za-z]{1,3}\d{1,3}[a-z]?(?=\s|$)")


@dataclass(frozen=True, slots=True)
class Coded:
    """One code in a comment; times in seconds, for a code on a stretch of time."""

    code: str
    value: str = ""
    start: float | None = None
    end: float | None = None


def comment_of(mark: Mark, titles: dict[str, str]) -> str:
    """Write a mark as the text of a comment: `W2 (Minimal response)`, with `= 3` for a value."""
    title = titles.get(mark.code, "")
    times = "" if mark.start is None and mark.end is None else f"{times_of(mark.start, mark.end)} "
    shown = f" ({title})" if title and title != mark.code and not re.search(r"[=()\n]", title) else ""
    return f"{times}{mark.code}{shown}{f' = {mark.value}' if mark.value else ''}"


def times_of(start: float | None, end: float | None) -> str:
    """Write times in brackets, parted by a dash; one of them may be unknown."""
    return f"[{'' if start is None else clock(start)} \u2013 {'' if end is None else clock(end)}]"


def read_times(written: str) -> tuple[float | None, float | None]:
    """Read what `times_of` wrote."""
    found = _TIMES.match(written)
    return (seconds(found["start"] or ""), seconds(found["end"] or "")) if found else (None, None)


def codes_in(comment: str, find: Find) -> tuple[list[Coded], bool]:
    """Find the codes in a comment, parted by commas, semicolons or lines, and say whether it holds other words too."""
    found: list[Coded] = []
    others: list[str] = []
    for line in comment.split("\n"):
        times = _TIMES.match(line)
        start, end = read_times(line)
        line = line[times.end() :].strip() if times else line.strip()
        name, _, value = line.partition("=")
        if _has_title(name.strip(), find):
            found.append(Coded(_code(name.strip()), value.strip(), start, end))
            continue
        for part in re.split(r"[,;]", line):
            codes, rest = _codes_in_part(part.strip(), find)
            found += [Coded(code, "", start, end) for code in codes]
            others += [rest] if rest else []
    if found:
        found += [Coded(other.split()[0]) for other in others if _ALIKE.match(other)]
        others = [other for other in others if not _ALIKE.fullmatch(other)]
    return found, bool(others)


def _has_title(written: str, find: Find) -> bool:
    """Is it a code, or a code with a title behind it in brackets?"""
    titled = _WITH_TITLE.fullmatch(written)
    return find(written) is not None or (
        titled is not None and find(titled["code"]) is not None and find(titled["title"]) is not None
    )


def _code(written: str) -> str:
    titled = _WITH_TITLE.fullmatch(written)
    return titled["code"] if titled and titled["title"] else written


def _codes_in_part(part: str, find: Find) -> tuple[list[str], str]:
    """The codes in words between commas, and the other words: `W2`, `W2 minimal response`, `perhaps W2?`."""
    if _has_title(part, find):
        return [_code(part)], ""
    words = part.split()
    for count in range(min(len(words), 12), 0, -1):
        code = " ".join(words[:count]).rstrip(":.?!-\u2013")
        if find(code) is not None:
            rest = " ".join(words[count:]).strip("()-\u2013 ")
            return [code], "" if not rest or find(rest) is not None else rest
    # A code of letters alone, such as "change", may be an ordinary word.
    codes = list(_numbered(words, find))
    return codes, part


def _numbered(words: list[str], find: Find) -> Iterator[str]:
    for word in words:
        bare = word.strip(".:?!()\"'")
        if any(letter.isdigit() for letter in bare) and find(bare) is not None:
            yield bare
