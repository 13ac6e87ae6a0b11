"""Kinds of damage to a file or folder of threers, each drawn from a seeded generator.

A damage changes what lies at a path and returns whether threers can know: `True` where a reader of the file has to
refuse it or list it as a reject, `False` where what is left may be a legal input.
"""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from .meanings import BY_SUFFIX, Damage

TOKENS = (
    b"\x00",
    b"\xff\xfe",
    b"{",
    b"]",
    b'"',
    b"NaN",
    b"1e999",
    b"\n\n",
    b",,,,",
    b"\t",
    b"- : -",
    b"&a *a",
    b"--- ",
)
#: Damage to what a file means, not to its bytes; drawn more often, for its kinds are fewer.
MEANT = ("other value", "column", "rows", "tensors", "column missing", "column type", "keys twice", "no rows", "cells")


def kinds(path: Path) -> dict[str, Damage]:
    """The kinds of damage that suit what lies at the path."""
    found: dict[str, Damage] = {"gone": gone, "dangling link": dangling, "link to itself": circular}
    if os.geteuid():  # who is root may read everything
        found["no permission"] = forbidden
    if path.is_dir():
        return found | {"file for folder": file_for_folder, "emptied folder": emptied, "a file gone": member_gone}
    found |= {"folder for file": folder_for_file, "empty file": empty, "other file": swapped}
    found |= {"cut off": cut, "bit flip": flip, "zeroed": zeroed, "inserted": inserted}
    return found | BY_SUFFIX.get(path.suffix, {})


def gone(path: Path, rng: random.Random) -> bool:
    """Nothing is there."""
    remove(path)
    return False


def dangling(path: Path, rng: random.Random) -> bool:
    """A link to nothing."""
    remove(path)
    path.symlink_to(path.with_name("nowhere"))
    return False


def circular(path: Path, rng: random.Random) -> bool:
    """A link to itself."""
    remove(path)
    path.symlink_to(path)
    return False


def forbidden(path: Path, rng: random.Random) -> bool:
    """Permission to read is taken away."""
    path.chmod(0)
    return False


def file_for_folder(path: Path, rng: random.Random) -> bool:
    """A file stands where a folder is expected."""
    remove(path)
    path.write_text("x", encoding="utf-8")
    return True


def folder_for_file(path: Path, rng: random.Random) -> bool:
    """A folder stands where a file is expected."""
    remove(path)
    path.mkdir()
    return False


def emptied(path: Path, rng: random.Random) -> bool:
    """A folder that holds nothing."""
    remove(path)
    path.mkdir()
    return False


def member_gone(path: Path, rng: random.Random) -> bool:
    """One of its files is missing."""
    files = [one for one in sorted(path.rglob("*")) if one.is_file()]
    if files:
        rng.choice(files).unlink()
    return False


def empty(path: Path, rng: random.Random) -> bool:
    """No bytes."""
    path.write_bytes(b"")
    return False


def swapped(path: Path, rng: random.Random) -> bool:
    """Another file of the same folder, or of its neighbours, in its place."""
    others = [one for one in sorted(path.parent.parent.rglob("*")) if one.is_file() and one != path]
    content = rng.choice(others).read_bytes() if others else b"x"
    changed = content != path.read_bytes()
    path.write_bytes(content)
    return changed and path.suffix in (".safetensors", ".parquet")


def cut(path: Path, rng: random.Random) -> bool:
    """The end is missing, as after a full disk."""
    content = path.read_bytes()
    path.write_bytes(content[: rng.randrange(max(1, len(content)))])
    return path.suffix in (".safetensors", ".parquet")


def flip(path: Path, rng: random.Random) -> bool:
    """One bit is another."""
    content = bytearray(path.read_bytes())
    if content:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return _rewritten(path, bytes(content))


def zeroed(path: Path, rng: random.Random) -> bool:
    """A block of zeros."""
    content = bytearray(path.read_bytes())
    start = rng.randrange(max(1, len(content)))
    content[start : start + 64] = bytes(len(content[start : start + 64]))
    return _rewritten(path, bytes(content))


def inserted(path: Path, rng: random.Random) -> bool:
    """Some bytes too many."""
    content = path.read_bytes()
    place = rng.randint(0, len(content))
    return _rewritten(path, content[:place] + rng.choice(TOKENS) * rng.choice([1, 1, 3, 500]) + content[place:])


def _rewritten(path: Path, content: bytes) -> bool:
    """Of a table only the values count: what lies between them, and notes about them, may change."""
    before = _values(path)
    path.write_bytes(content)
    if path.suffix == ".parquet":
        after = _values(path)
        return before is not None and (after is None or not _same(before, after))
    return path.suffix == ".safetensors"


def _same(before: pa.Table, after: pa.Table) -> bool:
    """The same values, if perhaps in columns of other types: notes of Arrow's on the types may be gone."""
    try:
        return after.cast(before.schema).equals(before)
    except (pa.ArrowException, ValueError):
        return False


def _values(path: Path) -> pa.Table | None:
    try:
        return pq.read_table(path).replace_schema_metadata(None)
    except Exception:  # any damage to it
        return None


def remove(path: Path) -> None:
    """Take away what lies at a path, if anything does."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
