"""What became of a malformed input, and what is wrong with that."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from .commands import FRESH, OWN, Command
from .shelf import CANARY, HALF


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


def judge(
    root: Path,
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
        # A scores folder has its manifest only while it is whole.
        lost = [name for name in changed if name not in after and not name.endswith("scores/manifest.json")]
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
    rejects = _rejects(root / ("fresh" if run.state == FRESH else command.out[1]), command.verb)
    fault = "" if rejects else "unnoticed" if must_refuse else ""
    if not command.at_once:  # else what lies there may be damaged still
        fault = fault or insane(root / ("fresh" if run.state == FRESH else command.out[1]))
    return "reject" if rejects else "legal", fault


ADVICE = re.compile(
    r"expected|again|restore|name |say |give |write|try|install|ask |choose|use |make |map |did you mean|correct|"
    r"import|rename|change|leave|check|known|keys:|nothing was written|no such file|overwrite=true|should|"
    r"delete it|move it|as in|shipped:",
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
