"""Reading back what threers wrote: a file that is damaged is named, with what to do. Layer 1, no torch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from threers.errors import InputError

#: What Arrow and pandas raise for damage, depending on where it lies.
_DAMAGE = (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, pa.ArrowException)
_NAMES = {
    dict: "a mapping",
    str: "a text",
    list: "a list",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}


@contextmanager
def readable(path: Path, remedy: str) -> Iterator[None]:
    """A block that does nothing but read the Parquet file at `path`; `remedy`: what the user is to do.

    Raises:
        InputError: the file is not there, or damaged.

    """
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {remedy}") from None
    except _DAMAGE as error:
        raise InputError(f"{path}: not a readable Parquet file ({type(error).__name__}); {remedy}") from error


def read_parquet(path: Path, remedy: str, columns: Sequence[str] = ()) -> pd.DataFrame:
    """Read a table, its checksums verified; `columns`: those to read, all when none is named.

    Raises:
        InputError: as `readable`, or a column is missing.

    """
    with readable(path, remedy):
        there = pq.read_schema(path).names
    require_columns(there, columns, path, remedy)
    with readable(path, remedy):
        return pd.read_parquet(path, columns=list(columns) or None, page_checksum_verification=True)


def read_batches(batches: Iterator[pa.RecordBatch], path: Path, remedy: str) -> Iterator[pd.DataFrame]:
    """The batches of the open table at `path`, one after the other. Raises InputError as `readable`."""
    while True:
        with readable(path, remedy):
            batch = next(batches, None)
            frame = None if batch is None else batch.to_pandas()
        if frame is None:
            return
        yield frame


def open_parquet(path: Path, remedy: str, columns: Iterable[str] = (), **options: Any) -> pq.ParquetFile:
    """Open a table that has these columns, its checksums to be verified. Raises InputError as `read_parquet`."""
    with readable(path, remedy):
        file = pq.ParquetFile(path, page_checksum_verification=True, **options)
    require_columns(file.schema_arrow.names, columns, path, remedy)
    return file


def require_columns(there: Sequence[str], columns: Iterable[str], path: Path, remedy: str) -> None:
    """Raise InputError where a table with the columns `there` lacks one of `columns`."""
    missing = [column for column in columns if column not in there]
    if missing:
        raise InputError(f"{path}: columns missing: {', '.join(missing)}; it has {', '.join(there)}; {remedy}")


def read_json(path: Path, remedy: str = "restore it") -> Any:
    """Read JSON.

    Raises:
        InputError: the file is not there, or damaged.

    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {remedy}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({error}); {remedy}") from error


def read_mapping(
    path: Path, needed: Mapping[str, type], remedy: str, optional: Mapping[str, type] | None = None
) -> Any:
    """Read a JSON file that holds a mapping with these keys, each with a value of this type.

    Raises:
        InputError: as `read_json`, or a key is missing or has another type; an `optional` one need not be there.

    """
    found = read_json(path, remedy)
    if not isinstance(found, dict):
        raise InputError(f"{path}: found {_short(found)}; expected a mapping of keys to values; {remedy}")
    for key, kind in {**needed, **(optional or {})}.items():
        if key not in found and key in needed:
            raise InputError(f"{path}: lacks {key}; {remedy}")
        # JSON has one kind of number, and true is none.
        kinds = (int, float) if kind is float else (kind,)
        value = found.get(key)
        if key in found and (not isinstance(value, kinds) or (isinstance(value, bool) and kind is not bool)):
            raise InputError(f"{path}: {key} is {_short(value)}; expected {_NAMES[kind]}; {remedy}")
    return found


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
