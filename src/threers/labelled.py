"""Scores as SPSS files, whose labels say what each variable means. Layer 4, no torch."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from threers.atomic import whole_file
from threers.codebook import EXTRA_ROLES, Codebook
from threers.corpus import TABLES, Corpus
from threers.errors import InputError, OutputExistsError
from threers.formats.spss_write import Label, write_sav
from threers.scores import finished_parts, read_scores

#: What a corpus knows of a session, in front of what was counted in it.
_FACTS = {
    "group_id": "unit of splits and intervals: the patient, unless told otherwise at import",
    "patient_id": "the patient",
    "therapist_id": "the therapist",
    "session_number": "number of the session in the treatment",
}
_MARKED = {0: "absent", 1: "present"}


def write_sav_files(scores: Path, to: Path, corpus: Corpus | None = None, overwrite: bool = False) -> list[Path]:
    """Write `sessions.sav`, `segments.sav` and `utterances.sav` of a finished scores folder. Returns the files.

    Labels are those of its data dictionary, columns.csv. `corpus`: what was scored; gives each session's patient,
    therapist, number and outcomes. No file holds text.

    Raises:
        InputError: no scores folder that was finished, no session in common with the corpus.
        OutputExistsError: a file is there already and `overwrite` is false; nothing is written then.

    """
    files = [to / f"{name}.sav" for name in ("sessions", "segments", "utterances")]
    taken = [file for file in files if file.exists()]
    if taken and not overwrite:
        raise OutputExistsError(f"to={taken[0]}: exists already; name another folder or say overwrite=true")
    finished_parts(scores)
    codebook = corpus.codebook if corpus else Codebook.load(_there(scores, "codebook.yaml"))
    rows, manifest = read_scores(scores, codebook)
    told = _dictionary(scores)
    facts = _facts(corpus) if corpus else pd.DataFrame({"session_id": rows["session_id"].unique()})
    if not rows["session_id"].isin(facts["session_id"]).any():
        raise InputError(f"scores {scores}: no session in common with the corpus; expected what was scored")
    tables = {name: pd.read_parquet(_there(scores, f"{name}.parquet")) for name in ("sessions", "segments")}
    tables["utterances"], told["utterances"] = _marked(rows, codebook), _utterance_labels(codebook)
    for file in files:
        table = facts.merge(tables[file.stem], on="session_id", how="right", suffixes=("_of_corpus", ""))
        labels = {column: Label(_FACTS.get(column, column)) for column in table} | told[file.stem]
        with whole_file(file) as scratch:
            write_sav(table, labels, scratch, f"{file.stem}, tagged by {manifest['name']}")
    return files


def _there(scores: Path, name: str) -> Path:
    if not (scores / name).is_file():
        raise InputError(f"scores {scores}: {name} missing; score again")
    return scores / name


def _dictionary(scores: Path) -> dict[str, dict[str, Label]]:
    """By table and column what it means."""
    told: dict[str, dict[str, Label]] = {}
    for row in pd.read_csv(_there(scores, "columns.csv"), dtype="str", keep_default_na=False).itertuples():
        told.setdefault(str(row.table), {})[str(row.column)] = Label(f"{row.meaning} ({row.unit})")
    return told


def _facts(corpus: Corpus) -> pd.DataFrame:
    """The sessions of a corpus without the names of their files."""
    further = [column for column in corpus.sessions if column not in TABLES["sessions"]]
    return corpus.sessions[["session_id", *_FACTS, *further]]


def _marked(rows: pd.DataFrame, codebook: Codebook) -> pd.DataFrame:
    """Scored utterances with a column per code for its tag; roles are numbers in the order of the codebook.

    A tag is null where the role may not have the code.
    """
    roles = {role: number for number, role in enumerate(_roles(codebook), start=1)}
    table = rows[["session_id", "utterance_id", "role", "start", "end"]].assign(role=rows["role"].map(roles))
    more: dict[str, object] = {}
    for column, of_rows in [("tag", "tags"), *([("abstained", "abstained")] if "abstained" in rows else [])]:
        for code in codebook.tag_codes():
            marked = pd.Series([float(code in own) for own in rows[of_rows]], index=rows.index)
            more[f"{column}_{code}"] = marked.where(rows[f"p_{code}"].notna())
    p = rows[[f"p_{code}" for code in codebook.tag_codes()]]
    return pd.concat([table, p, pd.DataFrame(more, index=rows.index)], axis=1)


def _utterance_labels(codebook: Codebook) -> dict[str, Label]:
    labels = {
        "session_id": Label("the session"),
        "utterance_id": Label("number of the utterance in its session, from 0"),
        "role": Label("who speaks", dict(enumerate(_roles(codebook), start=1))),
        "start": Label("begin of the utterance (seconds)"),
        "end": Label("end of the utterance (seconds)"),
    }
    for code in codebook.tag_codes():
        named = f"{code}, {codebook.codes[code].title}"
        labels[f"p_{code}"] = Label(f"probability of {named}; empty where the role may not have it (0 to 1)")
        labels[f"tag_{code}"] = Label(f"tag {named}", _MARKED)
        labels[f"abstained_{code}"] = Label(f"left to humans for the sake of {named}", {0: "no", 1: "yes"})
    return labels


def _roles(codebook: Codebook) -> tuple[str, ...]:
    return (*codebook.roles, *EXTRA_ROLES)
