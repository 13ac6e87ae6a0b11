"""What each part of the recipe is worth: the same folds, one thing changed per row, differences with intervals.

Resumable, row by row and fold by fold; two processes with different `--rows` may share a folder.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from threers.agreement import agree, macro_f1_difference
from threers.backbones import locate
from threers.corpus import Corpus, coded_sessions, grouped_folds, require_disjoint
from threers.doctor import shipped_backbone
from threers.floors import FLOORS, floor_codings, floor_tags
from threers.hardware import choose
from threers.learner import Learner
from threers.mapping import from_mapping
from threers.scores import scores_to_codings, write_json, write_parquet
from threers.scoring import score_sessions
from threers.settings import Training
from threers.shipped import read_yaml
from threers.stored import read_json
from threers.tagger import Tagger
from threers.training import fit

from .context import PREVIOUS, WindowTagger
from .few import set_fit
from .losses import Asymmetric, Focal
from .plain import fine_tune
from .rivals import learn_and_tag

logger = logging.getLogger("threers.accuracy")

DEFAULT = "default"
PLAIN = "plain fine-tune"
NO_OPINIONS = {"lexical_share": 0.0, "pretrained_share": 0.0}


@dataclass(frozen=True)
class Row:
    """What a row changes. `backbone`: another backbone's name; `settings`: of that backbone; `rival`: what learns in
    place of threers, as `rivals.Rival` but for folder and seed.
    """

    training: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    backbone: str = ""
    tagger: type[Tagger] = Tagger
    learner: type[Learner] = Learner
    rival: Callable[..., Any] | None = None


ROWS = {
    DEFAULT: Row(),
    PLAIN: Row(rival=fine_tune),
    "encoder alone": Row(NO_OPINIONS),
    "encoder alone, windows of 10 previous": Row(
        NO_OPINIONS | {"batch_tokens": 1024 * PREVIOUS, "epochs": 2}, tagger=WindowTagger
    ),
    "without the words": Row({"lexical_share": 0.0}),
    "without the untrained backbone": Row({"pretrained_share": 0.0}),
    "chunks of 128": Row(settings={"chunk_tokens": 128, "overlap_tokens": 32}),
    "chunks of 512": Row(settings={"chunk_tokens": 512, "overlap_tokens": 128}),
    "without look-ahead": Row(settings={"lookahead": False}),
    "loss unweighted": Row({"balance": 0.0}),
    "rare codes weigh in full": Row({"balance": 1.0}),
    "focal loss": Row(learner=Focal),
    "asymmetric loss": Row(learner=Asymmetric),
    "last weights, no mean": Row({"average_epochs": 0.0}),
    "8 epochs": Row({"epochs": 8}),
    "seed 2": Row({"seed": 2}),
    "seed 3": Row({"seed": 3}),
    "mean of 3 runs": Row({"repeats": 3}),
    "mean of 3 runs, adapted in 3 epochs": Row({"repeats": 3, "adapt_epochs": 3}),
    "adapted in 1 epoch": Row({"adapt_epochs": 1}),
    "adapted in 3 epochs": Row({"adapt_epochs": 3}),
    "mpnet_lower": Row(backbone="mpnet_lower", training={"epochs": 3}),
    "mpnet": Row(backbone="mpnet", training={"epochs": 3}),
    "SetFit, 8 per code": Row(rival=partial(set_fit, per_code=8)),
    "SetFit, 100 steps": Row(rival=partial(set_fit, steps=100)),
}


def compare(given: argparse.Namespace) -> dict[str, Any]:
    """Train and score the rows asked for that are not there yet; the figures of all rows that are."""
    corpus, out = coded_sessions(Corpus.load(given.corpus)), Path(given.out)
    fold_of = grouped_folds(corpus, given.folds, 1)
    for name in rows_named(given.rows) if given.rows else _every_row():
        for fold in range(given.only or given.folds):
            run_row(corpus, fold_of, name, fold, given, folder_of(out, name))
    return {name: figures for name in ROWS if (figures := _figures(corpus, name, out, given))}


def _every_row() -> list[str]:
    """All rows, but those of SetFit only where it is installed: hours of the others are not to end without a table."""
    if find_spec("setfit"):
        return list(ROWS)
    logger.warning("SetFit is not installed (pip install 'setfit>=1.2'): its rows are left out")
    return [name for name in ROWS if not name.startswith("SetFit")]


def rows_named(text: str) -> list[str]:
    """Names of rows with commas between them; a name may hold a comma itself. Raises SystemExit for any other."""
    names: list[str] = []
    while text := text.lstrip():
        known = [name for name in ROWS if f"{text},".startswith(f"{name},")]
        if not known:
            raise SystemExit(f"--rows: no row is called {text!r}; expected some of: {'; '.join(ROWS)}")
        names.append(max(known, key=len))
        text = text[len(names[-1]) + 1 :]
    return names


def folder_of(out: Path, name: str) -> Path:
    """Where the results of a row lie."""
    return out / name.replace(" ", "-")


def run_row(corpus: Corpus, fold_of: pd.Series, name: str, fold: int, given: argparse.Namespace, folder: Path) -> None:
    """Train one row without a fold and score that fold into `folder`, unless that was done."""
    if (folder / f"scores-{fold}.parquet").is_file():
        return
    logger.info("%s, fold %d", name, fold + 1)
    learn_ids, test_ids = list(fold_of.index[fold_of != fold]), list(fold_of.index[fold_of == fold])
    require_disjoint(corpus.sessions, learn_ids, test_ids)
    learn, test = corpus.select(learn_ids), corpus.select(test_ids)
    row = ROWS[name]
    backbone = replace(shipped_backbone(row.backbone or given.backbone), **row.settings)
    start = time.monotonic()
    if row.rival is not None:
        scores, read = learn_and_tag(learn, test, partial(row.rival, folder=locate(backbone), seed=given.seed))
    else:
        training = from_mapping(Training, read_yaml("training", "default")[0])
        training = replace(training, **({"seed": given.seed} | dict(row.training)))
        learner = _counting(row.learner)
        tagger = fit(learn, backbone, training, tagger_type=row.tagger, learner_type=learner)
        tokens = tagger.manifest["tokens_per_epoch"] * len(tagger.manifest["epochs"])
        read = {"training_tokens": tokens, "padded_tokens": learner.padded_tokens}
        scores = score_sessions(tagger, test.utterances, choose(reduced=tagger.keeps_tags))
    write_json(read | {"seconds": time.monotonic() - start}, folder / f"cost-{fold}.json")
    if name == DEFAULT:
        floors = floor_tags(learn, test)
        rows = pd.concat([floor_codings(test, floors[floor], floor) for floor in FLOORS], ignore_index=True)
        write_parquet(rows, folder / f"floors-{fold}.parquet")
    write_parquet(scores[["session_id", "utterance_id", "role", "tags"]], folder / f"scores-{fold}.parquet")


def _counting(learner: type[Learner]) -> Any:
    """The same loss, which adds up the tokens of its batches, padding included, in `padded_tokens`."""

    class Counting(learner):  # type: ignore[misc, valid-type]
        padded_tokens = 0

        def forward(self, *targets: torch.Tensor, input_ids: torch.Tensor, **batch: torch.Tensor) -> dict[str, Any]:
            Counting.padded_tokens += input_ids.numel()
            return super().forward(*targets, input_ids=input_ids, **batch)

    return Counting


def _figures(corpus: Corpus, name: str, out: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Macro-F1 of one row, and its difference to the default on the folds that both have."""
    folder, default = folder_of(out, name), folder_of(out, DEFAULT)
    folds = [
        fold
        for fold in range(given.folds)
        if all((each / f"scores-{fold}.parquet").is_file() for each in (folder, default))
    ]
    if not folds:
        return {}
    tables = {side: _tags(side, folds) for side in dict.fromkeys((default, folder))}
    part = corpus.select(tables[folder]["session_id"].unique())
    groups = part.group_of
    machines = [scores_to_codings(table, part.codebook, f"model:{side.name}") for side, table in tables.items()]
    floors = [pd.read_parquet(default / f"floors-{fold}.parquet") for fold in folds] if name == DEFAULT else []
    judged = (pd.concat([part.codings, *floors, *machines], ignore_index=True), part.utterances, groups, part.codebook)
    rows = agree(*judged, resamples=given.resamples)
    rows = rows[(rows["level"] == "utterance") & (rows["statistic"] == "macro_f1") & (rows["rater_b"] == "consensus")]
    rows = rows.set_index(["family", "rater_a"])[["estimate", "low", "high"]]
    families = [family.name for family in part.codebook.tag_families()]
    figures: dict[str, Any] = {"folds": len(folds), "groups": int(groups.nunique())}
    for key in ("training_tokens", "padded_tokens", "seconds"):
        figures[key] = sum(read_json(folder / f"cost-{fold}.json").get(key) or 0 for fold in folds)
    figures["macro_f1"] = {family: rows.loc[(family, f"model:{folder.name}")].tolist() for family in families}
    if name == DEFAULT:
        figures["floors"] = {
            floor: {family: rows.loc[(family, floor)].tolist() for family in families}
            for floor in rows.index.unique("rater_a")
            if floor.startswith("floor:")
        }
    else:
        sides = (f"model:{folder.name}", f"model:{default.name}")
        figures["difference"] = {
            family: list(macro_f1_difference(*judged, *sides, family, resamples=given.resamples)) for family in families
        }
    return figures


