"""Two coders' tables, a row per unit and no transcript, to a corpus in memory that agreement is computed on.

The headers, roles, times and code cells mean what they mean in an import with the reader `long`. But where an import
lists what it cannot use, this stops: agreement on the rows that happen to be readable is no agreement of the coders.
"""

from __future__ import annotations

import copy
import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from threers.codebook import Codebook
from threers.corpus import Corpus, conform
from threers.errors import InputError
from threers.formats.binding import Bound, bind, require_somewhere
from threers.formats.cells import stack_marks
from threers.formats.coder_table import CoderTable, read_coder_table, reader_of, require_every_code_column
from threers.formats.codings import codings_table
from threers.formats.found_codes import UNMARKED, codebook_of, count_codes, require_known, require_names
from threers.formats.reader import Reader
from threers.formats.rejects import Rejects, list_headers
from threers.formats.same_units import KEY, OTHER_UNITS, require_common, require_keys
from threers.formats.tables import composed
from threers.formats.utterances import compose_names, read_numbers, sessions_table, utterances_table

logger = logging.getLogger(__name__)

_UNIT = ["session_id", "unit", "unit_id", "coder_id"]


def read_two_tables(
    a: str | Path,
    b: str | Path,
    codebook: str | Path | Codebook | None = None,
    columns: Mapping[str, Any] | None = None,
    roles: Mapping[str, str] | None = None,
) -> Corpus:
    """Read two coders' tables into a corpus without texts.

    A unit is a row, or several rows with a code each. A unit that one table lacks was not coded by that coder; a unit
    without a code was read and left unmarked. A coder is called by the coder column, if it holds one name, else by the
    file; two that are called alike become a and b.

    Args:
        a: a table with columns for session (none: one session), number of the unit and code, as in the reader `long`;
            patient, group, speaker, start and end may stand in either table. Texts are not looked at.
        b: the other coder's; the same table as `a` where it has a column for each and `columns` says
            `code: {HEADER: CODER, HEADER: CODER}`.
        codebook: a shipped codebook's name, a YAML file or a `Codebook`; None: the codes found make one family `code`
            of anyone's codes. It is multilabel if a coder gave a unit several; else it is exclusive, and units left
            empty have the code `none`. Numbers are names of codes, too.
        columns: field -> header or headers, instead of those of the reader `long` (see `Reader.override`).
        roles: speaker as written (or a pattern with `*`) -> role.

    Raises:
        InputError: a table or row that cannot be used, a code that is not in the codebook, no unit in common.
        SettingsError: a fault in the codebook, the columns or the roles.

    """
    reader = reader_of(columns, roles)
    rejects = Rejects()
    own = _one_column_each(reader) if Path(a) == Path(b) else [reader, reader]
    tables = [read_coder_table(k, Path(path), one, rejects) for k, path, one in zip("ab", (a, b), own, strict=True)]
    require_every_code_column(reader, tables)
    book = _known(codebook, tables) if codebook else _found(tables, "multilabel")
    bound = [bind(one.table, one.reader, book) for one in tables]
    require_somewhere(reader, {field: names for field, names in (columns or {}).items() if field != "text"}, bound)
    rows, marks = stack_marks(bound, reader, book)
    rows = _prepare(compose_names(rows), bound, tables)
    require_keys(rows, marks.loc[marks["code"].notna(), "at"], ["session" in one.have for one in bound])
    require_common(rows, [one.name for one in tables])

    rows = _from_either(rows)
    utterances = utterances_table(rows, reader, book, rejects)
    sessions = sessions_table(rows, utterances["session_id"], rejects)
    if codebook:
        book = _that_fits(book, utterances)
    codings = codings_table(marks, rows, utterances, reader, book, rejects)
    _stop_or_warn(rejects)
    if not codebook:
        codings, book = _settle(codings, tables, book)
    _warn_unread(codings, book)
    return _checked(utterances, sessions, codings, book)


def _one_column_each(reader: Reader) -> list[Reader]:
    """Of one table that holds both coders, each with their own code column."""
    named = [column for column in reader.codes if column.coder]
    if len(reader.codes) == 1 and not named:
        return [reader, reader]
    if len(named) != 2:
        raise InputError(
            "a and b are the same table; say which column is whose: 'columns={code: {HEADER: CODER, HEADER: CODER}}'"
        )
    return [replace(reader, codes=(column,)) for column in named]


def _checked(utterances: pd.DataFrame, sessions: pd.DataFrame, codings: pd.DataFrame, book: Codebook) -> Corpus:
    utterances = utterances.reset_index(drop=True)
    corpus = Corpus(utterances=utterances, sessions=sessions, codings=codings, codebook=book)
    corpus.check("two tables")
    if len(sessions) > 1 and (sessions["group_id"] == sessions["session_id"]).all():
        logger.warning(
            "no column says who the patient is, so every session counts as a group of its own; if patients have "
            "several sessions, name that column: 'columns={patient: …}'"
        )
    return corpus


def _known(codebook: str | Path | Codebook, tables: Iterable[CoderTable]) -> Codebook:
    book = codebook if isinstance(codebook, Codebook) else Codebook.load(codebook)
    for one in tables:
        require_known(count_codes(one.table, one.reader, book), book, one.name)
    return book


def _found(tables: Iterable[CoderTable], kind: str, unmarked: bool = False) -> Codebook:
    written: Counter[str] = Counter()
    for one in tables:
        own = count_codes(one.table, one.reader)
        require_names(own, one.name)
        written += own
    if not written:
        raise InputError(f"{' and '.join(one.name for one in tables)}: no code in any row; nothing can be compared")
    return codebook_of(written, kind, unmarked)


