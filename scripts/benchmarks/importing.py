"""Importing 1,000 sessions of 300 utterances, as WebVTT and as CSV: seconds and peak memory.

The words are invented. Each format is imported in a process of its own.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from threers.formats.times import clock
from threers.jobs import ImportRun
from threers.runs import import_corpus

SESSIONS, UTTERANCES = 1_000, 300
SECONDS_EACH, WORDS = 8.0, 12
ROLES = {"T": "therapist", "P": "patient"}


def session(rng: np.random.Generator) -> list[tuple[str, float, float, str]]:
    """Speaker, start, end and text of each utterance; the speakers take turns."""
    syllables = np.array(["ba", "do", "ki", "lu", "me", "no", "ra", "si", "tu", "ve"])
    words = ["".join(syllables[chosen]) for chosen in rng.integers(0, len(syllables), (500, 3))]
    said = []
    for number, chosen in enumerate(rng.integers(0, len(words), (UTTERANCES, WORDS))):
        start = number * SECONDS_EACH
        text = " ".join(words[place] for place in chosen)
        said.append(("TP"[number % 2], start, start + SECONDS_EACH - 1.5, f"{text}."))
    return said


def as_webvtt(said: list[tuple[str, float, float, str]]) -> str:
    """One session with a voice on each cue."""
    cues = [f"{_stamp(start)} --> {_stamp(end)}\n<v {who}>{text}</v>" for who, start, end, text in said]
    return "\n\n".join(["WEBVTT", *cues]) + "\n"


def write(kind: str, folder: Path, seed: int) -> None:
    """Write all sessions, a file each."""
    rng = np.random.default_rng(seed)
    for number in range(SESSIONS):
        said = session(rng)
        path = folder / f"p{number // 10:03d}-s{number % 10}.{kind}"
        if kind == "vtt":
            path.write_text(as_webvtt(said), encoding="utf-8")
        else:
            with path.open("w", encoding="utf-8", newline="") as file:
                rows = csv.writer(file)
                rows.writerow(("speaker", "start", "end", "text"))
                rows.writerows((who, clock(start), clock(end), text) for who, start, end, text in said)


def run(given: argparse.Namespace) -> None:
    """Import the sessions of one folder, in this process."""
    with tempfile.TemporaryDirectory() as scratch:
        start = time.perf_counter()
        corpus = import_corpus(
            ImportRun(source=given.corpus, corpus=f"{scratch}/corpus", codebook="3rs-2015", roles=ROLES)
        )
        seconds = time.perf_counter() - start
    figures = {
        "files": len(corpus.sessions),
        "utterances": len(corpus.utterances),
        "seconds": seconds,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    Path(given.out).write_text(json.dumps(figures))


def compare(given: argparse.Namespace) -> dict[str, Any]:
    """Each format in a process of its own."""
    found = {}
    for kind in ("vtt", "csv"):
        with tempfile.TemporaryDirectory() as scratch:
            folder, out = Path(scratch) / kind, Path(scratch) / "figures.json"
            folder.mkdir()
            write(kind, folder, given.seed)
            words = ["importing", "--way", "run", "--corpus", str(folder), "--out", str(out)]
            subprocess.run([sys.executable, sys.argv[0], *words], check=True)
            found[kind] = json.loads(out.read_text())
    return found


def table(figures: dict[str, Any]) -> str:
    """Markdown."""
    rows = ["| format | files | utterances | seconds | peak memory |", "|---|---|---|---|---|"]
    for kind, one in figures.items():
        counts = f"{one['files']:,} | {one['utterances']:,} | {one['seconds']:.1f} | {one['peak_mb']:,.0f} MB"
        rows.append(f"| {kind} | {counts} |")
    return "\n".join(rows)


def _stamp(seconds: float) -> str:
    written = clock(seconds)
    return written if "." in written else f"{written}.000"
