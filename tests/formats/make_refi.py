"""Makes the examples of REFI-QDA projects in this folder again.

    python make_refi.py

needs pyrefiqda 0.3.1 and qualitative-coding 1.7.8 (`pip install pyrefiqda qualitative-coding`).

- `coded_by_line.qdpx` is exported by qc 1.7.8, a program for qualitative coding: two coders, one session.
- `project.qdpx` is written by pyrefiqda 0.3.1, a library that follows the schema of the standard: two coders, nested
  codes, a text with Windows line ends and a byte order mark, one inside of the XML, one only as DOCX, a transcript with
  times, a recording without, a PDF, a case, a variable, a note.

NVivo, MAXQDA and ATLAS.ti, which are sold, were not at hand. All that is said in the examples is invented.
"""

import subprocess
import tempfile
import uuid
from pathlib import Path

from pyrefiqda.models import project as qda
from pyrefiqda.refiproject import RefiProject

HERE = Path(__file__).parent

LINES = (
    "T: How was the week?\nP: Fine.\nP: I do not know what you want to hear.\nT: It sounds as if I am pressing you.\n"
)
SETTINGS = """codebook: codebook.yaml
corpus_dir: corpus
database: qualitative_coding.sqlite3
log_file: qualitative_coding.log
memos_dir: memos
qc_version: 1.7.8
verbose: false
editor: copy
editors:
  copy:
    name: Copy
    code_command: 'cp chosen.txt "{codes_file_path}"'
    memo_command: 'true "{memo_file_path}"'
"""
CODES = {"anna": "\nW2\nC2\nR5\n", "ben": "\nW2, C2\n\n\n"}

WINDOWS = "Th.: Shall we go on?\r\nPat.: If we must.\r\nPat.: Yes. 😀 It is all the same to me.\r\n"
INSIDE = "T: 😀 Good morning.\nP: Hm.\n"
HEARD = "T: Where were we?\nP: Nowhere.\nP: As ever.\n"


def by_qc() -> None:
    with tempfile.TemporaryDirectory() as folder:

        def qc(*words: str) -> None:
            subprocess.run(["qc", *words], cwd=folder, check=True)

        qc("init")
        Path(folder, "settings.yaml").write_text(SETTINGS)
        Path(folder, "s1.txt").write_text(LINES)
        qc("corpus", "import", "s1.txt", "--importer", "verbatim")
        for coder, codes in CODES.items():
            Path(folder, "chosen.txt").write_text(codes)
            qc("code", coder, "--first")
        qc("codebook")
        qc("export", str(HERE / "coded_by_line.qdpx"))


def guid(of: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, of))


def code_ref(name: str) -> qda.CodeRefType:
    return qda.CodeRefType(target_guid=guid(name))


def coding(key: str, name: str, user: str | None = None) -> qda.CodingType:
    return qda.CodingType(guid=guid(key), code_ref=code_ref(name), creating_user=user and guid(user))


def selection(key: str, text: str, words: str, *codings: qda.CodingType, user: str | None = None):
    start = text.index(words)
    return qda.PlainTextSelectionType(
        guid=guid(key),
        name=words,
        start_position=start,
        end_position=start + len(words),
        creating_user=user and guid(user),
        coding=list(codings),
    )


def code(name: str, *inner: qda.CodeType, codable: bool = True) -> qda.CodeType:
    return qda.CodeType(guid=guid(name), name=name, is_codable=codable, code=list(inner))


