"""Runs of `threers score` that are killed at random moments and resumed, against one that is left alone."""

from __future__ import annotations

import argparse
import hashlib
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from threers.scores import PARTS


def digest(folder: Path) -> dict[str, str]:
    """SHA-256 of each shard."""
    return {part.name: hashlib.sha256(part.read_bytes()).hexdigest() for part in sorted((folder / PARTS).glob("*"))}


def command(given: argparse.Namespace, out: Path) -> list[str]:
    """The run, in small shards so that there is much to interrupt."""
    words = [f"tagger={given.tagger}", f"source={given.corpus}", f"out={out}", "engine.shard_sessions=2"]
    words.append("precision=bfloat16")  # not measured anew by each run, which a busy machine may do badly
    return [sys.executable, "-m", "threers.cli", "score", *words]


def compare(given: argparse.Namespace) -> dict[str, Any]:
    """Kill (SIGKILL) each run once, at a moment drawn from its whole length; resume it; compare the bytes."""
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    rng = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as scratch:
        whole = Path(scratch) / "whole"
        start = time.monotonic()
        subprocess.run(command(given, whole), check=True, **quiet)
        length = time.monotonic() - start
        wanted = digest(whole)
        same, unfinished = 0, 0
        for number in range(given.runs):
            out = Path(scratch) / f"run-{number}"
            run = subprocess.Popen(command(given, out), **quiet)
            time.sleep(rng.uniform(0.2, 1.0) * length)
            run.kill()
            run.wait()
            unfinished += not (out / "manifest.json").is_file()
            subprocess.run(command(given, out), check=True, **quiet)
            same += digest(out) == wanted
            print(f"{number + 1} runs, {unfinished} killed before they ended, {same} the same", file=sys.stderr)
    return {"runs": given.runs, "killed_before_the_end": unfinished, "same_bytes": same, "shards": len(wanted)}


def table(figures: dict[str, Any]) -> str:
    """One line."""
    return (
        f"{figures['runs']} runs of {figures['shards']} shards, {figures['killed_before_the_end']} killed before they "
        f"ended; resumed, {figures['same_bytes']} gave the same bytes as a run left alone"
    )
