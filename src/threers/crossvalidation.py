"""Taggers of a cross-validation over groups, each tested on groups that it never saw; resumable. Layer 3."""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from threers import ranks
from threers.agreement.curve import learning_curve
from threers.agreement.frame import MODEL
from threers.codebook import Codebook
from threers.corpus import Corpus, require_disjoint
from threers.decisions import Decisions, before_temperature
from threers.errors import InputError
from threers.floors import FLOORS, floor_codings, floor_ratings, floor_tags
from threers.folders import ANEW
from threers.hardware import choose
from threers.processes import process_pool, signals_held
from threers.score_checks import KEYS, check_scores
from threers.scores import scores_to_codings, write_json, write_parquet
from threers.scoring import score_sessions
from threers.settings import Backbone, Training
from threers.stored import read_mapping, read_parquet
from threers.tables import TABLES, typed
from threers.tagger import Tagger
from threers.training import fit

logger = logging.getLogger(__name__)

#: Shares of the training groups that the learning curve is drawn at, below the whole.
SHARES = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class CrossValidation:
    """What every fold is given; `fold_of`: fold by session_id, see `splits.grouped_folds`; `folder`: what is written.

    `whole`: the corpus with its uncoded sessions, to some of which a backbone may be adapted. `workers`: folds that are
    trained side by side, each with its share of the threads.
    """

    coded: Corpus
    whole: Corpus
    fold_of: pd.Series
    backbone: Backbone
    training: Training
    folder: Path
    seed: int = 1
    workers: int = 1

    @property
    def folds(self) -> int:
        """How many there are."""
        return int(self.fold_of.max()) + 1


def run_folds(of: CrossValidation) -> None:
    """For each fold write `scores-N.parquet`, `floors-N.parquet` and `tagger-N.json`; those there are not made anew."""
    missing = [fold for fold in range(of.folds) if not (of.folder / f"scores-{fold}.parquet").is_file()]
    for fold in set(range(of.folds)).difference(missing):
        shutil.rmtree(of.folder / f"training-{fold}", ignore_errors=True)  # of a run that was cut off at its very end
        # Damage is found before the other folds are trained.
        _require_tested(of, fold)
        _fold_decisions(of.folder, fold, of.coded.codebook)
        fold_floors(of.folder, fold)
    _side_by_side(of.workers, [(_run_fold, of, fold) for fold in missing])


def _run_fold(of: CrossValidation, fold: int) -> None:
    learn, test = _sides(of, fold)
    logger.info("fold %d of %d: learn from %d sessions", fold + 1, of.folds, len(learn.sessions))
    work = of.folder / f"training-{fold}"
    tagger, scores = _learn_and_score(of, learn, test, work)
    floors = floor_tags(learn, test, of.training.segment_minutes)
    tags = [floor_codings(test, floors[floor], floor) for floor in FLOORS]
    rows = pd.concat([*tags, floor_ratings(learn, test)], ignore_index=True)
    write_parquet(rows, of.folder / f"floors-{fold}.parquet")
    write_json(tagger.manifest | {"decisions": tagger.decisions.to_dict()}, of.folder / f"tagger-{fold}.json")
    write_parquet(scores, of.folder / f"scores-{fold}.parquet")
    shutil.rmtree(work)


def run_curve(of: CrossValidation) -> pd.Series:
    """The same with growing shares of each fold's training groups: writes `curve-PERCENT-N.parquet` (scores).

    The smaller share is part of the larger one; the groups tested are those of the fold.

    Returns:
        How many groups a tagger learnt from, mean over folds, by share; the whole (1.0) last.

    """
    learnt = pd.DataFrame(index=range(of.folds), columns=[*SHARES, 1.0], dtype=float)
    missing: list[tuple[Any, ...]] = []
    for fold in range(of.folds):
        group = _groups_learnt(of, fold)
        learnt.loc[fold, 1.0] = group.nunique()
        for share in SHARES:
            learnt.loc[fold, share] = len(some_groups(group, share, (of.seed, fold)))
            if not (of.folder / f"{curve_name(share)}-{fold}.parquet").is_file():
                missing.append((_run_share, of, fold, share))
            else:
                shutil.rmtree(of.folder / f"training-{curve_name(share)}-{fold}", ignore_errors=True)
                _require_tested(of, fold, curve_name(share))
    _side_by_side(of.workers, missing)
    return learnt.mean()


def curve(of: CrossValidation, whole: pd.DataFrame, resamples: int) -> pd.DataFrame:
    """The learning curve, see `learning_curve`; `whole`: the codings of the taggers that learnt from all groups."""
    learnt = run_curve(of)
    machines = {1.0: whole}
    for share in SHARES:
        scores = out_of_fold(of.coded, of.folder, of.folds, curve_name(share))
        machines[share] = scores_to_codings(scores, of.coded.codebook, f"{MODEL}{of.backbone.name}")
    group = of.coded.group_of
    of_corpus = (of.coded.utterances, group, of.coded.codebook)
    return learning_curve(of.coded.codings, machines, learnt, *of_corpus, resamples=resamples, seed=of.seed)


def _run_share(of: CrossValidation, fold: int, share: float) -> None:
    learn, test = _sides(of, fold)
    logger.info("fold %d of %d: learn from %.0f %% of the groups", fold + 1, of.folds, 100 * share)
    work = of.folder / f"training-{curve_name(share)}-{fold}"
    group = _groups_learnt(of, fold)
    part = learn.select(group.index[group.isin(some_groups(group, share, (of.seed, fold)))])
    _, scores = _learn_and_score(of, part, test, work)
    write_parquet(scores, of.folder / f"{curve_name(share)}-{fold}.parquet")
    shutil.rmtree(work)


