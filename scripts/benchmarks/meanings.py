"""Damage to what a file means: its bytes are whole, and its values, columns or rows are not as they were."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

Damage = Callable[[Path, random.Random], bool]

#: What stands where something else is expected.
VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 10**30, 0.5, float("nan"), float("inf"), "", "x", "../x", "\x00", "9" * 400),
    *([], {}, [[]], {"x": None}, ["x", None], [1, 2, 3]),
)
#: Columns without which a table says nothing.
NEEDED = {
    "utterances": ["session_id", "utterance_id", "role", "text"],
    "sessions": ["session_id", "group_id"],
    "codings": ["session_id", "unit", "unit_id", "coder_id", "code", "value"],
    "part-00000": ["session_id", "utterance_id", "role", "start", "end", "tags", "p_W", "p_C1"],
}


def other_value(path: Path, rng: random.Random) -> bool:
    """JSON or YAML: another value somewhere, a key twice removed or added."""
    text = path.read_text(encoding="utf-8")
    is_json = path.suffix == ".json"
    data = json.loads(text) if is_json else yaml.safe_load(text)
    data = _changed(data, rng)
    path.write_text(json.dumps(data) if is_json else yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    return False


def other_line(path: Path, rng: random.Random) -> bool:
    """JSON Lines: another value in one of the lines, or a line twice."""
    lines = path.read_text(encoding="utf-8").splitlines()
    at = rng.randrange(len(lines))
    lines[at : at + 1] = [lines[at]] * 2 if rng.random() < 0.2 else [json.dumps(_changed(json.loads(lines[at]), rng))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return False


def _changed(data: Any, rng: random.Random) -> Any:
    """The data with one of its values another."""
    places = list(_places(data))
    if not places or rng.random() < 0.05:
        return rng.choice(VALUES)
    # As often near the top as deep down, where most values stand.
    depth = rng.choice(sorted({len(place) for place in places}))
    *above, last = rng.choice([place for place in places if len(place) == depth])
    holder = data
    for step in above:
        holder = holder[step]
    if rng.random() < 0.25:
        del holder[last]
    elif isinstance(holder, dict) and rng.random() < 0.1:
        holder[rng.choice(["x", "name", last]) + "_"] = holder[last]
    else:
        holder[last] = rng.choice(VALUES)
    return data


def _places(data: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    entries = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in entries:
        yield (*above, key)
        yield from _places(value, (*above, key))


def without_column(path: Path, rng: random.Random) -> bool:
    """A column is missing, or has another name."""
    table = pq.read_table(path)
    column = rng.choice(table.column_names)
    names = [f"{name}_" if name == column else name for name in table.column_names]
    changed = table.drop_columns([column]) if rng.random() < 0.5 else table.rename_columns(names)
    pq.write_table(changed.replace_schema_metadata(None), path)
    return column in NEEDED.get(path.stem, [])


def other_type(path: Path, rng: random.Random) -> bool:
    """A column of another type."""
    table = pq.read_table(path)
    column = rng.choice(table.column_names)
    size = len(table)
    made = {
        "text": pa.array(["x"] * size),
        "numbers": pa.array(np.arange(size) * 0.5),
        "whole": pa.array(np.arange(size)),
        "truth": pa.array([True] * size),
        "nothing": pa.nulls(size),
        "lists": pa.array([["x"]] * size),
        "bytes": pa.array([b"\xff\xfe"] * size),
        "times": pa.array(pd.date_range("2020-01-01", periods=size)),
        "structs": pa.array([{"a": 1}] * size),
    }
    kind = rng.choice(sorted(made))
    pq.write_table(
        table.set_column(table.column_names.index(column), column, made[kind]).replace_schema_metadata(None), path
    )
    return (
        column in NEEDED.get(path.stem, [])
        and kind in ("nothing", "structs", "lists")
        and (column, kind)
        not in (
            *(("start", "nothing"), ("end", "nothing"), ("code", "nothing")),
            *(("tags", "lists"), ("p_W", "nothing"), ("p_C1", "nothing")),
        )
    )


def twice(path: Path, rng: random.Random) -> bool:
    """Rows stand twice."""
    table = pq.read_table(path)
    at = rng.randrange(max(1, len(table)))
    pq.write_table(pa.concat_tables([table, table.slice(at, 3)]), path)
    return path.stem in NEEDED


def no_rows(path: Path, rng: random.Random) -> bool:
    """A table without rows."""
    table = pq.read_table(path)
    pq.write_table(table.slice(0, 0), path)
    return path.stem in ("utterances", "sessions")


def shuffled(path: Path, rng: random.Random) -> bool:
    """Rows in another order."""
    table = pq.read_table(path)
    order = list(range(len(table)))
    rng.shuffle(order)
    pq.write_table(table.take(order), path)
    return path.stem == "utterances"


def other_cells(path: Path, rng: random.Random) -> bool:
    """Cells of one column that no run writes."""
    frame = pd.read_parquet(path)
    column = rng.choice(list(frame.columns))
    at = rng.randrange(max(1, len(frame)))
    if len(frame) == 0:
        return False
    if column.startswith("p_"):
        frame.loc[at, column] = rng.choice([np.inf, -np.inf, -0.5, 1.5, 1e30])
        frame.to_parquet(path, index=False)
        return path.stem.startswith("part")
    if column in ("tags", "abstained"):
        cells = frame[column].tolist()
        cells[at] = rng.choice([["no such code"], [""], ["W", "W"], None, [None]])
        frame[column] = cells
        frame.to_parquet(path, index=False)
        return cells[at] != ["W", "W"] and path.stem.startswith("part")
    known = {"code": "no such code", "role": "nobody", "unit": "chapter", "session_id": "nowhere", "coder_id": None}
    if column in known and frame[column].dtype != float:
        frame.loc[at, column] = known[column]
        frame.to_parquet(path, index=False)
        return path.stem in NEEDED
    if frame[column].dtype.kind in "fiu" or str(frame[column].dtype) == "Int64":
        values = [np.inf, -np.inf, np.nan, -1e18, 2**62] if frame[column].dtype.kind == "f" else [-5, 2**62, 10**6]
        frame.loc[at, column] = rng.choice(values)
        frame.to_parquet(path, index=False)
        return False
    frame.loc[at, column] = rng.choice([None, "", "x" * 10_000, "\x00", "\ud7ff"])
    frame.to_parquet(path, index=False)
    return False


def csv_column(path: Path, rng: random.Random) -> bool:
    """A text table without one of its columns, or with a header twice or empty, or with the cells of one gone."""
    rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
    at = rng.randrange(len(rows[0]))
    way = rng.choice(["drop", "header twice", "header empty", "cells empty", "cells odd"])
    if way == "drop":
        rows = [row[:at] + row[at + 1 :] for row in rows]
    elif way.startswith("header"):
        rows[0][at] = rows[0][at - 1] if way == "header twice" else ""
    else:
        odd = ["", "x", "-1", "nan", "inf", "1e999", "\x00", "no such code", "9" * 400]
        rows[1:] = [[*row[:at], "" if way == "cells empty" else rng.choice(odd), *row[at + 1 :]] for row in rows[1:]]
    return _write_rows(path, rows)


def csv_rows(path: Path, rng: random.Random) -> bool:
    """A text table with no rows, no header, rows twice, rows too long or too short."""
    rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
    at = rng.randrange(len(rows))
    way = rng.choice(["none", "no header", "twice", "long", "short"])
    if way == "none":
        rows = rows[:1]
    elif way == "no header":
        rows = rows[1:]
    elif way == "twice":
        rows += rows[1:]
    else:
        rows[at] = rows[at] + ["x"] * 5 if way == "long" else rows[at][:1]
    return _write_rows(path, rows)


def _write_rows(path: Path, rows: list[list[str]]) -> bool:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return False


def tensors(path: Path, rng: random.Random) -> bool:
    """Weights with a tensor missing, of another shape or type, not finite, or with one too many."""
    from safetensors.numpy import load_file, save_file

    found = load_file(str(path))
    name = rng.choice(sorted(found))
    way = rng.choice(["missing", "shape", "type", "nan", "more"])
    if way == "missing":
        del found[name]
    elif way == "shape":
        found[name] = np.zeros((*found[name].shape, 2), found[name].dtype)
    elif way == "type":
        found[name] = found[name].astype(np.int32)
    elif way == "nan":
        found[name] = np.full(found[name].shape, np.nan).astype(found[name].dtype)
    else:
        found["more"] = np.zeros(3, np.float32)
    save_file(found, str(path), metadata={"format": "pt"})
    return True


#: By suffix of a file.
BY_SUFFIX: dict[str, dict[str, Damage]] = {
    ".json": {"other value": other_value},
    ".yaml": {"other value": other_value},
    ".jsonl": {"other value": other_line},
    ".csv": {"column": csv_column, "rows": csv_rows},
    ".safetensors": {"tensors": tensors},
    ".parquet": {
        "column missing": without_column,
        "column type": other_type,
        "keys twice": twice,
        "no rows": no_rows,
        "other order": shuffled,
        "cells": other_cells,
    },
}
