"""One scored session after the other, with what the corpus says of it; never more than one is held."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from threers.codebook import Codebook
from threers.errors import InputError, SettingsError
from threers.score_checks import AGAIN as SCORE_AGAIN
from threers.scores import finished_parts, scored_sessions
from threers.shipped import shipped_names
from threers.stored import open_parquet, read_mapping, readable
from threers.streams import Rows, group_ends, rows_between
from threers.tables import AGAIN, TABLES, read_table, typed

#: What the sessions table says of every session; any further column that is a number may be a rating.
FACTS = ("patient_id", "therapist_id", "session_number")


@dataclass(frozen=True, kw_only=True)
class ScoredSession:
    """`scores`: its rows of the scores; `text`: as long, or None; `codings`: of the corpus; `facts`: by column."""

    session_id: str
    scores: pd.DataFrame
    text: list[str] | None
    codings: pd.DataFrame
    facts: Mapping[str, Any]


class Batch:
    """A scores folder, and the corpus that was scored if one is given: iterate for its sessions.

    Args:
        scores: a finished scores folder.
        corpus: a corpus folder with the same codebook, or empty.
        include_text: read the text, from the corpus or from the scores.

    Raises:
        InputError: no scores, no corpus, or one of another codebook.

    """

    def __init__(self, scores: str, corpus: str = "", include_text: bool = False) -> None:
        self.parts, self.manifest = finished_parts(scores)
        self.scores, self.corpus, self.include_text = Path(scores).expanduser(), corpus, include_text
        folder = Path(corpus).expanduser()
        if corpus and not (folder / "utterances.parquet").is_file():
            raise InputError(f"corpus={corpus}: not a corpus; make it with threers import source=… corpus={corpus}")
        self.codebook = self._codebook(folder if corpus else None)
        self.synthetic = bool(self.manifest.get("synthetic"))
        self.tables: dict[str, SessionRows] = {}
        if corpus:
            self.synthetic |= bool(read_mapping(folder / "manifest.json", {}, AGAIN).get("synthetic"))
            wanted = {"utterances": ["session_id", "utterance_id", "text"], "codings": list(TABLES["codings"])}
            self.tables = {name: SessionRows(folder / f"{name}.parquet", own) for name, own in wanted.items()}
            self._facts = read_table(folder / "sessions.parquet").set_index("session_id")
            if not self._facts.index.is_unique:
                raise InputError(f"{folder / 'sessions.parquet'}: a session stands twice; {AGAIN}")
        elif include_text and not self._hold_text():
            raise InputError(
                f"include_text=true: scores {self.scores} hold no text; give the corpus that was scored, as in corpus=…"
            )

    def _hold_text(self) -> bool:
        with open_parquet(self.parts[0], SCORE_AGAIN) as file:
            return "text" in file.schema_arrow.names

    @property
    def hash(self) -> str:
        """SHA-256 over what scores and corpus say of themselves."""
        files = [
            self.scores / "manifest.json",
            *([Path(self.corpus).expanduser() / "manifest.json"] * bool(self.corpus)),
        ]
        return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()

    def __iter__(self) -> Iterator[ScoredSession]:
        """The sessions in the order of the scores.

        Raises:
            InputError: the corpus has none of them, or other utterances than were scored.

        """
        known = 0
        for rows in scored_sessions(self.parts, self.codebook):
            session = str(rows["session_id"].iloc[0])
            there = bool(self.tables) and session in self.tables["utterances"]
            known += there
            codings = self._codings(session) if there else pd.DataFrame(columns=list(TABLES["codings"]))
            facts = self._facts_of(session) if there else {}
            text = self._text(session, rows, there) if self.include_text else None
            yield ScoredSession(session_id=session, scores=rows, text=text, codings=codings, facts=facts)
        if self.tables and not known:
            raise InputError(
                f"corpus={self.corpus}: no session in common with scores {self.scores}; name the corpus that was scored"
            )

    def _codings(self, session: str) -> pd.DataFrame:
        codings = self.tables["codings"][session]
        strange = codings["code"].dropna()[lambda code: ~code.isin(list(self.codebook.codes))]
        if len(strange):
            raise InputError(
                f"corpus={self.corpus}: session {session!r} has a coding {strange.iloc[0]!r}, which is not in codebook "
                f"{self.codebook.name}; {AGAIN}"
            )
        return codings

    def _facts_of(self, session: str) -> dict[str, Any]:
        if session not in self._facts.index:
            raise InputError(f"corpus={self.corpus}: session {session!r} is not in sessions.parquet; {AGAIN}")
        return self._facts.loc[session].to_dict()

    def _text(self, session: str, rows: pd.DataFrame, there: bool) -> list[str] | None:
        if not there:
            return rows["text"].tolist() if "text" in rows else None
        spoken = self.tables["utterances"][session]
        if spoken["utterance_id"].tolist() != rows["utterance_id"].tolist():
            raise InputError(
                f"session {session!r}: {len(rows)} utterances were scored, the corpus has {len(spoken)}, not the same; "
                "score the corpus again"
            )
        return [str(text) for text in spoken["text"]]

    def _codebook(self, corpus: Path | None) -> Codebook:
        """The scores' own, else one of the same meaning: shipped, or the corpus's."""
        wanted = self.manifest.get("codebook_sha256")
        paths = [self.scores / "codebook.yaml", *([corpus / "codebook.yaml"] if corpus else [])]
        found = [Codebook.load(path) for path in paths if path.is_file()]
        if corpus and found[-1].hash != wanted:
            raise InputError(
                f"scores {self.scores}: made with codebook {self.manifest.get('codebook')}, not with the corpus's "
                f"{found[-1].name}; give the corpus that was scored"
            )
        name = str(self.manifest.get("codebook"))
        if name in shipped_names("codebook"):
            found.append(Codebook.load(name))
        for codebook in found:
            if codebook.hash == wanted:
                return codebook
        raise SettingsError(f"scores {self.scores}: their codebook {name} is not at hand; give corpus=…, which has it")


class SessionRows:
    """The rows of single sessions of a Parquet table, read as they are asked for."""

    def __init__(self, path: Path, columns: list[str]) -> None:
        self.path, self.columns = path, columns
        self._file = open_parquet(path, AGAIN, columns, read_dictionary=["session_id"])
        with readable(path, AGAIN):
            ids = self._file.read(columns=["session_id"]).to_pandas()
        ids = typed(ids.astype(object), path, {"session_id": "str"})["session_id"]
        self._ends = group_ends(self._file)
        firsts = np.flatnonzero((ids != ids.shift()).to_numpy())
        self._ranges: dict[str, list[Rows]] = {}
        for first, last in pairwise([*firsts, len(ids)]):
            self._ranges.setdefault(str(ids.iloc[first]), []).append((int(first), int(last)))

    def __contains__(self, session_id: str) -> bool:
        return session_id in self._ranges

    def __getitem__(self, session_id: str) -> pd.DataFrame:
        """All rows of a session, in their order; none where it has none."""
        ranges = self._ranges.get(session_id, ())
        with readable(self.path, AGAIN):
            parts = [rows_between(self._file, self._ends, rows, self.columns) for rows in ranges]
        if not parts:
            return pd.DataFrame(columns=self.columns)
        types = {column: TABLES[self.path.stem][column] for column in self.columns}
        return typed(pd.concat(parts, ignore_index=True).astype({"session_id": object}), self.path, types)
