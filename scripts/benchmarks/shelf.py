"""A small whole set of threers' folders, with synthetic sessions and a backbone of random weights."""

from __future__ import annotations

import contextlib
import csv
import io
import random
import shutil
import sys
from pathlib import Path
from typing import Any
from unittest import mock

from tests.conftest import WORDS, make_backbone
from threers.cli import main as threers_main

#: A word in every utterance: where it shows, text of a transcript is shown.
CANARY = "quokka"
#: Where the runs lie that were cut off.
HALF = "half"
SETTINGS = (
    *("backbone.chunk_tokens=64", "backbone.overlap_tokens=16", "training.epochs=1", "training.batch_tokens=512"),
    *("training.device=cpu", "training.precision=float32", "training.validation_share=0.3"),
)
ADAPTING = (
    *("backbone.chunk_tokens=64", "backbone.overlap_tokens=16", "batch_tokens=512"),
    *("device=cpu", "precision=float32", "validation_share=0.3"),
)
#: Small, so that comparisons are quick: parents and children, codes that exclude each other, a rating.
BOOK = """
name: small
roles: [patient, therapist]
families:
  strain:
    kind: multilabel
    unit: utterance
    roles: [patient]
    course: rupture
    codes: {W: , W1: {parent: W}, C1: {title: Complaint, aliases: [c one]}}
  answer: {kind: exclusive, unit: utterance, roles: [therapist], codes: {R1: , R4: , none: }}
  bond: {kind: rating, unit: session, scale: [1, 5], codes: {bond: }}
"""
ROLES = "roles={T: therapist, P: patient}"
#: One example of each format; those of SPSS start a process each.
FORMATS = (
    *("session.eaf", "long.TextGrid", "whisper.vtt", "speakers.srt", "whisperx.json", "session.cha", "project.qdpx"),
    *("inception.json", "webanno.tsv", "label_studio_text.json", "doccano_spans.jsonl", "prodigy_spans.jsonl"),
    *("session.docx", "session.odt", "session.rtf", "session.html", "f4.txt", "utterances.jsonl", "ratings.sav"),
)


def threers(*words: str, interrupted: str = "") -> None:
    """Call a verb; `interrupted`: at the first call of a function, as by Ctrl-C."""
    sys.argv = ["threers", *words]
    said = io.StringIO()
    cut = mock.patch(interrupted, side_effect=KeyboardInterrupt) if interrupted else contextlib.nullcontext()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), cut:
            threers_main()
    except SystemExit as ended:
        if ended.code != (130 if interrupted else 0):
            raise RuntimeError(said.getvalue()) from ended


def fill(root: Path) -> None:
    """Make everything under `root`."""
    examples = Path(__file__).parents[2] / "tests" / "formats"
    for name in ("sources", "more", "formats", "elan", HALF):
        (root / name).mkdir(parents=True)
    for name in FORMATS:
        shutil.copy(examples / name, root / "formats" / name)
    shutil.copy(examples / "session.eaf", root / "elan")
    _sources(root / "sources")
    book = f"codebook={root / 'sources' / 'book.yaml'}"
    (root / "more" / "names.txt").write_text("Anna\nBen Miller\n", encoding="utf-8")
    make_backbone(root / "backbone", "bert")
    learn = [f"corpus={root / 'corpus'}", "backbone=local", f"backbone.path={root / 'backbone'}", *SETTINGS]
    threers("import", f"source={root / 'sources' / 'coded.csv'}", f"corpus={root / 'corpus'}", book, ROLES)
    threers("import", f"source={root / 'sources' / 'later.csv'}", f"corpus={root / 'later'}", book, ROLES)
    threers("import", f"source={root / 'elan'}", f"corpus={root / 'spoken'}", "codebook=3rs-2015", ROLES)
    adapt = [f"corpus={root / 'corpus'}", "backbone=local", f"backbone.path={root / 'backbone'}", *ADAPTING]
    threers("adapt", *adapt, f"out={root / 'adapted'}")
    threers("adapt", *adapt, f"out={root / HALF / 'adapted'}", interrupted="threers.adaptation._save")
    evaluate = [*learn, "folds=2", "resamples=100"]
    threers("evaluate", *evaluate, f"out={root / 'evaluation'}")
    calibration = f"calibration={root / 'evaluation'}"
    threers("train", *learn, calibration, f"tagger={root / 'tagger'}")
    score = [f"tagger={root / 'tagger'}", f"source={root / 'later'}"]
    threers("score", *score, f"out={root / 'scores'}")
    scores, later = f"scores={root / 'scores'}", f"corpus={root / 'later'}"
    threers("agree", later, scores, "resamples=100", f"out={root / 'agreement'}")
    tables = [f"{one}={root / 'sources' / one}.csv" for one in "ab"]
    threers("agree", *tables, "resamples=100", f"out={root / 'coders'}")
    threers("report", scores, later, "include_text=true", f"out={root / 'pages'}")
    threers("sample", later, "n=2", f"out={root / 'sample'}")
    threers("sample", later, scores, "n=2", "how=uncertain", f"out={root / 'unsure'}")
    threers("export", later, scores, f"to={root / 'export' / 'tags.csv'}")
    threers(
        "export",
        f"corpus={root / 'spoken'}",
        f"originals={root / 'elan'}",
        "format=elan",
        f"to={root / 'export' / 'elan'}",
    )
    threers("train", *learn, calibration, f"tagger={root / HALF / 'tagger'}", interrupted="threers.tagger.Tagger.save")
    _cut_off(root, evaluate)


