"""The list of what could not be used: file, row and reason."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from threers.corpus import REJECT_COLUMNS


def names_apart(paths: Iterable[Path]) -> dict[Path, str]:
    """By file its name, with as many folders in front as tell it from others of the same name."""
    groups: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        groups[path.name].append(path)
    names: dict[Path, str] = {}
    for same in groups.values():
        longest = max(len(path.parts) for path in same)
        for depth in range(1, longest + 1):
            shown = {path: "/".join(path.parts[-depth:]) for path in same}
            if len(set(shown.values())) == len(same):
                break
        names |= shown
    return names


class Rejects:
    """Collects rejected rows, codings and files, and notes on rows that were kept.

    A reason is `kind: detail; what was done`. It never quotes a text; codes and times are quoted and cut short.
    """

    def __init__(self) -> None:
        self._parts: list[tuple[str, int | None, str]] = []

    def add(self, file: str, row: int | None, reason: str) -> None:
        """List one row of a file, or, with `row` None, the file."""
        self._parts.append((file, row, reason))

    def add_rows(self, rows: pd.DataFrame, reasons: Iterable[str]) -> None:
        """List every row of a frame with columns `file` and `row`, with one reason each."""
        self._parts += zip(rows["file"], (int(row) for row in rows["row"]), reasons, strict=True)

    def extend(self, listed: pd.DataFrame) -> None:
        """Take over what another `frame` lists."""
        rows = [None if pd.isna(row) else int(row) for row in listed["row"]]
        self._parts += zip(listed["file"], rows, listed["reason"], strict=True)

    def first(self, kinds: tuple[str, ...]) -> str:
        """The first entry of these kinds as `file: reason`; empty where there is none."""
        return next((f"{file}: {reason}" for file, _, reason in self._parts if reason.startswith(kinds)), "")

    def most_common(self) -> str:
        """One line for a message when nothing at all could be used."""
        reasons = self.frame()["reason"].value_counts()
        if reasons.empty:
            return "the files hold no texts"
        return f"most common reason ({reasons.iloc[0]} times): {reasons.index[0]}"

    def frame(self) -> pd.DataFrame:
        """Return columns `file`, `row`, `reason`, sorted by file and row; a file's own entries come first."""
        frame = pd.DataFrame(self._parts, columns=list(REJECT_COLUMNS))
        frame = frame.astype({"file": "str", "row": "Int64", "reason": "str"})
        return frame.sort_values(["file", "row"], na_position="first", kind="stable", ignore_index=True)


def list_headers(headers: Iterable[str], most_words: int = 4) -> str:
    """List a file's headers for a message, the first 40. A long one, or one of more than `most_words` words, is a text,
    in a file without a header row, and is not shown.
    """
    shown = [
        header if len(header) <= 40 and len(header.split()) <= most_words else f"a text of {len(header)} characters"
        for header in headers
    ]
    return ", ".join(shown[:40]) + (f" and {len(shown) - 40} more" if len(shown) > 40 else "")


def quote(written: str, width: int = 24) -> str:
    """Quote a value from a code, time or number cell; a long one is a text in the wrong column, and is not quoted."""
    plain = " ".join(str(written).split())
    return repr(plain) if len(plain) <= width else f"a text of {len(plain)} characters"
