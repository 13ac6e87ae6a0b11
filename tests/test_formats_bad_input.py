"""Files as labs really have them: each is imported, repaired or rejected, and the good file beside it stays."""

import io
import json
import re
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.bad_files import (
    call,
    captions,
    chat,
    example,
    flat,
    records,
    repacked,
    rich,
    speech,
    table,
    teams,
    tiers,
    web_page,
    whisper,
    workbook,
    written,
    zipped,
)
from threers.corpus import Corpus
from threers.errors import InputError
from threers.formats import files, import_files
from threers.formats.documents import Mark
from threers.formats.files import File

GOOD = "T: how are you\nP: well, and you\nT: well too\n"
GOOD_TEXTS = ["how are you", "well, and you", "well too"]
#: Stands in every bad text, and in no reason.
CANARY = "wombat"
SAID = [f"a {CANARY} came in", f"no {CANARY} here", "and then"]
RTL = [f"שלום, {CANARY}! مرحبا", "\N{FAMILY}\N{ZERO WIDTH JOINER}\N{GRINNING FACE} يا 👩‍👩‍👧", "نعم، naïve 日本"]
MOST_SECONDS = 20


@dataclass(frozen=True)
class Case:
    """A file, and what becomes of it: its texts, and a part of a reason (none: nothing is listed)."""

    name: str
    make: Callable[[], bytes]
    texts: list[str] | None = None
    reason: str = ""
    about: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.about}".strip().replace(" ", "-")