def by_pyrefiqda() -> None:
    users = [qda.UserType(guid=guid("Anna"), name="Anna", id="A"), qda.UserType(guid=guid("Ben"), id="Ben")]
    codes = [
        code("Withdrawal", code("W2 Minimal response"), code("Denial"), codable=False),
        code("therapist_contribution=3"),
        code("An idea"),
    ]
    windows = qda.TextSourceType(
        guid=guid("s1"),
        name="s1",
        plain_text_path=f"internal://{guid('s1 text')}.txt",
        plain_text_selection=[
            selection("1", WINDOWS, "If we must.", coding("1a", "W2 Minimal response"), user="Ben"),
            selection(
                "2",
                WINDOWS,
                "If we must.\r\nPat.: Yes. 😀 It is all the same to me.",
                coding("2a", "Denial", "Anna"),
                coding("2b", "An idea", "Ben"),
            ),
            selection("3", WINDOWS, "Shall we", coding("3a", "Anna's case", "Anna")),
            selection("4", WINDOWS, "Yes."),
        ],
        coding=[coding("5", "therapist_contribution=3", "Ben")],
    )
    inside = qda.TextSourceType(
        guid=guid("s2"),
        name="s2",
        plain_text_content=INSIDE,
        plain_text_selection=[selection("6", INSIDE, "Hm.", coding("6a", "W2 Minimal response", "Anna"))],
        variable_value=[
            qda.VariableValueType(variable_ref=qda.VariableRefType(target_guid=guid("Patient ID")), text_value="p02")
        ],
    )
    formatted = qda.TextSourceType(guid=guid("s3"), name="s3", rich_text_path=f"internal://{guid('s3')}.docx")
    paper = qda.PdfsourceType(
        guid=guid("s6"),
        name="s6",
        path=f"internal://{guid('s6')}.pdf",
        representation=qda.TextSourceType(
            guid=guid("s6 text"),
            plain_text_content=LINES,
            plain_text_selection=[selection("8", LINES, "Fine.", coding("8a", "Denial", "Ben"))],
        ),
        pdfselection=[
            qda.PdfselectionType(
                guid=guid("9"), page=1, first_x=1, first_y=1, second_x=9, second_y=9, coding=[coding("9a", "Denial")]
            )
        ],
    )
    project = qda.Project(
        name="Ruptures",
        users=qda.UsersType(user=users),
        code_book=qda.CodeBookType(codes=qda.CodesType(code=codes)),
        variables=qda.VariablesType(
            variable=[
                qda.VariableType(guid=guid("Patient ID"), name="Cases:Patient ID", type_of_variable="Text"),
            ]
        ),
        cases=qda.CasesType(
            case=[
                qda.CaseType(
                    guid=guid("Anna's case"),
                    name="Patient 7",
                    source_ref=[qda.SourceRefType(target_guid=guid("s1"))],
                )
            ]
        ),
        sources=qda.SourcesType(text_source=[windows, inside, formatted], pdfsource=[paper], audio_source=recordings()),
        notes=qda.NotesType(note=[qda.TextSourceType(guid=guid("note"), name="Idea", plain_text_content="Ask again.")]),
    )
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, f"{guid('s1 text')}.txt").write_bytes(b"\xef\xbb\xbf" + WINDOWS.encode())
        Path(folder, f"{guid('s3')}.docx").write_bytes(b"not read")
        RefiProject.save(project, HERE / "project.qdpx", folder)


def recordings() -> list[qda.AudioSourceType]:
    """One with a transcript whose lines have times, and one without."""
    heard = [(HEARD.index("T:"), 0), (HEARD.index("P: N"), 2500), (HEARD.index("P: A"), 4000), (len(HEARD) - 1, 5250)]
    points = [qda.SyncPointType(guid=guid(f"point {at}"), position=at, time_stamp=time) for at, time in heard]
    chosen = qda.TranscriptSelectionType(
        guid=guid("7"),
        from_sync_point=points[1].guid,
        to_sync_point=points[3].guid,
        coding=[coding("7a", "Denial", "Ben")],
    )
    transcript = qda.TranscriptType(
        guid=guid("s4 text"), plain_text_content=HEARD, sync_point=points, transcript_selection=[chosen]
    )
    passage = qda.AudioSelectionType(
        guid=guid("10"), begin=1000, end=61500, coding=[coding("10a", "W2 Minimal response", "Anna")]
    )
    return [
        qda.AudioSourceType(guid=guid("s4"), name="s4", transcript=[transcript], audio_selection=[passage]),
        qda.AudioSourceType(guid=guid("s5"), name="s5", audio_selection=[passage]),
    ]


by_qc()
by_pyrefiqda()