def _prepare(rows: pd.DataFrame, bound: list[Bound], tables: list[CoderTable]) -> pd.DataFrame:
    """Give the rows of both tables their coder, their session, and `order_number` and `is_utterance` as an import."""
    side = np.repeat([0, 1], [len(one.rows) for one in bound])
    rows = rows.assign(
        side=side,
        file=np.array([one.name for one in tables])[side],
        coder_cell=rows["coder"],
        coder=np.array(_coders(bound, tables))[side],
        has_coder=True,
        order_number=read_numbers(rows["order"]),
        column_role="",
    )
    rows = _same_sessions(rows.astype({"file": "str", "coder": "str"}), bound, tables)
    counted = ~rows["unit"].isin(OTHER_UNITS)
    return rows.assign(is_utterance=counted & ~rows[counted].duplicated(KEY).reindex(rows.index, fill_value=True))


def _coders(bound: list[Bound], tables: list[CoderTable]) -> list[str]:
    names = []
    for one, coded in zip(bound, tables, strict=True):
        said = [name for name in one.rows["coder"].unique() if name]
        names.append(composed(said[0] if len(said) == 1 else coded.table.path.stem))
    return names if names[0] != names[1] else ["a", "b"]


def _same_sessions(rows: pd.DataFrame, bound: list[Bound], tables: list[CoderTable]) -> pd.DataFrame:
    """Let tables without a session column be of the one session that the other table has."""
    named = ["session" in one.have for one in bound]
    if all(named):
        return rows
    sessions = [name for name in rows.loc[np.array(named)[rows["side"]], "session"].unique() if name]
    if len(sessions) > 1:
        without, other = (tables[named.index(which)] for which in (False, True))
        raise InputError(
            f"{without.name}: no column for the session, and {other.name} has {len(sessions)} of them; found "
            f"{list_headers(without.table.frame.columns)}. Name it, as in 'columns={{session: File}}'"
        )
    return rows.assign(session=sessions[0] if sessions else "session").astype({"session": "str"})


def _from_either(rows: pd.DataFrame) -> pd.DataFrame:
    """Take speaker and times of a unit from the first row that gives them, in whichever table."""
    key = [rows[name] for name in KEY]
    taken = {}
    for name in ("speaker", "start", "end"):
        given = rows[name].where(rows[name] != "")
        taken[name] = given.groupby(key).transform("first").fillna("").astype("str")
    other = (rows["speaker"] != "") & (rows["speaker"].str.casefold() != taken["speaker"].str.casefold())
    if other.any():
        logger.warning("%d rows name another speaker than the other table; are both numbered alike?", int(other.sum()))
    return rows.assign(**taken)


def _that_fits(codebook: Codebook, utterances: pd.DataFrame) -> Codebook:
    """Let anyone have any code where no role is known: nothing could be compared otherwise."""
    if codebook.legal_mask(utterances["role"].unique()).any():
        return codebook
    logger.warning(
        "no speaker has a role of codebook %s, so that every unit counts for every code, whoever may have it; name the "
        "column and the roles: 'columns={speaker: …}' 'roles={…}'",
        codebook.name,
    )
    raw: Any = copy.deepcopy(dict(codebook.raw))
    for family in raw["families"].values():
        family.pop("roles", None)
        for code in family["codes"].values():
            (code or {}).pop("roles", None)
    return Codebook.from_dict(raw, codebook.name)


def _stop_or_warn(rejects: Rejects) -> None:
    """Stop at the first coding that an import would drop; say what else was noted, one line for each kind."""
    noted = rejects.frame()
    lost = noted["reason"].str.endswith("; coding dropped") | noted["reason"].str.startswith("session differs")
    if lost.any():
        first, more = noted[lost].iloc[0], int(lost.sum())
        reason = first["reason"].removesuffix("; coding dropped")
        hint = " Say who is who with 'roles={…}', or leave codebook out." if reason.startswith("illegal role") else ""
        raise InputError(
            f"{first['file']}: row {first['row']}{f' ({more} such rows)' if more > 1 else ''}: {_unquoted(reason)}; "
            f"correct the table.{hint}"
        )
    for _, part in noted.groupby(noted["reason"].str.replace(r":.*", "", regex=True), sort=False):
        logger.warning("%s: %s (%d times)", part["file"].iloc[0], _unquoted(part["reason"].iloc[0]), len(part))


def _unquoted(reason: str) -> str:
    """Take cells out of a reason: of a wrong column they may be texts."""
    return re.sub(r"(['\"]).*\1", "the cell's value", reason)


def _settle(codings: pd.DataFrame, tables: list[CoderTable], book: Codebook) -> tuple[pd.DataFrame, Codebook]:
    """Judge whether the codes found exclude each other; if so, a unit without one gets the code for that.

    Otherwise agreement, which knows no judgement without a code in an exclusive family, would leave out those units
    that one coder marked and the other did not.
    """
    marked = codings[codings["code"].notna()]
    empty = codings["code"].isna()
    if marked.duplicated(_UNIT).any() or marked["code"].nunique() + empty.any() < 2:
        return codings, book
    codings = codings.assign(code=codings["code"].fillna(UNMARKED), value=codings["value"].fillna(1.0))
    return conform(codings, "codings"), _found(tables, "exclusive", unmarked=bool(empty.any()))


def _warn_unread(codings: pd.DataFrame, book: Codebook) -> None:
    exclusive = [family.name for family in book.tag_families() if family.kind == "exclusive"]
    empty = int(codings["code"].isna().sum())
    if exclusive and empty:
        logger.warning(
            "%d units without a code count as not coded in %s of codebook %s, where every unit has a code; give them a "
            "code for nothing, or leave codebook out",
            empty,
            ", ".join(exclusive),
            book.name,
        )
