"""The codes that a table holds, counted as written: held against a codebook, or made into one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from threers.codebook import Codebook
from threers.errors import InputError
from threers.formats.cells import written_codes
from threers.formats.headers import first_header
from threers.formats.reader import Reader
from threers.formats.rejects import list_headers
from threers.formats.tables import Table

#: The family of codes that no codebook orders, and the code of a unit left empty where they exclude each other.
FAMILY, UNMARKED = "code", "none"
#: Beyond these, a column holds texts rather than codes.
LONGEST_CODE, MOST_CODES = 60, 100


def count_codes(table: Table, reader: Reader, codebook: Codebook | None = None) -> Counter[str]:
    """Count the codes in the reader's code columns, as written.

    A cell that is a code of the codebook as a whole is that one, whatever separators it holds.
    """
    found: Counter[str] = Counter()
    headers = (first_header(column.headers, table.frame.columns) for column in reader.codes)
    for header in headers:
        cells = table.frame[header].str.strip().value_counts() if header else {}
        for cell, times in cells.items():
            whole = codebook is not None and codebook.find(cell) is not None
            found.update(dict.fromkeys([cell] if whole else written_codes(cell, reader), int(times)))
    return found


def require_known(codes: Mapping[str, int], codebook: Codebook, where: str) -> None:
    """Refuse codes that the codebook does not know. `codes`: as written, and how often.

    Raises:
        InputError: the first of them, and what the codebook has instead; or what `require_names` raises.

    """
    unknown = {code: number for code, number in codes.items() if codebook.find(code) is None}
    if not unknown:
        return
    require_names(unknown, where)
    shown = ", ".join(
        f"{list_headers([code], most_words=40)} ({number} times)" for code, number in list(unknown.items())[:5]
    )
    raise InputError(
        f"{where}: {len(unknown)} of its codes are not in codebook {codebook.name}, such as {shown}; expected "
        f"{', '.join(list(codebook.codes)[:5])}, …. Correct them, name the coders' codebook, or leave codebook out to "
        "compare the codes as they stand"
    )


def require_names(codes: Mapping[str, int], where: str) -> None:
    """Refuse what looks like texts, which would stand in every table that is written.

    Raises:
        InputError: a code is too long, or there are too many, or too many that occur once.

    """
    longest, once = max(map(len, codes), default=0), sum(number == 1 for number in codes.values())
    if longest > LONGEST_CODE:
        problem = f"one has {longest} characters"
    elif len(codes) > MOST_CODES or (len(codes) > 30 and 2 * once > len(codes)):
        problem = f"there are {len(codes)} different ones, {once} of them only once"
    else:
        return
    raise InputError(
        f"{where}: the column of the codes seems to hold texts: {problem}; expected at most {MOST_CODES} codes of "
        f"{LONGEST_CODE} characters. Name the column of the codes, as in 'columns={{code: Kode}}'"
    )


def codebook_of(codes: Iterable[str], kind: str, unmarked: bool = False) -> Codebook:
    """Make a codebook of codes as written: one family of anyone's, with a code for nothing if `unmarked`."""
    alike: dict[str, list[str]] = {}
    for code in sorted(codes):
        alike.setdefault(_meaning(code), []).append(code)
    made: dict[str, Any] = {_whole_number(spelt[0]): {"aliases": spelt} for spelt in alike.values()}
    if unmarked:
        made[UNMARKED] = {}
    family = {"title": "Code", "kind": kind, "unit": "utterance", "codes": made}
    return Codebook.from_dict({"name": "codes found", "roles": [], "families": {FAMILY: family}}, "codes found")


def _meaning(code: str) -> str:
    return _whole_number("".join(code.split()).casefold())


def _whole_number(code: str) -> str:
    """Write 1 for 1.0: so are numbers written that share a column with an empty cell."""
    return re.sub(r"^(-?\d+)\.0+$", r"\1", code)
