"""REFI-QDA projects: what programs for qualitative analysis export, read; sessions written and read again."""

import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.annotations import zipped
from threers.codebook import Codebook
from threers.errors import InputError
from threers.formats.documents import Context, Document, Line, Mark, Output
from threers.formats.files import File
from threers.formats.refi import FORMAT

EXAMPLES = Path(__file__).parent / "formats"
BOOK = Codebook.load("3rs-2015")
CONTEXT = Context(find=BOOK.find)
OUTPUT = Output(titles={code.name: code.title for code in BOOK.codes.values()}, roles=BOOK.roles)


def read(content: bytes) -> list[Document]:
    file = File(Path("any.qdpx"), content)
    assert FORMAT.fits(file)
    return FORMAT.read(file, CONTEXT)


def project(inside: str, texts: dict[str, bytes] | None = None, origin: str = "NVivo for Windows 14") -> bytes:
    """A project with the codes W1 and C1 and whatever is given beside them."""
    codes = '<Code guid="{AA}" name="W1" isCodable="true"/><Code guid="bb" name="C1: Complaint" isCodable="true"/>'
    xml = (
        f'<Project xmlns="urn:QDA-XML:project:1.0" name="x" origin="{origin}">'
        f"<CodeBook><Codes>{codes}</Codes></CodeBook>{inside}</Project>"
    )
    return zipped({"project.qde": xml.encode(), **{f"Sources/{name}": text for name, text in (texts or {}).items()}})


def source(*selections: tuple[int, int, str], attributes: str = 'plainTextPath="internal://A.txt"') -> str:
    chosen = "".join(
        f'<PlainTextSelection guid="s" name="{name}" startPosition="{start}" endPosition="{end}">'
        '<Coding guid="c"><CodeRef targetGUID="aa"/></Coding></PlainTextSelection>'
        for start, end, name in selections
    )
    return f'<Sources><TextSource guid="t" name="s1" {attributes}>{chosen}</TextSource></Sources>'


def reasons(documents: list[Document]) -> list[str]:
    return [reason for document in documents for _, reason in document.notes]


def marked_lines(documents: list[Document]) -> list[tuple]:
    return [(mark.code, mark.lines) for document in documents for mark in document.marks]


def test_what_a_program_for_qualitative_coding_exports_is_read():
    (session,) = read((EXAMPLES / "coded_by_line.qdpx").read_bytes())
    assert (session.session, session.notes) == ("s1.txt", [])
    assert [(line.row, line.speaker, line.text) for line in session.lines] == [
        (1, "T", "How was the week?"),
        (2, "P", "Fine."),
        (3, "P", "I do not know what you want to hear."),
        (4, "T", "It sounds as if I am pressing you."),
    ]
    assert {(mark.coder, mark.code, mark.lines) for mark in session.marks} == {
        ("anna", "W2", (1, 1)),
        ("anna", "C2", (2, 2)),
        ("anna", "R5", (3, 3)),
        ("ben", "W2", (1, 1)),
        ("ben", "C2", (1, 1)),
    }


def test_a_project_of_texts_recordings_and_cases_is_read():
    sessions = read((EXAMPLES / "project.qdpx").read_bytes())
    found = {one.session: one for one in sessions}
    assert list(found) == ["s1", "s2", "s6", "s4", "s5"]
    assert [(line.speaker, line.text) for line in found["s1"].lines] == [
        ("Th.", "Shall we go on?"),
        ("Pat.", "If we must."),
        ("Pat.", "Yes. 😀 It is all the same to me."),
    ]
    assert found["s1"].marks == [
        Mark(row=1, code="W2", coder="Ben", lines=(1, 1)),
        Mark(row=2, code="Denial", coder="Anna", lines=(1, 2)),
        Mark(row=2, code="An idea", coder="Ben", lines=(1, 2)),
        Mark(row=1, code="therapist_contribution", value="3", coder="Ben"),
    ]
    assert found["s2"].lines == [
        Line(row=1, speaker="T", text="😀 Good morning."),
        Line(row=2, speaker="P", text="Hm."),
    ]
    assert found["s2"].marks == [Mark(row=1, code="W2", coder="Anna", lines=(1, 1))]
    assert found["s4"].lines == [
        Line(row=1, speaker="T", text="Where were we?", start=0, end=2.5),
        Line(row=2, speaker="P", text="Nowhere.", start=2.5, end=4),
        Line(row=3, speaker="P", text="As ever.", start=4, end=5.25),
    ]
    passage = Mark(row=1, code="W2", coder="Anna", start=1, end=61.5)
    assert found["s4"].marks == [Mark(row=1, code="Denial", coder="Ben", lines=(1, 2)), passage]
    assert (found["s5"].lines, found["s5"].marks) == ([], [passage])
    assert (len(found["s6"].lines), found["s6"].marks) == (4, [Mark(row=1, code="Denial", coder="Ben", lines=(1, 1))])
    assert {name: one.facts for name, one in found.items() if one.facts} == {
        "s1": {"patient": "Patient 7"},
        "s2": {"patient": "p02"},
    }
    assert reasons(sessions) == [
        "no such code: the project's codebook lacks it (it may be a case); coding dropped",
        "not a coding: selections without a code, 1 of them; left out",
        "not codings: notes (1); left out",
        "no text: it is only there as formatted text; import its DOCX file by itself; a source and its 0 codings left "
        "out",
        "no place in the text: areas selected on pages of a PDF, 1 of them; left out",
        "no transcript: a recording without one; only its codings are read, by time",
    ]