def _side_by_side(workers: int, jobs: Sequence[tuple[Any, ...]]) -> None:
    """Do each (function, its arguments). Small steps keep two processes with a thread each busier than one with two."""
    workers = min(workers, len(jobs))
    if workers < 2:
        for function, *given in jobs:
            function(*given)
        return
    threads = max(1, torch.get_num_threads() // workers)
    with process_pool(workers, _begin, threads) as pool:
        with signals_held():  # a worker starts with a submission
            waiting = [pool.submit(*job) for job in jobs]
        for future in as_completed(waiting):
            future.result()


def _begin(threads: int) -> None:
    ranks.speak("[%(process)d] ")
    torch.set_num_threads(threads)


def some_groups(groups: pd.Series, share: float, seed: tuple[int, int]) -> set[str]:
    """A random share of the groups, two at least (training keeps some of them aside); part of any larger share."""
    shuffled = np.random.default_rng(seed).permutation(np.sort(groups.unique()))
    return set(shuffled[: max(2, math.ceil(share * len(shuffled)))])


def curve_name(share: float) -> str:
    """What the files of a share of the training groups begin with."""
    return f"curve-{round(100 * share)}"


def fold_floors(folder: Path, fold: int) -> pd.DataFrame:
    """The codings of the floors of one fold. Raises InputError where they are not there, or damaged."""
    file = folder / f"floors-{fold}.parquet"
    found = typed(read_parquet(file, ANEW, list(TABLES["codings"])), file, TABLES["codings"], ANEW)
    if not found["coder_id"].isin(FLOORS).all() or found["session_id"].isna().any():
        raise InputError(f"{file}: a coding of no session, or by another than {', '.join(FLOORS)}; {ANEW}")
    return found


def fold_scores(folder: Path, fold: int, codebook: Codebook, what: str = "scores") -> pd.DataFrame:
    """The scores of one fold. Raises InputError where they are not there, or damaged."""
    file = folder / f"{what}-{fold}.parquet"
    return check_scores(read_parquet(file, ANEW), codebook, file, ANEW)


def _require_tested(of: CrossValidation, fold: int, what: str = "scores") -> None:
    """Raise InputError unless the scores of a fold are whole, and those of the utterances that it tests."""
    scores = fold_scores(of.folder, fold, of.coded.codebook, what)
    tested = of.coded.utterances[of.coded.utterances["session_id"].map(of.fold_of) == fold]
    if not pd.MultiIndex.from_frame(scores[KEYS]).equals(pd.MultiIndex.from_frame(tested[KEYS])):
        raise InputError(
            f"{of.folder / what}-{fold}.parquet: its {len(scores)} utterances are not the {len(tested)} of this fold; "
            f"{ANEW}"
        )


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
        decisions = _fold_decisions(folder, fold, codebook)
        p = before_temperature(scores[[f"p_{code}" for code in codes]].to_numpy(), codebook, decisions)
        tables.append(pd.concat([scores[KEYS], pd.DataFrame(p, columns=[f"before_{code}" for code in codes])], axis=1))
    return pd.concat(tables, ignore_index=True)


def _fold_decisions(folder: Path, fold: int, codebook: Codebook) -> Decisions:
    """The decisions of one fold's tagger. Raises InputError where they are not there, or damaged."""
    file = folder / f"tagger-{fold}.json"
    return Decisions.from_dict(read_mapping(file, {"decisions": dict}, ANEW)["decisions"], codebook, str(file))


def _groups_learnt(of: CrossValidation, fold: int) -> pd.Series:
    """Group by session_id of the sessions that a fold learns from."""
    return of.coded.group_of[of.fold_of.index[of.fold_of != fold]]


def _sides(of: CrossValidation, fold: int) -> tuple[Corpus, Corpus]:
    train_ids: Sequence[str] = list(of.fold_of.index[of.fold_of != fold])
    test_ids: Sequence[str] = list(of.fold_of.index[of.fold_of == fold])
    require_disjoint(of.coded.sessions, train_ids, test_ids)
    return of.coded.select(train_ids), of.coded.select(test_ids)


def _learn_and_score(of: CrossValidation, learn: Corpus, test: Corpus, work: Path) -> tuple[Tagger, pd.DataFrame]:
    if of.training.adapt_epochs:
        learn = _with_uncoded(of, learn, test)
    tagger = fit(learn, of.backbone, of.training, work=work)
    hardware = choose(of.training.device, reduced=tagger.keeps_tags)
    tagger.lower(hardware)
    return tagger, score_sessions(tagger, test.utterances, hardware)


def _with_uncoded(of: CrossValidation, learn: Corpus, test: Corpus) -> Corpus:
    """The sessions to learn from, and those that nobody coded, of all groups but those tested."""
    sessions = of.whole.sessions
    coded, tested = of.coded.sessions["session_id"], test.sessions
    uncoded = ~sessions["session_id"].isin(coded) & ~sessions["group_id"].isin(tested["group_id"])
    ids = [*learn.sessions["session_id"], *sessions["session_id"][uncoded]]
    require_disjoint(sessions, ids, tested["session_id"])
    return of.whole.select(ids)
