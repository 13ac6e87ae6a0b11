"""The codebook as data: roles, families, codes, who may speak them, parents and scales. Layer 0, no torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from threers.codebook_checks import (
    check_parents,
    check_spellings,
    require_mapping,
    require_names,
    require_scale,
    require_speakers,
    spelling,
)
from threers.errors import InputError, SettingsError
from threers.shipped import read_yaml

KINDS = ("exclusive", "multilabel", "rating")
UNITS = ("utterance", "segment", "session")
#: What a family may say of the course of a session: its codes mark a rupture, or the repair of one.
COURSES = ("rupture", "repair")
#: Roles that every corpus may have beside those that its codebook names.
EXTRA_ROLES = ("other", "unknown")


@dataclass(frozen=True, kw_only=True)
class Code:
    """One code. `roles` empty: anyone may speak it. `parent`: the code that is present whenever this one is."""

    name: str
    title: str
    family: str
    definition: str = ""
    parent: str | None = None
    roles: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Family:
    """Codes that are judged together: exactly one (`exclusive`), any number (`multilabel`) or a `rating` each.

    `course`: `rupture` or `repair` where the codes mark one (see `threers.episodes`), else empty.
    """

    name: str
    title: str
    kind: str
    unit: str
    codes: tuple[str, ...]
    roles: tuple[str, ...] = ()
    scale: tuple[float, float] | None = None
    course: str = ""


@dataclass(frozen=True, kw_only=True)
class Codebook:
    """A checked codebook. `roles` are those it names; `other` and `unknown` exist beside them in every corpus."""

    name: str
    roles: tuple[str, ...]
    families: tuple[Family, ...]
    codes: Mapping[str, Code]
    title: str = ""
    source: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def load(cls, name_or_path: str | Path) -> Codebook:
        """Load a shipped codebook by name (`3rs-2015`) or a YAML file by path.

        Raises:
            SettingsError: no such codebook, or the first fault found in it, with the file's name.

        """
        raw, where = read_yaml("codebook", name_or_path)
        return cls.from_dict(raw, where)

    @classmethod
    def from_dict(cls, raw: Any, where: str = "codebook") -> Codebook:
        """Build and check a codebook from plain data; `where` names the file in errors.

        Raises:
            SettingsError: the first fault found.

        """
        return _parse(raw, where)

    def save(self, path: Path) -> None:
        """Write the codebook as YAML."""
        path.write_text(yaml.safe_dump(dict(self.raw), sort_keys=False, allow_unicode=True), encoding="utf-8")

    @property
    def hash(self) -> str:
        """SHA-256 over what the codebook means: its settings, and the order of its codes, which a tagger relies on.

        What families say of the course of a session does not count: only summaries look at it.
        """
        order = [(family.name, family.codes) for family in self.families]
        families = {
            name: {key: value for key, value in entry.items() if key != "course"}
            for name, entry in self.raw.get("families", {}).items()
        }
        meaning = _with_names([{**self.raw, "families": families}, order])
        text = json.dumps(meaning, sort_keys=True, ensure_ascii=False, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def family(self, name: str) -> Family:
        """Return the family called `name`."""
        for family in self.families:
            if family.name == name:
                return family
        raise SettingsError(
            f"codebook {self.name}: no family {name!r}; it has {', '.join(f.name for f in self.families)}"
        )

    def families_on(self, unit: str) -> tuple[Family, ...]:
        """Families coded on `unit` (`utterance`, `segment` or `session`), ratings included."""
        return tuple(family for family in self.families if family.unit == unit)

    def tag_families(self) -> tuple[Family, ...]:
        """Families that an utterance can be tagged with: coded on the utterance, not ratings."""
        return tuple(family for family in self.families_on("utterance") if family.kind != "rating")

    def course_codes(self, course: str) -> frozenset[str]:
        """Codes of utterances that mark a `rupture`, or a `repair`; empty where no family says so."""
        return frozenset(code for family in self.tag_families() if family.course == course for code in family.codes)

    def tag_codes(self) -> tuple[str, ...]:
        """Names of the codes an utterance can be tagged with, in the codebook's order."""
        return tuple(code for family in self.tag_families() for code in family.codes)

    def rating_codes(self) -> dict[str, str]:
        """The codes that rate whole sessions or segments, each with its unit, in the codebook's order."""
        families = [family for family in self.families if family.kind == "rating" and family.unit != "utterance"]
        return {code: family.unit for family in families for code in family.codes}

    def legal(self, code: str, role: str) -> bool:
        """May `role` speak `code`?"""
        roles = self.codes[code].roles
        return not roles or role in roles

    def legal_mask(self, roles: Iterable[str], codes: Sequence[str] | None = None) -> np.ndarray:
        """Bool array (n_units, n_codes): may the unit's role have the code? Default codes: `tag_codes()`."""
        codes = self.tag_codes() if codes is None else codes
        roles = list(roles)
        rows = {role: [self.legal(code, role) for code in codes] for role in set(roles)}
        return np.array([rows[role] for role in roles], dtype=bool).reshape(len(roles), len(codes))

    def ancestors(self, code: str) -> tuple[str, ...]:
        """Parent, grandparent, … of `code`."""
        found: list[str] = []
        parent = self.codes[code].parent
        while parent is not None:
            found.append(parent)
            parent = self.codes[parent].parent
        return tuple(found)

    def find(self, written: str) -> str | None:
        """The code meant by a name, title or alias as written in a file; case and spaces do not count. None: no
        such.
        """
        return self._lookup.get(spelling(written))

    @cached_property
    def _lookup(self) -> dict[str, str]:
        return {spelling(w): c.name for c in self.codes.values() for w in (*c.aliases, c.title, c.name)}


