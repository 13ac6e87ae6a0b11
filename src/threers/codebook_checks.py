"""What a codebook's file must hold: each fault found before anything is written, and named. Layer 0."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from threers.errors import SettingsError

if TYPE_CHECKING:
    from threers.codebook import Code, Family


def check_parents(codes: Mapping[str, Code], families: Mapping[str, Family], where: str) -> None:
    """Refuse parents that are not there, form a cycle, stand in another family, or may be spoken by fewer."""
    for code in codes.values():
        seen = [code.name]
        parent = code.parent
        while parent is not None:
            if parent not in codes:
                raise SettingsError(
                    f"{where}: code {seen[-1]}: parent {parent!r} is not a code of this codebook; correct it"
                )
            if parent in seen:
                raise SettingsError(f"{where}: parents form a cycle: {' -> '.join([*seen, parent])}")
            seen.append(parent)
            parent = codes[parent].parent
        if code.parent is None:
            continue
        if families[code.family].kind != "multilabel" or codes[code.parent].family != code.family:
            raise SettingsError(
                f"{where}: code {code.name}: a parent must be a code of the same multilabel family, "
                f"but {code.parent} is in {codes[code.parent].family} and {code.family} is {families[code.family].kind}"
            )
        wide = codes[code.parent].roles
        if wide and not (code.roles and set(code.roles) <= set(wide)):
            raise SettingsError(
                f"{where}: code {code.name}: {', '.join(code.roles) or 'anyone'} may speak it, "
                f"but its parent {code.parent} belongs to {', '.join(wide)}"
            )


def check_spellings(codes: Mapping[str, Code], where: str) -> None:
    """Refuse a written name that two codes could be meant by."""
    meant: dict[str, str] = {}
    for code in codes.values():
        for written in {spelling(w) for w in (code.name, code.title, *code.aliases)}:
            if meant.setdefault(written, code.name) != code.name:
                raise SettingsError(
                    f"{where}: {written!r} could mean {meant[written]} or {code.name}; change one of them"
                )


def require_mapping(raw: Any, where: str, required: Sequence[str] = (), optional: Sequence[str] = ()) -> dict[str, Any]:
    """The mapping, once it has every key required and none beyond those and the optional ones."""
    if not isinstance(raw, dict):
        raise SettingsError(f"{where}: expected a mapping of keys to values, found {type(raw).__name__}")
    for key in required:
        if key not in raw:
            raise SettingsError(f"{where}: key {key!r} is missing; give it a value")
    for key in raw:
        if key not in (*required, *optional):
            raise SettingsError(
                f"{where}: unknown key {repr(key)[:60]}; known keys: {', '.join((*required, *optional))}"
            )
    return raw


def require_names(raw: Any, where: str) -> tuple[str, ...]:
    """A list of names, none twice."""
    if not isinstance(raw, list):
        raise SettingsError(f"{where}: expected a list of names, found {type(raw).__name__}")
    names = tuple(str(name) for name in raw)
    if len(set(names)) < len(names):
        raise SettingsError(f"{where}: a name stands twice in {', '.join(names)}")
    return names


def require_speakers(raw: Any, roles: tuple[str, ...], where: str) -> tuple[str, ...]:
    """The roles that may speak a code; empty: anyone."""
    if raw == "anyone":
        return ()
    speakers = require_names(raw, f"{where}: roles")
    for speaker in speakers:
        if speaker not in roles:
            raise SettingsError(f"{where}: speaker {speaker!r} does not exist; expected {', '.join(roles)}, or anyone")
    if not speakers:
        raise SettingsError(f"{where}: roles is empty; name one of {', '.join(roles)}, or write anyone")
    return speakers


def require_scale(raw: Any, kind: str, where: str) -> tuple[float, float] | None:
    """The bounds of a rating; None for a family of another kind."""
    if kind != "rating":
        if raw is not None:
            raise SettingsError(f"{where}: only a rating has a scale, and this family is {kind}")
        return None
    bounds_ok = isinstance(raw, list) and len(raw) == 2 and all(isinstance(b, int | float) for b in raw)
    if not bounds_ok or not raw[0] < raw[1]:
        raise SettingsError(f"{where}: a rating needs a scale with two bounds, as in scale: [1, 5]; found {raw!r}")
    return (float(raw[0]), float(raw[1]))


def spelling(written: str) -> str:
    """A code as written, without what does not tell codes apart: white space, and upper case."""
    return re.sub(r"\s+", "", str(written)).casefold()
