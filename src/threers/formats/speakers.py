"""Which words in front of speech name a speaker, by evidence over a whole text: "And then she said: no" names none."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from threers.formats.times import seconds

#: Characters of a line in which its prefix must end. It keeps the search linear, however long a line is.
REACH = 200

#: A time in front of or behind speech.
CLOCK = r"(?:\d{1,3}:)?\d{1,2}:\d{2}(?:[.,-]\d{1,3})?"
# Marks of writing direction, which stand in front of Hebrew and Arabic names; bold letters and lists of Markdown.
_BEFORE = r"[\s\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]*(?:[-*>]{1,3}\s?)?(?:\(?\d{1,5}[.)]?\s+)?"
_DASH, _APOSTROPHE, _COLON = r"\u2013\u2014-", r"'\u2019", r":\uff1a"
_BETWEEN = rf"(?:\s?[{_DASH}]+>?\s?(?P<end>{CLOCK}))?"
# With pronouns, as in Zoom, or with a guest's house, as in Teams.
_ASIDE = r"(?:\s\(\w{1,9}/\w{1,9}(?:/\w{1,9})?\)|\s\[[\w ]{1,30}\])?"
_NAME = rf"[^\W\d_](?:[\w .,&/{_APOSTROPHE}-]{{0,38}}?[\w.])??{_ASIDE}"

#: `T:`, `Patient 2:`, `Therapist -`, `Th.`, `[00:01:02] P:`, `T [00:01:02]:`, `12 T:`, `T (quietly):`, a name before a
#: tab, or a name and a time on a line of their own.
SPEAKER = re.compile(
    rf"{_BEFORE}(?:[\[({{#]?(?P<start>{CLOCK}){_BETWEEN}[\])}}#]?[\s{_DASH}]{{0,3}})?"
    rf"(?P<open>\[)?(?P<speaker>{_NAME})\]?\*{{0,2}}"
    rf"\s{{0,9}}(?:[\[(#]?(?P<later>{CLOCK})[\])#]?\s{{0,9}}|(?P<comment>\([^()]{{1,60}}\))\s?)?"
    rf"(?:(?P<colon>(?<!\d)[{_COLON}]|[{_COLON}](?![\d/]))(?!//)\*{{0,2}}"
    rf"|(?P<dash>(?(open)(?<=\]\s)|(?<=\s))[{_DASH}](?=\s))"
    r"|(?P<tab>\t(?=\s*\S|$))|(?P<alone>(?(later)|(?(start)|(?!)))$))"
    rf"(?:\s*[\[#](?P<last>{CLOCK})[\]#])?\s*"
)
#: Letters of a name on a line of its own.
_LONGEST = 60
_STYLES = ("colon", "dash", "tab", "alone")
_ROLES = (
    r"(?:t|th|thp|ther|therap|therapist(?:in)?|therapeut(?:in)?|p|pt|pat|patient(?:in|e)?|c|cl|client|k|kl|klient(?:in)?"
    r"|i|int|interviewer(?:in)?|b|bef|befragte[r]?|counsel+or|coach|speaker|sprecher(?:in)?)"
)
_ROLE = re.compile(rf"{_ROLES}\.?[ _]?\d{{0,3}}", re.IGNORECASE)
_DOTTED = re.compile(rf"{_BEFORE}(?P<speaker>{_ROLES}\.)\s+", re.IGNORECASE)
# Words that begin a sentence and look like a name or like initials.
_WORDS = frozenset("also and but ja nb nee nein no note ok okay oh ps si so tv well yeah yes".split())
_PARTICLES = frozenset("de del den der di du la le of ter the van von zu zur".split())


@dataclass(frozen=True, slots=True)
class Prefix:
    """What stands in front of speech.

    `length`: its characters; `style`: what parts it from speech; `comment`: the transcriber's, within it; `start` and
    `end` as written.
    """

    speaker: str
    length: int
    start: str = ""
    end: str = ""
    style: str = ""
    comment: str = ""

    @property
    def key(self) -> str:
        """The name without capitals and the last dot."""
        return self.speaker.casefold().rstrip(".")


def find_prefix(line: str, pattern: re.Pattern[str] | None = None) -> Prefix | None:
    """Find what may be a speaker in front of a line of speech; `pattern`: a lab's own, in place of SPEAKER."""
    begin = line[:REACH]
    found = (pattern or SPEAKER).match(begin)
    if pattern is None and (found is None or (found["alone"] is not None and len(line) > REACH)):
        found = _DOTTED.match(begin)
    if found is None:
        return None
    named = found.groupdict()
    start = named.get("start") or named.get("later") or named.get("last") or ""
    style = "own" if pattern else next((style for style in _STYLES if named.get(style) is not None), "dot")
    name = " ".join((named.get("speaker") or "").split())
    return Prefix(name, found.end(), start, named.get("end") or "", style, named.get("comment") or "")


