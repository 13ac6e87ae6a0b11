"""Word documents: speech in paragraphs and tables, codes in comments, and the way back."""

import io
import time
import zipfile
from collections import Counter
from pathlib import Path

import docx as python_docx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tier_documents import CONTEXT, OUTPUT, coded, documents
from threers.errors import InputError
from threers.formats import docx
from threers.formats.comments import codes_in
from threers.formats.documents import Document, Line, Mark
from threers.formats.files import File

EXAMPLES = Path(__file__).parent / "formats"
W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def read(name, content=None):
    file = File(EXAMPLES / name, content)
    assert docx.FORMAT.fits(file)
    [session] = docx.FORMAT.read(file, CONTEXT)
    return session


def zipped(body, comments=""):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as made:
        made.writestr("word/document.xml", f"<w:document {W}><w:body>{body}</w:body></w:document>")
        if comments:
            made.writestr("word/comments.xml", f"<w:comments {W}>{comments}</w:comments>")
            relation = '<Relationship Type="http://x/comments" Target="comments.xml"/>'
            made.writestr("word/_rels/document.xml.rels", f"<Relationships>{relation}</Relationships>")
    return content.getvalue()


def paragraph(text, before="", after=""):
    return f"<w:p>{before}<w:r><w:t>{text}</w:t></w:r>{after}</w:p>"


def comment(number, text, author="Anna"):
    return f'<w:comment w:id="{number}" w:author="{author}"><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:comment>'


def test_what_libreoffice_writes_is_read():
    session = read("session.docx")
    assert [(line.row, line.speaker, line.text) for line in session.lines] == [
        (4, "T", "How was the week? Take your time."),
        (6, "P", "It was “fine”, Grüße, 😀. (looks away)"),
        (8, "T", "Only just fine?"),
        (9, "P", "And then she said: no. That was all."),
        (11, "T", "I see."),
        (12, "P", "Yes."),
    ]
    assert session.marks == [Mark(row=6, code="W2", coder="Ada", lines=(1, 1))]
    assert [reason for _, reason in session.notes] == [
        "header: text before the first speaker (2 such in this session); left out",
        "tracked deletions: 1 in this file; left out",
        "footnotes: 1 in this file; left out",
    ]


def test_comments_of_several_coders_are_marks_on_the_lines_they_lie_on():
    session = read("coded.docx")
    assert [(line.speaker, line.text, line.start) for line in session.lines] == [
        ("T", "How was the week?", 2.0),
        ("P", "Fine. And she said: no, never.", 5.0),
        ("T", "You seem far away.", 20.0),
        ("P", "I am here, am I not?", 24.0),
    ]
    assert [(mark.row, mark.coder, mark.code, mark.value, mark.lines) for mark in session.marks] == [
        (3, "Anna", "W2", "", (1, 1)),
        (3, "Ben", "W2", "", (1, 1)),
        (3, "Ben", "W3", "", (1, 1)),
        (3, "Anna", "c2", "3", (1, 3)),
        (6, "Ben", "W1", "", (3, 3)),
        (6, "Ben", "W99", "", (3, 3)),
    ]
    assert [reason for _, reason in session.notes] == [
        "header: text before the first speaker (1 such in this session); left out",
        "comment is no code: 1 in this file; left out",
        "words beside codes in comments: 1 in this file; left out",
    ]


@pytest.mark.parametrize(
    ("text", "codes", "others"),
    [
        ("W2", ["W2"], False),
        ("w2; C1\nr3, W1", ["w2", "C1", "r3", "W1"], False),
        ("Minimal response", ["Minimal response"], False),
        ("W2 Minimal response", ["W2"], False),
        ("W2: Minimal response", ["W2"], False),
        ("W2 (Minimal response)", ["W2"], False),
        ("W2 (unsure)", ["W2"], True),
        ("perhaps W2?", ["W2"], True),
        ("no change here", [], True),
        ("W99", [], True),
        ("W2, W99", ["W2", "W99"], False),
        ("", [], False),
        (" , ;\n", [], False),
    ],
)
def test_a_comment_holds_codes_or_other_words(text, codes, others):
    found, more = codes_in(text, CONTEXT.find)
    assert ([one.code for one in found], more) == (codes, others)


def test_an_old_or_locked_word_file_is_refused_with_what_to_do():
    with pytest.raises(InputError, match=r"old Word file .* save it as \.docx"):
        read("session.doc")
    locked = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600 + "EncryptedPackage".encode("utf-16-le")
    with pytest.raises(InputError, match="protected by a password"):
        read("a.docx", locked)


