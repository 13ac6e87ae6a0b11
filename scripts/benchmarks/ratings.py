"""Ratings of sessions: AnnoMI's column `mi_quality` (low 1, high 2) as a rating that one coder gave each session.

The codings are added in memory, so that the corpus and its codebook stay as they are. No encoder is trained: ratings
are learnt from the untrained backbone alone, as in a whole tagger.
"""

from __future__ import annotations

import argparse
import copy
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, cohen_kappa_score, roc_auc_score

from threers.backbones import locate
from threers.chunks import lengths, tokenise
from threers.codebook import Codebook
from threers.corpus import Corpus, coded_sessions, conform, grouped_folds
from threers.doctor import shipped_backbone
from threers.floors import FLOORS
from threers.hardware import choose
from threers.pretrained import Pretrained
from threers.ratings import describe, learn_ratings
from threers.settings import Training
from threers.tagger import Tagger

COLUMN, STEPS = "mi_quality", {"low": 1.0, "high": 2.0}
RESAMPLES = 500
#: From what was given and what a side says, both (n_sessions,), and a weight each, to a figure.
FIGURES: dict[str, Callable[..., float]] = {
    "AUROC": lambda given, said, w: roc_auc_score(given > 1.5, said, sample_weight=w),
    "quadratic kappa": lambda given, said, w: cohen_kappa_score(
        given, said.round(), weights="quadratic", sample_weight=w
    ),
    "accuracy": lambda given, said, w: accuracy_score(given, said.round(), sample_weight=w),
}


def with_ratings(corpus: Corpus) -> Corpus:
    """The corpus with a rating of each session, in a family of its own."""
    raw = copy.deepcopy(dict(corpus.codebook.raw))
    bounds = [min(STEPS.values()), max(STEPS.values())]
    raw["families"]["session_quality"] = {"kind": "rating", "unit": "session", "scale": bounds, "codes": {COLUMN: {}}}
    given = corpus.sessions[["session_id"]].assign(value=corpus.sessions[COLUMN].map(STEPS)).dropna()
    rows = conform(given.assign(unit="session", unit_id=0, coder_id="annomi", code=COLUMN), "codings")
    codings = pd.concat([corpus.codings, rows], ignore_index=True)
    return replace(corpus, codings=codings, codebook=Codebook.from_dict(raw))


def compare(given: argparse.Namespace) -> dict[str, Any]:
    """What each side rates the sessions of held-out groups, and how well that fits what was given."""
    corpus = with_ratings(coded_sessions(Corpus.load(given.corpus)))
    own = corpus.codings[corpus.codings["code"] == COLUMN].set_index("session_id")["value"]
    fold_of, group_of = grouped_folds(corpus, given.folds, given.seed), corpus.sessions.set_index("session_id")
    said = pd.DataFrame(index=own.index, columns=["threers", *FLOORS], dtype=float)
    strengths = []
    sides = _Sides(corpus, given)
    for fold in range(given.folds):
        learn, test = (corpus.select(fold_of.index[chosen]) for chosen in (fold_of != fold, fold_of == fold))
        ids = test.sessions["session_id"]
        said.loc[ids, "threers"], strength = sides.ours(learn, test)
        said.loc[ids, FLOORS[0]] = own[learn.sessions["session_id"]].mode()[0]
        said.loc[ids, FLOORS[1]] = _by_words(learn, test, own)
        strengths.append(strength)
    group = group_of.loc[own.index, "group_id"]
    return {
        "sessions": len(own),
        "groups": int(group.nunique()),
        "given": {f"{step:g}": int(number) for step, number in own.value_counts().items()},
        "strengths": strengths,
        "figures": {side: _figures(own.to_numpy(), said[side].to_numpy(), group.to_numpy()) for side in said},
    }


class _Sides:
    """The corpus, read once by the untrained backbone."""

    def __init__(self, corpus: Corpus, given: argparse.Namespace) -> None:
        backbone = shipped_backbone(given.backbone)
        tagger = Tagger.start(locate(backbone), backbone, corpus.codebook, 0.0)
        sessions = tokenise(corpus.utterances, tagger.tokenizer)
        self.opinion = Pretrained.start(tagger.model.encoder, backbone.read_layers, lookahead=backbone.lookahead)
        self.encoded = self.opinion.encode(sessions, tagger.reading(choose()))
        self.tokens, self.session = lengths(sessions), corpus.utterances["session_id"]
        self.opinion.center = np.zeros(self.encoded.vectors.shape[1], np.float32)
        self.unit = self.opinion.vectors(self.encoded)

    def ours(self, learn: Corpus, test: Corpus) -> tuple[np.ndarray, float]:
        """Ratings of the sessions of `test`, in order, and the strength that was chosen."""
        of_learn, of_test = (self.session.isin(side.sessions["session_id"]).to_numpy() for side in (learn, test))
        self.opinion.center = self.unit[of_learn].mean(axis=0)
        vectors = self.opinion.vectors(self.encoded)
        ratings, found = learn_ratings(vectors[of_learn], self.tokens[of_learn], learn, Training())
        assert ratings is not None
        x, units, _ = describe(
            vectors[of_test], self.tokens[of_test], test.utterances, test.codebook, "session", ratings.minutes
        )
        rated = pd.Series(ratings.of[COLUMN].rate(x)[0], index=units.get_level_values("session_id"))
        return rated[test.sessions["session_id"]].to_numpy(), found[COLUMN]["strength"]


def _by_words(learn: Corpus, test: Corpus, given: pd.Series) -> np.ndarray:
    """TF-IDF of a whole session's words and word pairs, logistic regression with balanced classes; from 1 to 2."""
    texts = [
        side.utterances.groupby("session_id")["text"].agg(" ".join)[side.sessions["session_id"]]
        for side in (learn, test)
    ]
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    x = words.fit_transform(texts[0])
    fitted = LogisticRegression(class_weight="balanced", max_iter=1000).fit(x, given[texts[0].index] > 1.5)
    return 1 + fitted.predict_proba(words.transform(texts[1]))[:, 1]


def _figures(given: np.ndarray, said: np.ndarray, group: np.ndarray) -> dict[str, list[float]]:
    """Each figure with its 95 % percentile interval over groups."""
    names, number = np.unique(group, return_inverse=True)
    rng = np.random.default_rng(0)
    draws = [np.ones(len(names)), *rng.multinomial(len(names), np.full(len(names), 1 / len(names)), RESAMPLES)]
    draws = [draw for draw in draws if len(np.unique(given[draw[number] > 0])) > 1]
    result = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # kappa of a side that says one thing only
        for name, figure in FIGURES.items():
            drawn = np.array([figure(given, said, draw[number]) for draw in draws])
            result[name] = [float(drawn[0]), *map(float, np.nanpercentile(drawn[1:], [2.5, 97.5]))]
    return result


def table(figures: dict[str, Any]) -> str:
    """Markdown: a row per side."""
    given = ", ".join(f"{number} rated {step}" for step, number in figures["given"].items())
    lines = [f"{figures['sessions']} sessions of {figures['groups']} groups: {given}; {figures['strengths']}", ""]
    lines += ["| | " + " | ".join(FIGURES) + " |", "|---" * (1 + len(FIGURES)) + "|"]
    for side, own in figures["figures"].items():
        lines.append("| " + " | ".join([side, *("{:.3f} [{:.3f}, {:.3f}]".format(*own[n]) for n in FIGURES)]) + " |")
    return "\n".join(lines)
