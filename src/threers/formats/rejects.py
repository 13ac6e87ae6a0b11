"""The list of what could not be used: file, row and reason."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from threers.corpus import REJECT_COLUMNS


class Rejects:
    """Collects rejected rows, codings and files, and notes on rows that were kept.

    A reason is `kind: detail; what was done`. It never quotes a text; codes and times are quoted and cut short.
    """

    def __init__(self) -> None:
        self._parts: list[tuple[str, int | None, str]] = []

    def add(self, file: str, row: int | None, reason: str) -> None:
        """List one row of a file, or, with `row` None, the file."""
        self._parts.append((file, row, reason))

    def add_rows(self, rows: pd.DataFrame, reasons: str | Iterable[str]) -> None:
        """List every row of a frame with columns `file` and `row`; one reason for all or one for each."""
        each: Sequence[str] = [reasons] * len(rows) if isinstance(reasons, str) else list(reasons)
        self._parts += zip(rows["file"], (int(row) for row in rows["row"]), each, strict=True)

    def __len__(self) -> int:
        return len(self._parts)

    def frame(self) -> pd.DataFrame:
        """Columns `file`, `row`, `reason`, sorted by file and row; a file's own entries come first."""
        frame = pd.DataFrame(self._parts, columns=list(REJECT_COLUMNS))
        frame = frame.astype({"file": "str", "row": "Int64", "reason": "str"})
        return frame.sort_values(["file", "row"], na_position="first", kind="stable", ignore_index=True)


def quote(written: str, width: int = 40) -> str:
    """A value from a code, time or number cell for a reason, cut short."""
    plain = " ".join(str(written).split())
    return repr(plain if len(plain) <= width else plain[: width - 1] + "…")
