"""`threers demo`: the three jobs on the bundled synthetic sessions. Layer 5."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib import resources
from pathlib import Path

from threers import runs, screen
from threers.corpus import Corpus
from threers.doctor import versions
from threers.folders import claim, same_run
from threers.formats import import_files
from threers.jobs import AgreeRun, DemoRun, EvaluateRun, ReportRun, ScoreRun, TrainRun
from threers.settings import Engine

#: Patients whose sessions stand for new ones: no tagger of the demo ever learns from them.
NEW_PATIENTS = ("P08", "P13")


def run(settings: DemoRun) -> None:
    """Import, evaluate, train, score new sessions, compare them with their coders; a second run redoes nothing done.

    Writes corpus/, new/, evaluation/, tagger/, scores/, agreement/ and pages/ under `settings.out`.
    """
    from threers.backbones import adapted, load_encoder, locate

    folder = locate(settings.backbone)  # what would stop training is found before anything is written
    adapted(folder)
    load_encoder(folder)
    out = Path(settings.out).expanduser()
    screen.say(f"1 of 6  import the bundled sessions: {screen.SYNTHETIC}")
    known, new = _import(settings, out)
    screen.say(
        f"2 of 6  evaluate: {settings.folds}-fold cross-validation over patients, {len(known.sessions)} sessions"
    )
    evaluation = EvaluateRun(
        corpus=str(out / "corpus"),
        out=str(out / "evaluation"),
        folds=settings.folds,
        backbone=settings.backbone,
        training=settings.training,
    )
    table = runs.evaluate(evaluation)
    screen.say("3 of 6  train a tagger on all of them")
    wanted = TrainRun(
        corpus=str(out / "corpus"),
        tagger=str(out / "tagger"),
        calibration=str(out / "evaluation"),
        backbone=settings.backbone,
        training=settings.training,
    )
    if not (out / "tagger" / "manifest.json").is_file():
        runs.train(wanted)
    screen.say(f"4 of 6  score {len(new.sessions)} sessions of {len(NEW_PATIENTS)} patients that it never saw")
    scores = ScoreRun(tagger=str(out / "tagger"), source=str(out / "new"), out=str(out / "scores"), engine=Engine())
    screen.show_scores(runs.score(scores), str(out / "scores"))
    screen.say("5 of 6  compare tagger and coders on the new sessions")
    comparison = AgreeRun(
        corpus=str(out / "new"),
        scores=(str(out / "scores"),),
        out=str(out / "agreement"),
        resamples=200,
        overwrite=True,
    )
    runs.agree(comparison)
    screen.say("6 of 6  make a page of each new session")
    pages = ReportRun(
        scores=str(out / "scores"), corpus=str(out / "new"), out=str(out / "pages"), include_text=True, overwrite=True
    )
    runs.report(pages)
    screen.say("\nCross-validation over patients:")
    screen.show_agreement(table, known.codebook)
    screen.say(
        f"agreement, cross-validated: {out / 'evaluation' / 'agreement.html'}\n"
        f"agreement on the new sessions: {out / 'agreement' / 'agreement.html'}\n"
        f"scores of the new sessions: {out / 'scores'}\n"
        f"pages of the new sessions: {out / 'pages' / 'index.html'}"
    )


def _import(settings: DemoRun, out: Path) -> tuple[Corpus, Corpus]:
    wanted = {"demo": versions(), "settings": json.loads(json.dumps(asdict(settings)))}
    # A demo of other settings or versions starts anew; a folder that is no demo is left alone.
    claim(out, wanted, "out", overwrite=(out / "run.json").is_file() and not same_run(out, wanted))
    if (out / "new" / "manifest.json").is_file():
        return Corpus.load(out / "corpus"), Corpus.load(out / "new")
    with resources.as_file(resources.files("threers.demo")) as folder:
        corpus = import_files(folder / "**" / "*.csv", folder / "reader.yaml")
    corpus.manifest["synthetic"] = True
    is_new = corpus.sessions["patient_id"].isin(NEW_PATIENTS)
    parts = []
    for name, chosen in (("corpus", ~is_new), ("new", is_new)):
        part = corpus.select(corpus.sessions.loc[chosen, "session_id"])
        part.save(out / name, overwrite=True)
        parts.append(part)
    return parts[0], parts[1]