WINDOWS = "T: One.\r\nP: Two.\r\nP: Three is longer.\r\nT: 4.\r\n"


def test_a_line_end_counts_as_the_program_counts_it():
    two, one = WINDOWS.index("Three"), WINDOWS.replace("\r\n", "\n").index("Three")
    for at, end, name, note in (
        (two, two + 5, "", False),
        (one, one + 5, "", True),
        (two, two + 16, "Three is…", False),
        (one, one + 16, "Three is…", True),
    ):
        sessions = read(project(source((at, end, name)), {"a.TXT": WINDOWS.encode()}))
        assert marked_lines(sessions) == [("W1", (2, 2))]
        assert bool(reasons(sessions)) is note
    sessions = read(project(source((one, one + 16, "")), {"A.txt": WINDOWS.encode()}, origin="ATLAS.ti Win 24"))
    assert (marked_lines(sessions), reasons(sessions)) == ([("W1", (2, 2))], [])


def test_places_may_be_counted_in_utf_16():
    text = "T: 😀😀😀😀 one\nP: two three\nP: four\n"
    start = len(text[: text.index("two")].encode("utf-16-le")) // 2
    sessions = read(project(source((start, start + 9, "two three")), {"A.txt": b"\xef\xbb\xbf" + text.encode()}))
    assert marked_lines(sessions) == [("W1", (1, 1))]
    assert reasons(sessions) == [
        "places counted otherwise: in UTF-16, as the words tell with which codings begin and end"
    ]


def test_names_of_codes_may_hold_more_and_ids_may_stand_in_braces():
    selection = (
        '<PlainTextSelection guid="s" startPosition="3" endPosition="6"><Coding guid="c"><CodeRef targetGUID="{BB}"/>'
        '</Coding><Coding guid="c" creatingUser="uu"><CodeRef targetGUID="AA"/></Coding></PlainTextSelection>'
    )
    text = "<PlainTextContent>P: no.\nT: hm</PlainTextContent>"
    inside = f'<Sources><TextSource guid="t" name="s1">{text}{selection}</TextSource></Sources>'
    users = '<Users><User guid="UU" name="Zoë"/></Users>'
    (session,) = read(project(users + inside))
    assert [(mark.coder, mark.code, mark.lines) for mark in session.marks] == [
        ("Zoë", "C1", (0, 0)),
        ("Zoë", "W1", (0, 0)),
    ]


def test_texts_and_selections_that_cannot_be_used_are_told():
    def only(element: str) -> str:
        with pytest.raises(InputError) as error:
            read(project(f"<Sources>{element}</Sources>"))
        return str(error.value)

    assert "its DOCX file" in only('<TextSource guid="t" richTextPath="internal://a.docx"/>')
    assert "lacks it" in only('<TextSource guid="t" plainTextPath="internal://a.txt"/>')
    assert "outside of the project's file" in only('<TextSource guid="t" plainTextPath="absolute:///etc/passwd"/>')
    assert "it has no sources" in only("")
    assert "pictures (1)" in only('<PictureSource guid="t"/>')
    sessions = read(project(source((999, 1001, ""), (-5, 0, "")).replace('"-5"', '"five"'), {"A.txt": b"T: a\nP: b"}))
    assert reasons(sessions) == [
        "no such utterance: the selection covers no speech, nearest: line 2; coding dropped",
        "place not readable: of a selection; its 1 codings dropped",
    ]


