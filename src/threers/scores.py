"""The scores folder: one table of scored utterances in parts, a manifest; and scores as codings. Layer 1, no torch."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from threers.codebook import Codebook
from threers.errors import InputError, OutputExistsError, ThreersError

logger = logging.getLogger(__name__)

PARTS = "utterances"


def score_table(utterances: pd.DataFrame, p: np.ndarray, tags: np.ndarray, codebook: Codebook) -> pd.DataFrame:
    """Put utterances, probabilities and tags, both (n, n_codes), into one table.

    Returns session_id, utterance_id, role, start, end, `p_CODE` float32 per code (null where the role may not have it)
    and `tags` (list of codes).
    """
    codes = np.array(codebook.tag_codes(), dtype=object)
    table = utterances[["session_id", "utterance_id", "role", "start", "end"]].reset_index(drop=True)
    table = pd.concat([table, pd.DataFrame(p, columns=[f"p_{code}" for code in codes])], axis=1)
    table["tags"] = [list(codes[row]) for row in tags]
    return table


def scores_to_codings(scores: pd.DataFrame, codebook: Codebook, coder_id: str) -> pd.DataFrame:
    """The tags as one more coder's codings; an utterance whose role may have no code at all was not coded.

    Returns session_id, unit, unit_id, coder_id, code (null: read and unmarked), value.
    """
    may_have = codebook.legal_mask(scores["role"]).any(axis=1)
    rows = scores.loc[may_have, ["session_id", "utterance_id", "tags"]].explode("tags")
    return pd.DataFrame(
        {
            "session_id": rows["session_id"],
            "unit": "utterance",
            "unit_id": rows["utterance_id"],
            "coder_id": coder_id,
            "code": rows["tags"].astype("str"),
            "value": rows["tags"].notna().astype(float),
        }
    ).reset_index(drop=True)


def write_parquet(table: pd.DataFrame, path: Path) -> None:
    """Write a table under a temporary name, sync it to disk, then rename: it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.tmp")
    table.to_parquet(scratch, index=False)
    _finish(scratch, path)


def write_json(data: Any, path: Path) -> None:
    """Write JSON under a temporary name, sync it to disk, then rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.tmp")
    scratch.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    _finish(scratch, path)


def read_json(path: Path) -> Any:
    """Read JSON. Raises InputError that names the file when it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON: {error}") from error


def claim(folder: Path, run: Mapping[str, Any], what: str, overwrite: bool) -> bool:
    """Make `folder` this run's own, or find that it is already; `run` holds all that its results depend on.

    Returns whether the folder holds the beginning of the same run.

    Raises:
        OutputExistsError: the folder holds something else, and `overwrite` is false.

    """
    marker = folder / "run.json"
    if folder.exists() and any(folder.iterdir()):
        if same_run(folder, run) and not overwrite:
            return True
        if not overwrite:
            found = "the results of another run" if marker.is_file() else "other files"
            raise OutputExistsError(f"{what}={folder}: holds {found}; name another folder or say overwrite=true")
        if not marker.is_file():
            raise OutputExistsError(f"{what}={folder}: holds files that no run of threers wrote; name another folder")
        _empty(folder)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    write_json(run, marker)
    return False


@contextmanager
def owned(folder: Path, run: Mapping[str, Any], what: str, overwrite: bool) -> Iterator[None]:
    """Claim a folder for the time of a run; take a fresh one away again when the run's input is refused."""
    goes_on = claim(folder, run, what, overwrite)
    if goes_on:
        logger.info("going on with the run in %s", folder)
    try:
        yield
    except ThreersError:
        if not goes_on:
            shutil.rmtree(folder)
        raise


def same_run(folder: Path, run: Mapping[str, Any]) -> bool:
    """Does the folder belong to this very run?"""
    marker = folder / "run.json"
    return marker.is_file() and read_json(marker) == json.loads(json.dumps(run))


def read_scores(folder: str | Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read the scored utterances and the manifest of a finished scores folder.

    Raises:
        InputError: not a scores folder, or one whose run was cut off.

    """
    folder = Path(folder).expanduser()
    if not (folder / "manifest.json").is_file():
        state = "its run was cut off: start it again to finish it" if (folder / "run.json").is_file() else "no scores"
        raise InputError(f"scores {folder}: {state}; expected a folder that `threers score` finished")
    parts = sorted((folder / PARTS).glob("part-*.parquet"))
    if not parts:
        raise InputError(f"scores {folder}: no {PARTS}/part-*.parquet; score again")
    return pd.concat([pd.read_parquet(part) for part in parts], ignore_index=True), read_json(folder / "manifest.json")


def _finish(scratch: Path, path: Path) -> None:
    scratch.chmod(0o600)
    with scratch.open("rb") as file:
        os.fsync(file.fileno())
    scratch.replace(path)


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
