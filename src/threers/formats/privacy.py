"""What in transcripts may identify a person, by place and count only: no text leaves this module.

The patterns find likely cases and miss others; a transcript without a finding is not anonymous.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path

import pandas as pd

from threers.errors import InputError
from threers.formats.files import File

KINDS = ("e-mail", "phone", "date of birth", "long number", "name")
_COLUMNS = {"session_id": "str", "utterance_id": "int64", "kind": "str", "count": "int64"}

# No pattern may look far ahead and then start again one character on: every repeat has a small limit, or takes all
# there is and keeps it. So the time grows with the length of a text, whatever the text.
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}(?!\w)")

_MONTH = (
    r"(?=[adfjmnos])(?:jan(?:uary|uar)?|jänner|feb(?:ruary|ruar|er)?|mar(?:ch)?|märz|maerz|apr(?:il)?|ma[yi]"
    r"|june?|juni|july?|juli|aug(?:ust)?|sept?(?:ember)?|o[ck]t(?:ober)?|nov(?:ember)?|de[cz](?:ember)?)\.?"
)
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_YEAR = r"(?:19|20)\d\d(?!\d)"
_WRITTEN_YEAR = rf"(?:{_YEAR}|['\u2019]\d\d\b)"
_WORDS = r"(?:\s\w{1,20}\.?){0,3}?\s"
_DATE = re.compile(
    # with figures in front
    rf"(?<!\d)(?=\d)(?:(?<!\d[.,])(?:{_DAY}\.\s?{_DAY}\.\s?(?:\d{{4}}|\d\d)|{_DAY}/{_DAY}/(?:\d{{4}}|\d\d)"
    rf"|{_DAY}-{_DAY}-\d{{4}}|\d{{4}}([-/.]){_DAY}\1{_DAY})(?!\d|\.\d)"
    rf"|{_DAY}(?:st|nd|rd|th|\.)?[\s-]{{0,2}}(?:of\s)?{_MONTH},?[\s-]{{0,2}}{_WRITTEN_YEAR}"
    rf"|(?:19|20)\d\d{_WORDS}geboren\b)"
    # with words in front
    rf"|\b(?=[^\W\d])(?:{_MONTH}\s{_DAY}(?:st|nd|rd|th)?,?\s{_WRITTEN_YEAR}|(?:born|geboren|geb\.){_WORDS}{_YEAR}"
    rf"|(?:year\sof\sbirth|birth\syear|geburtsjahr|jahrgang)\W{{1,3}}(?:(?:is|was|ist|war)\s)?{_YEAR})",
    re.IGNORECASE,
)

#: Times, decimals and thousands, which are not parts of longer numbers.
_HARMLESS = re.compile(
    r"(?<![\d:])\d{1,3}(?::\d\d){1,2}(?:[.,-]\d{1,3})?(?!\d)"
    r"|(?<![\d.,])(?:[1-9]\d{0,2}(?:(?:\.\d{3}){1,8}|(?:,\d{3}){1,8})(?:[.,]\d{1,2})?"
    r"|\d{1,2}[.,]\d{1,12}|[1-9]\d{2,5}[.,]\d{1,2})(?!\d|\.\d)"
)
#: Seven digits or more, in groups, as far as they go.
_NUMBER = re.compile(
    r"(?<![\d_])(?=[(+\d])(?=[(+]{0,2}(?:[\s().\-\u2010-\u2015/]{0,5}\d){7})"
    r"\(?(?:\+\s?)?\(?\d++(?:(?:\s?[()]?\s?[-\u2010-\u2015/]?\s?|\.)\d++)*+"
)
_LONGEST = 1000  # characters of a number that are looked at
_PHONE = re.compile(
    r"\(?\+|\(?0\d|\(0\)|0\W\d\W\d\W"  # international, or with the code of a town; also digit by digit
    r"|(?:1\W)?\(?[2-9]\d\d\W{1,3}\d{3}\W{1,2}\d{4}(?!\d)|[2-9]\d\d-(?!\d000)\d{4}(?!\d)"  # American
)
_EVERYDAY = re.compile(r"(?:19|20)\d\d|\d{1,3}00")  # years, round numbers
_WORD = re.compile(r"\w+")


def find_identifiers(utterances: pd.DataFrame, names: Sequence[str] = ()) -> pd.DataFrame:
    """Count likely e-mail addresses, phone numbers, dates of birth, long numbers and the given names in each utterance.

    A stretch of text counts under one kind. Every full date of 1900 or later that is not to come may be of birth; a
    long number has 8 digits or more. Counting, years, times and amounts are none.

    Args:
        utterances: `session_id`, `utterance_id`, `text`; names of speakers are not looked at.
        names: whole words, whatever their case; `Anna` finds `Anna's`, not `Annas`.

    Returns:
        Columns `session_id`, `utterance_id`, `kind` (one of KINDS), `count`; a row per utterance and kind, sorted by
        session, utterance and the order of KINDS.

    """
    patterns = _names_by_first_word(names)
    rows = []
    columns = (utterances[name] for name in ("session_id", "utterance_id", "text"))
    for session, utterance, text in zip(*columns, strict=True):
        counts = _count(text, patterns)
        rows += [(session, utterance, kind, counts[kind]) for kind in KINDS if counts[kind]]
    found = pd.DataFrame(rows, columns=list(_COLUMNS)).astype(_COLUMNS)
    return found.sort_values(["session_id", "utterance_id"], kind="stable", ignore_index=True)


def read_names(path: str | Path) -> list[str]:
    """The names in a file, one per line; blank lines and those that begin with # are passed over.

    Raises:
        InputError: the file is not there, or holds no name.

    """
    path = Path(path).expanduser()
    try:
        lines = [line.strip() for line in File(path).text.splitlines()]
    except InputError as error:
        what = str(error).partition(";")[0]
        raise InputError(f"names={path}: {what}; expected a text file with a name per line") from error
    names = [line for line in lines if _WORD.search(line) and not line.startswith("#")]
    if not names:
        raise InputError(f"names={path}: holds no name; expected one per line")
    return names


def summarise(found: pd.DataFrame) -> list[str]:
    """A line per kind: how often, and in how many sessions."""
    lines = []
    for kind in KINDS:
        own = found[found["kind"] == kind]
        if len(own):
            sessions = own["session_id"].nunique()
            lines.append(f"{kind}: {int(own['count'].sum())} in {sessions} session{'s' if sessions > 1 else ''}")
    return lines


def _count(text: str, names: dict[str, list[re.Pattern[str]]]) -> Counter[str]:
    """How many of each kind. What one kind takes is out of reach of the next."""
    counts: Counter[str] = Counter()

    def take(found: re.Match[str], kind: str | None) -> str:
        if kind:
            counts[kind] += 1
        return "|" if kind else found[0]

    if "@" in text:
        text = _EMAIL.sub(lambda found: take(found, "e-mail"), text)
    if re.search(r"\d\d", text):
        text = unicodedata.normalize("NFC", text)
        text = _DATE.sub(lambda found: take(found, "date of birth") if _is_past(found[0]) else "|", text)
    if re.search(r"\d\W{0,5}\d", text):
        text = _HARMLESS.sub("|", text)
        text = _NUMBER.sub(lambda found: take(found, _kind_of_number(found)), text)
    if names:
        counts["name"] = _count_names(_folded(text), names)
    return counts


def _is_past(words: str) -> bool:
    """A date of 1900 or later, or with a year of two digits, that is not in a year to come."""
    year = re.search(r"\d{4}", words)
    return year is None or 1900 <= int(year[0]) <= date.today().year


def _kind_of_number(found: re.Match[str]) -> str | None:
    number = found[0][:_LONGEST]
    groups = re.findall(r"\d+", number)
    digits = "".join(groups)
    if len(digits) < 7 or len(digits.strip("0")) < 3 or _is_counting(groups):
        return None
    # Letters in front are of an insurance or bank account.
    in_word = found.string[max(found.start() - 1, 0) : found.start()].isalpha()
    if _PHONE.match(number) and len(digits) <= 15 and not in_word:
        return "phone"
    telling = [group for group in groups if len(groups) == 1 or not _EVERYDAY.fullmatch(group)]
    lengths = [len(group) for group in telling]
    # Numbers of two digits in a row are ages and ratings.
    return "long number" if sum(lengths) >= 8 and (max(lengths) > 2 or max(lengths) == 1) else None


def _is_counting(groups: list[str]) -> bool:
    """1-2-3-4, also begun anew, backwards, or in sevens: most steps are the same."""
    if len(groups) < 3 or max(map(len, groups)) > 3:
        return False
    steps = Counter(int(after) - int(before) for before, after in pairwise(groups))
    return 4 * max(steps.values()) >= 3 * (len(groups) - 1)


def _folded(text: str) -> str:
    """The same for all ways to write a word: case, composed and decomposed letters, apostrophes."""
    folded = unicodedata.normalize("NFC", text).casefold()
    return unicodedata.normalize("NFC", folded).replace("\u2019", "'")


def _names_by_first_word(names: Sequence[str]) -> dict[str, list[re.Pattern[str]]]:
    """The names by their first word, longest first, so that a long list of names takes no longer than a short one."""
    patterns = defaultdict(list)
    for name in sorted({_folded(name) for name in names}, key=lambda name: (-len(name), name)):
        if first := _WORD.search(name):
            spaced = r"\s+".join(map(re.escape, name[first.start() :].split()))
            patterns[first[0]].append(re.compile(rf"{spaced}(?!\w)"))
    return dict(patterns)


def _count_names(text: str, names: dict[str, list[re.Pattern[str]]]) -> int:
    if names.keys().isdisjoint(_WORD.findall(text)):
        return 0
    count = end = 0
    for word in _WORD.finditer(text):
        if word.start() >= end:
            matches = (name.match(text, word.start()) for name in names.get(word[0], ()))
            if found := next(filter(None, matches), None):
                count, end = count + 1, found.end()
    return count
