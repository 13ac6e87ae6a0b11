"""What stands in a reader's YAML file, checked; each function raises SettingsError at a fault, `where` begins it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

from threers.errors import SettingsError


def check_number(raw: Mapping[str, Any], key: str, default: float, where: str) -> float:
    """A number above 0 under a key, or the default."""
    value = raw.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise SettingsError(f"{where}: {key}: found {value!r}; expected a number above 0")
    return float(value)


def check_pattern(raw: Any, where: str) -> re.Pattern[str] | None:
    """A regular expression with the group `speaker`; None where nothing is given."""
    if not raw:
        return None
    try:
        pattern = re.compile(str(raw))
    except re.error as error:
        raise SettingsError(f"{where}: found {raw!r}; expected a regular expression ({error})") from error
    if "speaker" not in pattern.groupindex:
        raise SettingsError(f"{where}: found {raw!r}; expected a group (?P<speaker>…)")
    return pattern


def check_mapping(raw: Any, where: str, known: tuple[str, ...]) -> Mapping[str, Any]:
    """A mapping that has none but these keys."""
    if not isinstance(raw, Mapping):
        raise SettingsError(f"{where}: expected a mapping of keys to values, found {type(raw).__name__}")
    for key in raw:
        check_choice(str(key), known, f"{where}: key")
    return raw


def check_choice(found: str, known: tuple[str, ...], where: str) -> None:
    """One of the known words."""
    if found not in known:
        near = difflib.get_close_matches(found, known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise SettingsError(f"{where}: found {found!r}; {hint}known: {', '.join(known)}")


def check_words(raw: Any, where: str) -> tuple[str, ...]:
    """A word or a list of words, as a tuple."""
    items = [raw] if isinstance(raw, str | int | float) else raw
    if not isinstance(items, list | tuple) or not all(isinstance(item, str | int | float) for item in items):
        raise SettingsError(f"{where}: found {raw!r}; expected a word or a list of words")
    return tuple(str(item) for item in items)


def check_pairs(raw: Any, where: str) -> dict[str, str]:
    """A mapping of words to words."""
    if not isinstance(raw, Mapping):
        raise SettingsError(f"{where}: expected a mapping such as {{A: b}}, found {type(raw).__name__}")
    for key, value in raw.items():
        if not isinstance(value, str | int | float):
            raise SettingsError(f"{where}: {key}: found {value!r}; expected a word")
    return {str(key): str(value) for key, value in raw.items()}


def check_word(raw: Mapping[str, Any], key: str, where: str) -> str | None:
    """A word under a key; None where it is missing."""
    value = raw.get(key)
    if value is not None and not isinstance(value, str | int | float):
        raise SettingsError(f"{where}: {key}: found {value!r}; expected a word")
    return None if value is None else str(value)
