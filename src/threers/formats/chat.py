"""CHAT transcripts (.cha) of TalkBank and CLAN, read leniently: any role, also Patient and Therapist.

The library pylangacq is not used, as it rejects files with other roles than those of TalkBank.

A speaker is the role in @Participants, such as Patient, if no other participant has the same; else the code, such as
PAT. Names of participants are not read. Codes stand below an utterance on %cod, %spa and %xcod, on tiers that hold
nothing but codes, and on those that `code_tiers` names; or behind it as postcodes, `[+ W2]`. Repeats and fillers are
kept as they were said; what the signs of CHAT become is told at `readable`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from threers.errors import InputError
from threers.formats.cues import counted_note, folded
from threers.formats.documents import Context, Document, Format, Line, Mark
from threers.formats.files import File
from threers.formats.tiers import tier_pattern

#: Tiers that hold codes in any file.
_CODES = ("cod", "spa", "xcod")
#: Headers that say nothing about the session, or that are read.
_USUAL = {
    "begin", "end", "utf8", "languages", "participants", "id", "options", "media", "coder", "pid", "font", "window",
    "color words",
}  # fmt: skip
_RECORD = re.compile(r"(?P<kind>[@*%])(?P<name>[^:\t]{0,60})(?P<mark>[:\t]|$)\s?(?P<text>.*)", re.DOTALL)
#: Times in milliseconds, between NAK characters or what CLAN shows in their place.
_BULLET = re.compile(r"[\x15•][^\x15•]{0,300}?(\d{1,9})_(\d{1,9})-?[\x15•]")
_POSTCODE = re.compile(r"\[\+\s([^\[\]]{1,100})\]")

# What becomes of the signs of CHAT, one after the other. \x02 and \x03 stand for brackets that stay.
_SIGNS = [
    (re.compile(pattern), put)
    for pattern, put in (
        (r"\x15[^\x15]{0,300}\x15|[\x00-\x08\x0e-\x1f]", ""),
        (r"\[=!\s([^\[\]]*)\]", "\x02\\1\x03"),
        (r"\[[^\[\]]*\]", ""),
        (r'(?<!\S)\+(?:["^<,+]|\u2248|\u224b)(?!\S)', ""),
        (r"(?<!\S)\+(\.\.\.|!\?)(?!\S)", r"\1"),
        (r"(?<!\S)\+\.\.\?(?!\S)", "...?"),
        (r"(?<!\S)\+//?([?]?)\.?(?!\S)", r"-\1"),
        (r'(?<!\S)\+"?/?\.(?!\S)', "."),
        (r"[<>]", ""),
        (r"(?<!\S)&\*(\w{1,10})[:=](\S+)", "\x02\\1: \\2\x03"),
        (r"(?<!\S)&=(\S+)", lambda found: f"\x02{found[1].replace(':', ' ')}\x03"),
        (r"(?<!\S)&[{}]\S*", ""),
        (r"^\s*0(?=\s*(?:\x02|[.?!]?\s*$))", ""),
        (r"(?<!\S)&[-~+]?(?=\w)", ""),
        (r"(?<!\S)0[^\W\d_]\S*", ""),
        (r"\(([^\W\d_]+)\)(?=[^\W\d_])", r"\1"),
        (r"(?<=[^\W\d_])\(([^\W\d_]+)\)", r"\1"),
        (r"(?<=\w)@(?:z:\w+|s:[\w+&$-]+|[a-z]{1,3})(?:\$\w+)?(?=[\s,?!]|$)", ""),
        (r"(?<=[^\W\d_])[_+](?=[^\W\d_])", " "),
        (r"(?<=[^\W\d_])(?::+(?=[^\W\d_])|::+)", ""),
        (r"(?<=[^\W\d_])\^(?=[^\W\d_])", ""),
        (r"[\u2308\u2309\u230a\u230b\u2191\u2193\u2197\u2198\u21d7\u21d8\u2206\u2207\u21ab\u2248\u224b]", ""),
        (r"\s[\u2021\u201e](?!\S)", ","),
        ("\x02", "["),
        ("\x03", "]"),
    )
]


@dataclass(slots=True)
class Record:
    """A header (`@`), what a speaker said (`*`) or what stands below it (`%`), with its continued lines."""

    row: int
    kind: str
    name: str
    texts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The whole text in one line."""
        return " ".join(self.texts)


def fits(file: File) -> bool:
    """Does the file begin as CHAT does, with @UTF8 or @Begin?"""
    return re.match(r"@(?:UTF8|Begin|Font|PID|Window|Languages|Participants)\b", file.head.lstrip()) is not None