def load(folder: Path, files: dict[str, bytes]) -> Corpus:
    """The files beside a good one, imported; the good one is whole, and no reason says what was said."""
    for name, content in {"good.txt": GOOD.encode(), **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    corpus = import_files(folder, codebook="3rs-2015", roles={"T": "therapist", "P": "patient"})
    corpus.check()
    assert texts(corpus, "good") == GOOD_TEXTS
    assert not corpus.rejects["file"].eq("good.txt").any()
    assert CANARY not in corpus.rejects.to_csv()
    return corpus


def texts(corpus: Corpus, session: str) -> list[str]:
    return corpus.utterances.loc[corpus.utterances["session_id"] == session, "text"].tolist()


# XML and zip archives.

LAUGHS = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
BOMB = f'<!DOCTYPE x [<!ENTITY e0 "{CANARY}">{LAUGHS}]>'
SECRET = '<!DOCTYPE x [<!ENTITY e9 SYSTEM "file:///etc/passwd">]>'
ENTITIES = "declares entities"
XMI = '<xmi:XMI xmlns:xmi="http://www.omg.org/XMI" xmlns:cas="http:///uima/cas.ecore"><cas:Sofa/>&e9;</xmi:XMI>'


def declaring(kind: str) -> Callable[[bytes], bytes]:
    """Declare entities, and use the last one as the first text."""

    def change(content: bytes) -> bytes:
        declaration, rest = re.fullmatch(rb"(?s)\s*(<\?xml.*?\?>)?(.*)", content).groups()
        return (declaration or b"") + kind.encode() + re.sub(rb">([^<>\s][^<>]*)<", b">&e9;<", rest, count=1)

    return change


def with_entities(kind: str, about: str) -> list[Case]:
    change = declaring(kind)
    parts = {"docx": ("session.docx", "word/document.xml"), "odt": ("session.odt", "content.xml")}
    parts["qdpx"] = ("project.qdpx", "project.qde")
    packed = [
        Case(f"bad.{suffix}", lambda n=name, p=part: repacked(example(n), {p: change}), None, ENTITIES, about)
        for suffix, (name, part) in parts.items()
    ]
    return [
        *packed,
        Case("bad.eaf", lambda: tiers(["&e9;"], [(0, 5)], kind).encode(), None, ENTITIES, about),
        Case("bad.xmi", lambda: f"{kind}{XMI}".encode(), None, ENTITIES, about),
    ]


PACKED = {
    "bad.docx": "session.docx",
    "bad.qdpx": "project.qdpx",
    "bad.odt": "session.odt",
    "bad.zip": "inception_project.zip",
}


def contents(name: str) -> bytes:
    return workbook(SAID) if name == "bad.xlsx" else example(PACKED[name])


TRUNCATED = [
    Case(name, lambda n=name, s=share: contents(n)[: int(len(contents(n)) * s)], None, reason, f"cut at {share}")
    for name, reason in {**dict.fromkeys(PACKED, "damaged"), "bad.xlsx": "damaged"}.items()
    for share in (0.01, 0.3, 0.7, 0.95, 0.999)
]
CLIMBING = [
    Case(
        name,
        lambda n=name, o=outside: repacked(contents(n), {}, {o: CANARY.encode()}),
        None,
        "outside of itself",
        outside,
    )
    for name in (*PACKED, "bad.xlsx")
    for outside in ("../x.xml", "word/../../x", "C:\\x.xml", "/x.xml", "..\\x.xml")
]


def swollen(part: str, name: str) -> bytes:
    """A member that really is larger than any document."""
    return repacked(contents(name), {part: lambda content: content + b" " * (2**28 + 1 - len(content))})


def lying(part: str, name: str) -> bytes:
    """A member that is larger than its archive says."""
    honest = repacked(contents(name), {part: lambda content: content + b" " * 2**24})
    with zipfile.ZipFile(io.BytesIO(honest)) as archive:
        size = archive.getinfo(part).file_size
    return honest.replace(size.to_bytes(4, "little"), (1000).to_bytes(4, "little"))


BOMBS = [
    Case(name, lambda n=name, p=part, m=make: m(p, n), None, reason, about)
    for name, part in {"bad.docx": "word/document.xml", "bad.odt": "content.xml", "bad.qdpx": "project.qde"}.items()
    for make, reason, about in [(swollen, "unpacks to more than", "bomb"), (lying, "damaged", "lying bomb")]
    if make is lying or name == "bad.docx"
]
XLSX_BOMBS = [
    Case("bad.xlsx", lambda: swollen("xl/worksheets/sheet1.xml", "bad.xlsx"), None, "unpacks to more than", "bomb"),
    Case("bad.xlsx", lambda: lying("xl/worksheets/sheet1.xml", "bad.xlsx"), None, "damaged", "lying bomb"),
]

# Text.

LONG = f"{CANARY} " * 2_900_000
LONG_LINES = [
    Case("bad.txt", lambda: speech([LONG, "no"]).encode(), [LONG.strip(), "no"], "", "20 MB line"),
    Case("bad.vtt", lambda: captions([LONG, "no"]).encode(), [LONG.strip(), "no"], "", "20 MB line"),
    Case("bad.srt", lambda: captions([LONG, "no"], comma=True).encode(), [LONG.strip(), "no"], "", "20 MB line"),
    Case("bad.csv", lambda: table([LONG, "no"]).encode(), [LONG.strip(), "no"], "", "20 MB line"),
    Case("bad.txt", lambda: LONG.encode(), [LONG.strip()], None, "20 MB without speaker"),
    Case("bad.vtt", lambda: b"WEBVTT\n" + LONG.encode(), None, "no cues", "20 MB without times"),
    Case("bad.csv", lambda: LONG.encode(), None, "no rows", "20 MB header"),
    Case("bad.csv", lambda: b'"' + LONG.encode(), None, "not a well-formed table", "20 MB open quote"),
    Case("bad.json", lambda: json.dumps([{"speaker": "P", "text": LONG}]).encode(), [LONG.strip()], "", "20 MB line"),
    Case("bad.json", lambda: b'[{"text": "' + LONG.encode(), None, "not valid JSON", "20 MB open quote"),
]

EUROPEAN = [f"Grüße, {CANARY} façade \u2014 naïve", "Ich weiß nicht \u2014 “so” …", "schön, déjà vu"]
ENCODINGS = {
    "utf-8": ("", ""),
    "utf-8-sig": ("", ""),
    "utf-16": ("", ""),
    "utf-16-le": ("\ufeff", ""),
    "utf-16-be": ("\ufeff", ""),
    "utf-16-le ": ("", "no byte order mark; read as utf-16-le"),
    "utf-16-be ": ("", "no byte order mark; read as utf-16-be"),
    "cp1252": ("", "not UTF-8; read as cp1252"),
    "mac_roman": ("", "not UTF-8; read as mac_roman"),
}
ENCODED = [
    Case(
        f"bad.{suffix}",
        lambda m=make, e=name, b=bom: (b + m(EUROPEAN)).encode(e.strip()),
        EUROPEAN,
        reason,
        name.strip() + bool(bom) * " with BOM",
    )
    for suffix, make in {"txt": speech, "csv": table, "vtt": captions}.items()
    for name, (bom, reason) in ENCODINGS.items()
]
ARABIC = ["نعم أنا هنا اليوم", "لا أعرف", "ربما غدا"]
UNMARKED = [
    Case("bad.csv", lambda e=e: table(ARABIC).encode(e), ARABIC, None, f"Arabic {e}")
    for e in ("utf-16-le", "utf-16-be")
] + [
    Case("bad.txt", lambda e=e: ("\u0639\n" + speech(ARABIC)).encode(e), ARABIC, None, f"Arabic {e}")
    for e in ("utf-16-le", "utf-16-be")
]

SCRIPTS = [
    *(
        Case(name, lambda m=make: m(RTL).encode(), RTL, "", "right to left")
        for name, make in {
            "bad.txt": speech,
            "bad.md": speech,
            "bad.csv": table,
            "bad.tsv": lambda said: table(said, "\t"),
            "bad.vtt": captions,
            "bad.srt": lambda said: captions(said, comma=True),
            "bad.html": web_page,
            "bad.fodt": flat,
            "bad.rtf": rich,
            "bad.json": lambda said: json.dumps(records(said)),
            "whisper.json": whisper,
            "call.json": call,
            "teams.txt": teams,
            "bad.jsonl": lambda said: "\n".join(json.dumps(one) for one in records(said)),
            "bad.eaf": lambda said: tiers(said, [(0, 900), (1000, 1900), (2000, 2900)]),
        }.items()
    ),
    Case("bad.cha", lambda: chat(RTL).encode(), [f"{one}." for one in RTL], "", "right to left"),
    *(
        Case(f"bad.{suffix}", lambda n=name: written(n, RTL), RTL, "", f"right to left {name}")
        for name, suffix in {
            "csv": "csv",
            "xlsx": "xlsx",
            "docx": "docx",
            "webvtt": "vtt",
            "elan": "eaf",
            "textgrid": "TextGrid",
            "refi": "qdpx",
            "label_studio": "json",
        }.items()
    ),
]

BACK = [(10, 20), (2, 5), (4, 8)]
TIMES = [
    Case("bad.vtt", lambda: captions(SAID, BACK).encode(), SAID, "time goes backwards", "backward times"),
    Case("bad.vtt", lambda: captions(SAID, [(0, 9), (5, 12), (11, 20)]).encode(), SAID, "times overlap", "overlap"),
    Case(
        "bad.vtt",
        lambda: captions(SAID, [(0, 4), (9, 5), (11, 20)]).encode(),
        SAID,
        "ends before it begins",
        "inverted",
    ),
    Case("bad.txt", lambda: teams(SAID, BACK).encode(), SAID, "time goes backwards", "backward times of Teams"),
    Case(
        "bad.csv",
        lambda: (
            b"speaker,start,end,text\n"
            + b"".join(
                f"{'PT'[n % 2]},{a},{b},{one}\n".encode()
                for n, (one, (a, b)) in enumerate(zip(SAID, BACK, strict=True))
            )
        ),
        SAID,
        "time goes backwards",
        "backward times",
    ),
    Case("bad.eaf", lambda: tiers(SAID, [(0, 9000), (5000, 12000), (11000, 20000)]).encode(), SAID, None, "overlap"),
    Case("bad.eaf", lambda: tiers(SAID, [(0, 4000), (9000, 5000), (11000, 20000)]).encode(), SAID, "time", "inverted"),
]

NUL = [f"a \0{CANARY} came\0 in", f"no {CANARY} here", "and then"]
MANY = [f"{CANARY} number {n}" for n in range(10_000)]
# Near the depth at which a parser gives up, what comes after it must too.
DEEP = [
    Case("bad.json", lambda d=depth: b'{"a":' + b"[" * d + b"]" * d + b"}", None, "", f"{depth} deep")
    for depth in range(985, 1000)
]
ODD = [
    Case(
        "bad.csv",
        lambda: f"speaker,start,text\nP,{'9' * 400},{SAID[0]}\n".encode(),
        SAID[:1],
        "time not readable",
        "time beyond all numbers",
    ),
    *(
        Case(f"bad.{suffix}", lambda m=make: m(NUL).encode(), SAID, "NUL characters: 2", "NUL bytes")
        for suffix, make in {
            "txt": speech,
            "csv": table,
            "vtt": captions,
            "srt": lambda s: captions(s, comma=True),
        }.items()
    ),
    Case(
        "bad.csv", lambda: ("speaker,text\n" + "".join(f",{one}\n" for one in SAID)).encode(), SAID, None, "no speakers"
    ),
    Case(
        "bad.vtt",
        lambda: captions(SAID).replace("<v P>", "").replace("<v T>", "<v >").encode(),
        SAID,
        None,
        "no speakers",
    ),
    Case("bad.vtt", lambda: captions(MANY).encode(), MANY, "", "10,000 utterances"),
    Case("bad.txt", lambda: speech(MANY).encode(), MANY, "", "10,000 utterances"),
    Case("bad.txt", lambda: teams(MANY).encode(), MANY, "", "10,000 utterances of Teams"),
    Case(
        "bad.csv",
        lambda: ("speaker,text\n" + "".join(f"P,{one}\n" for one in MANY)).encode(),
        MANY,
        "",
        "10,000 utterances",
    ),
    *(
        Case(f"bad.{suffix}", bytes, None, "the file is empty", "empty")
        for suffix in ("txt", "csv", "docx", "json", "eaf", "xlsx", "")
    ),
    Case("bad.txt", lambda: b" \n\0\n", None, "the file is empty", "nothing but a NUL"),
    Case("bad.json", lambda: b"[" * 1_000_000, None, "not valid JSON", "deep"),
    Case("bad.json", lambda: b'{"a":' * 1_000_000, None, "not valid JSON", "deep objects"),
    Case("bad.jsonl", lambda: b'{"text":' * 100_000 + b"\n", None, "no rows", "deep"),
    Case(
        "bad.json", lambda: b'[{"text":' + b"[" * 400 + b"]" * 400 + b"}]", ["[" * 400 + "]" * 400], None, "nested cell"
    ),
    Case("bad.csv", lambda: zipped({"a.txt": CANARY}), None, "not a readable CSV file", "that is a zip"),
    Case("bad.csv", lambda: workbook(SAID), SAID, "", "that is a workbook"),
    Case(
        "bad.txt",
        lambda: b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0\x90wS\xde" + bytes(range(256)) * 4,
        None,
        "",
        "that is a picture",
    ),
    Case("bad.doc", lambda: web_page(SAID).encode(), SAID, "", "that is a web page"),
]

CASES = [
    *TRUNCATED,
    *with_entities(BOMB, "laughs"),
    *with_entities(SECRET, "outside"),
    *CLIMBING,
    *BOMBS,
    *XLSX_BOMBS,
    *LONG_LINES,
    *ENCODED,
    *UNMARKED,
    *SCRIPTS,
    *TIMES,
    *DEEP,
    *ODD,
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_bad_file_is_imported_repaired_or_rejected_and_the_good_one_stays(tmp_path, case):
    content, begins = case.make(), time.process_time()
    corpus = load(tmp_path, {case.name: content})
    assert time.process_time() - begins < MOST_SECONDS
    listed = corpus.rejects[corpus.rejects["file"] == case.name]
    others = set(corpus.sessions["session_id"]) - {"good"}
    if case.texts is None:
        assert not others
        assert len(listed) and case.reason in " ".join(listed["reason"])
        assert "root:" not in listed.to_csv()  # of /etc/passwd
    else:
        (session,) = others
        assert texts(corpus, session) == case.texts
        if case.reason:
            assert case.reason in " ".join(listed["reason"])
        elif case.reason is not None:
            assert listed["reason"].tolist() == []


# Several files.


def coded(coder: str, said: list[str], code: str = "W1") -> bytes:
    return written("webvtt", said, marks=[Mark(row=1, code=code, coder=coder, lines=(0, 0))])


def coders(corpus: Corpus) -> list[tuple[str, str]]:
    rows = corpus.codings[corpus.codings["code"].notna()]
    return sorted(zip(rows["coder_id"], rows["code"], strict=True))


@pytest.mark.parametrize("names", [("bad.vtt", "bad.docx"), ("anna/bad.vtt", "bert/bad.vtt")])
def test_two_files_of_one_session_count_once_with_the_marks_of_both_coders(tmp_path, names):
    kinds = ["docx" if name.endswith("docx") else "webvtt" for name in names]
    by = [Mark(row=1, code=code, coder=coder, lines=(0, 0)) for coder, code in (("anna", "W1"), ("bert", "W2"))]
    files = {name: written(kind, SAID, marks=[mark]) for name, kind, mark in zip(names, kinds, by, strict=True)}
    corpus = load(tmp_path, files)
    assert texts(corpus, "bad") == SAID
    assert coders(corpus) == [("anna", "W1"), ("bert", "W2")]
    assert corpus.rejects.empty


@pytest.mark.parametrize("names", [("bad.vtt", "later.vtt"), ("anna/bad.vtt", "bert/bad.vtt")])
def test_of_two_contents_of_one_session_the_second_is_listed_and_nothing_mixes(tmp_path, names):
    other = [f"another {CANARY}", "quite", "other"]
    files = dict(zip(names, (coded("anna", SAID), coded("bert", other, "W2")), strict=True))
    corpus = load(tmp_path, files)
    assert texts(corpus, "bad") == SAID
    assert coders(corpus) == [("anna", "W1")]
    listed = corpus.rejects[corpus.rejects["file"] == names[1]]["reason"]
    assert any("holds this session" in reason for reason in listed)
    assert any("other utterances" in reason for reason in listed)


@pytest.mark.parametrize("names", [["a.xyz"], ["a.xyz", "b.bin", "c"]])
def test_a_folder_of_unknown_files_is_one_error(tmp_path, names):
    for name in names:
        (tmp_path / name).write_bytes(b"\x01\x02\x03" * 50 + CANARY.encode())
    with pytest.raises(InputError, match=r"was not recognised|could be read") as error:
        import_files(tmp_path, codebook="3rs-2015")
    assert CANARY not in str(error.value)


def test_an_archive_of_many_members_is_refused_by_what_they_make_together(monkeypatch):
    monkeypatch.setattr(files, "ZIP_LIMIT", 3000)
    File(Path("a.xlsx"), zipped({"1": "x" * 1500, "2": "x" * 1500})).require_harmless()
    with pytest.raises(InputError, match="unpacks to more than"):
        File(Path("a.xlsx"), zipped({str(n): "x" * 1500 for n in range(3)})).require_harmless()
