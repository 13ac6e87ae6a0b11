"""The documentation is true: every command on its pages runs, every file is read, every error is the real one."""

import contextlib
import io
import logging
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.pages import ROOT, Block, blocks, commands, pages
from threers import cli
from threers.corpus import Corpus
from threers.formats import import_files
from threers.shipped import read_yaml

#: Commands that no test of the pages runs, by how they begin, and why.
NOT_RUN = {
    "./scripts/setup-venv": "installs; what tests run is installed",
    "./scripts/demo": "installs, and takes eight minutes; tests/test_cli.py runs the demo of the installed package",
    "./scripts/test": "is what runs this",
    "./scripts/docs": "tests/test_site.py builds the site",
    "threers train --multirun": "tests/test_sweeps.py runs sweeps",
    "threers evaluate --multirun": "tests/test_sweeps.py runs sweeps",
}
#: Programs of the system that a reader is asked to run; they run here as they stand.
SYSTEM = ("cat", "cp", "grep", "ls", "mkdir", "mv")
LANGUAGES = ("sh", "python", "yaml", "csv", "text", "vtt")
#: Sessions of the cut demo corpus that begin with enough marks, of patients to learn from and of new ones; the lines
#: that are kept of each, and the codes.
KNOWN, NEW = ("P02-2", "P03-2", "P06-3", "P11-2", "P14-2", "P15-2"), ("P08-1", "P08-2", "P13-1", "P13-2")
LINES = 30
CODES = ("W", "C", "R", "resolution_extent")
PAGES = pages()
TUTORIALS = [page for page in PAGES if page.parent.name == "tutorials"]
STORIES = {
    "tutorials": TUTORIALS,
    "README and guides": [page for page in PAGES if page not in TUTORIALS],
}


@pytest.fixture(scope="session")
def small_demo(tmp_path_factory) -> Path:
    """The demo corpus cut to a few patients, lines and codes, in a folder data/demo."""
    folder = tmp_path_factory.mktemp("small") / "data" / "demo"
    (folder / "sessions").mkdir(parents=True)
    demo = ROOT / "data" / "demo"
    names = [*KNOWN, *NEW]
    for name in names:
        lines = pd.read_csv(demo / "sessions" / f"{name}.csv").head(LINES)
        lines.to_csv(folder / "sessions" / f"{name}.csv", index=False)
    codings = pd.read_csv(demo / "codings.csv")
    kept = codings["session"].isin(names) & ((codings["unit"] == "session") | (codings["unit_id"] < LINES))
    kept &= (codings["code"] != "therapist_contribution") & codings["coder"].isin(["A", "B"])
    codings[kept].to_csv(folder / "codings.csv", index=False)
    facts = pd.read_csv(demo / "sessions.csv")
    facts[facts["session"].isin(names)].to_csv(folder / "sessions.csv", index=False)
    codebook = read_yaml("codebook", "3rs-2015")[0]
    for family in codebook["families"].values():
        children = [name for name, code in family["codes"].items() if "parent" in code]
        family["codes"] = {name: code for name, code in family["codes"].items() if name in CODES}
        next(iter(family["codes"].values()))["aliases"] = children
    (folder / "short.yaml").write_text(yaml.safe_dump(codebook, sort_keys=False))
    reader = (demo / "reader.yaml").read_text(encoding="utf-8")
    (folder / "reader.yaml").write_text(reader.replace("codebook: 3rs-2015", f"codebook: {folder / 'short.yaml'}"))
    return folder


def lab(folder: Path, demo: Path) -> None:
    """The files that README and guides speak of, made of the demo corpus: a lab that codes in Excel and in ELAN."""
    corpus = import_files(demo / "**" / "*.csv", demo / "reader.yaml")
    corpus.utterances["speaker"] = corpus.utterances["role"].map({"patient": "P", "therapist": "T"})
    known, new = corpus.select(KNOWN), corpus.select(NEW)
    (folder / "coded").mkdir(parents=True)
    for session, part in _as_coded(known).groupby("Session"):
        part.to_excel(folder / "coded" / f"{session}.xlsx", index=False)
    new.codings = new.codings[(new.codings["session_id"] != NEW[-1]) & (new.codings["unit"] == "utterance")]
    (folder / "new").mkdir()
    for session, part in new.utterances.groupby("session_id"):
        part[["speaker", "start", "end", "text"]].to_csv(folder / "new" / f"{session}.csv", index=False)
    new.save(folder / "made")
    _run(["threers", "export", "corpus=made", "to=elan", "format=elan"], folder)
    for file in (folder / "elan").glob("*.eaf"):
        file.rename(folder / "new" / file.name)
    for coder in ("A", "B"):
        own = new.codings[(new.codings["coder_id"] == coder)]
        table = own.rename(columns={"session_id": "session", "unit_id": "number"})[["session", "number", "code"]]
        name = {"A": "anna.csv", "B": "ben.xlsx"}[coder]
        table.to_csv(folder / name, index=False) if coder == "A" else table.to_excel(folder / name, index=False)
    shutil.rmtree(folder / "made")
    (folder / "elan").rmdir()


