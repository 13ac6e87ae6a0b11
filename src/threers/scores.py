"""The scores folder: one table of scored utterances in parts, a manifest; and scores as codings. Layer 1, no torch."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from threers.atomic import whole_file
from threers.codebook import Codebook
from threers.corpus import ROWS_AT_ONCE
from threers.errors import InputError, OutputExistsError, ThreersError

logger = logging.getLogger(__name__)

PARTS = "utterances"
#: Locked while a run is at work in the folder.
LOCK = ".lock"


def score_table(
    utterances: pd.DataFrame, p: np.ndarray, tags: np.ndarray, codebook: Codebook, abstained: np.ndarray | None = None
) -> pd.DataFrame:
    """Put utterances, probabilities and tags, both (n, n_codes), into one table.

    Returns session_id, utterance_id, role, start, end, `p_CODE` float32 per code (null where the role may not have it)
    and `tags` (list of codes); with `abstained`, too, the list of codes left to humans.
    """
    codes = np.array(codebook.tag_codes(), dtype=object)
    table = utterances[["session_id", "utterance_id", "role", "start", "end"]].reset_index(drop=True)
    table = pd.concat([table, pd.DataFrame(p, columns=[f"p_{code}" for code in codes])], axis=1)
    table["tags"] = [list(codes[row]) for row in tags]
    if abstained is not None:
        table["abstained"] = [list(codes[row]) for row in abstained]
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


def part_file(parts: Path, number: int) -> Path:
    """Where a part of the scored utterances lies."""
    return parts / f"part-{number:05d}.parquet"


def write_parquet(table: pd.DataFrame, path: Path) -> None:
    """Write a table under a temporary name, sync it to disk, then rename: it is there whole or not at all."""
    rows = pa.Table.from_pandas(table, preserve_index=False)
    for place, field in enumerate(rows.schema):
        # Lists that are all empty have no type of their own, and such a part could not be read beside the others.
        if field.type == pa.list_(pa.null()):
            rows = rows.set_column(place, field.name, rows[field.name].cast(pa.list_(pa.string())))
    with whole_file(path) as scratch:
        pq.write_table(rows, scratch)


def write_parquet_parts(tables: Iterable[pd.DataFrame], path: Path) -> None:
    """Write tables with the same columns one after the other into one file, as `write_parquet` does."""
    writer = None
    with whole_file(path) as scratch:
        try:
            for table in tables:
                rows = pa.Table.from_pandas(table, schema=writer.schema if writer else None, preserve_index=False)
                writer = writer or pq.ParquetWriter(scratch, rows.schema)
                writer.write_table(rows)
        finally:
            if writer:
                writer.close()


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV, as `write_parquet` does."""
    with whole_file(path) as scratch:
        table.to_csv(scratch, index=False)


def write_json(data: Any, path: Path) -> None:
    """Write JSON under a temporary name, sync it to disk, then rename."""
    with whole_file(path) as scratch:
        scratch.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


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
    # Hidden files are the lock, what a killed run was about to write, or the desktop's own.
    if folder.exists() and any(not entry.name.startswith(".") for entry in folder.iterdir()):
        if same_run(folder, run) and not overwrite:
            for scratch in folder.rglob(".*.tmp"):
                scratch.unlink(missing_ok=True)
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
    """Claim a folder for the time of a run; take a fresh one away again when the run ends with nothing finished.

    Raises:
        OutputExistsError: as `claim`, or another run is at work in the folder.

    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(folder, what):
        goes_on = claim(folder, run, what, overwrite)
        if goes_on:
            logger.info("going on with the run in %s", folder)
        try:
            yield
        except ThreersError:
            if not goes_on and not any(folder.rglob("*.parquet")):
                shutil.rmtree(folder)
            raise


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
    """What the run that began this folder was, as `claim` noted it; empty when none did."""
    marker = folder / "run.json"
    return dict(read_json(marker)) if marker.is_file() else {}


def same_run(folder: Path, run: Mapping[str, Any]) -> bool:
    """Does the folder belong to this very run?"""
    return begun(folder) == json.loads(json.dumps(run))


def read_scores(folder: str | Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read the scored utterances and the manifest of a finished scores folder.

    Raises:
        InputError: not a scores folder, or one whose run was cut off.

    """
    parts, manifest = finished_parts(folder)
    return pd.concat([pd.read_parquet(part) for part in parts], ignore_index=True), manifest


def finished_parts(folder: str | Path) -> tuple[list[Path], dict[str, Any]]:
    """The files of scored utterances and the manifest of a finished scores folder.

    Raises:
        InputError: as `read_scores`.

    """
    folder = Path(folder).expanduser()
    if not (folder / "manifest.json").is_file():
        state = "its run was cut off: start it again to finish it" if (folder / "run.json").is_file() else "no scores"
        raise InputError(f"scores {folder}: {state}; expected a folder that `threers score` finished")
    parts = sorted((folder / PARTS).glob("part-*.parquet"))
    if not parts:
        raise InputError(f"scores {folder}: no {PARTS}/part-*.parquet; score again")
    return parts, read_json(folder / "manifest.json")


def scored_sessions(parts: Iterable[Path]) -> Iterator[pd.DataFrame]:
    """The scored utterances of one session after the other; of a part, no more than some thousand rows are held."""
    for part in parts:
        with pq.ParquetFile(part) as file:
            for rows in whole_sessions(batch.to_pandas() for batch in file.iter_batches(batch_size=ROWS_AT_ONCE)):
                firsts = np.flatnonzero(rows["session_id"] != rows["session_id"].shift())
                for first, last in pairwise([*firsts, len(rows)]):
                    yield rows[first:last].reset_index(drop=True)


def whole_sessions(batches: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """The rows of tables that were cut anywhere, cut anew so that no session is parted.

    `batches`: tables with `session_id`, none of them empty; a session's rows are neighbours.
    """
    rest = pd.DataFrame()
    for batch in batches:
        rows = batch if rest.empty else pd.concat([rest, batch], ignore_index=True)
        # The last session of a batch may go on in the next.
        others = np.flatnonzero(rows["session_id"] != rows["session_id"].iloc[-1])
        last = int(others[-1]) + 1 if len(others) else 0
        if last:
            yield rows[:last]
        rest = rows[last:]
    if len(rest):
        yield rest


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != LOCK:
            entry.unlink()
