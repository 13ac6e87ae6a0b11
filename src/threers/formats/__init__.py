"""Transcript and coding files to a corpus.

One module per stage: `tables` (files), `reader` (the layout), `binding` (headers), `cells` (what a code cell says),
`utterances` and `codings` (the tables of the corpus), `rejects` (what could not be used). `two_tables` makes a corpus
of two coders' tables without transcripts.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from threers.codebook import Codebook
from threers.corpus import Corpus
from threers.errors import InputError, SettingsError
from threers.formats.binding import Bound, require_somewhere
from threers.formats.cells import stack_marks
from threers.formats.codings import codings_table, column_roles
from threers.formats.headers import first_header
from threers.formats.known import without_companions
from threers.formats.reader import Reader, shipped_readers
from threers.formats.reading import headers_of, read_files
from threers.formats.rejects import Rejects, list_headers, names_apart
from threers.formats.roles import UnknownSpeakersError, require_roles
from threers.formats.tables import find_files
from threers.formats.tiers import UNCLEAR
from threers.formats.two_tables import read_two_tables
from threers.formats.utterances import keep_usable, sessions_table, utterances_table

logger = logging.getLogger(__name__)

_SAY_TIERS = (
    "Say what is what in a reader of your own: copy configs/reader/transcript.yaml, name the tiers in speech_tiers or "
    "code_tiers, and give it as reader=my_lab.yaml"
)

__all__ = [
    "Reader",
    "Rejects",
    "UnknownSpeakersError",
    "choose_reader",
    "find_files",
    "import_files",
    "names_apart",
    "read_two_tables",
    "shipped_readers",
]


def import_files(
    source: str | Path,
    reader: str | Path | Reader = "auto",
    codebook: str | Path | Codebook | None = None,
    roles: Mapping[str, str] | str | Path | None = None,
    columns: Mapping[str, Any] | None = None,
    *,
    every_role: bool = False,
) -> Corpus:
    """Read transcript and coding files into a corpus; what cannot be used is listed in `corpus.rejects`.

    Args:
        source: a file, a folder (with what is below it) or a glob pattern.
        reader: a shipped reader's name, a YAML file, a `Reader`, or `auto`: the shipped one whose columns are there.
        codebook: a shipped codebook's name, a YAML file or a `Codebook`; None: the one that the reader names.
        roles: speaker as written (or a pattern with `*`) -> role, or the path of a table with the columns `file`,
            `speaker`, `role`; goes before the reader's own.
        columns: field -> header or headers, instead of the reader's own (see `Reader.override`).
        every_role: refuse speakers whose role nobody said, and tiers that may be speech or not; else speakers are
            `unknown`, and such tiers are left out.

    Raises:
        UnknownSpeakersError: with `every_role`, a speaker without a role.
        InputError: nothing is there, nothing could be read, no column fits in any file, or no code is in the codebook.
        SettingsError: a fault in the reader, the codebook, the roles or the columns.

    """
    rejects = Rejects()
    files = without_companions(find_files(source))
    if isinstance(reader, Reader):
        reader = reader.override(columns, roles)
    else:
        reader = choose_reader(files, reader, roles, columns)
    codebook = _load_codebook(codebook, reader)
    reader.require_fit(codebook)
    bound = read_files(files, reader, codebook, rejects)
    if every_role:
        _check_tiers(bound, rejects)
    require_somewhere(reader, columns or {}, bound, rejects.first(("wrong columns", "wrong file name")))
    _note_one_coder(reader, columns or {}, bound)

    rows, marks = stack_marks(bound, reader, codebook)
    usable = keep_usable(rows, reader, rejects)
    usable = usable.assign(column_role=column_roles(marks, usable))
    utterances = utterances_table(usable, reader, codebook, rejects)
    if utterances.empty:
        raise InputError(f"source {source}: no utterance could be imported; {rejects.most_common()}")
    sessions = sessions_table(usable, utterances["session_id"], rejects)
    codings = codings_table(marks, usable, utterances, reader, codebook, rejects)
    if every_role:
        require_roles(utterances, usable, reader.every_role, codebook)
    manifest = {
        **_settings(reader, codebook, bound),
        "files": {"found": len(files), "imported": len({one.path for one in bound if len(one.rows)})},
        "rows": {"read": len(rows) + sum(one.torn for one in bound), "used": len(usable)},
    }
    return Corpus(
        utterances=utterances.reset_index(drop=True),
        sessions=sessions,
        codings=codings,
        codebook=codebook,
        rejects=rejects.frame(),
        manifest=manifest,
    )


def _check_tiers(bound: list[Bound], rejects: Rejects) -> None:
    """Refuse tiers that may be speech or not, and say how many were taken for codes by what stands in them."""
    found = rejects.frame()
    unclear = found[found["reason"].str.startswith(UNCLEAR)]
    if len(unclear):
        first = unclear.iloc[0]
        raise InputError(
            f"{first['file']}: {first['reason'].partition(';')[0]} ({len(unclear)} such tiers), so nothing was "
            f"written. {_SAY_TIERS}"
        )
    if guessed := sum(one.guessed for one in bound):
        logger.info("%d tiers hold nothing but codes and were taken for codings. If not: %s", guessed, _SAY_TIERS)


def _note_one_coder(reader: Reader, columns: Mapping[str, Any], bound: list[Bound]) -> None:
    """Say that several code columns count as one coder's: two coders would silently become one."""
    named = columns.get("code")
    if isinstance(named, list | tuple) and any(len(one.columns) > 1 and not _says_coder(one) for one in bound):
        shown = list_headers(map(str, named))
        logger.info(
            "the columns %s count as those of one coder, called %s. A coder each: 'columns={code: {%s: …}}'",
            *(shown, reader.coder, named[0]),
        )


