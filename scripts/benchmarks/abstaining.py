"""What abstaining promises and costs: limits set on all folds of an evaluation but one, tried on the patients of it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from threers.abstention import check, fit_limits, left_out_of_fold
from threers.calibration import from_evaluation
from threers.corpus import Corpus
from threers.decisions import family_columns
from threers.folders import begun
from threers.mapping import from_mapping
from threers.settings import Backbone, Training

PROMISED = (0.2, 0.1, 0.05)


def compare(given: argparse.Namespace) -> dict[str, Any]:
    """Realised errors of each code, and the share of utterances left to humans in each family, per promise."""
    corpus = Corpus.load(given.corpus)
    run = begun(Path(given.out))
    settings = from_mapping(Backbone, run["backbone"]), from_mapping(Training, run["training"])
    calibration = from_evaluation(given.out, corpus, *settings)
    figures: dict[str, Any] = {"groups": calibration.groups, "codes": {}, "left": {}}
    for error in PROMISED:
        for row in check(calibration, fit_limits(calibration, error, corpus.codebook), corpus.codebook):
            own = figures["codes"].setdefault(f"{row['code']}, {row['answer']}", {"before": row["error_before"]})
            own[str(error)] = row["error_realised"]
        opened, _ = left_out_of_fold(calibration, error, corpus.codebook)
        for family, columns in family_columns(corpus.codebook):
            judged = np.isfinite(calibration.p[:, columns]).any(axis=1)
            left = float(opened[judged][:, columns].any(axis=1).mean())
            figures["left"].setdefault(family.title, {})[str(error)] = left
    return figures


def table(figures: dict[str, Any]) -> str:
    """Markdown: a row per code and answer, a column per promise."""
    lines = [
        "| | without | " + " | ".join(f"promised {error:.0%}" for error in PROMISED) + " |",
        "|---|---|---|---|---|",
    ]
    for name, own in figures["codes"].items():
        errors = [own["before"], *(own[str(error)] for error in PROMISED)]
        lines.append(f"| {name} | " + " | ".join("" if e is None else f"{e:.1%}" for e in errors) + " |")
    for title, own in figures["left"].items():
        lines.append(f"| left to humans, {title} | none | " + " | ".join(f"{own[str(e)]:.0%}" for e in PROMISED) + " |")
    return f"{figures['groups']} groups\n\n" + "\n".join(lines)
