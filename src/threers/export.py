"""Tags and codings back into the formats of the tools that coders know. Layer 1, no torch."""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

import pandas as pd

from threers.agreement.frame import MODEL
from threers.atomic import whole_file
from threers.corpus import Corpus
from threers.errors import InputError, OutputExistsError
from threers.formats import find_files
from threers.formats.documents import Document, Format, Line, Mark, Output
from threers.formats.files import File
from threers.jobs import ExportRun
from threers.scores import read_scores, scores_to_codings

logger = logging.getLogger(__name__)

_FACTS = {"patient": "patient_id", "therapist": "therapist_id", "session_number": "session_number"}


def codings_to_write(corpus: Corpus, run: ExportRun) -> tuple[Corpus, pd.DataFrame]:
    """The tags of a scores folder as codings, the coders' own, or both; and those sessions of the corpus that have any.

    Raises:
        InputError: the scores are damaged, or of no session of the corpus.

    """
    if not run.scores:
        return corpus, corpus.codings
    scores, manifest = read_scores(run.scores, corpus.codebook)
    scores = scores[scores["session_id"].isin(corpus.sessions["session_id"])]
    if scores.empty:
        raise InputError(
            f"scores {run.scores}: no session in common with corpus {run.corpus}; name the corpus that was scored"
        )
    corpus = corpus.select(scores["session_id"].unique())
    tags = scores_to_codings(scores, corpus.codebook, f"{MODEL}{manifest['name']}", run.segment_minutes)
    own = [corpus.codings] if run.coders else []
    return corpus, pd.concat([*own, tags], ignore_index=True)


def held_by(form: Format, codings: pd.DataFrame) -> pd.DataFrame:
    """The codings that a format can hold; how many it cannot is logged.

    That a coder read a session and rated nothing is no coding, and is not written.
    """
    held = codings["unit"].isin(form.units)
    for unit, lost in codings[~held & codings["code"].notna()].groupby("unit"):
        logger.warning("%d codings of %ss are left out: %s has no place for them", len(lost), unit, form.title)
    return codings[held & ((codings["unit"] != "session") | codings["code"].notna())]


def to_documents(corpus: Corpus, codings: pd.DataFrame, minutes: float = 5.0) -> Iterator[Document]:
    """One document per session of the corpus, with these codings; `minutes`: the length of a segment."""
    own = {str(session): part for session, part in codings.groupby("session_id")}
    facts = corpus.sessions.set_index("session_id")
    rated = {code for family in corpus.codebook.families if family.kind == "rating" for code in family.codes}
    for session, spoken in corpus.utterances.groupby("session_id", sort=False):
        place = {number: at for at, number in enumerate(spoken["utterance_id"])}
        lines = [
            Line(
                row=at + 1,
                text=row.text,
                speaker=row.speaker or (row.role if row.role != "unknown" else ""),
                start=None if pd.isna(row.start) else row.start,
                end=None if pd.isna(row.end) else row.end,
            )
            for at, row in enumerate(spoken.itertuples())
        ]
        codings_here = own[str(session)].itertuples() if str(session) in own else ()
        marks = [_mark(at, row, place, rated, minutes * 60) for at, row in enumerate(codings_here, start=1)]
        known = {name: facts.at[session, column] for name, column in _FACTS.items()}
        said = {name: str(value) for name, value in known.items() if not pd.isna(value)}
        yield Document(session=str(session), lines=lines, marks=marks, facts=said)


def _mark(at: int, row: Any, place: dict[int, int], rated: set[str], seconds: float) -> Mark:
    """A row of the codings; `place`: of each utterance; `rated`: codes with a value; `seconds`: of a segment."""
    code = "" if pd.isna(row.code) else row.code
    value = f"{row.value:.15g}" if code in rated or (code and row.value != 1) else ""
    mark = Mark(row=at, code=code, coder=row.coder_id, value=value)
    if row.unit == "utterance":
        return replace(mark, lines=(place[row.unit_id],) * 2)
    if row.unit == "segment":
        number = row.unit_id
        return replace(mark, segment=number, start=number * seconds, end=(number + 1) * seconds)
    return mark


