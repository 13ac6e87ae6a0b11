"""Whose run a folder is: claimed, locked, and put back as it was when a run comes to nothing. Layer 1, no torch."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from threers.errors import OutputExistsError, ThreersError
from threers.scores import write_json
from threers.stored import read_mapping

logger = logging.getLogger(__name__)

#: What to do about damage to a run that would go on.
ANEW = "say overwrite=true to begin anew, or name another folder"
#: Locked while a run is at work in the folder.
LOCK = ".lock"
#: Which run a folder belongs to.
MARKER = "run.json"
#: What a run is about to replace.
REPLACED = ".replaced"


def claim(folder: Path, run: Mapping[str, Any], what: str, overwrite: bool) -> bool:
    """Make `folder` this run's own, or find that it is already; `run` holds all that its results depend on.

    Returns whether the folder holds the beginning of the same run.

    Raises:
        OutputExistsError: the folder holds something else, and `overwrite` is false.

    """
    if _holds_anything(folder):
        goes_on = same_run(folder, run) and not overwrite
        _require_ours(folder, what)
        if not goes_on and not overwrite:
            raise OutputExistsError(
                f"{what}={folder}: holds the results of another run; name another folder or say overwrite=true"
            )
        for scratch in folder.rglob(".*.tmp"):
            scratch.unlink(missing_ok=True)
        if goes_on:
            return True
        _put_aside(folder)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    write_json(run, folder / MARKER)
    return False


def _holds_anything(folder: Path) -> bool:
    return folder.is_dir() and bool(_shown(folder))


def _shown(folder: Path) -> list[Path]:
    # Hidden files are the lock, what a killed run was about to write, the desktop's own or the user's: no results.
    return [entry for entry in folder.iterdir() if not entry.name.startswith(".")]


def _require_ours(folder: Path, what: str) -> None:
    if os.path.lexists(folder) and not folder.is_dir():
        raise OutputExistsError(f"{what}={folder}: is no folder; name another one")
    if _holds_anything(folder) and not (folder / MARKER).is_file():
        raise OutputExistsError(f"{what}={folder}: holds files that no run of threers wrote; name another folder")


@contextmanager
def owned(folder: Path, run: Mapping[str, Any], what: str, overwrite: bool) -> Iterator[None]:
    """Claim a folder for the time of a run.

    When the run ends with an error and nothing finished, a fresh folder is taken away again, unless it has hidden files
    of somebody else's; what stood in one that was to be overwritten is put back.

    Raises:
        OutputExistsError: as `claim`, or another run is at work in the folder.

    """
    _require_ours(folder, what)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(folder, what):
        goes_on = claim(folder, run, what, overwrite)
        replaced = folder / REPLACED
        if goes_on:
            logger.info("going on with the run in %s", folder)
        try:
            yield
        except ThreersError:
            if not goes_on and replaced.is_dir():
                _empty(folder)
                _move(replaced, folder)
                replaced.rmdir()
            elif not goes_on and not any(folder.rglob("*.parquet")):
                _empty(folder)
                if {entry.name for entry in folder.iterdir()} <= {LOCK}:
                    shutil.rmtree(folder)
            raise
        shutil.rmtree(replaced, ignore_errors=True)


def require_free(folder: Path, key: str, overwrite: bool) -> None:
    """Raise OutputExistsError where something stands already, unless it is to be overwritten; `key`: what names it."""
    if folder.exists() and not overwrite:
        raise OutputExistsError(f"{key}={folder}: exists already; name another folder or say overwrite=true")


def workplace(folder: Path) -> Path:
    """Beside a folder, where it is made by a training that may be cut off."""
    return folder.with_name(f".{folder.name}.training")


@contextmanager
def made_beside(folder: Path, made: Path, run: Mapping[str, Any], what: str, overwrite: bool) -> Iterator[None]:
    """Own the workplace of `folder` while a run makes `made` in it, which then takes the place of `folder`.

    The same run goes on where it was cut off, unless `overwrite` says otherwise; what another left is thrown away.

    Raises:
        OutputExistsError: another run is at work there.

    """
    work = workplace(folder)
    with owned(work, run, what, overwrite or not same_run(work, run)):
        yield
    if folder.exists():
        folder.rename(work / "replaced")
    made.rename(folder)
    shutil.rmtree(work)


@contextmanager
def locked(folder: Path, what: str) -> Iterator[None]:
    """Hold a folder for the time of a block. Raises OutputExistsError when another run is at work there."""
    # The system takes the lock back when a process ends, however it ends.
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise OutputExistsError(
            f"{what}={folder}: another run is at work there; wait for it to end, or name another folder"
        ) from None
    try:
        yield
    finally:
        lock.release()


def begun(folder: Path) -> dict[str, Any]:
    """What the run that began this folder was, as `claim` noted it; empty when none did.

    Raises:
        InputError: the note is damaged.

    """
    marker = folder / MARKER
    return dict(read_mapping(marker, {}, ANEW)) if marker.is_file() else {}


def same_run(folder: Path, run: Mapping[str, Any]) -> bool:
    """Does the folder belong to this very run?"""
    return begun(folder) == json.loads(json.dumps(run))


def _put_aside(folder: Path) -> None:
    """Hide what stands in a folder until the run that replaces it has ended."""
    aside = folder / REPLACED
    if aside.is_dir():  # the run that hid this has been cut off
        _empty(folder)
        return
    aside.mkdir(mode=0o700)
    _move(folder, aside)


def _move(source: Path, target: Path) -> None:
    for entry in _shown(source):
        entry.rename(target / entry.name)


def _empty(folder: Path) -> None:
    for entry in _shown(folder):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
