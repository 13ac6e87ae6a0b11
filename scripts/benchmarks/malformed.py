"""Malformed inputs over all verbs: each ends in one clear line and status 2, or in a reject, and nothing is lost.

A small whole set of folders is made once: sources, corpora, a tagger of random weights, evaluation, scores, agreement,
sample, pages. Each run damages one file or folder of it, or gives a key a value that it cannot have, and calls a verb
in this process. Run N of seed S is drawn from S + N: a failure shows the seed with which `--runs 1` repeats it.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import random
import re
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from threers.cli import main as threers_main

from . import damage
from .commands import COMMANDS, FRESH, KEYS, ODD, OVERWRITE, OWN, Command
from .judgement import Run, judge
from .shelf import HALF, fill

#: What a run leaves in a folder that says nothing of its state: its lock.
HIDDEN = re.compile(r"(^|/)\.lock$")
#: Verb and file: what it has no need to read.
UNREAD = re.compile(
    r"scores/(segments|sessions)\.|^score later/codings|evaluation/(folds|scores/s|curve|agreement)|^export elan/|"
    r"^(adapt|train|evaluate) (evaluation/folds|backbone/)|^report later/"
)


@dataclass
class Shelf:
    """The set of folders, and a copy of it from which it is put right again after each run."""

    root: Path
    whole: Path
    state: dict[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, folder: Path) -> Shelf:
        """Fill a shelf under `folder`."""
        root, whole = folder / "shelf", folder / "whole"
        fill(root)
        shutil.copytree(root, whole, symlinks=True)
        return cls(root, whole, digest(root))

    def restore(self, changed: set[str]) -> None:
        """Put right what a run has changed."""
        for top in sorted({name.split("/")[0] for name in changed}):
            damage.remove(self.root / top)
            if (self.whole / top).is_dir():
                shutil.copytree(self.whole / top, self.root / top, symlinks=True)


def digest(root: Path) -> dict[str, str]:
    """What lies where: path -> hash of a file, or what else it is."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if HIDDEN.search(name):
            continue
        if path.is_symlink():
            found[name] = "link"
        elif path.is_dir():
            found[name] = "folder"
        else:
            mode = path.stat().st_mode
            if not mode & 0o400:
                found[name] = "not readable"
                continue
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def attempt(shelf: Shelf, seed: int) -> Run:
    """One malformed input: damage, call, judge, put right again."""
    rng = random.Random(seed)
    command = COMMANDS[seed % len(COMMANDS)]
    run, words, must_refuse, target = _prepare(shelf, command, seed, rng)
    before = digest(shelf.root)
    start = time.monotonic()
    with contextlib.chdir(shelf.root):  # a value such as out=x is a path in the working folder
        status, said, wrong = call([command.verb, *words])
    run.seconds = time.monotonic() - start
    after = digest(shelf.root)
    run.said = said
    run.outcome, run.fault = judge(shelf.root, command, run, status, said, wrong, must_refuse, target, before, after)
    names = before.keys() | after.keys() | shelf.state.keys()
    shelf.restore({name for name in names if after.get(name) != shelf.state.get(name)})
    return run


def _prepare(shelf: Shelf, command: Command, seed: int, rng: random.Random) -> tuple[Run, list[str], bool, Path]:
    key, place = command.out
    state = rng.choice((FRESH, FRESH, OVERWRITE, OWN) if command.resumes else (FRESH, FRESH, OVERWRITE))
    if command.at_once or (place.startswith(HALF) and state == FRESH):
        state = OWN
    inputs = {name: _one_of(shelf.root, path, rng) for name, path in command.inputs.items()}
    out = f"fresh{Path(place).suffix}" if state == FRESH else place
    words = [f"{name}={shelf.root / path}" for name, path in inputs.items()]
    words += [*command.words, *([f"{key}={shelf.root / out}"] if key else [])]
    words += ["overwrite=true"] if state == OVERWRITE else []
    if command.verb in ("adapt", "train", "evaluate"):
        words.insert(0, "backbone=local")
    if not place or rng.random() < 0.15:
        name, value = rng.choice(KEYS[command.verb]), rng.choice(ODD)
        words = [word for word in words if not word.startswith(f"{name}=")]
        return (
            Run(seed, command.verb, "value", f"{name}={value}", state),
            [*words, f"{name}={value}"],
            False,
            Path(name),
        )
    own = command.at_once or (state != FRESH and rng.random() < (0.7 if place.startswith(HALF) else 0.3))
    target = _target(shelf.root / (place if own else rng.choice(sorted(inputs.values()))), rng)
    kind, way = rng.choices(
        *zip(*[(one, 3 if one[0] in damage.MEANT else 1) for one in sorted(damage.kinds(target).items())], strict=True)
    )[0]
    try:
        must_refuse = way(target, rng) and not own
    except (ValueError, KeyError, IndexError, OSError, TypeError):
        kind, must_refuse = "cut off", damage.cut(target, rng) and not own
    what = str(target.relative_to(shelf.root))
    must_refuse = must_refuse and not UNREAD.search(f"{command.verb} {what}")
    return Run(seed, command.verb, kind, what, state), words, must_refuse, target


