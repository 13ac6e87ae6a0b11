"""What a REFI-QDA project says beside its sources: who coded, which codes there are, and of whom the sessions are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from threers.formats.documents import Context, Mark
from threers.formats.files import File, local

Notes = list[tuple[int | None, str]]
#: What a variable says of a session, by its name in small letters.
_FACTS = {
    **dict.fromkeys(("patient", "patient id", "client", "client id", "case", "case id"), "patient"),
    **dict.fromkeys(("therapist", "therapist id"), "therapist"),
    **dict.fromkeys(("session number", "session no", "session nr"), "session_number"),
}
_NUMBER = re.compile(r"\s*-?\d{1,12}\s*")
_RATED = re.compile(r"(.+?)\s*=\s*(-?\d+(?:[.,]\d+)?)")


@dataclass(frozen=True)
class Project:
    """`codes`: id -> the code as written and its rating. `facts`: id of a source -> what is known of the session."""

    file: File
    context: Context
    users: dict[str, str]
    codes: dict[str, tuple[str, str]]
    facts: dict[str, dict[str, str]]
    atlas: bool

    @classmethod
    def of(cls, root: Element, file: File, context: Context) -> Project:
        """Read what stands beside the sources."""
        return cls(
            file=file,
            context=context,
            users={key(user.get("guid")): _name(user) for user in every(root, "User")},
            codes={key(code.get("guid")): _code(code.get("name", ""), context) for code in every(root, "Code")},
            facts=_facts(root),
            atlas="atlas" in root.get("origin", "").casefold(),
        )

    def facts_of(self, source: Element) -> dict[str, str]:
        """What is known of the session in a source."""
        return dict(self.facts.get(key(source.get("guid")), {}))

    def mark(self, coding: Element, selection: Element, row: int, notes: Notes) -> Mark | None:
        """The code and the coder of a coding; a note where the project has no such code, as where cases are coded."""
        found = next((self.codes.get(key(ref.get("targetGUID"))) for ref in children(coding, "CodeRef")), None)
        if found is None:
            notes.append((row, "no such code: the project's codebook lacks it (it may be a case); coding dropped"))
            return None
        given = (coding.get("creatingUser"), selection.get("creatingUser"), selection.get("modifyingUser"))
        user = next((key(guid) for guid in given if guid), None)
        coder = self.users.get(user, user) if user else ""
        if user is None and len(self.users) == 1:
            # With one user, programs leave it out.
            coder = next(iter(self.users.values()))
        return Mark(row=row, code=found[0], value=found[1], coder=coder)


def _code(name: str, context: Context) -> tuple[str, str]:
    """The code that a name means, as written, and its rating: `W2`, `W2 Minimal response`, `R1=3`."""
    name = " ".join(name.split())
    if context.find(name) is None:
        if rated := _RATED.fullmatch(name):
            return rated[1], rated[2]
        word = name.partition(" ")[0].rstrip(":.,;)-")
        if word and context.find(word):
            return word, ""
    return name, ""


def _facts(root: Element) -> dict[str, dict[str, str]]:
    """What variables and cases say of the session in each source."""
    variables = {key(one.get("guid")): _fact(one.get("name", "")) for one in every(root, "Variable")}
    facts: dict[str, dict[str, str]] = {}
    for owner in root.iter():
        values = [child for child in owner if local(child) == "VariableValue"]
        if not values and local(owner) != "Case":
            continue
        known = {}
        if local(owner) == "Case" and re.match(
            r"patient[\W_]*\d|patient[\W_]+\w", owner.get("name", ""), re.IGNORECASE
        ):
            known["patient"] = owner.get("name", "").strip()
        for value in values:
            said = {local(child): child for child in value}
            fact = variables.get(key(said["VariableRef"].get("targetGUID"))) if "VariableRef" in said else None
            text = next((child.text for name, child in said.items() if name.endswith("Value")), None)
            if fact and text and text.strip():
                known[fact] = text.strip()
        ids = [key(owner.get("guid")), *(key(ref.get("targetGUID")) for ref in children(owner, "SourceRef"))]
        for guid in filter(None, ids):  # else a case without an id would speak of all sources without one
            facts[guid] = {**facts.get(guid, {}), **known}
    return facts


def _fact(variable: str) -> str | None:
    # Some programs write the group of a variable in front of it: `Cases:Patient`.
    return _FACTS.get(re.sub(r"[\s_-]+", " ", variable.rpartition(":")[2].strip().casefold()))


def _name(user: Element) -> str:
    return (user.get("name") or user.get("id") or user.get("guid") or "").strip()


def children(element: Element, name: str) -> list[Element]:
    """The elements of this name right under an element."""
    return [child for child in element if local(child) == name]


def every(root: Element, name: str) -> Iterator[Element]:
    """The elements of this name anywhere under an element."""
    return (one for one in root.iter() if local(one) == name)


def key(guid: str | None) -> str:
    """An id in the one form in which ids are compared."""
    return (guid or "").strip("{} \n").casefold()


def number(written: str | None) -> int | None:
    """A whole number as written; None: it is none, or absurdly long."""
    return int(written) if written and _NUMBER.fullmatch(written) else None
