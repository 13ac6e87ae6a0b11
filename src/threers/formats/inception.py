"""What the exports of INCEpTION and WebAnno share: who annotated which document, and which features hold codes.

A project's export has one file per annotator, `annotation/DOCUMENT/ANNOTATOR.tsv`, or a zip there with that file in it,
and `curation/DOCUMENT/CURATION_USER.tsv` for what was agreed. So in a folder that is named like a document, the folder
is the session and the file the coder. A file elsewhere names neither.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath, PurePosixPath

from threers.errors import InputError
from threers.formats.documents import Context, Document, Mark
from threers.formats.files import ZIP_LIMIT, File
from threers.formats.selections import Selection, find_lines, marked

_DOCUMENT = re.compile(r"(.+)\.(?:txt|pdf|html?|xml|xmi|tei|tsv|csv|json|docx?|rtf|conllu?|tcf)", re.IGNORECASE)
_FOLDERS = ("annotation", "curation")
#: The imported text before anybody annotated it.
_NOBODY = "INITIAL_CAS"
#: Members of a zip by whose content its kind is told.
_LOOKED_AT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """A feature's value in an annotation from `start`, before `end`, of the text; `row` for messages."""

    row: int
    layer: str
    name: str
    value: str
    start: int
    end: int


def annotator(path: PurePath) -> tuple[str, str]:
    """Session and coder that a path names; empty where it names none."""
    folder = path.parent
    session = document_named(folder.name)
    if session == folder.name and folder.parent.name not in _FOLDERS:
        return "", ""
    return session, coder_named(path.stem)


def document_named(name: str) -> str:
    """A document's name without its ending."""
    named = _DOCUMENT.fullmatch(name)
    return named[1] if named else name


def coder_named(name: str) -> str:
    """The coder that a user's name means; the imported text has none."""
    return "" if name == _NOBODY else name


def layer_named(layer: str) -> str:
    """The short name of a layer; labs may have a layer for each code."""
    return layer.rpartition(".")[2]


def annotated(
    text: str,
    features: Sequence[Feature],
    context: Context,
    who: tuple[str, str],
    sentences: Iterable[tuple[int, int]] = (),
) -> Document:
    """One session as one annotator saw it; with a name and without a mark, the annotator read it and marked nothing."""
    session, coder = who
    chosen, notes = _codings(features, context, coder)
    speech = find_lines(text, context.speaker, sentences)
    document = marked(speech.spoken, chosen, session)
    document.notes += speech.notes + notes
    if coder and not chosen and document.lines:
        document.marks.append(Mark(row=1, code="", coder=coder, lines=(0, len(document.lines) - 1)))
    return document


def _codings(
    features: Iterable[Feature], context: Context, coder: str
) -> tuple[list[Selection], list[tuple[int | None, str]]]:
    """A feature half or more of whose values are codes holds codes, so its other values are codes written wrongly.

    Of a feature with fewer (remarks, parts of speech) only the values that are codes are taken.
    """
    columns: dict[tuple[str, str], list[Feature]] = defaultdict(list)
    for one in features:
        columns[one.layer, one.name].append(one)
    chosen: list[Feature] = []
    notes: list[tuple[int | None, str]] = []
    for (layer, name), values in columns.items():
        known = [one for one in values if context.find(one.value)]
        taken = values if 2 * len(known) >= len(values) else known
        chosen += taken
        if len(taken) < len(values):
            where = f"feature {name} of layer {layer}" if name else f"layer {layer} without a feature"
            notes.append((None, f"not a code: {where}, {len(values) - len(taken)} values; left out"))
    chosen.sort(key=lambda one: (one.start, one.end, one.row))
    return [Selection(row=one.row, code=one.value, coder=coder, start=one.start, end=one.end) for one in chosen], notes


def read_all(
    file: File, context: Context, fits: Callable[[File], bool], read: Callable[[File, PurePath, Context], Document]
) -> list[Document]:
    """The documents of a file, or of all members of a zip that fit; annotators of one text are one document."""
    if not file.members:
        return [read(file, file.path, context)]
    documents: list[Document] = []
    for path, member in _members(file):
        if fits(member):
            try:
                _add(documents, read(member, path, context))
            except InputError as error:
                raise InputError(f"{path.parent.name}/{path.name} in the archive: {error}") from error
    if not documents:
        raise InputError("an archive without annotations in this format; expected an export of INCEpTION")
    return documents


def holds(file: File, suffixes: tuple[str, ...], fits: Callable[[File], bool]) -> bool:
    """Whether a file fits, or one of the first members of a zip that may."""
    if not file.members:
        return fits(file)
    looked = 0
    try:
        for _, member in _members(file, suffixes):
            looked += 1
            if fits(member):
                return True
            if looked == _LOOKED_AT:
                break
    except InputError:
        pass
    return False


def _add(documents: list[Document], one: Document) -> None:
    """To the document of the same session and the same lines, if there is one."""
    for other in documents:
        if other.session == one.session and other.lines == one.lines:
            other.marks += one.marks
            other.notes += [note for note in one.notes if note not in other.notes]
            return
    documents.append(one)


def _members(file: File, suffixes: tuple[str, ...] = (".tsv", ".xmi", ".json")) -> Iterator[tuple[PurePath, File]]:
    """Members of a zip and of the zips in it, as if they lay unpacked beside it."""
    unpacked = 0
    for name in file.members:
        path = PurePosixPath(name)
        if not path.name or path.name.startswith(".") or "__MACOSX" in path.parts:
            continue
        nested = path.suffix.lower() == ".zip" and not set(_FOLDERS).isdisjoint(path.parts)
        if not nested and path.suffix.lower() not in suffixes:
            continue
        content = file.member(name)
        unpacked += len(content)
        if not content.strip():
            continue
        member = File(file.path.parent / path, content)
        if not nested:
            yield member.path, member
            continue
        for inner in member.members:
            if PurePosixPath(inner).suffix.lower() in suffixes:
                content = member.member(inner)
                unpacked += len(content)
                if unpacked > ZIP_LIMIT:
                    raise InputError(f"the archive unpacks to more than {ZIP_LIMIT // 2**20} MB; not read")
                if content.strip():
                    place = member.path.parent / PurePosixPath(inner).name
                    yield place, File(place, content)
