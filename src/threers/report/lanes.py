"""Which codes share a lane of a drawing of a session, and where the lane lies: all of it follows from the codebook."""

from __future__ import annotations

from dataclasses import dataclass

from threers.codebook import Codebook, Family


@dataclass(frozen=True, kw_only=True)
class Lane:
    """Codes that are drawn together. `letter` stands for it where colour alone would; `below`: under the time axis."""

    title: str
    letter: str
    codes: tuple[str, ...]
    below: bool


def lanes(codebook: Codebook) -> list[Lane]:
    """A lane per family of codes that utterances are tagged with; per code, where they exclude each other.

    Repairs lie below the axis, and so do the codes that the first role of the codebook may not have, where it does
    not say what its families mark: for 3RS the patient's codes stand above and the therapist's below.
    """
    found: list[Lane] = []
    for family in codebook.tag_families():
        below = family.course == "repair" or (
            not family.course and bool(family.roles) and codebook.roles[0] not in family.roles
        )
        for title, codes in _groups(codebook, family):
            letter = _letter(codebook, codes, title, {lane.letter for lane in found})
            found.append(Lane(title=title, letter=letter, codes=codes, below=below))
    return sorted(found, key=lambda lane: lane.below)


def _groups(codebook: Codebook, family: Family) -> list[tuple[str, tuple[str, ...]]]:
    if family.kind == "exclusive":
        return [(codebook.codes[code].title, (code,)) for code in family.codes]
    return [(family.title, family.codes)]


def _letter(codebook: Codebook, codes: tuple[str, ...], title: str, taken: set[str]) -> str:
    """The name of the code above all others if it is short, else the first letters of the title that are free."""
    roots = [code for code in codes if codebook.codes[code].parent is None]
    if len(roots) == 1 and len(codes) > 1 and len(roots[0]) <= 2 and roots[0] not in taken:
        return roots[0]
    words = "".join(sign for sign in title if sign.isalnum()) or "x"
    tried = [words[0].upper(), *(words[0].upper() + sign.lower() for sign in words[1:])]
    return next((letters for letters in tried if letters not in taken), str(len(taken) + 1))
