"""Files as labs have them, made of what was said: tables, speech, captions, tiers, pages and records."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl

from threers.formats.documents import Document, Line, Output
from threers.formats.known import writers

EXAMPLES = Path(__file__).parent / "formats"


def example(name: str) -> bytes:
    return (EXAMPLES / name).read_bytes()


def zipped(members: dict[str, bytes | str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method, compresslevel=1) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name) if method == zipfile.ZIP_STORED else name, content)
    return packed.getvalue()


def repacked(
    content: bytes, change: dict[str, Callable[[bytes], bytes]], more: dict[str, bytes] | None = None
) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    return zipped({name: change.get(name, bytes)(one) for name, one in members.items()} | (more or {}))


def written(format: str, said: list[str], **more: object) -> bytes:
    lines = [Line(row=1, text=one, speaker="PT"[n % 2], start=3.0 * n, end=3.0 * n + 2) for n, one in enumerate(said)]
    document = Document(session="bad", lines=lines, **more)
    return writers()[format].write([document], Output(titles={}, roles=("patient", "therapist")))


def workbook(said: list[str]) -> bytes:
    book, content = openpyxl.Workbook(), io.BytesIO()
    for row in [("speaker", "text"), *zip("PTP", said, strict=True)]:
        book.active.append(row)
    book.save(content)
    return content.getvalue()


def table(said: list[str], mark: str = ",") -> str:
    rows = [("speaker", "start", "text"), *((("P", "T")[n % 2], f"0:{n:02d}", one) for n, one in enumerate(said))]
    return "".join(mark.join(f'"{cell}"' for cell in row) + "\n" for row in rows)


def speech(said: list[str]) -> str:
    return "".join(f"{'PT'[n % 2]}: {one}\n" for n, one in enumerate(said))


def captions(said: list[str], times: list[tuple[int, int]] | None = None, comma: bool = False) -> str:
    times = times or [(5 * n, 5 * n + 2) for n in range(len(said))]
    cues = ["" if comma else "WEBVTT\n"]
    for number, (one, (start, end)) in enumerate(zip(said, times, strict=True)):
        who = f"{'PT'[number % 2]}: " if comma else f"<v {'PT'[number % 2]}>"
        begin, stop = (f"{t // 3600:02d}:{t // 60 % 60:02d}:{t % 60:02d}.000" for t in (start, end))
        cues.append(f"{number + 1}\n{begin} --> {stop}\n{who}{one}\n".replace(".000", ",000" if comma else ".000"))
    return "\n".join(cues).lstrip("\n")


def tiers(said: list[str], times: list[tuple[int, int]], before: str = "") -> str:
    """An ELAN file with a tier for each of two speakers; times in milliseconds."""
    slots = "".join(
        f'<TIME_SLOT TIME_SLOT_ID="a{n}" TIME_VALUE="{start}"/><TIME_SLOT TIME_SLOT_ID="b{n}" TIME_VALUE="{end}"/>'
        for n, (start, end) in enumerate(times)
    )
    found = ""
    for speaker in (0, 1):
        own = "".join(
            f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="n{n}" TIME_SLOT_REF1="a{n}" TIME_SLOT_REF2="b{n}">'
            f"<ANNOTATION_VALUE>{one}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>"
            for n, one in enumerate(said)
            if n % 2 == speaker
        )
        found += f'<TIER LINGUISTIC_TYPE_REF="t" PARTICIPANT="{"PT"[speaker]}" TIER_ID="{"PT"[speaker]}">{own}</TIER>'
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{before}<ANNOTATION_DOCUMENT FORMAT="3.0" VERSION="3.0"><HEADER/>'
        f"<TIME_ORDER>{slots}</TIME_ORDER>{found}"
        '<LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="t" TIME_ALIGNABLE="true"/></ANNOTATION_DOCUMENT>'
    )


HTML = "<!DOCTYPE html><html><head><meta charset='utf-8'></head><body>{}</body></html>"
_NAMES = "urn:oasis:names:tc:opendocument:xmlns"
FODT = (
    f'<?xml version="1.0" encoding="UTF-8"?><office:document xmlns:office="{_NAMES}:office:1.0" '
    f'xmlns:text="{_NAMES}:text:1.0" office:mimetype="application/vnd.oasis.opendocument.text">'
    "<office:body><office:text>{}</office:text></office:body></office:document>"
)


def web_page(said: list[str]) -> str:
    return HTML.format("".join(f"<p>{line}</p>" for line in speech(said).splitlines()))


def flat(said: list[str]) -> str:
    return FODT.format("".join(f"<text:p>{line}</text:p>" for line in speech(said).splitlines()))


def rich(said: list[str]) -> str:
    halves = [int.from_bytes(pair, "little", signed=True) for pair in _pairs("\n".join(speech(said).splitlines()))]
    return "{\\rtf1\\ansi\\uc1 " + "".join("\\par " if unit == 10 else f"\\u{unit}?" for unit in halves) + "\\par}"


def _pairs(text: str) -> list[bytes]:
    units = text.encode("utf-16-le")
    return [units[place : place + 2] for place in range(0, len(units), 2)]


def chat(said: list[str]) -> str:
    lines = "".join(f"*{('PAT', 'THE')[n % 2]}:\t{one} .\n" for n, one in enumerate(said))
    people = "PAT Pat Patient, THE The Therapist"
    return f"@UTF8\n@Begin\n@Languages:\teng\n@Participants:\t{people}\n{lines}@End\n"


def records(said: list[str]) -> list[dict[str, object]]:
    return [{"speaker": "PT"[n % 2], "order": n, "text": one} for n, one in enumerate(said)]


def whisper(said: list[str]) -> str:
    segments = [{"id": n, "start": 5.0 * n, "end": 5.0 * n + 2, "text": one} for n, one in enumerate(said)]
    return json.dumps({"text": "", "segments": segments, "language": "ar"}, ensure_ascii=False)


def call(said: list[str]) -> str:
    """Amazon Call Analytics."""
    turns = [
        {
            "Content": one,
            "BeginOffsetMillis": 5000 * n,
            "EndOffsetMillis": 5000 * n + 900,
            "ParticipantRole": "PT"[n % 2],
        }
        for n, one in enumerate(said)
    ]
    return json.dumps({"JobStatus": "COMPLETED", "Transcript": turns})


def teams(said: list[str], times: list[tuple[int, int]] | None = None) -> str:
    """An old transcript of Teams."""
    times = times or [(5 * n, 5 * n + 2) for n in range(len(said))]
    clocks = [[f"{t // 3600}:{t // 60 % 60}:{t % 60}.90" for t in both] for both in times]
    turns = zip(said, clocks, strict=True)
    return "".join(f"{a} --> {b}\n{'PT'[n % 2]}\n{one}\n" for n, (one, (a, b)) in enumerate(turns))
