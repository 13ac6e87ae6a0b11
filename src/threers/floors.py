"""What a tagger must beat: the most frequent code, and TF-IDF with logistic regression, on the same folds. Layer 3."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from threers.corpus import Corpus
from threers.decisions import consensus, family_columns
from threers.learner import spread
from threers.lexicon import STRENGTH
from threers.linear import fit_linear
from threers.marks import with_parents
from threers.scores import score_table, scores_to_codings
from threers.targets import build_targets

FLOORS = ("floor:most-frequent", "floor:tf-idf")


def floor_tags(train: Corpus, test: Corpus, segment_minutes: float = 5.0) -> dict[str, np.ndarray]:
    """Tags, bool (n test utterances, n_codes), of each floor in FLOORS, learnt from `train`.

    Most frequent: the code (exclusive) or its presence or absence (multilabel) that most training utterances have.
    TF-IDF: words and word pairs, logistic regression with balanced classes, the family's roles only. Where segments
    were coded, logistic regression on the same words says first which of their utterances have the codes.
    """
    codebook = train.codebook
    targets = build_targets(train.utterances, train.codings, codebook, segment_minutes)
    legal = codebook.legal_mask(test.utterances["role"])
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    try:
        x_train = words.fit_transform(train.utterances["text"])
    except ValueError:
        # So few sessions that no word stands in two utterances.
        x_train = words.set_params(min_df=1).fit_transform(train.utterances["text"])
    if targets.segments is not None:
        weights, intercept = fit_linear(x_train, targets, targets.weight(1.0), codebook, STRENGTH)
        targets = spread(x_train @ weights + intercept, targets, codebook)
    x_test = words.transform(test.utterances["text"])
    tags = {name: np.zeros(legal.shape, dtype=bool) for name in FLOORS}
    for family, columns in family_columns(codebook):
        rows = (targets.coders[:, columns] > 0).any(axis=1)
        if not rows.any():
            continue
        truth = consensus(family, targets.share[rows][:, columns])
        spoken = legal[:, columns].any(axis=1)
        usual = truth.mean(axis=0)
        frequent = np.eye(len(columns), dtype=bool)[usual.argmax()] if family.kind == "exclusive" else usual > 0.5
        tags[FLOORS[0]][np.ix_(spoken, columns)] = frequent
        if spoken.any():
            predicted = _predict(x_train[rows], truth, x_test[spoken], family.kind == "exclusive")
            tags[FLOORS[1]][np.ix_(spoken, columns)] = predicted
    return {name: (with_parents(own.astype(np.float32), codebook) != 0) & legal for name, own in tags.items()}


def floor_codings(test: Corpus, tags: np.ndarray, name: str) -> pd.DataFrame:
    """A floor's tags as one more coder's codings of the utterances of `test`."""
    unknown = np.full(tags.shape, np.nan, dtype=np.float32)
    return scores_to_codings(score_table(test.utterances, unknown, tags, test.codebook), test.codebook, name)


def floor_ratings(train: Corpus, test: Corpus) -> pd.DataFrame:
    """As codings of FLOORS[0]: each rated session or segment of `test` gets the rating given most often in `train`."""
    tables = []
    for code, unit in train.codebook.rating_codes().items():
        learnt = train.codings.loc[(train.codings["code"] == code) & (train.codings["unit"] == unit), "value"]
        own = test.codings[(test.codings["code"] == code) & (test.codings["unit"] == unit)]
        if len(learnt):
            rated = own.drop_duplicates(["session_id", "unit_id"])
            tables.append(rated.assign(coder_id=FLOORS[0], value=float(learnt.mode().iloc[0])))
    return pd.concat(tables, ignore_index=True) if tables else test.codings[:0]


def _predict(x: csr_matrix, truth: np.ndarray, x_test: csr_matrix, exclusive: bool) -> np.ndarray:
    if exclusive:
        return np.eye(truth.shape[1], dtype=bool)[_fit_predict(x, truth.argmax(axis=1), x_test)]
    return np.stack([_fit_predict(x, truth[:, code], x_test).astype(bool) for code in range(truth.shape[1])], axis=1)


def _fit_predict(x: csr_matrix, y: np.ndarray, x_test: csr_matrix) -> np.ndarray:
    if len(np.unique(y)) == 1:
        return np.full(x_test.shape[0], y[0])
    return LogisticRegression(class_weight="balanced", max_iter=1000).fit(x, y).predict(x_test)
