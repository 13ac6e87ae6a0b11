"""Projects of qualitative analysis in the REFI-QDA format, as NVivo, MAXQDA, ATLAS.ti and others export them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree.ElementTree import Element

from threers.errors import InputError
from threers.formats.documents import Context, Document, Format, Mark
from threers.formats.files import File, local
from threers.formats.refi_places import counted, timed
from threers.formats.refi_project import Notes, Project, children, every, key, number
from threers.formats.refi_write import Layout, read_paragraphs, write
from threers.formats.selections import Selection, marked
from threers.formats.speech import Speech, read_speech

_IGNORED = {"Note": "notes", "Link": "links", "Set": "sets", "Graph": "graphs", "PictureSource": "pictures"}


@dataclass(frozen=True)
class _Stretch:
    """A selection: its element, its number in the source from 1, and where it begins and ends as the program counts."""

    element: Element
    row: int
    start: int | None
    end: int | None

    @property
    def name(self) -> str:
        """Often the beginning of what was selected."""
        return self.element.get("name", "")


def _fits(file: File) -> bool:
    if any(name.lower().endswith(".qde") for name in file.members):
        return True
    return file.root_name in ("Project", "CodeBook") and "QDA-XML" in file.head


def _read(file: File, context: Context) -> list[Document]:
    root = _root(file)
    project = Project.of(root, file, context)
    documents: list[Document] = []
    notes = _left_out(root)
    for source in (child for sources in every(root, "Sources") for child in sources):
        for document in _sessions(source, project):
            if document.lines or document.marks:
                documents.append(document)
            else:
                notes += document.notes
    if not documents:
        reason = notes[0][1] if notes else "it has no sources"
        raise InputError(f"no session in this REFI-QDA project; {reason}")
    if len(set(project.users.values())) < len(project.users):
        notes.append((None, "user stands twice: users of the same name; taken as one coder"))
    _name_apart(documents)
    documents[0].notes += notes
    return documents


def _root(file: File) -> Element:
    """The project's root element."""
    names = [name for name in file.members if name.lower().endswith(".qde")]
    root = File(Path(names[0]), file.member(names[0])).xml if names else file.xml
    if local(root) == "CodeBook":
        raise InputError(
            "a REFI-QDA codebook, which holds no transcripts; expected a project: export one (.qdpx) from the program"
        )
    if local(root) != "Project":
        raise InputError(f"the XML holds {local(root)[:40] or 'something else'}; expected Project, a REFI-QDA project")
    return root


def _sessions(source: Element, project: Project) -> Iterator[Document]:
    kind, name = local(source), source.get("name", "").strip()
    if kind == "TextSource":
        yield _session(source, source, name, project)
    elif kind == "PDFSource":
        for text in children(source, "Representation"):
            yield _session(source, text, name, project)
        if areas := len(children(source, "PDFSelection")):
            reason = f"no place in the text: areas selected on pages of a PDF, {areas} of them; left out"
            yield Document(notes=[(None, reason)])
    elif kind in ("AudioSource", "VideoSource"):
        transcripts = children(source, "Transcript")
        for text in transcripts:
            own = text.get("name", "").strip() if len(transcripts) > 1 else ""
            document = _session(source, text, own or name, project, codings=text is transcripts[0])
            yield document
        if not transcripts:
            document = Document(session=name, facts=project.facts_of(source))
            document.notes.append((None, "no transcript: a recording without one; only its codings are read, by time"))
            _add_codings(document, source, project)
            yield document if document.marks else Document(notes=document.notes)


def _session(source: Element, element: Element, name: str, project: Project, codings: bool = True) -> Document:
    """One text with the codings on it and, with `codings`, those on the source: on the whole session or by time."""
    try:
        text, notes = _text(element, project.file)
    except InputError as error:
        lost = sum(1 for _ in every(element, "Coding"))
        return Document(notes=[(None, f"no text: {error}; a source and its {lost} codings left out")])
    points = {key(point.get("guid")): point for point in children(element, "SyncPoint")}
    stretches = list(_stretches(element, points))
    known = [(one.start, one.end, one.name) for one in stretches if one.start is not None and one.end is not None]
    place, counting = counted(text, known, project.atlas)
    notes += [(None, counting)] if counting else []
    layout = Layout.read(_description(element) or _description(source))
    speech = Speech(spoken=read_paragraphs(text, layout)) if layout else read_speech(text, project.context.speaker)
    spoken, notes = speech.spoken, notes + speech.notes
    if points:
        times = [(number(point.get("position")), number(point.get("timeStamp"))) for point in points.values()]
        spoken = timed(spoken, [(place(at), ms / 1000) for at, ms in times if at is not None and ms is not None])
    selections = [
        Selection(
            row=one.row, code=mark.code, coder=mark.coder, value=mark.value, start=place(one.start), end=place(one.end)
        )
        for one, mark in _codings(stretches, project, notes)
        if one.start is not None and one.end is not None
    ]
    document = marked(spoken, selections, name)
    document.notes += notes
    document.facts |= project.facts_of(source)
    if codings:
        _add_codings(document, source, project)
    return document


