"""Damaged files of every format: a reader returns sessions or raises InputError, and always ends.

`THREERS_FUZZ_SECONDS=180 pytest tests/test_formats_fuzz.py -s` goes on for so many seconds and says how many inputs it
tried; a failure names the example and the seed.
"""

import io
import os
import random
import re
import tempfile
import time
import zipfile
from functools import cache
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from datasets import Dataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from threers.codebook import Codebook
from threers.errors import InputError
from threers.formats.documents import Context, Format
from threers.formats.files import File
from threers.formats.known import formats, recognise
from threers.formats.tables import read_headers, read_table

EXAMPLES = Path(__file__).parent / "formats"
#: Seconds of processor time that a file of a few kB may take.
DEADLINE = 5.0
#: Each read starts a process.
SLOW = (".sav", ".zsav")
SECONDS = float(os.environ.get("THREERS_FUZZ_SECONDS", 0))
#: What readers trip over when it stands where something else is expected.
TOKENS = [
    *(
        b"",
        b"0",
        b"-1",
        b"1e999",
        b"NaN",
        b"99999999999999999999",
        b"0.5",
        b"null",
        b"true",
        b"[]",
        b"{}",
        b'""',
        b'"x"',
    ),
    *(
        b"[[",
        b"{",
        b'"',
        b"<",
        b">",
        b"</a>",
        b"&#0;",
        b"&#x110000;",
        b"\0",
        b"\r",
        b"\n\n",
        b"\t",
        b"-->",
        b"00:00:61",
    ),
    *(
        b"\xff",
        b"\xe2\x80\xa8",
        "\N{GRINNING FACE}".encode(),
        b"\\ud800",
        b"\\u0000",
        b"T:",
        b"{\\rtf",
        b"\x15",
        b"9" * 400,
    ),
]
_TOKEN = re.compile(rb'-?\d+(?:\.\d+)?|"[^"\n]*"|\b(?:true|false|null)\b|>[^<>]+<')


def arrow(frame: pd.DataFrame) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        Dataset.from_pandas(frame).save_to_disk(folder)
        return next(Path(folder).glob("*.arrow")).read_bytes()


@cache
def examples() -> dict[str, bytes]:
    """The example files, and a small table in every format of tables that has none there."""
    found = {
        path.name: path.read_bytes()
        for path in EXAMPLES.iterdir()
        if path.suffix not in (".md", ".py", ".pyc") and path.is_file()
    }
    frame = pd.DataFrame({"session": ["1", "1"], "order": [1, 2], "speaker": ["T", "P"], "text": ["hello, you", "no"]})
    frame["start"], frame["coder"], frame["code"] = ["0:01", "0:02"], "anna", ["", "W1"]
    found["long.csv"] = frame.to_csv(index=False).encode()
    found["long.tsv"] = frame.to_csv(index=False, sep="\t").encode()
    found["rows.json"] = frame.to_json(orient="records").encode()
    found["rows.jsonl"] = frame.to_json(orient="records", lines=True).encode()
    found["long.parquet"] = frame.to_parquet()
    found["long.arrow"] = arrow(frame)
    book, content = openpyxl.Workbook(), io.BytesIO()
    for row in [list(frame), *frame.to_numpy().tolist()]:
        book.active.append(row)
    book.save(content)
    found["long.xlsx"] = content.getvalue()
    return found


QUICK = sorted(name for name in examples() if not name.endswith(SLOW))


def damaged(content: bytes, rng: random.Random) -> bytes:
    """The content with a few faults; of a zip, mostly in one of its members."""
    if content.startswith(b"PK") and rng.random() < 0.8:
        return _repacked(content, rng)
    for _ in range(rng.randint(1, 4)):
        content = rng.choice([_flip, _cut, _insert, _duplicate, _swap, _replace, _replace, _end])(content, rng)
    return content


def _repacked(content: bytes, rng: random.Random) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        names = old.namelist()
        hit = rng.choice(names)
        for name in names:
            member = damaged(old.read(name), rng) if name == hit else old.read(name)
            if name != hit or rng.random() > 0.1:
                new.writestr(name, member)
    return packed.getvalue()


def _block(content: bytes, rng: random.Random) -> tuple[int, int]:
    start = rng.randint(0, len(content))
    return start, min(len(content), start + rng.choice([1, 2, 8, 64, 1000]))