def read(file: File, context: Context) -> list[Document]:
    """Read the session: utterances with their times, and the codes below them.

    Raises:
        InputError: nobody speaks.

    """
    records, odd = _records(file.text)
    headers = [record for record in records if record.kind == "@"]
    speakers = _speakers(headers)
    coders = {folded(record.text) for record in headers if record.name.casefold() == "coder"}
    coder = coders.pop() if len(coders) == 1 else ""
    tiers = _code_tiers(records, context)
    session = Document()
    unread: Counter[str] = Counter()
    silent: list[int] = []
    spoken = False
    for record in records:
        if record.kind == "*":
            text, (start, end) = readable(record.text), _times(record.text)
            spoken = any(letter.isalnum() for letter in text)
            if not spoken:
                silent.append(record.row)
                continue
            speaker = speakers.get(record.name.strip(), record.name.strip())
            session.lines.append(Line(row=record.row, text=text, speaker=folded(speaker), start=start, end=end))
            codes = [code for code in _POSTCODE.findall(record.text) if context.find(code)]
            unread["[+ ]"] += len(_POSTCODE.findall(record.text)) - len(codes)
            _add_marks(session, record.row, [(code, "") for code in codes], coder)
        elif record.kind == "%" and spoken and record.name in tiers:
            _add_marks(session, record.row, _codes(record.text, context), tiers[record.name] or coder)
        elif record.kind == "%":
            unread[f"%{record.name}" if re.fullmatch(r"\w{1,12}", record.name) else "%"] += 1
    if not session.lines:
        raise InputError("nobody speaks; expected CHAT with lines such as *PAT: and what was said")
    session.notes += counted_note(odd, "line not readable: it begins with none of @ * %", "added to the one above")
    session.notes += counted_note(silent, "no text: an utterance has no words", "left out with its codes")
    if +unread:
        listed = ", ".join(f"{name} ({count})" for name, count in sorted((+unread).items()))
        session.notes.append((None, f"tiers without codes or without an utterance: {listed}; left out"))
    further = [record.row for record in headers if record.name.casefold() not in _USUAL]
    session.notes += counted_note(further, "header not needed: a comment, a place, a date or the like", "left out")
    if not any(record.name.casefold() == "end" for record in headers):
        session.notes.append((None, "file cut off: it has no @End; read as far as it goes"))
    return [session]


def readable(said: str) -> str:
    """What was said without the signs of CHAT.

    Repeats, fillers and fragments stay (`&-um` becomes `um`), and so do pauses, `xxx`, and in brackets what was heard
    beside words (`&=laughs` becomes `[laughs]`) and what another said meanwhile. `(be)cause` becomes `because`. An
    utterance that trails off ends with `...`, one broken off with `-`. Explanations, replacements, errors, marks
    of overlap and of second languages, words that were left out (`0is`, or `0` for all of them) and signs of intonation
    are taken away.

    >>> readable("<I want> [//] &-um I don't (.) wanna [: want to] (be)cause +/.")
    "I want um I don't (.) wanna because -"
    """
    said = _BULLET.sub("", said)
    for pattern, put in _SIGNS:
        said = pattern.sub(put, said)
    return re.sub(r" ([.,?!;]+)(?= |$)", r"\1", folded(said))


def _records(text: str) -> tuple[list[Record], list[int]]:
    """Records of a file, and the rows of lines that belong to none by their first sign."""
    records: list[Record] = []
    odd: list[int] = []
    for row, line in enumerate(re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff")), start=1):
        if not line.strip():
            continue
        found = _RECORD.match(line)
        if found and (found["mark"] or found["kind"] == "@"):
            records.append(Record(row, found["kind"], found["name"].strip(), [found["text"]]))
            continue
        if records:
            records[-1].texts.append(line.strip())
        if line[0] not in " \t":
            odd.append(row)
    return records, odd


def _speakers(headers: Sequence[Record]) -> dict[str, str]:
    """Role by code, of those whose role no other has."""
    roles: dict[str, str] = {}
    for header in headers:
        if header.name.casefold() == "id":
            fields = [part.strip() for part in header.text.split("|")]
            if len(fields) > 7 and fields[2] and fields[7]:
                roles.setdefault(fields[2], fields[7])
    for header in headers:
        if header.name.casefold() == "participants":
            people = [person.split() for person in header.text.split(",")]
            roles |= {words[0]: words[-1] for words in people if len(words) > 1}
    times = Counter(roles.values())
    return {code: role for code, role in roles.items() if times[role] == 1}


def _times(said: str) -> tuple[float | None, float | None]:
    bullets = _BULLET.findall(said)
    return (int(bullets[0][0]) / 1000, int(bullets[-1][1]) / 1000) if bullets else (None, None)


def _code_tiers(records: Sequence[Record], context: Context) -> dict[str, str]:
    """Names of the tiers that hold codes, each with its coder, empty where the name says none."""
    texts: dict[str, list[str]] = {}
    for record in records:
        if record.kind == "%":
            texts.setdefault(record.name, []).append(record.text)
    tiers: dict[str, str] = {}
    for name, contents in texts.items():
        fitting = (tier_pattern(tier.strip().lstrip("%")).fullmatch(name) for tier in context.code_tiers)
        written = [found for found in fitting if found is not None]
        codes = [code for text in contents[:1000] for code, _ in _codes(text[:1000], context)]
        if written:
            tiers[name] = written[0].groupdict().get("coder") or ""
        elif name in _CODES or (codes and not context.code_tiers and all(map(context.find, codes))):
            tiers[name] = ""
    return tiers


def _codes(text: str, context: Context) -> Iterator[tuple[str, str]]:
    """Codes of a tier with their values: words with spaces or `$` between; `<w1>` only says for which words one is."""
    text = folded(_BULLET.sub("", text))
    for word in [text] if context.find(text) else re.sub(r"<[^<>]*>", " ", text).replace("$", " ").split():
        word = word if context.find(word) else word.rstrip(".,;")
        code, rated, value = ("", "", "") if context.find(word) else word.rpartition("=")
        if word:
            yield (code, value) if rated and code else (word, "")


def _add_marks(session: Document, row: int, codes: Iterable[tuple[str, str]], coder: str) -> None:
    place = len(session.lines) - 1
    session.marks += [Mark(row=row, code=code, value=value, coder=coder, lines=(place, place)) for code, value in codes]


FORMAT = Format(name="chat", title="CHAT transcript", suffixes=(".cha",), fits=fits, read=read)
