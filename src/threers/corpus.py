"""A corpus: keyed tables of utterances, sessions and codings in one folder, and their checks. Layer 1, no torch."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from threers.codebook import EXTRA_ROLES, UNITS, Codebook
from threers.errors import InputError, OutputExistsError
from threers.formulas import escaped, unescaped
from threers.splits import grouped_folds, grouped_split, require_disjoint
from threers.stored import read_mapping, require_columns
from threers.tables import AGAIN, TABLES, conform, impossible_times, read_table

__all__ = ["TABLES", "Corpus", "conform", "grouped_folds", "grouped_split", "require_disjoint", "table_hash"]

#: Rows per group of a Parquet file, so that a reader need not hold more.
ROWS_AT_ONCE = 4_096
REJECT_COLUMNS = ("file", "row", "reason")
_KEYS = {
    "utterances": ["session_id", "utterance_id"],
    "sessions": ["session_id"],
    "codings": ["session_id", "unit", "unit_id", "coder_id", "code"],
}
_NULLABLE = {"start", "end", "patient_id", "therapist_id", "session_number", "code", "value"}


@dataclass(kw_only=True)
class Corpus:
    """Utterances, sessions and codings, with the columns of `TABLES`; utterances are sorted by session and id.

    `rejects`: `file`, `row` (as in the file, null for a whole file), `reason` (before its colon stands its kind).
    `manifest`: counts, hashes, versions and the settings that made the corpus.
    """

    utterances: pd.DataFrame
    sessions: pd.DataFrame
    codings: pd.DataFrame
    codebook: Codebook
    rejects: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(REJECT_COLUMNS)))
    manifest: dict[str, Any] = field(default_factory=dict)
    identifiers: pd.DataFrame | None = None
    """Where the import found what may identify a person, see `formats.privacy`; None: it did not look."""

    @classmethod
    def load(cls, path: str | Path) -> Corpus:
        """Read and check a corpus folder.

        Raises:
            InputError: no such folder, a missing table, a missing column, or the first fault that `check` finds.

        """
        folder = Path(path).expanduser()
        if not folder.is_dir():
            raise InputError(f"corpus {folder}: no such folder; make it with threers import source=… corpus={folder}")
        files = [f"{name}.parquet" for name in TABLES] + ["codebook.yaml", "manifest.json"]
        missing = [name for name in files if not (folder / name).is_file()]
        if missing:
            raise InputError(f"corpus {folder}: {', '.join(missing)} missing; import the corpus again")
        tables = {name: read_table(folder / f"{name}.parquet") for name in TABLES}
        manifest = read_mapping(folder / "manifest.json", {}, AGAIN)
        corpus = cls(**tables, codebook=Codebook.load(folder / "codebook.yaml"), manifest=manifest)
        if (folder / "rejects.csv").is_file():
            corpus.rejects = _read_rejects(folder / "rejects.csv")
        try:
            corpus.check(f"corpus {folder}")
        except InputError as error:
            raise InputError(f"{error}; {AGAIN}") from None
        return corpus

    def save(self, path: str | Path, overwrite: bool = False) -> Path:
        """Check the corpus and write its folder, readable by its owner only; it appears whole or not at all.

        Raises:
            OutputExistsError: the folder is there and `overwrite` is false, or it holds something else than a corpus.
            InputError: the corpus has a fault.

        """
        folder = Path(path).expanduser()
        _require_free(folder, overwrite)
        self.check(f"corpus {folder}")
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            made = partial / "new"
            made.mkdir(mode=0o700)
            for name in TABLES:
                getattr(self, name).to_parquet(
                    made / f"{name}.parquet", index=False, row_group_size=ROWS_AT_ONCE, write_page_checksum=True
                )
            self.codebook.save(made / "codebook.yaml")
            escaped(self.rejects).to_csv(made / "rejects.csv", index=False)
            if self.identifiers is not None:
                escaped(self.identifiers).to_csv(made / "identifiers.csv", index=False)
            manifest = json.dumps(self.describe(), indent=2, ensure_ascii=False)
            (made / "manifest.json").write_text(manifest + "\n", encoding="utf-8")
            for file in made.iterdir():
                file.chmod(0o600)
            try:
                if folder.exists():
                    os.replace(folder, partial / "old")
                os.replace(made, folder)
            except BaseException:
                if not folder.exists() and (partial / "old").exists():
                    os.replace(partial / "old", folder)
                raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return folder

    @property
    def coders(self) -> list[str]:
        """Everyone who coded at least one unit, sorted."""
        return sorted(self.codings["coder_id"].unique())

    @property
    def group_of(self) -> pd.Series:
        """The group of each session, `group_id` by `session_id`: what stays together in folds and in resamples."""
        return self.sessions.set_index("session_id")["group_id"]

    @property
    def hash(self) -> str:
        """SHA-256 over the three tables and the codebook, whatever files hold them."""
        parts = [*(table_hash(getattr(self, name)) for name in TABLES), self.codebook.hash]
        return hashlib.sha256("".join(parts).encode()).hexdigest()

    def describe(self) -> dict[str, Any]:
        """Return the manifest, with its counts, hashes and versions brought up to date."""
        kinds = Counter(reason.partition(":")[0] for reason in self.rejects["reason"])
        now = {
            "counts": {
                **{name: len(getattr(self, name)) for name in TABLES},
                "groups": int(self.sessions["group_id"].nunique()),
                "coders": len(self.coders),
                "roles": {str(k): int(v) for k, v in self.utterances["role"].value_counts().items()},
                "rejects": dict(kinds.most_common()),
                **self._identifiers(),
            },
            "hashes": {**{name: table_hash(getattr(self, name)) for name in TABLES}, "codebook": self.codebook.hash},
            "versions": {name: metadata.version(name) for name in ("threers", "pandas", "pyarrow", "numpy")},
        }
        return {**self.manifest, **now}

    def _identifiers(self) -> dict[str, Any]:
        if self.identifiers is None:
            return {}
        by_kind = self.identifiers.groupby("kind")["count"].sum()
        return {"identifiers": {str(kind): int(count) for kind, count in by_kind.items()}}

    def select(self, session_ids: Iterable[str]) -> Corpus:
        """Return the corpus with these sessions only; rejects and manifest stay as they were at import.

        Raises:
            InputError: a session that the corpus does not have.

        """
        wanted = set(session_ids)
        unknown = sorted(wanted - set(self.sessions["session_id"]))
        if unknown:
            raise InputError(f"session {unknown[0]!r}: not in this corpus ({len(unknown)} of {len(wanted)} are not)")
        parts: dict[str, Any] = {}
        for name in TABLES:
            table = getattr(self, name)
            parts[name] = table[table["session_id"].isin(wanted)].reset_index(drop=True)
        return Corpus(**parts, codebook=self.codebook, rejects=self.rejects, manifest=self.manifest)

    def check(self, where: str = "corpus") -> None:
        """Check columns, nulls, keys, order, roles, codes, and that every coding's unit exists.

        Raises:
            InputError: the first fault found; `where` begins its message.

        """
        for name, columns in TABLES.items():
            _check_table(getattr(self, name), name, columns, where)
        sessions = pd.Index(self.sessions["session_id"])
        for name in ("utterances", "codings"):
            table = getattr(self, name)
            _refuse(table, ~table["session_id"].isin(sessions), f"{where}: {name}: session is not in sessions")
        ids = self.utterances
        unsorted = (ids["session_id"] == ids["session_id"].shift()) & (ids["utterance_id"].diff() < 0)
        _refuse(ids, unsorted, f"{where}: utterances: utterance_id goes down; sort by session_id, utterance_id")
        split = (ids["session_id"] != ids["session_id"].shift()) & ids.duplicated("session_id")
        _refuse(ids, split, f"{where}: utterances: a session's rows are not together; sort by session_id, utterance_id")
        _refuse(ids, impossible_times(ids), f"{where}: utterances: start or end is no time in seconds", "start")
        roles = (*self.codebook.roles, *EXTRA_ROLES)
        _refuse(ids, ~ids["role"].isin(roles), f"{where}: utterances: role is not one of {', '.join(roles)}", "role")
        self._check_codings(f"{where}: codings")

    def _check_codings(self, where: str) -> None:
        codings = self.codings
        units = f"{where}: unit is not one of {', '.join(UNITS)}"
        _refuse(codings, ~codings["unit"].isin(UNITS), units, "unit")
        unknown = codings["code"].notna() & ~codings["code"].isin(list(self.codebook.codes))
        _refuse(codings, unknown, f"{where}: code is not in codebook {self.codebook.name}", "code")
        empty = codings["code"].notna() & ~np.isfinite(codings["value"])
        _refuse(codings, empty, f"{where}: a code needs a value: 1 for present, else the rating", "code")
        own = codings[codings["unit"] == "utterance"]
        known = pd.MultiIndex.from_frame(self.utterances[["session_id", "utterance_id"]])
        lost = ~pd.MultiIndex.from_frame(own[["session_id", "unit_id"]]).isin(known)
        _refuse(own, lost, f"{where}: the coded utterance does not exist", "unit_id")


def table_hash(frame: pd.DataFrame) -> str:
    """SHA-256 over column names and values, row by row."""
    rows = pd.util.hash_pandas_object(frame, index=False).to_numpy()
    return hashlib.sha256("\t".join(frame.columns).encode() + rows.tobytes()).hexdigest()


def _read_rejects(file: Path) -> pd.DataFrame:
    try:
        rejects = pd.read_csv(file, dtype={"file": "str", "row": "Int64", "reason": "str"})
    except (ValueError, OSError) as error:
        raise InputError(f"{file}: not the table of rejects ({type(error).__name__}); {AGAIN}") from error
    require_columns(list(rejects.columns), REJECT_COLUMNS, file, AGAIN)
    if rejects[["file", "reason"]].isna().any(axis=None):
        raise InputError(f"{file}: a row without file or reason; is it cut off? {AGAIN}")
    return unescaped(rejects)


def _check_table(table: pd.DataFrame, name: str, columns: dict[str, str], where: str) -> None:
    missing = [column for column in columns if column not in table]
    if missing:
        raise InputError(f"{where}: {name}: columns missing: {', '.join(missing)}; it has {', '.join(table.columns)}")
    for column in (column for column in columns if column not in _NULLABLE):
        _refuse(table, table[column].isna(), f"{where}: {name}: {column} is empty")
    key = _KEYS[name]
    _refuse(table, table.duplicated(key), f"{where}: {name}: the key {', '.join(key)} stands twice")


def _refuse(table: pd.DataFrame, bad: Any, message: str, show: str = "") -> None:
    bad = np.asarray(bad, dtype=bool)
    if not bad.any():
        return
    row = int(np.flatnonzero(bad)[0])
    shown = f", {show} {str(table[show].iloc[row])!r}" if show else ""
    raise InputError(
        f"{message} (row {row}, session {table['session_id'].iloc[row]!r}{shown}; {int(bad.sum())} such rows)"
    )


def _require_free(folder: Path, overwrite: bool) -> None:
    if not folder.exists():
        return
    if not overwrite:
        raise OutputExistsError(f"corpus {folder}: exists already; name another folder or say overwrite=true")
    is_corpus = all((folder / name).is_file() for name in ("manifest.json", "utterances.parquet"))
    if not folder.is_dir() or (any(folder.iterdir()) and not is_corpus):
        raise OutputExistsError(f"corpus {folder}: holds something else than a corpus; name another folder")


def coded_sessions(corpus: Corpus) -> Corpus:
    """The same corpus with those sessions only in which somebody coded an utterance, or a segment with its codes.

    Raises:
        InputError: nobody did.

    """
    of_utterances = corpus.codings.loc[corpus.codings["unit"] == "utterance", "session_id"]
    coded = pd.concat([of_utterances, segment_codings(corpus.codings, corpus.codebook)["session_id"]]).unique()
    if not len(coded):
        roles = ", ".join(sorted(corpus.utterances["role"].unique()))
        raise InputError(
            f"the corpus has no codings of utterances (roles found: {roles}); import the coders' files with the "
            f"transcripts, and say who is who, as in 'roles={{T: {(corpus.codebook.roles or ('therapist',))[-1]}}}'"
        )
    return corpus.select(coded)


def segment_codings(codings: pd.DataFrame, codebook: Codebook) -> pd.DataFrame:
    """Those codings of segments by coders who gave a segment any code that utterances are tagged with; the others rated
    segments, so that one they left without a code says nothing of the utterances.
    """
    own = codings[codings["unit"] == "segment"]
    return own[own["coder_id"].isin(own.loc[own["code"].isin(codebook.tag_codes()), "coder_id"])]


def session_hashes(utterances: pd.DataFrame) -> dict[str, str]:
    """SHA-256 of each session's speakers' roles and texts, by session_id: the same session, whatever its name."""
    return {
        str(session_id): hashlib.sha256("\n".join(part["role"] + "\t" + part["text"]).encode()).hexdigest()
        for session_id, part in utterances.groupby("session_id", sort=False)
    }
