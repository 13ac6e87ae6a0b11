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

from . import damage
from .shelf import CANARY, HALF, ROLES, SETTINGS, fill, threers_main

#: A folder that a run may leave behind for the next one to go on with: its lock, and the work of a cut-off training.
HIDDEN = re.compile(r"(^|/)\.lock$")
#: Verb and file: what it has no need to read.
UNREAD = re.compile(
    r"scores/(segments|sessions)\.|^score later/codings|evaluation/(folds|scores/s|curve|agreement)|^export elan/|"
    r"^(train|evaluate) (evaluation/folds|backbone/)|^report later/"
)
OVERWRITE, OWN, FRESH = "overwrite", "own", "fresh"


@dataclass(frozen=True)
class Command:
    """A verb with its keys; `inputs` are paths on the shelf, `out` the key and path of what it writes."""

    verb: str
    out: tuple[str, str]
    inputs: dict[str, str]
    words: tuple[str, ...] = ()
    resumes: bool = False
    """Does the same command go on with what is there?"""


TRAINING = tuple(SETTINGS)
COMMANDS = (
    Command("import", ("corpus", "corpus"), {"source": "sources/coded.csv", "roles": "sources/roles.csv"}),
    Command(
        "import",
        ("corpus", "corpus"),
        {"source": "sources/coded.csv", "reader": "sources/reader.yaml", "codebook": "sources/book.yaml"},
        (ROLES,),
    ),
    Command(
        "import",
        ("corpus", "corpus"),
        {"source": "sources", "names": "more/names.txt", "codebook": "sources/book.yaml"},
    ),
    Command("import", ("corpus", "corpus"), {"source": "formats/*"}, ("codebook=3rs-2015", ROLES)),
    Command("train", ("tagger", "tagger"), {"corpus": "corpus", "backbone.path": "backbone"}, TRAINING),
    Command(
        "train",
        ("tagger", "half/tagger"),
        {"corpus": "corpus", "calibration": "evaluation", "backbone.path": "backbone"},
        TRAINING,
        resumes=True,
    ),
    Command(
        "evaluate",
        ("out", "evaluation"),
        {"corpus": "corpus", "backbone.path": "backbone"},
        ("folds=2", "resamples=100", *TRAINING),
        resumes=True,
    ),
    Command(
        "evaluate",
        ("out", "half/evaluation"),
        {"corpus": "corpus", "backbone.path": "backbone"},
        ("folds=2", "resamples=100", *TRAINING),
        resumes=True,
    ),
    Command("score", ("out", "scores"), {"tagger": "tagger", "source": "later"}, resumes=True),
    Command("score", ("out", "half/scores"), {"tagger": "tagger", "source": "later"}, resumes=True),
    Command("score", ("out", "scores"), {"tagger": "tagger", "source": "sources/new.csv"}, (ROLES,)),
    Command("agree", ("out", "agreement"), {"corpus": "later", "scores": "scores"}, ("resamples=100",), resumes=True),
    Command("agree", ("out", "coders"), {"a": "sources/a.csv", "b": "sources/b.csv"}, ("resamples=100",)),
    Command("report", ("out", "pages"), {"scores": "scores", "corpus": "later"}, ("include_text=true",), resumes=True),
    Command("report", ("out", "pages"), {"scores": "scores"}),
    Command("export", ("to", "export/tags.csv"), {"corpus": "later", "scores": "scores"}),
    Command(
        "export",
        ("to", "export/elan"),
        {"corpus": "spoken", "originals": "elan"},
        ("format=elan",),
    ),
    Command("sample", ("out", "sample"), {"corpus": "later"}, ("n=2",), resumes=True),
    Command("sample", ("out", "unsure"), {"corpus": "later", "scores": "scores"}, ("n=2", "how=uncertain")),
)
KEYS = {
    "import": ("source", "corpus", "reader", "codebook", "roles", "columns", "privacy", "names", "overwrite"),
    "train": ("corpus", "tagger", "backbone", "backbone.chunk_tokens", "backbone.lookahead", "backbone.learning_rate",
              "training.batch_tokens", "training.dropout", "training.validation_share", "training.seed",
              "training.device", "training.balance", "training.warmup", "training.average_epochs",
              "training.lexical_share", "training.layer_decay", "calibration", "training"),
    "evaluate": ("corpus", "out", "folds", "seed", "backbone.overlap_tokens", "training.precision",
                 "training.weight_decay"),
    "score": ("tagger", "source", "out", "device", "precision", "abstain", "segment_minutes", "repair_segments",
              "engine", "engine.batch_tokens", "engine.shard_sessions", "reader", "roles", "columns", "include_text"),
    "agree": ("corpus", "scores", "a", "b", "codebook", "segment_minutes", "consensus_share", "verdict.widest", "seed",
              "verdict", "roles", "columns"),
    "report": ("scores", "corpus", "out", "blind", "segment_minutes", "repair_segments"),
    "export": ("corpus", "scores", "to", "format", "coders", "originals"),
    "sample": ("corpus", "scores", "out", "n", "how", "sheets", "seed"),
}  # fmt: skip
ODD = ("nan", "inf", "-inf", "-1", "0", "1e300", "99999999999999999999", "x", "true", "null", "[]", "{}", "[1,x]",
       "{a: 1}", "''", "???", "${x}", "../..", "/", "'\x00'", "0.5",
       "'a=b'", "[[", "{a: {b: c}}", "/dev/null")  # fmt: skip


@dataclass
class Run:
    """What was done in one run, and what became of it."""

    seed: int
    verb: str
    kind: str
    what: str
    state: str
    outcome: str = ""
    fault: str = ""
    said: str = ""
    seconds: float = 0.0


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
    run.outcome, run.fault = _judge(shelf, command, run, status, said, wrong, must_refuse, target, before, after)
    names = before.keys() | after.keys() | shelf.state.keys()
    shelf.restore({name for name in names if after.get(name) != shelf.state.get(name)})
    return run


