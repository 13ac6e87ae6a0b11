"""Peak memory and time per session as the input grows: a corpus repeated to more and more sessions.

A tiny backbone with random weights stands in, because what could grow is not the model and thousands of sessions must
end in minutes. Every size runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
from transformers import BertConfig, BertModel

from threers.backbones import load_tokenizer, locate
from threers.codebook import Codebook
from threers.corpus import Corpus
from threers.doctor import shipped_backbone
from threers.hardware import Hardware
from threers.scoring import score_to_folder
from threers.settings import Backbone, Engine
from threers.streams import Source
from threers.tagger import Tagger

SIZES = (10, 100, 1_000, 10_000)


def repeat(corpus: Corpus, sessions: int, folder: Path) -> None:
    """Save so many sessions, the corpus's own again and again under new names."""
    ids = corpus.sessions["session_id"].to_numpy()
    rounds = -(-sessions // len(ids))
    parts = {"utterances": [], "sessions": []}
    for number in range(rounds):
        keep = ids[: sessions - number * len(ids)]
        for name, tables in parts.items():
            table = getattr(corpus, name)
            table = table[table["session_id"].isin(keep)]
            tables.append(table.assign(session_id=f"{number:05d}-" + table["session_id"]))
    tables = {name: pd.concat(found, ignore_index=True) for name, found in parts.items()}
    Corpus(**tables, codings=corpus.codings.iloc[:0], codebook=corpus.codebook).save(folder)


def run(given: argparse.Namespace) -> None:
    """Score one corpus with a tiny tagger, in this process."""
    codebook = Codebook.load(Path(given.corpus) / "codebook.yaml")
    with tempfile.TemporaryDirectory() as scratch:
        tiny = Path(scratch) / "tiny"
        tokenizer = load_tokenizer(locate(shipped_backbone("minilm")))
        config = BertConfig(
            vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
        )
        BertModel(config).save_pretrained(tiny)
        tokenizer.save_pretrained(tiny)
        tagger = Tagger.start(tiny, Backbone(name="tiny", source="folder", path=str(tiny)), codebook, 0.1)
        start, begun = time.perf_counter(), time.process_time()
        hardware = Hardware("cpu", "float32", "")
        source = Source(given.corpus, codebook)
        tally = score_to_folder(tagger, source, Path(scratch), Engine(), hardware, include_text=False)
        seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_SELF)
    figures = {"sessions": tally.sessions, "utterances": tally.utterances, "seconds": seconds}
    figures |= {"peak_mb": used.ru_maxrss / 1024, "cpu_seconds": time.process_time() - begun}
    Path(given.out).write_text(json.dumps(figures))


def compare(given: argparse.Namespace) -> dict[str, Any]:
    """Each size in a process of its own."""
    corpus = Corpus.load(given.corpus)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for size in SIZES:
            folder, out = Path(scratch) / f"corpus-{size}", Path(scratch) / f"{size}.json"
            repeat(corpus, size, folder)
            words = [sys.executable, sys.argv[0], "growth", "--way", "run", "--corpus", str(folder), "--out", str(out)]
            # One thread: its processor time stays the same beside other work.
            subprocess.run(words, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
            rows.append(json.loads(out.read_text()))
    return {"sizes": rows}


def table(figures: dict[str, Any]) -> str:
    """Markdown."""
    rows = [
        "| sessions | utterances | peak memory | of the first | processor time per session |",
        "|---|---|---|---|---|",
    ]
    first = figures["sizes"][0]["peak_mb"]
    for row in figures["sizes"]:
        rows.append(
            f"| {row['sessions']:,} | {row['utterances']:,} | {row['peak_mb']:,.0f} MB | {row['peak_mb'] / first:.2f} "
            f"| {1000 * row['cpu_seconds'] / row['sessions']:.0f} ms |"
        )
    return "\n".join(rows)


def plot(figures: dict[str, Any]) -> str:
    """SVG: both figures over the number of sessions."""
    sizes = figures["sizes"]
    panels = [
        ("Peak memory in MB, by number of sessions", [row["peak_mb"] for row in sizes]),
        (
            "Processor time per session in ms, by number of sessions",
            [1000 * row["cpu_seconds"] / row["sessions"] for row in sizes],
        ),
    ]
    x = [40 + 80 * math.log10(row["sessions"]) for row in sizes]
    drawn = []
    for place, (title, values) in enumerate(panels):
        top = 20 + 170 * place
        y = [top + 120 - 100 * value / max(values) for value in values]
        points = " ".join(f"{a:.0f},{b:.0f}" for a, b in zip(x, y, strict=True))
        drawn.append(f'<text x="10" y="{top}">{title}</text><polyline points="{points}" class="line"/>')
        drawn.append(f'<line x1="60" x2="400" y1="{top + 120}" y2="{top + 120}" class="axis"/>')
        for a, b, value, row in zip(x, y, values, sizes, strict=True):
            left = a - 14
            drawn.append(f'<circle cx="{a:.0f}" cy="{b:.0f}" r="3"/>')
            drawn.append(f'<text x="{left:.0f}" y="{b - 8:.0f}">{value:,.0f}</text>')
            drawn.append(f'<text x="{left:.0f}" y="{top + 135}">{row["sessions"]:,}</text>')
    style = "text{font:12px sans-serif}.line{fill:none;stroke:#246;stroke-width:2}.axis{stroke:#888}"
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 420 350" role="img">'
        f"<title>Memory and time per session as the input grows</title><style>{style}</style>"
        f'<rect width="420" height="350" fill="#fff"/>{"".join(drawn)}</svg>\n'
    )