def find_speakers(prefixes: Sequence[Prefix], lines: int) -> set[tuple[str, str]]:
    """Decide which prefixes of a text are speakers: their style and key.

    Of the styles the one that names most lines counts: who writes `T:` doesn't part a speaker from speech by a dash.
    `lines`: how many the text has, without empty ones.
    """
    counts = Counter((prefix.style, prefix.key) for prefix in prefixes)
    names = {(prefix.style, prefix.key): prefix.speaker for prefix in prefixes}
    best: set[tuple[str, str]] = set()
    weight = 0
    for style in dict.fromkeys(style for style, _ in counts):
        of_style = {one: count for one, count in counts.items() if one[0] == style}
        like = {one for one in of_style if is_like_a_name(names[one])}
        taken = {
            one
            for one, count in of_style.items()
            # A name and a time on a line of their own are no words that happen to look so.
            if _ROLE.fullmatch(one[1])
            or (one in like and _is_short(names[one]))
            or (style == "alone" and (one in like or count > 1))
            or _is_back(one in like, count, lines)
        }
        named, likely = (sum(of_style[one] for one in some) for some in (taken, like))
        if 2 * named <= lines < 2 * likely and likely > 1:
            taken, named = taken | like, sum(of_style[one] for one in taken | like)
        back = sum(of_style[one] > 1 for one in taken)
        # Few lines among many that happen to begin like a speaker's are no evidence that the text names its speakers.
        enough = 20 * named >= lines or (back > 1 and 100 * named >= lines)
        sure = any(one in like or _ROLE.fullmatch(one[1]) for one in taken) or (back > 1 and 2 * named > lines)
        if named > weight and enough and sure:
            best, weight = taken, named
    # A text may go on in a table.
    return best | {("tab", key) for _, key in best}


def find_names(lines: Sequence[str]) -> set[str]:
    """The names among lines that may each name who speaks below: all of them, or none if they are no names.

    They are names if each looks like one or comes back, and those that come back are the most.
    """
    counts = Counter(lines)
    named = all(len(name) <= _LONGEST and (count > 1 or is_like_a_name(name)) for name, count in counts.items() if name)
    back = sum(count for name, count in counts.items() if name and count > 1)
    return set(counts) if named and "" not in counts and 2 * back > len(lines) else set()


def is_like_a_name(name: str) -> bool:
    """One to four words with capitals, or in a script that has none, and none of those that often begin a sentence."""
    words = name.split()
    small = [word for word in words if word[0].islower() and word not in _PARTICLES]
    return len(words) <= 4 and not small and name.casefold().rstrip(".,") not in _WORDS


def time_of(written: str) -> float | None:
    """Seconds of a time in front of or behind speech; f4 parts the tenths by a dash."""
    return seconds(written.replace("-", "."))


def _is_short(name: str) -> bool:
    """Initials, such as `MW` or `P2`."""
    return len(name) <= 3 and name.isupper() and name.isalnum()


def _is_back(like_a_name: bool, count: int, lines: int) -> bool:
    """Does it come back often enough for a name, or for words that don't look like one?"""
    return count >= 2 and 100 * count >= lines if like_a_name else count >= 3 and 20 * count >= lines
