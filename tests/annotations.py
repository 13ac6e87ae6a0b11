"""Examples of annotation tools, and short ways to look at what is read from them."""

import io
import zipfile
from pathlib import Path

from hypothesis import strategies as st

from threers.codebook import Codebook
from threers.formats.documents import Context, Document
from threers.formats.files import File

EXAMPLES = Path(__file__).parent / "formats"
CONTEXT = Context(find=Codebook.load("3rs-2015").find)
SAID = [
    ("T", "How was it to come back today?"),
    ("P", "Fine, I guess. 🙂 Nothing new."),
    ("T", "You look away when you say that."),
    ("P", "You always ask the same. This isn't helping me!"),
    ("T", "I hear that I missed something. Let us look at it."),
    ("P", "Okay."),
]
POS = "de.tudarmstadt.ukp.dkpro.core.api.lexmorph.type.pos.POS"
CROSSES = "selection crosses utterances: covers one by less than half; coding given to the others"


def read(module, path: Path, content: bytes | None = None) -> list[Document]:
    return module.FORMAT.read(File(path, content), CONTEXT)


def said(document: Document) -> list[tuple[str, str]]:
    return [(line.speaker, line.text) for line in document.lines]


def marks(document: Document) -> list[tuple]:
    return [(mark.coder, mark.code, mark.value, mark.lines) for mark in document.marks]


def reasons(document: Document) -> list[str]:
    return [reason for _, reason in document.notes]


def zipped(members: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return content.getvalue()


CHANGES = st.lists(
    st.tuples(st.sampled_from(["flip", "cut", "insert"]), st.floats(0, 1), st.binary(max_size=4)), max_size=4
)


def damage(content: bytes, changes: list[tuple[str, float, bytes]]) -> bytes:
    for kind, share, put in changes:
        at = int(share * len(content))
        if kind == "cut":
            content = content[:at]
        else:
            content = content[:at] + put + content[at + (len(put) if kind == "flip" else 0) :]
    return content
