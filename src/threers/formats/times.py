"""Times as people write them, in seconds."""

from __future__ import annotations

import re
from collections.abc import Sequence

_CLOCK = re.compile(r"(?:(?P<hours>\d{1,3}):(?=\d\d?:))?(?P<minutes>\d{1,3}):(?P<seconds>\d{1,2}(?:[.,]\d+)?)")
#: A minute or a second of one digit; what stands behind the last dot.
_UNPADDED, _THOUSANDTHS = re.compile(r":\d(?:[:.,]|\s*$)"), re.compile(r"[.,](\d{1,3})(?=\s*$)")
_SECONDS = re.compile(r"\d{1,15}(?:[.,]\d+)?")  # more digits may be no finite number


def seconds(written: str) -> float | None:
    """Seconds meant by `HH:MM:SS`, `MM:SS` (each with decimals or not) or a plain number; None: not readable.

    >>> seconds("01:02:03.5"), seconds("75:30"), seconds("12,25"), seconds("00:09:025")
    (3723.5, 4530.0, 12.25, None)
    """
    written = written.strip()
    if _SECONDS.fullmatch(written):
        return float(written.replace(",", "."))
    found = _CLOCK.fullmatch(written)
    if found is None:
        return None
    hours, minutes = int(found["hours"] or 0), int(found["minutes"])
    rest = float(found["seconds"].replace(",", "."))
    if rest >= 60 or (found["hours"] is not None and minutes >= 60):
        return None
    return hours * 3600.0 + minutes * 60.0 + rest


def with_thousandths(times: Sequence[str]) -> list[str]:
    """Times with their thousandths in full, where a file writes numbers without leading zeros, as old Teams files do.

    >>> with_thousandths(["0:0:6.90", "0:0:16.500"]), with_thousandths(["00:00:06.90"])
    (['0:0:6.090', '0:0:16.500'], ['00:00:06.90'])
    """
    if not any(_UNPADDED.search(written) for written in times):
        return list(times)
    return [_THOUSANDTHS.sub(lambda found: f".{found[1]:0>3}", written) for written in times]


def clock(total: float) -> str:
    """Seconds as `HH:MM:SS`, with milliseconds where there are any.

    >>> clock(3723.5), clock(108000)
    ('01:02:03.500', '30:00:00')
    """
    milliseconds = round(total * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    whole, rest = divmod(milliseconds, 1000)
    return f"{hours:02d}:{minutes:02d}:{whole:02d}" + (f".{rest:03d}" if rest else "")