def test_a_comment_on_a_name_or_on_a_point_means_the_line():
    start, end = '<w:commentRangeStart w:id="1"/>', '<w:commentRangeEnd w:id="1"/>'
    body = f"<w:p>{start}<w:r><w:t>P:</w:t></w:r>{end}<w:r><w:t> no</w:t></w:r></w:p>{paragraph('T: so')}"
    body += paragraph("P: well", after='<w:r><w:commentReference w:id="2"/></w:r>')
    session = read("a.docx", zipped(body, comment(1, "W1") + comment(2, "W2") + comment(3, "W3")))
    assert [(mark.code, mark.lines) for mark in session.marks] == [("W1", (0, 0)), ("W2", (2, 2))]
    assert session.notes == [(None, "comments without a place: 1 in this file; left out")]


def test_a_comment_on_the_point_where_a_line_begins_means_that_line():
    point = '<w:r><w:commentReference w:id="1"/></w:r>'
    for before in (point, f'<w:commentRangeStart w:id="1"/><w:commentRangeEnd w:id="1"/>{point}'):
        body = paragraph("T: so?") + paragraph("P: no", before=before) + paragraph("T: well")
        session = read("a.docx", zipped(body, comment(1, "W1")))
        assert [(mark.row, mark.lines) for mark in session.marks] == [(2, (1, 1))] and session.notes == []
        below = read("a.docx", zipped(paragraph("T: so?") + f"<w:p/><w:p>{before}</w:p><w:p/>", comment(1, "W1")))
        assert [mark.lines for mark in below.marks] == [(0, 0)]


def test_tracked_changes_tabs_and_breaks():
    said = "<w:r><w:t>T:</w:t><w:tab/><w:t>a</w:t></w:r>"
    changes = (
        "<w:ins><w:r><w:t>b</w:t></w:r></w:ins><w:del><w:r><w:delText>c</w:delText></w:r></w:del>"
        "<w:moveFrom><w:r><w:t>d</w:t></w:r></w:moveFrom><w:moveTo><w:r><w:t>e</w:t></w:r></w:moveTo>"
    )
    tabs = "<w:pPr><w:tabs><w:tab w:val='left'/></w:tabs><w:rPr><w:del/></w:rPr></w:pPr>"
    last = paragraph("P: g<!-- x -->", after="<w:r><w:br/><w:t>T: h</w:t></w:r>")
    body = f"<w:p>{tabs}{said}{changes}</w:p>{paragraph('f')}{last}"
    session = read("a.docx", zipped(body))
    assert [(line.speaker, line.text) for line in session.lines] == [("T", "abef"), ("P", "g"), ("T", "h")]
    assert session.notes == [(None, "tracked deletions: 2 in this file; left out")]


def test_a_transcript_of_teams_has_a_name_in_every_paragraph_and_a_comment_finds_its_turn():
    """Typed as Word shows such files: of before 2022 times above the name, since then the time behind it."""
    old = [
        ("0:0:0.0 --> 0:0:1.250", "Jane Doe", "How was it?"),
        ("0:0:6.90 --> 0:0:6.500", "John Roe", "Fine."),
        ("0:0:9.0 --> 0:0:9.800", "Jane Doe", "Only fine?"),
        ("0:0:19.0 --> 0:0:19.800", "John Roe", "Yes."),
    ]
    new = [("Jane Doe   0:00", "How was it?"), ("John Roe   0:06", "Fine."), ("Jane Doe   0:09", "Only fine?")]
    for turns, last in ((old, ("John Roe", "Yes.", 19.0, 19.8)), (new, ("Jane Doe", "Only fine?", 9.0, None))):
        made, content = python_docx.Document(), io.BytesIO()
        for lines in turns:
            run = made.add_paragraph().add_run("\n".join(lines))
        made.add_comment(run, "W2", "Anna")
        made.save(content)
        session = read("a.docx", content.getvalue())
        assert [line.speaker for line in session.lines] == ["Jane Doe", "John Roe"] * (len(turns) // 2) + (
            ["Jane Doe"] * (len(turns) % 2)
        )
        one = session.lines[-1]
        assert (one.speaker, one.text, one.start, one.end) == last
        assert [(mark.code, mark.lines) for mark in session.marks] == [("W2", (len(turns) - 1,) * 2)]


def test_text_boxes_are_noted_and_their_two_versions_not_read_twice():
    box = "<w:txbxContent><w:p><w:r><w:t>x</w:t></w:r></w:p></w:txbxContent>"
    both = f"<Choice><w:drawing>{box}</w:drawing></Choice><Fallback><w:pict>{box}</w:pict></Fallback>"
    both = f"<w:r><AlternateContent>{both}</AlternateContent></w:r>"
    session = read("a.docx", zipped(paragraph("T: a", after=both)))
    assert [line.text for line in session.lines] == ["a"]
    assert session.notes == [(None, "text boxes: 1 in this file; left out")]


