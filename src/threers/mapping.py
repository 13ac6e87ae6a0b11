"""Plain nested data, as from YAML files and the command line, to settings objects. Layer 0."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from threers.errors import SettingsError

T = TypeVar("T")


def from_mapping(cls: type[T], values: Mapping[str, Any], where: Callable[[str], str] = lambda key: key) -> T:
    """Build a settings object from plain nested data.

    Args:
        cls: one of the dataclasses of `settings`.
        values: keys and values; a nested dataclass takes a nested mapping.
        where: turns a dotted key into the words an error starts with, such as the key and its file.

    Raises:
        SettingsError: an unknown key (with the nearest known one), a missing key or a value of the wrong type.

    """
    return _build(cls, values, "", where)


def _build(cls: type[T], values: Mapping[str, Any], prefix: str, where: Callable[[str], str]) -> T:
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            near = difflib.get_close_matches(key, fields, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise SettingsError(f"{where(prefix + key)}: unknown key; {hint}known keys: {', '.join(fields)}")
    made: dict[str, Any] = {}
    for name, described in fields.items():
        if name not in values:
            if described.default is dataclasses.MISSING and described.default_factory is dataclasses.MISSING:
                raise SettingsError(f"{where(prefix + name)}: missing; write {prefix}{name}=…")
            continue
        made[name] = _convert(hints[name], values[name], prefix + name, where)
    return cls(**made)


def _convert(hint: Any, value: Any, key: str, where: Callable[[str], str]) -> Any:
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise SettingsError(f"{where(key)}: found {value!r}; expected a group of keys")
        return _build(hint, value, key + ".", where)  # type: ignore[arg-type]
    origin = typing.get_origin(hint)
    if origin is tuple:
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list | tuple):
            raise SettingsError(f"{where(key)}: found {value!r}; expected a list")
        return tuple(str(item) for item in items)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise SettingsError(f"{where(key)}: found {value!r}; expected a mapping such as {{A: b}}")
        return {str(k): v for k, v in value.items()}
    if origin in (typing.Union, types.UnionType):
        if typing.get_args(hint)[1] is str:  # a mapping, or the path of a file that holds one
            return value if isinstance(value, str) else _convert(typing.get_args(hint)[0], value, key, where)
        raise TypeError(f"{key}: settings have one plain type each")
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is str and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise SettingsError(f"{where(key)}: found {value!r}; expected {hint.__name__}")
    return value