def test_a_case_without_an_id_says_nothing_of_sources_without_one():
    text = "<PlainTextContent>T: a\nP: b</PlainTextContent>"
    sources = f'<TextSource name="s1">{text}</TextSource><TextSource guid="t" name="s2">{text}</TextSource>'
    case = '<Cases><Case name="Patient 7"><SourceRef targetGUID="t"/></Case></Cases>'
    assert [one.facts for one in read(project(f"{case}<Sources>{sources}</Sources>"))] == [{}, {"patient": "Patient 7"}]


def test_what_stands_before_the_first_speaker_is_told_and_users_of_one_name_are_one():
    users = '<Users><User guid="a" name="anna"/><User guid="b" name="anna"/></Users>'
    text = b"Interview of 3 May\n\nT: One.\nP: Two.\nT: Three.\nP: Four.\n"
    sessions = read(project(users + source((text.index(b"Two"), text.index(b"Two") + 4, "")), {"A.txt": text}))
    assert marked_lines(sessions) == [("W1", (1, 1))]
    assert [reason.partition(":")[0] for reason in reasons(sessions)] == ["header", "user stands twice"]


def test_sources_of_the_same_name_are_kept_apart():
    inside = source((3, 4, "")).replace("</Sources>", "").removeprefix("<Sources>")
    sessions = read(project(f"<Sources>{inside}{inside}</Sources>", {"A.txt": b"T: a\nP: b"}))
    assert [one.session for one in sessions] == ["s1", "s1 (2)"]
    assert reasons(sessions) == ["session stands twice: another source has this name; number added to the name"]


def test_a_codebook_and_other_files_are_refused_in_a_sentence():
    codebook = b'<?xml version="1.0"?><CodeBook xmlns="urn:QDA-XML:codebook:1.0"><Codes/></CodeBook>'
    with pytest.raises(InputError, match=r"a REFI-QDA codebook, .* expected a project: export one \(\.qdpx\)"):
        read(codebook)
    with pytest.raises(InputError, match="declares entities"):
        read(
            zipped(
                {"project.qde": b'<!DOCTYPE a [<!ENTITY b "c">]><Project xmlns="urn:QDA-XML:project:1.0">&b;</Project>'}
            )
        )
    with pytest.raises(InputError, match="expected Project"):
        read(zipped({"project.qde": b"<html/>"}))
    with pytest.raises(InputError, match="names a file outside of itself"):
        read(zipped({"project.qde": b"<Project/>", "../a.txt": b"x"}))
    assert not FORMAT.fits(File(Path("a.qdpx"), zipped({"a.txt": b"x"})))
    assert not FORMAT.fits(File(Path("a.xml"), b"<Project name='a schedule'/>"))


def test_codes_may_be_nested_deep_and_names_long():
    deep = '<Code guid="d" name="W1" isCodable="true">' * 5000 + "</Code>" * 5000
    inside = f"<Users>{deep}</Users>" + source((3, 4, "x" * 10**6))
    assert marked_lines(read(project(inside, {"A.txt": b"T: a\r\nP: b"}))) == [("W1", (0, 0))]


SPEAKER = st.sampled_from(["T", "P", "", "Dr: A", "Th. (w)", "SPEAKER_00", "[x]", "Müller", "م", "a b"])
LETTERS = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff\ufffe\uffff")
TEXT = st.one_of(
    st.sampled_from(
        ["P: no", "12:30", "[00:00:01 - ] T: hm", "T:", "😀", "שלום עולם", "a\u2028b", "#00:01:02-5#", "= 1"]
    ),
    st.text(LETTERS, min_size=1, max_size=20),
).filter(str.strip)
TIME = st.one_of(st.none(), st.integers(0, 10**8).map(lambda milliseconds: milliseconds / 1000))
LINE = st.builds(Line, row=st.just(1), text=TEXT, speaker=SPEAKER, start=TIME, end=TIME)


@st.composite
def documents(draw: st.DrawFn) -> list[Document]:
    sessions = []
    for number in range(draw(st.integers(1, 3))):
        lines = draw(st.lists(LINE, min_size=1, max_size=6))
        spans = st.tuples(*[st.integers(0, len(lines) - 1)] * 2).map(lambda pair: (min(pair), max(pair)))
        marks = st.builds(
            Mark,
            row=st.just(1),
            code=st.sampled_from(["W1", "C2", "R10", "an idea"]),
            coder=st.sampled_from(["anna", "ben: b", "model:minilm", "ש"]),
            value=st.sampled_from(["", "", "3", "2,5"]),
            lines=st.one_of(st.none(), spans),
        )
        facts = draw(st.dictionaries(st.sampled_from(["patient", "therapist"]), st.just("p & 1"), max_size=2))
        sessions.append(
            Document(session=f"s {number % 2}", lines=lines, marks=draw(st.lists(marks, max_size=6)), facts=facts)
        )
    return sessions