def _one_of(root: Path, path: str, rng: random.Random) -> str:
    """The path, or of a folder with a star one of its files."""
    folder, star, _ = path.partition("/*")
    return f"{folder}/{rng.choice(sorted(one.name for one in (root / folder).iterdir()))}" if star else path


def _target(path: Path, rng: random.Random) -> Path:
    """A file under the path, mostly; now and then the path itself."""
    if not path.is_dir():
        return path if path.exists() else path.parent
    # Each name as often as another: a folder may hold many files of one kind.
    names: dict[str, list[Path]] = {}
    for one in sorted(path.rglob("*")):
        if one.is_file() and not HIDDEN.search(str(one)):
            names.setdefault(one.suffix + one.name[:5], []).append(one)
    return path if not names or rng.random() < 0.1 else rng.choice(names[rng.choice(sorted(names))])


def call(words: list[str]) -> tuple[int, str, str]:
    """Run `threers` here; returns the exit status, what it said on standard error, and its traceback if it had one."""
    said, wrong, status = io.StringIO(), "", 0
    before = sys.argv
    sys.argv = ["threers", *words]
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            threers_main()
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        status, wrong = 1, _place_of(error)
    finally:
        sys.argv = before
    return status, said.getvalue(), wrong


def _place_of(error: BaseException) -> str:
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if "/threers/" in frame.filename]
    last = own[-1] if own else traceback.extract_tb(error.__traceback__)[-1]
    text = " ".join(str(error).split())[:120]
    return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno} ({text})"


def runs(shelf: Shelf, seed: int, count: int) -> Iterator[Run]:
    """The runs of so many seeds."""
    for number in range(count):
        yield attempt(shelf, seed + number)


def compare(given: argparse.Namespace) -> dict[str, Any]:
    """Make a shelf, run, and gather what became of it."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        shelf = Shelf.make(Path(scratch))
        made = time.monotonic() - start
        found = []
        for run in runs(shelf, given.seed, given.runs):
            found.append(run)
            if run.fault:
                print(
                    f"seed {run.seed}: {run.verb}, {run.kind}, {run.what} ({run.state}): {run.fault}", file=sys.stderr
                )
    outcomes = Counter((run.verb, run.kind, run.outcome if not run.fault else "FAULT") for run in found)
    return {
        "runs": len(found),
        "faults": sum(bool(run.fault) for run in found),
        "seconds": time.monotonic() - start,
        "seconds_to_make": made,
        "outcomes": [[*key, count] for key, count in sorted(outcomes.items())],
        "slowest": max(found, key=lambda run: run.seconds).__dict__,
    }


def table(figures: dict[str, Any]) -> str:
    """A row per verb and kind of damage, a column per outcome."""
    columns = sorted({row[2] for row in figures["outcomes"]})
    rows = sorted({(row[0], row[1]) for row in figures["outcomes"]})
    counts = {(verb, kind, outcome): count for verb, kind, outcome, count in figures["outcomes"]}
    lines = [f"{'verb':10}{'kind of damage':18}" + "".join(f"{column:>10}" for column in columns)]
    for verb, kind in rows:
        cells = [counts.get((verb, kind, column), 0) for column in columns]
        lines.append(f"{verb:10}{kind:18}" + "".join(f"{cell or '':>10}" for cell in cells))
    totals = [sum(row[3] for row in figures["outcomes"] if row[2] == column) for column in columns]
    lines.append(f"{'all':28}" + "".join(f"{total:>10}" for total in totals))
    slowest = figures["slowest"]
    return "\n".join(
        [
            *lines,
            f"{figures['runs']} malformed inputs, {figures['faults']} faults, {figures['seconds']:.0f} s, of which "
            f"{figures['seconds_to_make']:.0f} s to make the folders; the slowest took {slowest['seconds']:.1f} s "
            f"(seed {slowest['seed']})",
        ]
    )
