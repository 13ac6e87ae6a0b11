"""Deleting what threers made: it is known by its own records, and nothing else is touched. Layer 1, no torch."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from threers.corpus import TABLES
from threers.errors import InputError
from threers.folders import REPLACED, locked, workplace
from threers.stored import read_json

#: Written by any verb, anywhere: locks, and what a run was about to write when it was killed.
PASSING = (".lock", ".*.tmp", "*.partial")
_CORPUS = (*(f"{name}.parquet" for name in TABLES), "codebook.yaml", "manifest.json", "rejects.csv", "identifiers.csv")
#: A model's folder; the template is of a tokenizer that came with a chat model.
_MODEL = ("*.json", "*.safetensors", "vocab.txt", "merges.txt", "chat_template.jinja", "README.md")
_AGREEMENT = ("run.json", "agreement.*", "verdicts.csv")


@dataclass(frozen=True)
class Kind:
    """What a verb writes. `record`: the file that proves it by having `keys`. `files`: patterns of all names that it
    puts into the folder; `folders`: those below it, with all that is in them.
    """

    name: str
    record: str
    keys: frozenset[str]
    files: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()


#: An evaluation has the keys of a training, and more, so it stands before it; likewise of other kinds.
KINDS = (
    Kind("demo", "run.json", frozenset({"demo", "settings"}), ("run.json",)),
    Kind(
        "evaluation",
        "run.json",
        frozenset({"corpus", "folds", "seed", "backbone", "training"}),
        (*_AGREEMENT, "curve.csv"),
        ("folds", "scores"),
    ),
    Kind(
        "unfinished training",
        "run.json",
        frozenset({"corpus", "backbone", "training"}),
        ("run.json",),
        ("checkpoints", "tagger", "replaced"),
    ),
    Kind(
        "unfinished adaptation",
        "run.json",
        frozenset({"corpus", "backbone", "adaptation"}),
        ("run.json",),
        ("checkpoints", "backbone", "replaced"),
    ),
    Kind(
        "scores",
        "run.json",
        frozenset({"tagger", "source", "precision", "shard_sessions"}),
        (
            "run.json",
            "manifest.json",
            "journal.jsonl",
            "codebook.yaml",
            "*.csv",
            "segments.parquet",
            "sessions.parquet",
        ),
        ("utterances",),
    ),
    Kind("sample", "run.json", frozenset({"how", "n", "sheets"}), ("run.json", "sampling.csv"), ("sheets",)),
    Kind("pages", "run.json", frozenset({"source", "include_text", "blind"}), ("run.json", "*.html")),
    Kind("agreement", "run.json", frozenset({"corpus", "scores"}), _AGREEMENT),
    Kind(
        "tagger",
        "manifest.json",
        frozenset({"codebook_sha256", "chunks", "lexical_share"}),
        (*_MODEL, "codebook.yaml"),
    ),
    Kind(
        "adapted backbone",
        "manifest.json",
        frozenset({"session_hashes", "weights_sha256", "new_head"}),
        _MODEL,
    ),
    Kind("corpus", "manifest.json", frozenset({"counts", "hashes", "versions"}), _CORPUS),
)


@dataclass(frozen=True)
class Found:
    """A folder that threers made: its kind, all its files, and their size in bytes."""

    folder: Path
    kind: str
    files: tuple[Path, ...]
    size: int


def find(path: Path) -> list[Found]:
    """What threers made at `path`, and what an import or a training of that name that was cut off left beside it.

    Raises:
        InputError: there is nothing of the kind, or something else stands in it; names what.

    """
    path = Path(os.path.abspath(path))  # "." has no name; a link stays one
    found = _made(path) if os.path.lexists(path) else []
    if not path.is_symlink():
        found += _beside(path)
    if not found:
        raise InputError(f"path={path}: no such folder, and nothing unfinished beside it; name one that threers made")
    return found


def delete(found: list[Found]) -> None:
    """Delete these files and the folders that they leave empty; links are not followed.

    Raises:
        OutputExistsError: a run is at work in one of the folders; nothing was deleted.

    """
    with ExitStack() as stack:
        for one in found:
            if (one.folder / "run.json").is_file():
                stack.enter_context(locked(one.folder, "path"))
        for one in found:
            for file in one.files:
                file.unlink(missing_ok=True)
    for one in found:
        for folder, _, names in os.walk(one.folder, topdown=False):
            for name in names:
                if any(fnmatch(name, pattern) for pattern in PASSING):
                    (Path(folder) / name).unlink(missing_ok=True)
            os.rmdir(folder)


def kind_of(folder: Path) -> str:
    """What a folder is, if threers made it; empty otherwise."""
    kind = _kind(folder)
    return kind.name if kind else ""


def _made(folder: Path) -> list[Found]:
    if folder.is_symlink() or not folder.is_dir():
        raise InputError(
            f"path={folder}: not a folder itself, but a file or a link; links are not followed, name the folder itself"
        )
    kind = _kind(folder)
    if kind is None:
        raise InputError(
            f"path={folder}: no run.json or manifest.json says that threers made it; delete it yourself, if you mean it"
        )
    parts = []
    files = []
    for entry in sorted(folder.iterdir()):
        if kind.name == "demo" and entry.is_dir() and not entry.is_symlink():
            parts += _made(entry)
        elif _ours(entry, kind):
            files += list(_files(entry))
        else:
            raise InputError(f"path={folder}: {entry.name} in it is not of threers; move it away first")
    return [*parts, _found(folder, kind.name, files)]


def _kind(folder: Path) -> Kind | None:
    records: dict[str, Any] = {}
    for name in ("run.json", "manifest.json"):
        file = folder / name
        if file.is_file() and not file.is_symlink():
            records[name] = read_json(file)
    for kind in KINDS:
        record = records.get(kind.record)
        if isinstance(record, dict) and kind.keys <= record.keys():
            return kind
    return None


def _ours(entry: Path, kind: Kind) -> bool:
    if entry.is_symlink():
        return False
    if entry.is_dir():
        return entry.name in (*kind.folders, REPLACED)  # the latter: what a run that was cut off was replacing
    return any(fnmatch(entry.name, pattern) for pattern in (*kind.files, *PASSING))


def _files(entry: Path) -> Iterator[Path]:
    """The file itself, or all files below the folder. Raises InputError for a link."""
    if entry.is_symlink():
        raise InputError(
            f"path={entry}: a link, which threers did not make; links are not followed, move it away first"
        )
    if not entry.is_dir():
        yield entry
        return
    for below in sorted(entry.iterdir()):
        yield from _files(below)


def _beside(path: Path) -> list[Found]:
    """Hidden folders with the name of `path`: a training that can go on, a corpus that was being written."""
    found = []
    training = workplace(path)
    if training.is_dir() and (kind := _kind(training)) and kind.name.startswith("unfinished"):
        found += _made(training)
    # As tempfile.mkdtemp calls them in Corpus.save.
    made = re.compile(rf"\.{re.escape(path.name)}\.[a-z0-9_]{{8}}")
    for folder in sorted(path.parent.iterdir()) if path.parent.is_dir() else ():
        if made.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink() and folder != training:
            files = list(_files(folder))
            inside = [file.relative_to(folder).parts for file in files]
            if all(len(parts) == 2 and parts[0] in ("new", "old") and parts[1] in _CORPUS for parts in inside):
                found.append(_found(folder, "unfinished import", files))
    return found


def _found(folder: Path, kind: str, files: list[Path]) -> Found:
    return Found(folder, kind, tuple(files), sum(file.stat().st_size for file in files))