def _prepare(shelf: Shelf, command: Command, seed: int, rng: random.Random) -> tuple[Run, list[str], bool, Path]:
    key, place = command.out
    state = rng.choice((FRESH, FRESH, OVERWRITE, OWN) if command.resumes else (FRESH, FRESH, OVERWRITE))
    if place.startswith(HALF) and state == FRESH:
        state = OWN
    inputs = {name: _one_of(shelf.root, path, rng) for name, path in command.inputs.items()}
    out = f"fresh{Path(place).suffix}" if state == FRESH else place
    words = [f"{name}={shelf.root / path}" for name, path in inputs.items()]
    words += [*command.words, f"{key}={shelf.root / out}", *(["overwrite=true"] if state == OVERWRITE else [])]
    if command.verb in ("train", "evaluate"):
        words.insert(0, "backbone=local")
    if rng.random() < 0.15:
        name, value = rng.choice(KEYS[command.verb]), rng.choice(ODD)
        words = [word for word in words if not word.startswith(f"{name}=")]
        return (
            Run(seed, command.verb, "value", f"{name}={value}", state),
            [*words, f"{name}={value}"],
            False,
            Path(name),
        )
    own = state != FRESH and rng.random() < (0.7 if place.startswith(HALF) else 0.3)
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


def _judge(
    shelf: Shelf,
    command: Command,
    run: Run,
    status: int,
    said: str,
    wrong: str,
    must_refuse: bool,
    target: Path,
    before: dict[str, str],
    after: dict[str, str],
) -> tuple[str, str]:
    """The outcome, and what is wrong with it."""
    if wrong:
        return "traceback", wrong
    if CANARY in said:
        return "leak", "text of a transcript was shown"
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    scratch = sorted(name for name in changed if re.search(r"(^|/)\.", name) and name in after)
    if status == 2:
        fault = _unclear(command, said, target)
        goes_on = command.resumes and run.state == OWN
        if not fault and scratch and not goes_on:
            fault = f"left behind: {scratch[0]}"
        if not fault and changed and not goes_on:
            fault = f"changed although it was refused: {sorted(changed)[0]}"
        lost = [name for name in changed if name not in after]
        if not fault and lost and goes_on and run.kind != "value":
            fault = f"lost although it was refused: {lost[0]}"
        return "refused", fault
    if status != 0:
        return f"status {status}", f"status {status}: {said[-200:]}"
    out = command.out[1] if run.state != FRESH else "fresh"
    strange = sorted(name for name in changed if not name.startswith((out.split(".")[0], command.out[1])))
    if strange and not command.out[1].startswith(HALF) and run.kind != "value":
        return "done", f"changed beside the output: {strange[0]}"
    if [name for name in scratch if name.endswith((".tmp", ".training"))]:
        return "done", f"left behind: {scratch[0]}"
    rejects = _rejects(shelf.root / ("fresh" if run.state == FRESH else command.out[1]), command.verb)
    fault = "" if rejects else "unnoticed" if must_refuse else ""
    fault = fault or insane(shelf.root / ("fresh" if run.state == FRESH else command.out[1]))
    return "reject" if rejects else "legal", fault


ADVICE = re.compile(
    r"expected|again|restore|name |say |give |write|try|install|ask |choose|use |make |map |did you mean|correct|"
    r"import|rename|change|leave|check|known|keys:|nothing was written|no such file|overwrite=true|should",
    re.I,
)


def _unclear(command: Command, said: str, target: Path) -> str:
    lines = said.strip().splitlines()
    errors = [line for line in lines if line.startswith(f"threers {command.verb}: ")]
    if len(errors) != 1 or lines[-1] != errors[0]:
        return f"not one line at the end: {said[-300:]!r}"
    if re.search(r"Traceback|\w+Warning:", said):
        return f"a warning or traceback beside the line: {said[-300:]!r}"
    line = errors[0]
    if len(line) > 900:
        return f"a line of {len(line)} characters: {line[:200]}"
    named = (target.name, target.parent.name, *command.inputs, command.out[0])
    if not any(name in line for name in named) and not re.search(r"\w=", line):
        return f"does not say where: {line}"
    return "" if ADVICE.search(line) else f"does not say what to do: {line}"


def _rejects(out: Path, verb: str) -> bool:
    file = out / {"import": "rejects.csv", "score": "errors.csv"}.get(verb, "none")
    return file.is_file() and len(file.read_text(encoding="utf-8").splitlines()) > 1


def insane(out: Path) -> str:
    """What is wrong with finished tables and pages; empty: nothing."""
    import pandas as pd

    for path in sorted(out.rglob("*.parquet")) if out.is_dir() else []:
        try:
            table = pd.read_parquet(path)
        except Exception as error:
            return f"{path.name} cannot be read: {type(error).__name__}"
        p = table[[name for name in table.columns if str(name).startswith("p_")]].to_numpy(dtype=float)
        if ((p < 0) | (p > 1)).any():
            return f"{path.name}: a probability outside 0 and 1"
        keys = [name for name in ("session_id", "utterance_id") if name in table.columns]
        if len(keys) == 2 and table.duplicated(keys).any():
            return f"{path.name}: keys twice"
    table = out / "agreement.csv"
    if table.is_file():
        found = pd.read_csv(table)
        kappa = found.loc[found["statistic"] == "kappa", "estimate"]
        if (kappa.abs() > 1.0001).any():
            return "agreement.csv: a kappa beyond 1"
    return ""


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
