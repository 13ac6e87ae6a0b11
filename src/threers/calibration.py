"""Out-of-fold scores that a tagger carries: how it errs on patients it never saw. Layer 2, no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from threers.codebook import Codebook
from threers.corpus import Corpus, coded_sessions
from threers.decisions import family_columns
from threers.errors import InputError
from threers.score_checks import KEYS
from threers.scores import read_scores
from threers.settings import Backbone, Training
from threers.stored import read_mapping, read_parquet
from threers.targets import Targets, build_targets

FILE = "calibration.safetensors"
#: What to do about an evaluation that is damaged.
EVALUATE = "evaluate the corpus again"


@dataclass(frozen=True)
class Calibration:
    """Coded utterances as taggers scored them that had not learnt from their patient. Numbers only, no names or texts.

    Codes are those of `codebook.tag_codes()`. The taggers are the folds' of a cross-validation, not the one that
    carries these scores; see docs/promises.md for what that means.
    """

    p: np.ndarray
    """float32 (n, n_codes) probabilities; NaN where the role may not have the code, or the fold did not learn it."""
    tags: np.ndarray
    """bool (n, n_codes)."""
    truth: np.ndarray
    """int8 (n, n_codes): the coders' consensus, 1 marked, 0 not; -1 where nobody judged it, or coders are divided."""
    group: np.ndarray
    """int64 (n,) number of the utterance's patient, or other group; the numbers were dealt at random."""
    fold: np.ndarray
    """int64 (n,) number of the fold that the utterance was tested in."""

    @property
    def groups(self) -> int:
        """How many patients, or other groups, there are."""
        return len(np.unique(self.group))

    def rows(self, chosen: np.ndarray) -> Calibration:
        """The same of some utterances."""
        return Calibration(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def save(self, path: Path) -> None:
        """Write one file of arrays."""
        save_file({field.name: np.ascontiguousarray(getattr(self, field.name)) for field in fields(self)}, str(path))

    @classmethod
    def load(cls, path: Path, codebook: Codebook) -> Calibration:
        """Read what `save` wrote.

        Raises:
            InputError: the file is damaged, or belongs to another codebook.

        """
        try:
            arrays = load_file(str(path))
            found = cls(**arrays)
        except (OSError, TypeError, SafetensorError) as error:
            raise InputError(f"{path}: damaged; restore the tagger's folder") from error
        shape, rows = found.p.shape, found.p.shape[:1]
        alike = found.tags.shape == found.truth.shape == shape and found.group.shape == found.fold.shape == rows
        if shape[1:] != (len(codebook.tag_codes()),) or not alike:
            raise InputError(f"{path}: does not fit codebook {codebook.name}; restore the tagger's folder")
        return found


def from_evaluation(folder: str | Path, corpus: Corpus, backbone: Backbone, training: Training) -> Calibration:
    """Take the out-of-fold scores of `threers evaluate` on this very corpus, made by taggers trained as this one is.

    Raises:
        InputError: no finished evaluation, or one of another corpus, codebook, backbone or training; says which. Or
            nobody coded an utterance, so that nobody knows how the tagger errs on one.

    """
    folder = Path(folder).expanduser()
    where, marker = f"calibration={folder}", folder / "run.json"
    if not marker.is_file() or "folds" not in read_mapping(marker, {}, EVALUATE):
        raise InputError(f"{where}: expected a folder that `threers evaluate` wrote")
    found = read_mapping(marker, {"folds": int, "corpus": str, "backbone": dict, "training": dict}, EVALUATE)
    _require_same(found, corpus, backbone, training, where)
    scores, _ = read_scores(folder / "scores", corpus.codebook)
    parts = [folder / "folds" / f"scores-{n}.parquet" for n in range(found["folds"])]
    folds = [read_parquet(part, EVALUATE, ["session_id"]) for part in parts]
    fold_of = {session: n for n, part in enumerate(folds) for session in part["session_id"].unique()}
    coded = coded_sessions(corpus)
    targets = build_targets(coded.utterances, coded.codings, corpus.codebook, training.segment_minutes)
    if not targets.coders.any():
        raise InputError(
            f"{where}: only segments of this corpus are coded, so how the tagger errs on utterances is "
            "not known; train without calibration, or have some utterances coded"
        )
    scores = coded.utterances[KEYS].merge(scores, on=KEYS, how="left", validate="one_to_one")
    if scores["tags"].isna().any() or not scores["session_id"].isin(list(fold_of)).all():
        raise InputError(f"{where}: its scores are not those of every coded utterance; {EVALUATE}")
    group = scores["session_id"].map(coded.group_of)
    codes = corpus.codebook.tag_codes()
    calibration = Calibration(
        p=scores[[f"p_{code}" for code in codes]].to_numpy(dtype=np.float32),
        tags=np.array([[code in tags for code in codes] for tags in scores["tags"]]),
        truth=consensus_truth(targets, corpus.codebook),
        group=_dealt(group),
        fold=scores["session_id"].map(fold_of).to_numpy(dtype=np.int64),
    )
    return calibration.rows(np.argsort(calibration.group, kind="stable"))


def consensus_truth(targets: Targets, codebook: Codebook) -> np.ndarray:
    """The consensus as `threers agree` has it: int8 (n, n_codes), 1 marked, 0 not, -1 unknown or divided."""
    truth = np.where(targets.coders > 0, targets.share >= 0.5, -1).astype(np.int8)
    for family, columns in family_columns(codebook):
        if family.kind == "exclusive":
            share = targets.share[:, columns]
            most = share == share.max(axis=1, keepdims=True)
            clear = (most.sum(axis=1) == 1) & (targets.coders[:, columns] > 0).all(axis=1)
            truth[:, columns] = np.where(clear[:, None], most, -1)
    return truth


def _dealt(group: pd.Series) -> np.ndarray:
    """A number per group, in an order that says nothing about their names."""
    numbers, names = pd.factorize(group, sort=True)
    return np.random.default_rng(0).permutation(len(names))[numbers].astype(np.int64)


def _require_same(found: Mapping[str, Any], corpus: Corpus, backbone: Backbone, training: Training, where: str) -> None:
    if found["corpus"] != corpus.hash:
        raise InputError(f"{where}: made from another corpus, or from this one before it changed; evaluate this corpus")
    # As the run wrote it: JSON has no tuples.
    for part, own in {"backbone": asdict(backbone), "training": asdict(training)}.items():
        for key, value in json.loads(json.dumps(own)).items():
            if key not in ("device", "precision") and found[part].get(key) != value:
                raise InputError(
                    f"{where}: made with {part}.{key}={found[part].get(key)}, this run has {value}; only scores of "
                    "taggers trained in the same way say how this one errs"
                )
