"""YAML files that ship with the package or are a user's own: one way to find and read them. Layer 0."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from threers.errors import SettingsError


class _Loader(yaml.SafeLoader):
    """Plain YAML would silently keep the last of two entries with one name, and read the words no, yes, on and off as
    false and true: here they are headers, cells and codes.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012 (the class's own copy, as PyYAML wants it)
        first: [(tag, words) for tag, words in resolvers if tag != "tag:yaml.org,2002:bool"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key is no plain word", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} stands twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("(true|false)$", re.IGNORECASE), list("tTfF"))


def read_yaml(kind: str, name_or_path: str | Path) -> tuple[Any, str]:
    """Read a shipped file of one folder of the configs (`kind`, such as `codebook`) by name, or a YAML file by path.

    Returns the plain data, and the file's name for errors.

    Raises:
        SettingsError: no such file, no such name (with those there are), or not valid YAML.

    """
    path = Path(name_or_path).expanduser()
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise SettingsError(f"{kind} {path}: no such file")
        text, where = path.read_text(encoding="utf-8", errors="replace"), path.name
    else:
        entry = resources.files("threers.configs") / kind / f"{name_or_path}.yaml"
        if not entry.is_file():
            known = ", ".join(shipped_names(kind))
            raise SettingsError(f"{kind} {str(name_or_path)!r}: not shipped and not a .yaml file; shipped: {known}")
        text, where = entry.read_text(encoding="utf-8"), f"{name_or_path}.yaml"
    return parse_yaml(text, f"{kind} {where}"), where


def parse_yaml(text: str, where: str) -> Any:
    """Plain data from YAML, of whose words only true and false mean more. Raises SettingsError; `where` begins it."""
    try:
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:  # a date or number may be none
        raise SettingsError(f"{where}: not valid YAML, correct it: {' '.join(str(error).split())}") from error


def shipped_names(kind: str) -> list[str]:
    """Names of the YAML files in one folder of the shipped configs, sorted."""
    folder = resources.files("threers.configs") / kind
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))