def _text(element: Element, file: File) -> tuple[str, Notes]:
    """The plain text of a source, and what was done to read it."""
    content = next((child.text for child in children(element, "PlainTextContent")), None)
    if content and content.strip():
        return content, []
    path = element.get("plainTextPath", "").strip()
    if not path:
        rich = "it is only there as formatted text; import its DOCX file by itself"
        raise InputError(rich if element.get("richTextPath") else "the source has none")
    scheme, _, name = path.rpartition("://")
    if scheme not in ("", "internal"):
        raise InputError("it lies outside of the project's file; export the project again with its sources")
    # Programs differ in how they write the folder, and some leave it out of the path.
    names = {member.rpartition("/")[2].casefold(): member for member in file.members}
    member = names.get(name.replace("\\", "/").rpartition("/")[2].casefold())
    if member is None:
        raise InputError("the project's file lacks it; export the project again with its sources")
    inner = File(Path(member), file.member(member))
    return inner.text, [*inner.notes]


def _stretches(element: Element, points: dict[str, Element]) -> Iterator[_Stretch]:
    for row, one in enumerate(children(element, "PlainTextSelection"), start=1):
        yield _Stretch(one, row, number(one.get("startPosition")), number(one.get("endPosition")))
    for row, one in enumerate(children(element, "TranscriptSelection"), start=1):
        ends = [points.get(key(one.get(name))) for name in ("fromSyncPoint", "toSyncPoint")]
        start, end = (None if point is None else number(point.get("position")) for point in ends)
        yield _Stretch(one, row, start, end)


def _codings(stretches: Iterable[_Stretch], project: Project, notes: Notes) -> Iterator[tuple[_Stretch, Mark]]:
    """Each coding on a selection that has its places."""
    uncoded = 0
    for one in stretches:
        codings = children(one.element, "Coding")
        uncoded += not codings
        if codings and (one.start is None or one.end is None):
            notes.append((one.row, f"place not readable: of a selection; its {len(codings)} codings dropped"))
            continue
        for coding in codings:
            if mark := project.mark(coding, one.element, one.row, notes):
                yield one, mark
    if uncoded:
        notes.append((None, f"not a coding: selections without a code, {uncoded} of them; left out"))


def _add_codings(document: Document, source: Element, project: Project) -> None:
    """Add what is coded on the source itself, and on stretches of a recording."""
    for row, coding in enumerate(children(source, "Coding"), start=1):
        if mark := project.mark(coding, coding, row, document.notes):
            document.marks.append(mark)
    stretches = children(source, "AudioSelection") + children(source, "VideoSelection")
    for row, one in enumerate(stretches, start=1):
        start, end = number(one.get("begin")), number(one.get("end"))
        for coding in children(one, "Coding"):
            mark = project.mark(coding, one, row, document.notes)
            if mark and (start is None or end is None):
                document.notes.append((row, "time not readable: of a selection; coding dropped"))
            elif mark and start is not None and end is not None:
                document.marks.append(replace(mark, start=start / 1000, end=end / 1000))


def _left_out(root: Element) -> Notes:
    counts = Counter(_IGNORED[local(one)] for one in root.iter() if local(one) in _IGNORED)
    found = ", ".join(f"{what} ({times})" for what, times in sorted(counts.items()))
    return [(None, f"not codings: {found}; left out")] if found else []


def _name_apart(documents: Iterable[Document]) -> None:
    """Number sources of the same name, as programs with folders allow them."""
    seen: Counter[str] = Counter()
    for document in documents:
        seen[document.session] += 1
        if document.session and seen[document.session] > 1:
            document.session = f"{document.session} ({seen[document.session]})"
            document.notes.append(
                (None, "session stands twice: another source has this name; number added to the name")
            )


def _description(element: Element) -> str:
    return next((child.text or "" for child in children(element, "Description")), "")


FORMAT = Format(
    name="refi",
    title="REFI-QDA project",
    suffixes=(".qdpx",),
    fits=_fits,
    read=_read,
    write=write,
    together=True,
    units=("utterance", "session"),
)
