"""Comparisons that print ratios: both sides in one run, on the same machine.

    .venv/bin/python scripts/benchmark.py context --corpus CORPUS [--folds 5] [--only 1] [--window-epochs 2]
    .venv/bin/python scripts/benchmark.py abstaining --corpus CORPUS --out EVALUATION
    .venv/bin/python scripts/benchmark.py accuracy --corpus CORPUS --out FOLDER [--rows "default,plain fine-tune"]
    .venv/bin/python scripts/benchmark.py agreement
    .venv/bin/python scripts/benchmark.py scoring --tagger TAGGER --corpus CORPUS [--sessions 20]
    .venv/bin/python scripts/benchmark.py growth --corpus CORPUS [--plot docs/growth.svg]
    .venv/bin/python scripts/benchmark.py kills --tagger TAGGER --corpus CORPUS [--runs 50]
    .venv/bin/python scripts/benchmark.py importing
    .venv/bin/python scripts/benchmark.py tactics --corpus WIKITACTICS --out FOLDER [--rows mpnet_lower]
    .venv/bin/python scripts/benchmark.py malformed [--runs 500] [--seed 1]
    .venv/bin/python scripts/benchmark.py segments --corpus CORPUS [--minutes 5] [--folds 5] [--whole --only 1]
    .venv/bin/python scripts/benchmark.py ratings --corpus ANNOMI [--folds 5]

What each compares stands at the top of its file in scripts/benchmarks.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import os
import sys
from pathlib import Path

# Before anything imports transformers.
os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"  # as the command line has it

NEEDS = {
    "abstaining": ["corpus", "out"],
    "context": ["corpus"],
    "accuracy": ["corpus", "out"],
    "agreement": [],
    "scoring": ["tagger", "corpus"],
    "growth": ["corpus"],
    "kills": ["tagger", "corpus"],
    "importing": [],
    "tactics": ["corpus", "out"],
    "malformed": [],
    "segments": ["corpus"],
    "ratings": ["corpus"],
}
# Where `tests` lies, whose tiny backbone `malformed` takes.
sys.path.append(str(Path(__file__).parents[1]))


def main() -> None:
    """Run the comparison that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=sorted(NEEDS))
    parser.add_argument("--corpus")
    parser.add_argument("--tagger")
    parser.add_argument("--backbone", default="minilm")
    parser.add_argument(
        "--folds", type=int, default=5, help="context, accuracy, segments, ratings: folds that groups are dealt into"
    )
    parser.add_argument("--only", type=int, help="context, accuracy, segments: the first so many folds; default: all")
    parser.add_argument("--rows", help="accuracy, tactics: names of rows, with commas; default: all")
    parser.add_argument(
        "--resamples", type=int, default=2000, help="accuracy, tactics: of the groups, for the intervals"
    )
    parser.add_argument("--window-epochs", type=int, help="context: epochs of the window side; default: as the other")
    parser.add_argument("--sessions", type=int, default=20, help="scoring: sessions that the rivals score")
    parser.add_argument("--runs", type=int, default=50, help="kills: runs to kill; malformed: inputs to try")
    parser.add_argument("--minutes", type=float, default=5.0, help="segments: how long a segment is")
    parser.add_argument("--whole", action="store_true", help="segments: train the whole tagger")
    parser.add_argument("--seed", type=int, default=1, help="of what is drawn: folds, training, damage; default: 1")
    parser.add_argument("--json", help="file to write the figures to")
    parser.add_argument("--plot", help="growth: SVG file to draw")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--out", help="accuracy, tactics: folder to go on in; abstaining: a finished evaluation")
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("threers").setLevel(logging.INFO)
    missing = [key for key in NEEDS[given.what] if getattr(given, key) is None]
    if missing:
        parser.error(f"{given.what} needs --{missing[0]}")
    comparison = importlib.import_module(f"benchmarks.{given.what}")
    if given.way:  # one side, in a process of its own
        comparison.run(given)
        return
    figures = comparison.compare(given)
    print(comparison.table(figures))
    if given.plot:
        Path(given.plot).write_text(comparison.plot(figures), encoding="utf-8")
    if given.json:
        Path(given.json).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
