"""The verbs: what each does, is given and says. Layer 5; what takes time to load waits until its verb is run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

VERBS = {
    "import": "read transcripts and codings into a corpus",
    "adapt": "let a backbone read transcripts, coded or not, before a tagger is trained from it",
    "train": "train a tagger on a corpus",
    "evaluate": "cross-validate on patients the tagger never saw, and compare it with the coders",
    "score": "tag transcripts or a corpus with a tagger",
    "export": "write tags back into the files of coders' tools",
    "agree": "compare coders and models with each other",
    "sample": "choose sessions for people to code, and write their coding sheets",
    "report": "show scores as pages: where a session strained, was it repaired, is the tag right?",
    "purge": "delete a folder that threers made, and what is unfinished beside it",
    "doctor": "show what is installed and what would be used",
    "demo": "go the whole way on the bundled synthetic sessions",
}


def say(text: str, file: TextIO | None = None) -> None:
    """Write a line to the screen; to another stream where one is given."""
    (file or sys.stdout).write(text + "\n")


def work_of(verb: str) -> tuple[Callable[[Any], Any], Any]:
    """The function that does what a verb says, and the dataclass of what it is given."""
    from threers import jobs

    return {
        "import": (_import, jobs.ImportRun),
        "adapt": (_adapt, jobs.AdaptRun),
        "train": (_train, jobs.TrainRun),
        "evaluate": (_evaluate, jobs.EvaluateRun),
        "score": (_score, jobs.ScoreRun),
        "export": (_export, jobs.ExportRun),
        "agree": (_agree, jobs.AgreeRun),
        "sample": (_sample, jobs.SampleRun),
        "report": (_report, jobs.ReportRun),
        "purge": (_purge, jobs.PurgeRun),
        "doctor": (_doctor, jobs.DoctorRun),
        "demo": (_demo, jobs.DemoRun),
    }[verb]


def _import(run: Any) -> None:
    from threers import runs, screen
    from threers.formats import UnknownSpeakersError

    try:
        corpus = runs.import_corpus(run)
    except UnknownSpeakersError as error:
        screen.show_speakers(error.speakers)
        raise
    screen.show_import(corpus, run.corpus)


def _adapt(run: Any) -> None:
    from threers import runs, screen

    screen.show_adaptation(runs.adapt(run), run.out)


def _train(run: Any) -> None:
    from threers import runs
    from threers.ranks import is_first

    made = runs.train(run)
    if is_first():
        say(f"tagger: {made}")


def _evaluate(run: Any) -> float:
    """Returns what a sweep makes as large as it can."""
    from threers import runs, screen
    from threers.comparison import overall
    from threers.corpus import Corpus

    table = runs.evaluate(run)
    screen.show_agreement(table, Corpus.load(run.corpus).codebook)
    say(f"{_results(run.out)}\nout-of-fold scores: {Path(run.out) / 'scores'}")
    return overall(table, run.backbone.name)


def _results(out: str) -> str:
    return f"report: {Path(out) / 'agreement.html'}\nagreement: {Path(out) / 'agreement.csv'}"


def _score(run: Any) -> None:
    from threers import runs, screen

    screen.show_scores(runs.score(run), run.out)


def _export(run: Any) -> None:
    from threers import runs

    if run.format == "spss":
        files = runs.export_tables(run)
        say(f"{', '.join(file.name for file in files)} written: {files[0].parent}")
        return
    files, codings = runs.export(run)
    where = files[0] if len(files) == 1 else f"{files[0].parent} ({len(files)} files)"
    say(f"{codings} codings written: {where}")


def _sample(run: Any) -> None:
    from threers import runs, screen

    screen.show_sample(runs.sample(run), run.out)


def _agree(run: Any) -> None:
    from threers import runs, screen

    screen.show_agreement(*runs.agree(run))
    say(_results(run.out))


def _report(run: Any) -> None:
    from threers import runs

    sessions = runs.report(run)
    say(f"{sessions} {'session' if sessions == 1 else 'sessions'}: open {Path(run.out) / 'index.html'} in a browser")


def _purge(run: Any) -> None:
    from threers import runs, screen

    screen.show_purge(runs.purge(run), run.confirm)


def _doctor(run: Any) -> None:
    from threers import doctor, screen

    screen.show_findings(doctor.examine())


def _demo(run: Any) -> None:
    from threers import demonstration

    demonstration.run(run)
