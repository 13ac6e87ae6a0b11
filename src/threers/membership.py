"""How well somebody with the tagger tells patients that it learnt from, from others. Layer 3.

The attack by loss (Yeom et al. 2018, "Privacy risk in machine learning"): a model errs less on what it learnt from. Who
has the tagger and a coded transcript compares the tagger's loss there with a limit; the area under the ROC curve says
how well that tells the two apart, whatever the limit: 0.5 is chance, 1 is never wrong.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from threers.agreement.bootstrap import plan
from threers.agreement.probabilities import auroc
from threers.chunks import tokenise
from threers.codebook import Codebook
from threers.corpus import Corpus, coded_sessions, grouped_split
from threers.decisions import family_columns, probabilities
from threers.hardware import choose
from threers.learner import spread
from threers.settings import Training
from threers.tagger import Tagger
from threers.targets import Targets, build_targets

RESAMPLES = 2000
#: Probabilities are float32; a loss is finite.
SMALLEST = 1e-7


def membership(tagger: Tagger, corpus: Corpus, training: Training) -> dict[str, Any]:
    """AUROC of the attack on a tagger that `training.fit` has just made of this corpus, for its model card.

    The sessions that it learnt from stand against those kept aside. Those chose its epoch, temperature and thresholds,
    so that of other patients a little more can be told.
    """
    corpus = coded_sessions(corpus)
    targets = build_targets(corpus.utterances, corpus.codings, corpus.codebook, training.segment_minutes)
    learnt, _ = grouped_split(corpus, training.validation_share, training.seed)
    roles = corpus.utterances["role"].tolist()
    logits = tagger.logits(tokenise(corpus.utterances, tagger.tokenizer), choose(training.device)).logits
    targets = spread(logits, targets, tagger.codebook)  # of a segment's utterances, the likeliest that its codes allow
    p = probabilities(logits, tagger.codebook.legal_mask(roles), tagger.codebook, tagger.decisions)
    loss = utterance_losses(p, targets, tagger.codebook)
    session = corpus.utterances["session_id"]
    group = session.map(corpus.group_of).to_numpy()
    return attack(loss, session.isin(learnt).to_numpy(), group, training.seed)


def utterance_losses(p: np.ndarray, targets: Targets, codebook: Codebook) -> np.ndarray:
    """Cross-entropy of each utterance's probabilities (n, n_codes) with the coders' shares; NaN where nobody coded."""
    judged = (targets.coders > 0) & ~np.isnan(p)
    p = np.clip(np.where(judged, p, 0.5).astype(float), SMALLEST, 1 - SMALLEST)
    loss = np.zeros(len(p))
    for family, columns in family_columns(codebook):
        share, own = targets.share[:, columns], p[:, columns]
        absent = 0.0 if family.kind == "exclusive" else (1 - share) * np.log(1 - own)
        loss -= (judged[:, columns] * (share * np.log(own) + absent)).sum(axis=1)
    return np.where(judged.any(axis=1), loss, np.nan)


def attack(loss: np.ndarray, learnt: np.ndarray, group: np.ndarray, seed: int) -> dict[str, Any]:
    """AUROC with 95 % intervals over groups, by utterance and by group (mean loss).

    `loss` float (NaN: left out), `learnt` bool and `group`, each (n_utterances,).
    """
    known = ~np.isnan(loss)
    loss, learnt = loss[known], learnt[known]
    names, number = np.unique(group[known], return_inverse=True)
    of_group = np.bincount(number, weights=loss) / np.bincount(number)
    group_learnt = np.bincount(number, weights=learnt) > 0
    drawn = plan(len(names), RESAMPLES, seed)
    found = {}
    for unit, score, member, home in (
        ("utterance", -loss, learnt, number),
        ("group", -of_group, group_learnt, np.arange(len(names))),
    ):
        figures = auroc(score, member, home, drawn.weights)
        low, high = drawn.interval(figures[None], np.array([len(names)]))
        found[unit] = {"auroc": _figure(figures[0]), "low": _figure(low[0]), "high": _figure(high[0])}
    counts = {"groups_learnt": int(group_learnt.sum()), "groups_kept_aside": int((~group_learnt).sum())}
    return {"attack": "loss", **found, **counts}


def _figure(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)