def _cut_off(root: Path, evaluate: list[str]) -> None:
    """An evaluation and scores of which a part is missing, made of the whole ones."""
    shutil.copytree(root / "evaluation" / "folds", root / HALF / "evaluation" / "folds")
    shutil.copy(root / "evaluation" / "run.json", root / HALF / "evaluation")
    (root / HALF / "evaluation" / "folds" / "scores-1.parquet").unlink()
    threers(
        "evaluate", *evaluate, f"out={root / HALF / 'evaluation'}", interrupted="threers.crossvalidation.floor_tags"
    )
    shutil.copytree(root / "scores", root / HALF / "scores")
    (root / HALF / "scores" / "manifest.json").unlink()
    journal = root / HALF / "scores" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])


def _sources(folder: Path) -> None:
    rng = random.Random(0)
    codes = {"P": {"angry": "C1", "fine": "W1", "want": "W"}, "T": {"why": "R1", "help": "R4", "": "none"}}
    coded = [row for s in range(8) for row in _session(f"s{s}", f"p{s}", ("anna", "ben")[: 1 + s % 2], codes, rng)]
    later = [row for s in range(6) for row in _session(f"n{s}", f"q{s // 2}", ("anna",) * (s < 3), codes, rng)]
    new = [row for s in range(2) for row in _session(f"w{s}", f"w{s}", (), codes, rng)]
    _write(folder / "coded.csv", coded)
    _write(folder / "later.csv", later)
    _write(folder / "new.csv", new)
    for one, own in (("a", "anna"), ("b", "ben")):
        _write(folder / f"{one}.csv", [row for row in coded if row["coder"] == own])
    _write(folder / "roles.csv", [{"file": "coded.csv", "speaker": s, "role": r} for s, r in
                                  (("T", "therapist"), ("P", "patient"))])  # fmt: skip
    configs = Path(__file__).parents[2] / "configs"
    (folder / "book.yaml").write_text(BOOK, encoding="utf-8")
    shutil.copy(configs / "reader" / "long.yaml", folder / "reader.yaml")


def _session(
    session: str, patient: str, coders: tuple[str, ...], codes: dict[str, dict[str, str]], rng: random.Random
) -> list[dict[str, Any]]:
    rows = []
    for turn in range(12):
        speaker = "TP"[turn % 2]
        cue = rng.choice(sorted({*codes[speaker], ""}))
        text = " ".join([CANARY, *rng.choices(WORDS[:12], k=rng.randint(1, 6)), cue]).strip()
        said = {"session": session, "turn": turn, "speaker": speaker, "text": text, "patient": patient}
        said |= {"start": turn * 20.0, "end": turn * 20.0 + 15}
        rows += [said | {"coder": coder, "code": codes[speaker].get(cue, "")} for coder in coders or ("",)]
    return rows


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