def _tags(folder: Path, folds: list[int]) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(folder / f"scores-{fold}.parquet") for fold in folds], ignore_index=True)


def table(figures: dict[str, Any]) -> str:
    """Markdown: a row per thing changed."""
    families = list(figures[DEFAULT]["macro_f1"])
    head = [f"macro-F1 {family} | against the default" for family in families]
    lines = [
        "| | folds | " + " | ".join(head) + " | tokens learnt from | with padding | minutes |",
        "|---|---|" + "---|---|" * len(families) + "---|---|---|",
    ]
    rows = {name: own for name, own in figures.items() if name != DEFAULT}
    floors = {name: {"macro_f1": own} for name, own in figures[DEFAULT]["floors"].items()}
    for name, own in {DEFAULT: figures[DEFAULT], **rows, **floors}.items():
        cells = [name, str(own.get("folds", ""))]
        for family in families:
            cells.append("{:.3f} [{:.3f}, {:.3f}]".format(*own["macro_f1"][family]))
            difference = own.get("difference", {}).get(family)
            cells.append("{:+.3f} [{:+.3f}, {:+.3f}]".format(*difference) if difference else "")
        tokens, seconds = (own.get("training_tokens"), own.get("padded_tokens")), own.get("seconds")
        cells += [*(f"{number:,}" if number else "" for number in tokens), f"{seconds / 60:.0f}" if seconds else ""]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
