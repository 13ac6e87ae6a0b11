"""The scores folder: one table of scored utterances in parts, a manifest; and scores as codings. Layer 1, no torch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from threers.agreement.segments import segment_numbers
from threers.atomic import whole_file
from threers.codebook import Codebook
from threers.corpus import ROWS_AT_ONCE
from threers.errors import InputError
from threers.formulas import escaped
from threers.score_checks import AGAIN, KEYS, check_scores, rated_codes
from threers.stored import open_parquet, read_batches, read_mapping, read_parquet

PARTS = "utterances"


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


def scores_to_codings(
    scores: pd.DataFrame, codebook: Codebook, coder_id: str, segment_minutes: float = 5.0
) -> pd.DataFrame:
    """The tags, and ratings, as one more coder's codings; an utterance whose role may have no code was not coded.

    `segment_minutes`: how long the segments are that are rated. Returns session_id, unit, unit_id, coder_id, code
    (null: read and unmarked), value.
    """
    may_have = codebook.legal_mask(scores["role"]).any(axis=1)
    rows = scores.loc[may_have, ["session_id", "utterance_id", "tags"]].explode("tags")
    tags = pd.DataFrame(
        {
            "session_id": rows["session_id"],
            "unit": "utterance",
            "unit_id": rows["utterance_id"],
            "coder_id": coder_id,
            "code": rows["tags"].astype("str"),
            "value": rows["tags"].notna().astype(float),
        }
    )
    ratings = [
        _rating_codings(scores, code, unit, segment_minutes).assign(coder_id=coder_id)
        for code, unit in codebook.rating_codes().items()
        if code in rated_codes(scores, codebook)
    ]
    return pd.concat([tags, *ratings], ignore_index=True)


def _rating_codings(scores: pd.DataFrame, code: str, unit: str, minutes: float) -> pd.DataFrame:
    """What a tagger rated: session_id, unit_id, unit, code, value."""
    number = np.zeros(len(scores), dtype=int)
    if unit == "segment":
        number = segment_numbers(scores["start"].to_numpy(dtype=float), minutes)
    rated = scores[["session_id"]].assign(unit_id=number, value=scores[f"rating_{code}"].astype("float64"))
    rated = rated[rated["value"].notna()].groupby(["session_id", "unit_id"])["value"].mean().reset_index()
    return rated.assign(unit=unit, code=code)


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
        pq.write_table(rows, scratch, write_page_checksum=True)


def write_parquet_parts(tables: Iterable[pd.DataFrame], path: Path) -> None:
    """Write tables with the same columns one after the other into one file, as `write_parquet` does."""
    writer = None
    with whole_file(path) as scratch:
        try:
            for table in tables:
                rows = pa.Table.from_pandas(table, schema=writer.schema if writer else None, preserve_index=False)
                writer = writer or pq.ParquetWriter(scratch, rows.schema, write_page_checksum=True)
                writer.write_table(rows)
        finally:
            if writer:
                writer.close()


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV, as `write_parquet` does; no cell is a formula."""
    with whole_file(path) as scratch:
        escaped(table).to_csv(scratch, index=False)


def write_json(data: Any, path: Path) -> None:
    """Write JSON under a temporary name, sync it to disk, then rename."""
    with whole_file(path) as scratch:
        scratch.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_scores(folder: str | Path, codebook: Codebook) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read the scored utterances and the manifest of a finished scores folder, made with this codebook.

    Raises:
        InputError: not a scores folder, one whose run was cut off, one of another codebook, or a damaged one.

    """
    parts, manifest = finished_parts(folder)
    if manifest["codebook_sha256"] != codebook.hash:
        raise InputError(
            f"scores {folder}: made with codebook {manifest['codebook']}, not with the corpus's {codebook.name}; only "
            "the same codebook can be compared; restore it, or score again with a tagger of this one"
        )
    scores = pd.concat([check_scores(read_parquet(part, AGAIN), codebook, part) for part in parts], ignore_index=True)
    if scores.duplicated(KEYS).any():
        session = scores.loc[scores.duplicated(KEYS), "session_id"].iloc[0]
        raise InputError(f"scores {folder}: session {session!r} stands in two places; {AGAIN}")
    return scores, manifest


def finished_parts(folder: str | Path) -> tuple[list[Path], dict[str, Any]]:
    """The files of scored utterances and the manifest of a finished scores folder.

    Raises:
        InputError: not a scores folder, or one whose run was cut off.

    """
    folder = Path(folder).expanduser()
    if not (folder / "manifest.json").is_file():
        state = "its run was cut off: start it again to finish it" if (folder / "run.json").is_file() else "no scores"
        raise InputError(f"scores {folder}: {state}; expected a folder that `threers score` finished")
    parts = sorted((folder / PARTS).glob("part-*.parquet"))
    if not parts:
        raise InputError(f"scores {folder}: no {PARTS}/part-*.parquet; {AGAIN}")
    return parts, read_mapping(folder / "manifest.json", _NEEDED, AGAIN, _OPTIONAL)


#: What a manifest of scores must say, and what it may.
_NEEDED = {"name": str, "codebook": str, "codebook_sha256": str}
_OPTIONAL = {"decisions": dict, "learnt_from": list, "tagger": str, "synthetic": bool}


def scored_sessions(parts: Iterable[Path], codebook: Codebook) -> Iterator[pd.DataFrame]:
    """The scored utterances of one session after the other; of a part, no more than some thousand rows are held.

    Raises:
        InputError: a part is damaged; see `check_scores`.

    """
    for part in parts:
        with open_parquet(part, AGAIN) as file:
            read = read_batches(file.iter_batches(batch_size=ROWS_AT_ONCE), part, AGAIN)
            for rows in whole_sessions(check_scores(batch, codebook, part) for batch in read):
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