def _with_names(raw: Any) -> Any:
    """Plain data whose keys are all texts: YAML makes a number of a code called 1, and such keys cannot be sorted with
    others.
    """
    if isinstance(raw, dict):
        return {str(key): _with_names(value) for key, value in raw.items()}
    return [_with_names(one) for one in raw] if isinstance(raw, list) else raw


def _parse(raw: Any, where: str) -> Codebook:
    where = f"codebook {where}"
    top = require_mapping(raw, where, required=("name", "roles", "families"), optional=("title", "source"))
    roles = require_names(top["roles"], f"{where}: roles")
    for role in roles:
        if role in EXTRA_ROLES:
            raise SettingsError(f"{where}: role {role!r} exists in every corpus; leave it out of roles")
    families: list[Family] = []
    codes: dict[str, Code] = {}
    if not isinstance(top["families"], dict) or not top["families"]:
        raise SettingsError(f"{where}: families must map each family's name to its settings")
    for name, entry in top["families"].items():
        family, own = _parse_family(str(name), entry, roles, f"{where}: family {name}")
        for code in own:
            if code.name in codes:
                raise SettingsError(
                    f"{where}: code {code.name!r} stands in {codes[code.name].family} and in {name}; rename one"
                )
            codes[code.name] = code
        families.append(family)
    check_parents(codes, {family.name: family for family in families}, where)
    check_spellings(codes, where)
    return Codebook(
        name=str(top["name"]),
        title=str(top.get("title", top["name"])),
        source=str(top.get("source", "")),
        roles=roles,
        families=tuple(families),
        codes=codes,
        raw=raw,
    )


def _parse_family(name: str, entry: Any, roles: tuple[str, ...], where: str) -> tuple[Family, list[Code]]:
    entry = require_mapping(
        entry, where, required=("kind", "unit", "codes"), optional=("title", "roles", "scale", "course")
    )
    if entry["kind"] not in KINDS:
        raise SettingsError(f"{where}: kind {entry['kind']!r}; expected one of {', '.join(KINDS)}")
    if entry["unit"] not in UNITS:
        raise SettingsError(f"{where}: unit {entry['unit']!r}; expected one of {', '.join(UNITS)}")
    if entry.get("course", "") not in ("", *COURSES):
        raise SettingsError(f"{where}: course {entry['course']!r}; expected {' or '.join(COURSES)}, or leave it out")
    speakers = require_speakers(entry.get("roles", "anyone"), roles, where)
    scale = require_scale(entry.get("scale"), entry["kind"], where)
    if not isinstance(entry["codes"], dict) or not entry["codes"]:
        raise SettingsError(f"{where}: codes must map each code's name to its settings")
    codes = []
    for code_name, given in entry["codes"].items():
        at = f"{where}: code {code_name}"
        given = require_mapping(given or {}, at, optional=("title", "definition", "parent", "roles", "aliases"))
        codes.append(
            Code(
                name=str(code_name),
                title=str(given.get("title", code_name)),
                family=name,
                definition=" ".join(str(given.get("definition", "")).split()),
                parent=None if given.get("parent") is None else str(given["parent"]),
                roles=require_speakers(given["roles"], roles, at) if "roles" in given else speakers,
                aliases=require_names(given.get("aliases", []), f"{at}: aliases"),
            )
        )
    if entry["kind"] == "exclusive" and any(code.roles != speakers for code in codes):
        raise SettingsError(
            f"{where}: one of its codes has roles of its own; codes that exclude each other share speakers"
        )
    family = Family(
        name=name,
        title=str(entry.get("title", name)),
        kind=entry["kind"],
        unit=entry["unit"],
        codes=tuple(code.name for code in codes),
        roles=speakers,
        scale=scale,
        course=entry.get("course", ""),
    )
    return family, codes


def require_fit(used: Mapping[str, int], codebook: Codebook, where: str) -> None:
    """Refuse codings of another codebook.

    `used`: written code -> number of codings. Raises InputError when none of them is a code of the codebook.
    """
    unknown = [code for code in used if codebook.find(code) is None]
    if used and len(unknown) == len(used):
        raise InputError(
            f"{where}: none of its codes ({', '.join(sorted(unknown)[:5])}) is in codebook {codebook.name} "
            f"({', '.join(list(codebook.codes)[:5])}, …); name the codebook that the coders used"
        )
