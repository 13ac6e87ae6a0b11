"""Sessions as coders leave them in tiers: overlapping speech, several coders, codes on several lines."""

from collections import Counter

from hypothesis import strategies as st

from threers.codebook import Codebook
from threers.formats.documents import Context, Document, Line, Mark, Output

_CODEBOOK = Codebook.load("3rs-2015")
FIND = _CODEBOOK.find
CONTEXT = Context(find=FIND)
OUTPUT = Output(titles={code.name: code.title for code in _CODEBOOK.codes.values()}, roles=_CODEBOOK.roles)

_SPEAKERS = ["P", "T", "", "Dr. O'Neill & <Son>", 'the "other"']
_CODERS = ["anna", "ben", "", "a; b = c", "ödön"]
_TEXT = st.text(min_size=1, max_size=12).map(lambda text: f"said {text}")


@st.composite
def documents(draw) -> Document:
    spans = draw(st.lists(st.tuples(st.integers(0, 12), st.integers(1, 6)), min_size=1, max_size=8))
    said = [
        (start * 500, start * 500 + length * 333, draw(st.sampled_from(_SPEAKERS))) for start, length in sorted(spans)
    ]
    said.sort(key=lambda one: one[:2])
    # Lines alike in time stand in the order in which their speakers first speak.
    first = [one[2] for one in said]
    said.sort(key=lambda one: (one[0], one[1], first.index(one[2])))
    lines = [
        Line(row=n + 1, text=draw(_TEXT), speaker=who, start=start / 1000, end=end / 1000)
        for n, (start, end, who) in enumerate(said)
    ]
    marks = []
    for row in range(draw(st.integers(0, 8))):
        code = draw(st.sampled_from(["W1", "W2", "C1", "Denial", "r3"]))
        value = draw(st.sampled_from(["", "", "3", "2.5", "2,5"]))
        mark = Mark(row=row, code=code, coder=draw(st.sampled_from(_CODERS)), value=value)
        places = sorted(draw(st.lists(st.integers(0, len(lines) - 1), min_size=2, max_size=2)))
        where = draw(st.sampled_from(["lines", "lines", "line", "time", "session"]))
        if where in ("lines", "line"):
            first_line, last_line = (places[0], places[-1] if where == "lines" else places[0])
            mark = Mark(row=row, code=code, coder=mark.coder, value=value, lines=(first_line, last_line))
        elif where == "time":
            mark = Mark(
                row=row, code=code, coder=mark.coder, value=value, start=places[0] + 0.0007, end=places[1] + 1.25
            )
        marks.append(mark)
    return Document(lines=lines, marks=marks)


def said(document: Document) -> list[tuple]:
    """Speaker, text with its white space folded as XML and Praat hold it, and milliseconds of each line."""
    return [
        (line.speaker, _plain(line.text), round(line.start * 1000), round(line.end * 1000)) for line in document.lines
    ]


def coded(document: Document) -> Counter:
    return Counter((mark.coder, mark.code, mark.value, mark.lines) for mark in document.marks)


def _plain(text: str) -> str:
    held = "".join(c for c in " ".join(text.split()) if c >= " " and c not in "\ufffe\uffff")
    return " ".join(held.split())