def _says_coder(one: Bound) -> bool:
    return "coder" in one.have or any(column.coder for column in one.columns)


def choose_reader(
    files: list[Path],
    reader: str | Path = "auto",
    roles: Mapping[str, str] | str | Path | None = None,
    columns: Mapping[str, Any] | None = None,
) -> Reader:
    """The reader that is named, or the one that fits the files, with these roles and columns.

    Raises:
        SettingsError: as `import_files`.

    """
    found = Reader.load(reader if str(reader) != "auto" else _detect(files, columns))
    return found.override(columns, roles)


def _detect(files: list[Path], columns: Mapping[str, Any] | None) -> str:
    """Name the reader that fits a file: a shipped corpus's, else `long` where codes stand beside whose or on what they
    are, else `wide`; `transcript` where no file is a table.
    """
    readers = {name: Reader.load(name).override(columns) for name in shipped_readers()}
    long = readers["long"]
    code = [header for column in long.codes for header in column.headers]
    order = [header for field in ("order", "unit_id", "coder") for header in long.columns[field]]
    tables = False
    for path in files:
        headers = headers_of(path)
        tables = tables or bool(headers)
        for name, reader in readers.items():
            if reader.codebook is not None and reader.fits(headers):
                return name
        timed = first_header(long.columns["start"], headers) and not first_header(long.columns["text"], headers)
        if first_header(code, headers) and (timed or first_header(order, headers)):
            return "long"
    return "wide" if tables else "transcript"


def _load_codebook(given: str | Path | Codebook | None, reader: Reader) -> Codebook:
    if isinstance(given, Codebook):
        return given
    if not given and reader.codebook is None:
        raise SettingsError(f"reader {reader.name} names no codebook; name the coders', as in codebook=3rs-2015")
    return Codebook.load(given or str(reader.codebook))


def _settings(reader: Reader, codebook: Codebook, bound: list[Bound]) -> dict[str, Any]:
    """Note for the manifest how the files were read."""
    have = {name for one in bound for name in one.have}
    return {
        "reader": reader.name,
        "codebook": codebook.name,
        "roles": dict(reader.roles),
        "columns": {name: list(headers) for name, headers in reader.columns.items()},
        "columns_not_imported": sorted({header for one in bound for header in one.unused}),
        "grouped_by": next((name for name in ("group", "patient") if name in have), "session"),
    }