@settings(max_examples=50, deadline=None)
@given(documents())
def test_what_was_written_is_read_again(sessions):
    content = FORMAT.write(sessions, OUTPUT)
    assert content == FORMAT.write(sessions, OUTPUT)
    again = read(content)
    assert len(again) == len(sessions)
    for given_session, found in zip(sessions, again, strict=True):
        assert [(a.speaker, a.text, a.start, a.end) for a in found.lines] == [
            (a.speaker, " ".join(a.text.split()), a.start, a.end) for a in given_session.lines
        ]
        assert sorted((a.coder, a.code, a.value, a.lines or ()) for a in found.marks) == sorted(
            (a.coder, a.code, a.value, a.lines or ()) for a in given_session.marks
        )
        assert found.facts == given_session.facts


def test_what_other_programs_have_done_to_a_written_project_is_borne():
    lines = [Line(row=1, speaker="Dr: A", text="Hello."), Line(row=2, speaker="P", text="P: no, 12:30.")]
    content = FORMAT.write([Document(session="s", lines=lines, marks=[Mark(row=1, code="W1", lines=(1, 1))])], OUTPUT)
    archive = zipfile.ZipFile(io.BytesIO(content))
    members = {name: archive.read(name) for name in archive.namelist()}
    (text,) = (name for name in members if name.endswith(".txt"))
    members[text] += b"somebody added this\r\n"
    (session,) = read(zipped(members))
    assert [(a.speaker, a.text) for a in session.lines] == [
        ("Dr: A", "Hello."),
        ("P", "P: no, 12:30."),
        ("", "somebody added this"),
    ]
    assert session.marks == [Mark(row=1, code="W1", lines=(1, 1))]


def test_characters_that_no_xml_holds_are_left_out():
    line = Line(row=1, text="a\0\x1b b\ufeff\ud800", speaker="T\x07")
    mark = Mark(row=1, code="W1", coder="an\x00na", lines=(0, 0))
    (session,) = read(FORMAT.write([Document(session="s\x01", lines=[line], marks=[mark])], OUTPUT))
    assert (session.session, session.lines) == ("s", [Line(row=1, text="a b", speaker="T")])
    assert session.marks == [Mark(row=1, code="W1", coder="anna", lines=(0, 0))]


def test_an_utterance_of_nothing_but_such_characters_keeps_its_place():
    lines = [Line(row=row, text=text, speaker="T") for row, text in enumerate(("a", "\x07", "b"), start=1)]
    (session,) = read(FORMAT.write([Document(lines=lines, marks=[Mark(row=1, code="W1", lines=(2, 2))])], OUTPUT))
    assert [line.text for line in session.lines] == ["a", "…", "b"]
    assert session.marks == [Mark(row=1, code="W1", lines=(2, 2))]


def test_what_cannot_be_written_is_an_error():
    with pytest.raises(InputError, match="no session"):
        FORMAT.write([], OUTPUT)
    line = Line(row=1, text="a", speaker="T")
    with pytest.raises(InputError, match="lies on a stretch of time"):
        FORMAT.write([Document(lines=[line], marks=[Mark(row=1, code="W1", start=1, end=2)])], OUTPUT)
    lines = [Line(row=1, text="B: c", speaker="A"), Line(row=2, text="c", speaker="A: B")]
    with pytest.raises(InputError, match="a speaker's name with a colon"):
        FORMAT.write([Document(lines=lines)], OUTPUT)


CHANGE = st.tuples(st.integers(0, 7000), st.sampled_from(["flip", "cut", "insert"]), st.integers(0, 255))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["project.qde", "all"]), st.lists(CHANGE, min_size=1, max_size=4))
def test_a_damaged_project_gives_sessions_or_an_error(where, changes):
    content = (EXAMPLES / "project.qdpx").read_bytes()
    archive = zipfile.ZipFile(io.BytesIO(content))
    members = {name: archive.read(name) for name in archive.namelist()}
    damaged = bytearray(content if where == "all" else members[where])
    for at, how, byte in changes:
        at %= len(damaged) + 1
        damaged[at : at + (how != "insert")] = b"" if how == "cut" else bytes([byte])
    file = File(Path("a.qdpx"), bytes(damaged) if where == "all" else zipped({**members, where: bytes(damaged)}))
    FORMAT.fits(file)
    try:
        assert all(isinstance(one, Document) for one in FORMAT.read(file, CONTEXT))
    except InputError as error:
        assert "\n" not in str(error)
