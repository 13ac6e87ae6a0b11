"""What in transcripts may identify a person, by place and count only: no text leaves this module.

The patterns find likely cases and miss others; a transcript without a finding is not anonymous.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from threers.errors import InputError
from threers.formats.files import File

_MONTH = (
    r"(?:jan(?:uary|uar)?|feb(?:ruary|ruar)?|mar(?:ch)?|m[äa]rz|apr(?:il)?|ma[yi]|june?|juni|july?|juli|aug(?:ust)?|"
    r"sep(?:t(?:ember)?)?|o[ck]t(?:ober)?|nov(?:ember)?|de[cz](?:ember)?)\.?"
)
_YEAR = r"(?:19|20)\d\d"
#: Tried in this order; a stretch of text counts under the first kind that takes it. Every repeat has a limit, so that
#: no text takes long.
_PATTERNS = (
    ("e-mail", r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}"),
    (
        "date of birth",
        rf"(?<![\d.,])(?:\d\d?\.\s?\d\d?\.\s?(?:{_YEAR}|\d\d)|\d\d?/\d\d?/(?:{_YEAR}|\d\d)|{_YEAR}-\d\d?-\d\d?"
        rf"|\d\d?(?:st|nd|rd|th|\.)?\s(?:of\s)?{_MONTH},?\s{_YEAR})(?!\d)"
        rf"|\b{_MONTH}\s\d\d?(?:st|nd|rd|th)?,?\s{_YEAR}(?!\d)|\b(?:born in|geboren)\s{_YEAR}(?!\d)",
    ),
    ("phone", r"(?<![\w.,:/-])(?<!\d )\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}(?![\d:])"),
    ("long number", r"\b[A-Z]{2}\d\d(?:[ ]?[A-Z0-9]{4}){3,8}\b"),
    ("long number", r"(?<![\w+(/.-])(?<!\d )(?!0)\d(?:[ -]?\d){7,30}(?!\w)"),
    ("phone", r"(?<![\w.,:/-])(?:\+|\(?0|\(\d)\d{0,4}\)?(?:[ /.()-]{0,3}\d){6,14}(?![\d:])"),
)
KINDS = ("e-mail", "phone", "date of birth", "long number", "name")
_ANY = re.compile("|".join(f"(?P<k{n}>{pattern})" for n, (_, pattern) in enumerate(_PATTERNS)), re.IGNORECASE)
_COLUMNS = {"session_id": "str", "utterance_id": "int64", "kind": "str", "count": "int64"}


def find_identifiers(utterances: pd.DataFrame, names: Sequence[str] = ()) -> pd.DataFrame:
    """Count likely e-mail addresses, phone numbers, dates of birth, long numbers and the given names in each utterance.

    Args:
        utterances: `session_id`, `utterance_id`, `text`; names of speakers are not looked at.
        names: whole words, whatever their case; `Anna` finds `Anna's`, not `Annas`.

    Returns:
        Columns `session_id`, `utterance_id`, `kind` (one of KINDS), `count`; a row per utterance and kind.

    """
    texts = utterances["text"]
    name = _names_pattern(names)
    suspect = texts.str.contains(r"[@\d]", regex=True)
    if name is not None:
        composed = texts.map(lambda text: unicodedata.normalize("NFC", text))
        suspect |= composed.str.contains(name, regex=True)
    rows = []
    for row in utterances.loc[suspect, ["session_id", "utterance_id", "text"]].itertuples(index=False):
        counts = Counter(_PATTERNS[int(str(found.lastgroup)[1:])][0] for found in _ANY.finditer(row.text))
        if name is not None:
            counts["name"] = sum(1 for _ in name.finditer(unicodedata.normalize("NFC", row.text)))
        rows += [(row.session_id, row.utterance_id, kind, counts[kind]) for kind in KINDS if counts[kind]]
    return pd.DataFrame(rows, columns=list(_COLUMNS)).astype(_COLUMNS)


def read_names(path: str | Path) -> list[str]:
    """The names in a file, one per line; blank lines and those that begin with # are passed over.

    Raises:
        InputError: the file is not there, or holds no name.

    """
    path = Path(path).expanduser()
    try:
        lines = [line.strip() for line in File(path).text.splitlines()]
    except InputError as error:
        raise InputError(f"names={path}: {error}; expected a text file with a name per line") from error
    names = [line for line in lines if line and not line.startswith("#")]
    if not names:
        raise InputError(f"names={path}: holds no name; expected one per line")
    return names


def summarise(found: pd.DataFrame) -> list[str]:
    """A line per kind: how often, and in how many sessions."""
    lines = []
    for kind in KINDS:
        own = found[found["kind"] == kind]
        if len(own):
            lines.append(f"{kind}: {int(own['count'].sum())} in {own['session_id'].nunique()} sessions")
    return lines


def _names_pattern(names: Iterable[str]) -> re.Pattern[str] | None:
    words = sorted({unicodedata.normalize("NFC", name).strip() for name in names} - {""}, key=len, reverse=True)
    if not words:
        return None
    spaced = [r"\s+".join(map(re.escape, word.split())) for word in words]
    return re.compile(rf"(?<!\w)(?:{'|'.join(spaced)})(?!\w)", re.IGNORECASE)
