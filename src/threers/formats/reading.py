"""One file after the other, whatever its format, to rows and cells that hold codes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from threers.codebook import Codebook
from threers.errors import InputError
from threers.formats.binding import Bound, BoundColumn, bind, from_file_name
from threers.formats.documents import Context, Document
from threers.formats.files import File
from threers.formats.known import recognise
from threers.formats.reader import FIELDS, CodeColumn, Reader
from threers.formats.rejects import Rejects, names_apart
from threers.formats.roles import known_names
from threers.formats.sheets import read_sheets
from threers.formats.tables import composed, read_headers, read_table

#: The one column of a document's rows that holds codes.
_CODE = BoundColumn(header="code", spec=CodeColumn(headers=("code",)))


def read_files(paths: Iterable[Path], reader: Reader, codebook: Codebook, rejects: Rejects) -> list[Bound]:
    """Read files; one that cannot be read, or does not fit the reader, is listed in `rejects`.

    Of two documents of one session, the first has the utterances; what coders marked in a second one counts where it
    has the same utterances.

    Raises:
        InputError: no file could be read, or the only one cannot.

    """
    paths = list(paths)
    names = names_apart(paths)
    context = Context(
        find=codebook.find,
        knows=known_names(reader.every_role, codebook),
        speaker=reader.speaker_pattern,
        code_tiers=reader.code_tiers,
        speech_tiers=reader.speech_tiers,
    )
    found: list[Bound] = []
    held: dict[str, tuple[str, list[str]]] = {}
    misfit = ""
    for path in paths:
        try:
            bound, notes = _read_file(File(path), reader, codebook, context, held)
        except InputError as error:
            if len(paths) == 1:
                raise InputError(f"{path}: {error}") from error
            if str(error).startswith(("wrong columns", "wrong file name")):
                misfit = f"{names[path]}: {error}"
                rejects.add(names[path], None, str(error))
            else:
                rejects.add(names[path], None, f"file not read: {error}")
            continue
        for sheet, row, reason in notes:
            rejects.add(_name(names[path], sheet if row else ""), row, reason)
        for sheet, one in bound:
            one.rows["file"] = _name(names[path], sheet)
            found.append(one)
    if misfit and not found:
        raise InputError(f"none of {len(paths)} files fits reader {reader.name}; {misfit}")
    if not found:
        raise InputError(f"none of {len(paths)} files could be read; {rejects.most_common()}")
    return found


def _name(file: str, sheet: str) -> str:
    """How the rows of a file, or of one of its sheets, are called in what the user reads; see `roles.map_roles` too."""
    return f"{file} [{sheet}]" if sheet else file


def _read_file(
    file: File, reader: Reader, codebook: Codebook, context: Context, held: dict[str, tuple[str, list[str]]]
) -> tuple[list[tuple[str, Bound]], list[tuple[str, int | None, str]]]:
    """The rows of one file, and notes (row or None, reason) on it, each with its sheet; `held`: session -> the file
    with its utterances, and their texts.
    """
    known = recognise(file)
    if known is None:
        tables = read_sheets(file, reader.records) if reader.by_sheet else [read_table(file, reader.records)]
        notes = [(table.sheet, *note) for table in tables for note in table.notes]
        return [(table.sheet, bind(table, reader, codebook)) for table in tables], notes
    documents = known.read(file, context)
    told = [note for document in documents for note in document.notes] + list(file.notes)
    return [("", _bound(document, file, reader, held)) for document in documents], [("", *note) for note in told]


def headers_of(path: Path) -> list[str]:
    """The headers of a table; none where the file is no table, or cannot be read."""
    try:
        file = File(path)
        return [] if recognise(file) else read_headers(file)
    except InputError:
        return []


def _bound(document: Document, file: File, reader: Reader, held: dict[str, tuple[str, list[str]]]) -> Bound:
    """A document's rows: one per line of speech, then one per mark and line, or per mark that has no line."""
    named = from_file_name(file.path, reader)
    session = document.session or named.pop("session", "") or composed(file.path.stem)
    texts = [line.text for line in document.lines]
    holder, first = held.setdefault(session, (str(file.path), texts)) if texts else ("", [])
    again = holder != str(file.path) and texts == first
    lines = [
        {"row": line.row, "order": str(number), "speaker": line.speaker, "text": line.text}
        | {"start": _written(line.start), "end": _written(line.end)}
        for number, line in enumerate(document.lines)
    ]
    spoken = [] if again else lines
    cells = [""] * len(spoken)
    marks: list[dict[str, object]] = []
    for mark in dict.fromkeys(document.marks):
        own = {"row": mark.row, "coder": mark.coder, "value": mark.value, "judged": document.judged}
        if mark.lines is not None:
            places = range(mark.lines[0], mark.lines[1] + 1)
            marks += [own | {"order": str(place), "own_lines": not again} for place in places]
        else:
            places = range(1)
            marks.append(own | {"start": _written(mark.start), "end": _written(mark.end)})
        cells += [mark.code] * len(places)
    blank = dict.fromkeys(FIELDS, "") | {"session": session, "own_lines": False, "judged": False}
    rows = pd.DataFrame([blank | row for row in (*spoken, *marks)], columns=["row", "own_lines", "judged", *FIELDS])
    rows = rows.assign(folder=file.path.parent.name, file=file.path.name, sha256=file.sha256)
    for name, value in {**document.facts, **named}.items():
        rows[name] = rows[name].replace("", value) if name in rows else value
    kinds = {name: "str" for name in rows} | {"row": "int64", "own_lines": "bool", "judged": "bool"}
    rows = rows.astype(kinds)
    is_line = pd.Series(range(len(rows))) < len(spoken)
    have = {"session", "text", "speaker", *(name for name in rows if name in FIELDS and (rows[name] != "").any())}
    return Bound(
        path=file.path,
        rows=rows.assign(has_text=is_line, has_order=False, has_coder=False),
        cells=pd.DataFrame({0: pd.Series(cells, index=rows.index, dtype="str")}),
        columns=[_CODE] if document.marks else [],
        have=have | ({"code"} if document.marks else set()),
        headers=[],
        unused=[],
        guessed=document.guessed,
    )


def _written(time: float | None) -> str:
    return "" if time is None else repr(float(time))