def _flip(content: bytes, rng: random.Random) -> bytes:
    place = rng.randint(0, max(len(content) - 1, 0))
    return content[:place] + bytes([rng.randint(0, 255)]) + content[place + 1 :]


def _cut(content: bytes, rng: random.Random) -> bytes:
    start, end = _block(content, rng)
    return content[:start] + content[end:]


def _insert(content: bytes, rng: random.Random) -> bytes:
    place, _ = _block(content, rng)
    return content[:place] + rng.choice(TOKENS) * rng.choice([1, 1, 1, 3, 2000]) + content[place:]


def _duplicate(content: bytes, rng: random.Random) -> bytes:
    start, end = _block(content, rng)
    return content[:end] + content[start:end] * rng.choice([1, 2, 50]) + content[end:]


def _swap(content: bytes, rng: random.Random) -> bytes:
    (a, b), (c, d) = sorted([_block(content, rng), _block(content, rng)])
    return content[:a] + content[c:d] + content[min(b, c) : c] + content[a : min(b, c)] + content[d:]


def _replace(content: bytes, rng: random.Random) -> bytes:
    """Another value where one stands."""
    values = list(_TOKEN.finditer(content))
    if not values:
        return _flip(content, rng)
    hit = rng.choice(values)
    start, end = (hit.start() + 1, hit.end() - 1) if hit[0].startswith(b">") else hit.span()
    return content[:start] + rng.choice(TOKENS) + content[end:]


def _end(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randint(0, len(content))]


def read(name: str, content: bytes, as_was: bool = False) -> str:
    """Read a file as an import does; the name of its format, or `refused`. `as_was`: as the undamaged example is read,
    where the content no longer tells.
    """
    context = Context(find=_codebook().find)
    started = time.process_time()
    try:
        file = File(EXAMPLES / name, content)
        # Damage may hide what the file is: it is read as that all the same, as when a user names the format.
        known = recognise(file) or (_own_format(name) if as_was else None)
        if known is None:
            read_headers(file)
            table = read_table(file)
            assert len(table.rows) == len(table.frame)
        else:
            for document in known.read(file, context):
                for mark in document.marks:
                    first, last = mark.lines or (0, -1)
                    assert 0 <= first <= last < len(document.lines) or mark.lines is None
                document.lines and "".join(line.text + line.speaker for line in document.lines).encode()
        return known.name if known else "table"
    except InputError:
        return "refused"
    finally:
        assert time.process_time() - started < DEADLINE


@cache
def _own_format(name: str) -> Format | None:
    return recognise(File(EXAMPLES / name, examples()[name]))


@cache
def _codebook() -> Codebook:
    return Codebook.load("3rs-2015")


def test_every_format_has_an_example():
    assert {read(name, examples()[name]) for name in QUICK} == {"table", "refused", *(one.name for one in formats())}


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(QUICK), st.randoms(use_true_random=False))
def test_a_damaged_file_is_read_or_refused(name, rng):
    content = damaged(examples()[name], rng)
    if read(name, content) in ("table", "refused"):
        read(name, content, as_was=True)


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(sorted(set(examples()) - set(QUICK))), st.randoms(use_true_random=False))
def test_a_damaged_spss_file_is_read_or_refused(name, rng):
    read(name, damaged(examples()[name], rng))


@pytest.mark.skipif(not SECONDS, reason="give THREERS_FUZZ_SECONDS")
def test_damaged_files_are_read_or_refused_for_as_long_as_asked():
    tried, refused, faults = 0, 0, {}
    seed = int(os.environ.get("THREERS_FUZZ_SEED", 0))
    names = [name for name in examples() for _ in range(1 if name.endswith(SLOW) else 20)]
    ends = time.monotonic() + SECONDS
    while time.monotonic() < ends:
        rng = random.Random(seed + tried)
        name = rng.choice(names)
        try:
            refused += read(name, damaged(examples()[name], rng)) == "refused"
        except Exception as fault:  # every kind is listed once, with the first seed that shows it
            place = fault.__traceback__
            while place.tb_next:
                place = place.tb_next
            where = f"{Path(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno}"
            faults.setdefault((type(fault).__name__, where), f"{name}, seed {seed + tried}: {str(fault)[:80]}")
        tried += 1
    print(f"\n{tried} damaged files tried, {refused} refused, {len(faults)} kinds of fault")  # noqa: T201
    assert not faults, faults