def test_hostile_documents_are_refused():
    bomb = f'<!DOCTYPE w [<!ENTITY a "T: a">]><w:document {W}><w:p><w:r><w:t>&a;</w:t></w:r></w:p></w:document>'
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as made:
        made.writestr("word/document.xml", bomb)
    with pytest.raises(InputError, match="entities"):
        read("a.docx", content.getvalue())
    with zipfile.ZipFile(content, "w") as made:
        made.writestr("word/document.xml", "<w/>")
        made.writestr("../evil", "x")
    with pytest.raises(InputError, match="outside of itself"):
        read("a.docx", content.getvalue())
    with pytest.raises(InputError, match="no speech was found"):
        read("a.docx", zipped("<w:p/>"))
    with pytest.raises(InputError, match=r"lacks word/document\.xml|not well-formed|damaged"):
        docx.FORMAT.read(File(Path("a.docx"), zipped("")[:-40]), CONTEXT)


def test_deep_nesting_and_many_comments_on_the_same_lines_take_no_time():
    began = time.process_time()
    deep = "<w:sdt>" * 20_000 + paragraph("T: a") + "</w:sdt>" * 20_000
    marks = [Mark(row=1, code="W2", coder=f"c{n}", lines=(0, 2999)) for n in range(300)]
    assert len(read("a.docx", zipped(deep)).lines) == 1
    lines = [Line(row=n, text=f"said {n}", speaker="P") for n in range(3000)]
    assert len(read("a.docx", docx.FORMAT.write([Document(lines=lines, marks=marks)], OUTPUT)).marks) == 300
    assert time.process_time() - began < 8


def test_word_shows_each_code_as_a_comment_with_its_title():
    lines = [Line(row=1, text="a", speaker="P", start=1.5, end=2.25), Line(row=2, text="b", speaker="T")]
    marks = [
        Mark(row=1, code="W2", coder="anna", lines=(0, 1)),
        Mark(row=1, code="C2", coder="ben", value="3", lines=(0, 0)),
    ]
    content = docx.FORMAT.write([Document(session="s1", lines=lines, marks=marks)], OUTPUT)
    made = python_docx.Document(io.BytesIO(content))
    assert [one.text for one in made.paragraphs] == ["s1", "[00:00:01.500 \u2013 00:00:02.250] P: a", "T: b"]
    assert [(one.author, one.text) for one in made.comments] == [
        ("anna", "W2 (Minimal response)"),
        ("ben", f"C2 ({OUTPUT.titles['C2']}) = 3"),
    ]
    assert read("other.docx", content).session == "s1"
    with pytest.raises(InputError, match="no utterances"):
        docx.FORMAT.write([Document()], OUTPUT)


def _plain(text):
    return " ".join("".join(c for c in text if (c >= " " and c not in "\ufffe\uffff") or c in "\t\n\r").split())


def _said(document):
    return [
        (line.speaker, _plain(line.text), round((line.start or 0) * 1000), round((line.end or 0) * 1000))
        for line in document.lines
    ]


@settings(max_examples=50, deadline=None)
@given(documents(), st.booleans())
def test_a_session_comes_back_as_it_was(document, has_times):
    if not has_times:
        document.lines = [Line(row=one.row, text=one.text, speaker=one.speaker) for one in document.lines]
    found = read("a.docx", docx.FORMAT.write([document], OUTPUT))
    assert _said(found) == _said(document)
    assert coded(found) == coded(document)
    times = [Counter((mark.code, _ms(mark.start), _ms(mark.end)) for mark in one.marks) for one in (found, document)]
    assert times[0] == times[1]
    assert found.notes == []


def _ms(time_of_mark):
    return None if time_of_mark is None else round(time_of_mark * 1000)


@settings(max_examples=50, deadline=None)
@given(data=st.data(), name=st.sampled_from(["session.docx", "coded.docx"]))
def test_a_damaged_document_is_read_or_refused(data, name):
    content = bytearray((EXAMPLES / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        match data.draw(st.sampled_from(["flip", "cut", "insert"])):
            case "flip":
                content[at] = data.draw(st.integers(0, 255))
            case "cut":
                del content[at : at + data.draw(st.integers(1, 300))]
            case "insert":
                content[at:at] = data.draw(st.binary(min_size=1, max_size=9))
    try:
        file = File(EXAMPLES / name, bytes(content))
        docx.FORMAT.fits(file)
        assert docx.FORMAT.read(file, CONTEXT)[0].lines
    except InputError:
        pass


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_damaged_xml_in_a_sound_zip_is_read_or_refused(data):
    sound = zipfile.ZipFile(EXAMPLES / "coded.docx")
    name = data.draw(st.sampled_from(["word/document.xml", "word/comments.xml", "word/_rels/document.xml.rels"]))
    xml = bytearray(sound.read(name))
    at = data.draw(st.integers(0, len(xml) - 1))
    xml[at : at + data.draw(st.integers(0, 60))] = data.draw(st.binary(max_size=5))
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as made:
        for part in ("_rels/.rels", "word/document.xml", "word/comments.xml", "word/_rels/document.xml.rels"):
            made.writestr(part, bytes(xml) if part == name else sound.read(part))
    try:
        assert docx.FORMAT.read(File(Path("a.docx"), content.getvalue()), CONTEXT)[0].lines
    except InputError:
        pass