def _as_coded(corpus: Corpus) -> pd.DataFrame:
    """A row per utterance, coder and code, under a lab's own headers."""
    codings = corpus.codings[corpus.codings["unit"] == "utterance"].rename(columns={"unit_id": "utterance_id"})
    rows = corpus.utterances.merge(codings, how="left").merge(corpus.sessions[["session_id", "patient_id"]])
    headers = {"session_id": "Session", "utterance_id": "Nr", "text": "Sentence", "patient_id": "Case"}
    return rows.rename(columns=headers | {"coder_id": "Coder", "code": "Code"})[
        ["Session", "Case", "Nr", "speaker", "start", "end", "Sentence", "Coder", "Code"]
    ]


def _run(words: list[str], folder: Path) -> tuple[int, str]:
    """Run a verb in this process, in a folder; returns its status and what it said."""
    before, argv, said, mask = Path.cwd(), sys.argv, io.StringIO(), os.umask(0o077)
    environment, handlers = os.environ.copy(), logging.getLogger().handlers[:]
    os.chdir(folder)
    sys.argv = words
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            cli.main()
        return 0, said.getvalue()
    except SystemExit as ended:
        return int(ended.code or 0), said.getvalue()
    finally:
        os.chdir(before)
        os.umask(mask)
        sys.argv = argv
        os.environ.clear()
        os.environ.update(environment)
        logging.getLogger().handlers[:] = handlers


def _in_little_time(words: list[str], backbone: Path, codebook: Path) -> list[str]:
    """The same command with a tiny backbone, one epoch, few resamples and few codes."""
    verb = words[1]
    tiny = [
        "backbone=local",
        f"backbone.path={backbone}",
        "backbone.chunk_tokens=64",
        "backbone.overlap_tokens=16",
    ]
    words = [f"codebook={codebook}" if word == "codebook=3rs-2015" else word for word in words]
    if verb in ("train", "evaluate"):
        words = [word for word in words if not word.startswith(("backbone", "training"))]
        words += [*tiny, "training=quick", "training.epochs=1", "training.validation_share=0.3", "training.device=cpu"]
        words += ["training.precision=float32", "training.lexical_share=0", "training.pretrained_share=0"]
    if verb == "adapt":
        words += [*tiny, "epochs=1", "device=cpu", "precision=float32"]
    if verb in ("evaluate", "agree") and "--help" not in words:
        words.append("resamples=100")
    if verb == "evaluate":
        words.append("folds=2")
    if verb == "score":
        words += ["device=cpu", "precision=float32"]
    if verb == "sample":
        words.append("n=1")
    return words


def _answer(found: list[Block], place: int) -> str:
    """What the page says that the command in a block answers, under the same heading; empty: nothing."""
    after = found[place + 1] if place + 1 < len(found) else None
    answers = after is not None and after.language == "text" and after.heading == found[place].heading
    return "\n".join(after.lines) if answers else ""


@pytest.mark.parametrize("story", STORIES)
def test_every_command_of_the_pages_runs(story, small_demo, tiny_folder, tmp_path):
    shutil.copytree(small_demo, tmp_path / "data" / "demo")
    shutil.copytree(ROOT / "configs", tmp_path / "configs", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    if story != "tutorials":
        lab(tmp_path, small_demo)
    for page in STORIES[story]:
        found = blocks(page)
        for place, block in enumerate(found):
            where = f"{block.page}: "
            assert block.language in LANGUAGES, f"{where}a block of {block.language or 'no language'}"
            if block.file:
                file = tmp_path / block.file
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text("\n".join(block.lines) + "\n", encoding="utf-8")
            elif block.language == "python":
                with contextlib.chdir(tmp_path):
                    exec("\n".join(block.lines), {})
            elif block.language == "sh":
                _run_block(block, _answer(found, place), tmp_path, tiny_folder, small_demo / "short.yaml")


def _run_block(block: Block, answer: str, folder: Path, backbone: Path, codebook: Path) -> None:
    """Run what a block says; the page shows what the last of its commands answers."""
    given = list(commands(block))
    for number, command in enumerate(given, start=1):
        where = f"{block.page}: {command}"
        if command.startswith(tuple(NOT_RUN)):
            continue
        words = shlex.split(command, comments=True)
        if words[0] in SYSTEM:
            subprocess.run(["bash", "-c", command], cwd=folder, check=True, capture_output=True)
            continue
        assert words[0] == "threers", f"{where}: nobody runs this command; run it here, or say in NOT_RUN why not"
        status, said = _run(_in_little_time(words, backbone, codebook), folder)
        shown = answer if number == len(given) else ""
        assert status == (2 if shown.startswith(f"threers {words[1]}: ") else 0), f"{where}: {said}"
        if block.page.startswith("docs/tutorials"):
            # The cut corpus has other counts; what the import of the whole says is held in tests/test_demo_corpus.py.
            said, shown = (re.sub(r"\d+", "N", text) for text in (said, "" if words[1] == "import" else shown))
        assert [line for line in shown.splitlines() if line not in said.splitlines()] == [], f"{where}: {said}"


def test_what_is_not_run_is_still_on_a_page():
    written = [
        command for page in PAGES for block in blocks(page) if block.language == "sh" for command in commands(block)
    ]
    for begins, why in NOT_RUN.items():
        assert why
        assert any(command.startswith(begins) for command in written), f"{begins}: on no page any more"
