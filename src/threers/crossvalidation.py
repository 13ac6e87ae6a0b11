"""Taggers of a cross-validation over groups, each tested on groups that it never saw; resumable. Layer 3."""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from threers.codebook import Codebook
from threers.corpus import Corpus, require_disjoint
from threers.decisions import Decisions, before_temperature
from threers.errors import InputError
from threers.floors import FLOORS, floor_codings, floor_tags
from threers.folders import ANEW
from threers.hardware import choose
from threers.score_checks import KEYS, check_scores
from threers.scores import write_json, write_parquet
from threers.scoring import score_sessions
from threers.settings import Backbone, Training
from threers.stored import read_mapping, read_parquet
from threers.tagger import Tagger
from threers.training import fit

logger = logging.getLogger(__name__)

#: Shares of the training groups that the learning curve is drawn at, below the whole.
SHARES = (0.25, 0.5, 0.75)


def run_folds(coded: Corpus, fold_of: pd.Series, backbone: Backbone, training: Training, folder: Path) -> None:
    """For each fold write `scores-N.parquet`, `floors-N.parquet` and `tagger-N.json`; those there are not made again.

    `fold_of`: fold by session_id, see `splits.grouped_folds`.
    """
    folds = int(fold_of.max()) + 1
    for fold in range(folds):
        if (folder / f"scores-{fold}.parquet").is_file():
            fold_scores(folder, fold, coded.codebook)  # damage is found before the other folds are trained
            continue
        learn, test = _sides(coded, fold_of, fold)
        logger.info("fold %d of %d: learn from %d sessions", fold + 1, folds, len(learn.sessions))
        work = folder / f"training-{fold}"
        tagger, scores = _learn_and_score(learn, test, backbone, training, work)
        floors = floor_tags(learn, test)
        rows = pd.concat([floor_codings(test, floors[floor], floor) for floor in FLOORS], ignore_index=True)
        write_parquet(rows, folder / f"floors-{fold}.parquet")
        write_json(tagger.manifest | {"decisions": tagger.decisions.to_dict()}, folder / f"tagger-{fold}.json")
        write_parquet(scores, folder / f"scores-{fold}.parquet")
        shutil.rmtree(work)


def run_curve(
    coded: Corpus, fold_of: pd.Series, backbone: Backbone, training: Training, folder: Path, seed: int
) -> pd.Series:
    """The same with growing shares of each fold's training groups: writes `curve-PERCENT-N.parquet` (scores).

    The smaller share is part of the larger one; the groups tested are those of the fold.

    Returns:
        How many groups a tagger learnt from, mean over folds, by share; the whole (1.0) last.

    """
    folds = int(fold_of.max()) + 1
    learnt = pd.DataFrame(index=range(folds), columns=[*SHARES, 1.0], dtype=float)
    for fold in range(folds):
        learn, test = _sides(coded, fold_of, fold)
        group = learn.sessions.set_index("session_id")["group_id"]
        learnt.loc[fold, 1.0] = group.nunique()
        for share in SHARES:
            chosen = some_groups(group, share, (seed, fold))
            learnt.loc[fold, share] = len(chosen)
            if (folder / f"{curve_name(share)}-{fold}.parquet").is_file():
                continue
            logger.info("fold %d of %d: learn from %.0f %% of the groups", fold + 1, folds, 100 * share)
            work = folder / f"training-{curve_name(share)}-{fold}"
            part = learn.select(group.index[group.isin(chosen)])
            _, scores = _learn_and_score(part, test, backbone, training, work)
            write_parquet(scores, folder / f"{curve_name(share)}-{fold}.parquet")
            shutil.rmtree(work)
    return learnt.mean()


def some_groups(groups: pd.Series, share: float, seed: tuple[int, int]) -> set[str]:
    """A random share of the groups, two at least (training keeps some of them aside); part of any larger share."""
    shuffled = np.random.default_rng(seed).permutation(np.sort(groups.unique()))
    return set(shuffled[: max(2, math.ceil(share * len(shuffled)))])


def curve_name(share: float) -> str:
    """What the files of a share of the training groups begin with."""
    return f"curve-{round(100 * share)}"


def together(folder: Path, what: str, folds: int) -> pd.DataFrame:
    """The tables `WHAT-N.parquet` of all folds as one.

    Raises:
        InputError: one is not there, or damaged.

    """
    return pd.concat(
        [read_parquet(folder / f"{what}-{fold}.parquet", ANEW) for fold in range(folds)], ignore_index=True
    )


def fold_scores(folder: Path, fold: int, codebook: Codebook, what: str = "scores") -> pd.DataFrame:
    """The scores of one fold. Raises InputError where they are not there, or damaged."""
    file = folder / f"{what}-{fold}.parquet"
    return check_scores(read_parquet(file, ANEW), codebook, file, ANEW)


def out_of_fold(coded: Corpus, folder: Path, folds: int, what: str = "scores") -> pd.DataFrame:
    """The scores of all folds, in the order of the corpus.

    Raises:
        InputError: they are damaged, or not those of every utterance.

    """
    scores = pd.concat([fold_scores(folder, fold, coded.codebook, what) for fold in range(folds)], ignore_index=True)
    order = pd.MultiIndex.from_frame(scores[KEYS])
    wanted = pd.MultiIndex.from_frame(coded.utterances[KEYS])
    if not order.is_unique or not wanted.isin(order).all():
        raise InputError(f"{folder}: the folds together do not hold every coded utterance once; {ANEW}")
    return scores.iloc[order.get_indexer(wanted)].reset_index(drop=True)


def uncalibrated(folder: Path, folds: int, codebook: Codebook) -> pd.DataFrame:
    """session_id, utterance_id and `before_CODE`: what the folds' taggers would have said without temperature."""
    codes, tables = codebook.tag_codes(), []
    for fold in range(folds):
        scores = fold_scores(folder, fold, codebook)
        file = folder / f"tagger-{fold}.json"
        decisions = Decisions.from_dict(read_mapping(file, {"decisions": dict}, ANEW)["decisions"], codebook, str(file))
        p = before_temperature(scores[[f"p_{code}" for code in codes]].to_numpy(), codebook, decisions)
        tables.append(pd.concat([scores[KEYS], pd.DataFrame(p, columns=[f"before_{code}" for code in codes])], axis=1))
    return pd.concat(tables, ignore_index=True)


def _sides(coded: Corpus, fold_of: pd.Series, fold: int) -> tuple[Corpus, Corpus]:
    train_ids: Sequence[str] = list(fold_of.index[fold_of != fold])
    test_ids: Sequence[str] = list(fold_of.index[fold_of == fold])
    require_disjoint(coded.sessions, train_ids, test_ids)
    return coded.select(train_ids), coded.select(test_ids)


def _learn_and_score(
    learn: Corpus, test: Corpus, backbone: Backbone, training: Training, work: Path
) -> tuple[Tagger, pd.DataFrame]:
    tagger = fit(learn, backbone, training, work=work)
    hardware = choose(training.device, reduced=tagger.keeps_tags)
    tagger.lower(hardware)
    return tagger, score_sessions(tagger, test.utterances, hardware)