def write_documents(
    documents: Sequence[Document], form: Format, to: Path, corpus: Corpus, originals: str = "", overwrite: bool = False
) -> list[Path]:
    """Write sessions to one file, or, where the format has one session per file, to a folder of files.

    `originals`: where the files lie that the corpus was imported from, for formats that add to them. Each file appears
    whole or not at all. Returns the files.

    Raises:
        OutputExistsError: a file is there already and `overwrite` is false; nothing is written then.
        InputError: the format cannot hold a session, or an original is not there or has been changed.

    """
    assert form.write is not None
    titles = {code.name: code.title for code in corpus.codebook.codes.values()}
    if form.together and to.name in ("", ".."):
        raise InputError(f"to={to}: names no file, and {form.name} is one; name it, as in to=tags{form.suffixes[0]}")
    # What else stands behind a dot is part of the name, as in P01.S03.
    whole = to.with_suffix("") if to.suffix.casefold() in form.suffixes else to
    targets = [whole.with_name(whole.name + form.suffixes[0])] if form.together else _files(documents, to, form)
    taken = [path for path in targets if path.exists()]
    if taken and not overwrite:
        raise OutputExistsError(f"to={taken[0]}: exists already; name another place or say overwrite=true")
    sources = _originals(corpus, originals) if originals else {}
    parts = [documents] if form.together else [[document] for document in documents]
    contents = []
    for part in parts:
        output = Output(titles=titles, roles=corpus.codebook.roles, original=sources.get(part[0].session))
        try:
            contents.append(form.write(part, output))
        except InputError as error:
            where = "" if form.together else f"session {part[0].session!r}: "
            raise InputError(f"format={form.name}: {where}{error}") from error
    for path, content in zip(targets, contents, strict=True):
        with whole_file(path) as scratch:
            scratch.write_bytes(content)
    if form.settings is not None:
        beside = whole.with_name(f"{whole.name}.config.xml")
        with whole_file(beside) as scratch:
            scratch.write_text(form.settings(list(titles)), encoding="utf-8")
        targets.append(beside)
    return targets


def _files(documents: Sequence[Document], to: Path, form: Format) -> list[Path]:
    """Of a format with one session per file: the file that is named, for a single session, or one each in a folder."""
    if to.suffix.casefold() not in form.suffixes or to.is_dir():
        return _names(documents, to, form.suffixes[0])
    if len(documents) > 1:
        raise InputError(
            f"to={to}: names one file, but each of {len(documents)} sessions becomes a {form.suffixes[0]} file of its "
            f"own; name a folder: to={to.with_suffix('')} format={form.name}"
        )
    return [to]


def _names(documents: Sequence[Document], folder: Path, suffix: str) -> list[Path]:
    """A file per session, called as it is; what no file name may hold becomes an underscore."""
    taken: set[str] = set()
    names = []
    for document in documents:
        plain = name = re.sub(r'[\x00-\x1f<>:"/\\|?*]', "_", document.session).strip(". ") or "_"
        again = 1
        while name.casefold() in taken:
            again += 1
            name = f"{plain} ({again})"
        taken.add(name.casefold())
        names.append(folder / f"{name}{suffix}")
    return names


def _originals(corpus: Corpus, source: str) -> dict[str, File]:
    """By session the file that it was imported from."""
    paths: dict[str, list[Path]] = defaultdict(list)
    for path in find_files(source):
        paths[path.name].append(path)
    found = {}
    for row in corpus.sessions.itertuples():
        same = paths[PurePath(row.source_file).name]
        if not same:
            raise InputError(f"originals={source}: {row.source_file} is not there; expected the files of the import")
        try:
            file = next((one for one in map(File, same) if one.sha256 == row.source_sha256), None)
        except InputError as error:
            raise InputError(f"originals={source}: {row.source_file}: {error}; expected the file as imported") from None
        if file is None:
            raise InputError(f"originals={source}: {row.source_file} was changed after the import; import it again")
        found[str(row.session_id)] = file
    return found
