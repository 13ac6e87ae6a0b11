"""Codes on segments alone against codes on utterances: the same sessions, folds and features.

The codes of a corpus's utterances are collapsed to those of segments, counted or merely present. The tagger's two
linear opinions learn from each, and are judged on single utterances of groups that they never saw. No encoder is
trained, so that it ends in minutes; --whole trains the whole tagger, which takes as long as three evaluations.
"""

from __future__ import annotations

import argparse
import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from threers.agreement.segments import segment_numbers
from threers.backbones import locate
from threers.calibration import consensus_truth
from threers.chunks import SessionTokens, tokenise
from threers.codebook import Codebook
from threers.corpus import Corpus, coded_sessions, conform, grouped_folds
from threers.decisions import Decisions, probabilities
from threers.doctor import shipped_backbone
from threers.encode import Encoded
from threers.hardware import choose
from threers.lexicon import Lexicon
from threers.pretrained import Pretrained
from threers.settings import Training
from threers.tagger import Tagger
from threers.targets import Targets, build_targets
from threers.training import fit

WAYS = {"utterances": "codes on utterances", "counted": "counts per segment", "present": "presence per segment"}
RESAMPLES = 500


def collapse(corpus: Corpus, minutes: float, *, counted: bool) -> Corpus:
    """The corpus with codes on segments alone: of the utterances that start there, by the coders' consensus.

    A coder `consensus` gives each code the number of its utterances, or 1; a segment without a code is one that was
    read. Utterances on which coders are divided count for nothing.
    """
    codebook, utterances = corpus.codebook, corpus.utterances
    truth = consensus_truth(build_targets(utterances, corpus.codings, codebook), codebook)
    marks = pd.DataFrame(np.maximum(truth, 0), columns=pd.Index(codebook.tag_codes()))
    keys = {"session_id": utterances["session_id"], "unit_id": segment_numbers(utterances["start"].to_numpy(), minutes)}
    number = marks.groupby([keys["session_id"].to_numpy(), keys["unit_id"]]).sum()
    number.index.names = list(keys)
    long = number.melt(var_name="code", value_name="value", ignore_index=False).reset_index()
    blank = number.index[(number == 0).all(axis=1)].to_frame(index=False).assign(code=None, value=np.nan)
    long = pd.concat([long[long["value"] > 0], blank])
    if not counted:
        long["value"] = long["value"].clip(upper=1)
    long = long[long["unit_id"] >= 0].assign(unit="segment", coder_id="consensus")
    return replace(corpus, codings=conform(long, "codings"))


def compare(given: argparse.Namespace) -> dict[str, Any]:
    """AUROC per code and way on utterances of held-out groups, and the share of the way to full supervision."""
    corpus = coded_sessions(Corpus.load(given.corpus))
    codebook, utterances = corpus.codebook, corpus.utterances
    if not utterances["start"].notna().any():
        raise SystemExit(f"--corpus {given.corpus}: no utterance has a start time, so there are no segments")
    truth = consensus_truth(build_targets(utterances, corpus.codings, codebook), codebook)
    sides = {
        "utterances": corpus,
        "counted": collapse(corpus, given.minutes, counted=True),
        "present": collapse(corpus, given.minutes, counted=False),
    }
    targets = {way: build_targets(utterances, side.codings, codebook, given.minutes) for way, side in sides.items()}
    fold = utterances["session_id"].map(grouped_folds(corpus, given.folds, given.seed)).to_numpy()
    if given.whole:
        p = {way: _by_taggers(side, fold, given) for way, side in sides.items()}
    else:
        p = _by_opinions(corpus, targets, fold, given)
    tested = fold < _tested(given)
    group = utterances["session_id"].map(corpus.group_of).to_numpy()
    segments = targets["counted"].segments
    assert segments is not None
    return {
        "minutes": given.minutes,
        "segments": len(segments.present),
        "groups": len(np.unique(group[tested])),
        "present": dict(zip(codebook.tag_codes(), _mean_where(segments.present, segments.known), strict=True)),
        "families": {family.title: list(family.codes) for family in codebook.tag_families()},
        **_figures({way: own[tested] for way, own in p.items()}, truth[tested], group[tested], codebook),
    }


def _tested(given: argparse.Namespace) -> int:
    return given.only or given.folds


def _by_taggers(side: Corpus, fold: np.ndarray, given: argparse.Namespace) -> np.ndarray:
    """Probabilities (n_utterances, n_codes) from taggers that learnt from the other folds; NaN: not tested."""
    training = Training(segment_minutes=given.minutes)
    p = np.full((len(fold), len(side.codebook.tag_codes())), np.nan, dtype=np.float32)
    session = side.utterances["session_id"]
    for number in range(_tested(given)):
        test = side.select(session[fold == number].unique())
        tagger = fit(side.select(session[fold != number].unique()), shipped_backbone(given.backbone), training)
        logits = tagger.logits(tokenise(test.utterances, tagger.tokenizer), choose()).logits
        p[fold == number] = tagger.tags(logits, test.utterances["role"].tolist())[0]
    return p


def _by_opinions(
    corpus: Corpus, targets: dict[str, Targets], fold: np.ndarray, given: argparse.Namespace
) -> dict[str, np.ndarray]:
    """By way, the same from the two linear opinions alone, weighed as in the tagger."""
    training, hardware = Training(), choose()
    tagger = Tagger.start(locate(backbone := shipped_backbone(given.backbone)), backbone, corpus.codebook, 0.0)
    reading = tagger.reading(hardware)
    sessions = tokenise(corpus.utterances, tagger.tokenizer)
    first = Pretrained.start(tagger.model.encoder, backbone.read_layers, lookahead=backbone.lookahead)
    encoded = first.encode(sessions, reading)
    group = corpus.utterances["session_id"].map(corpus.group_of)
    numbers = np.unique(group, return_inverse=True)[1]
    shares = np.array([training.lexical_share, training.pretrained_share])
    result = {}
    for way, own in targets.items():
        logits = np.zeros(own.share.shape, dtype=np.float32)
        for number in range(_tested(given)):
            learn, test = fold != number, fold == number
            of_learn = own.rows(learn)
            weight = of_learn.weight(training.coder_correlation)
            a, b = _part(sessions, encoded, learn), _part(sessions, encoded, test)
            lexicon = Lexicon.fit(_words(a[0]), numbers[learn], of_learn, weight, corpus.codebook)
            opinion = copy.copy(first)
            opinion.learn(a[1], a[0], of_learn, weight, corpus.codebook)
            both = np.stack([lexicon.logits(_words(b[0])), opinion.logits(b[1], b[0])])
            logits[test] = np.average(both, axis=0, weights=shares)
        legal = corpus.codebook.legal_mask(corpus.utterances["role"])
        result[way] = probabilities(logits, legal, corpus.codebook, Decisions.neutral(corpus.codebook))
    return result


def _part(sessions: list[SessionTokens], encoded: Encoded, chosen: np.ndarray) -> tuple[list[SessionTokens], Encoded]:
    """Those sessions whose utterances are chosen, and their vectors."""
    first = np.cumsum([0, *(len(session.utterances) for session in sessions[:-1])])
    own = [session for session, start in zip(sessions, first, strict=True) if chosen[start]]
    return own, replace(encoded, vectors=encoded.vectors[chosen])


def _words(sessions: list[SessionTokens]) -> list[np.ndarray]:
    return [tokens for session in sessions for tokens in session.utterances]


def _mean_where(values: np.ndarray, known: np.ndarray) -> list[float]:
    return (np.where(known, values, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)).astype(float).tolist()


def _figures(p: dict[str, np.ndarray], truth: np.ndarray, group: np.ndarray, codebook: Codebook) -> dict[str, Any]:
    """AUROC and share of the way per code and as mean of each family, with 95 % percentile intervals over groups."""
    names, number = np.unique(group, return_inverse=True)
    rng = np.random.default_rng(0)
    drawn = [np.ones(len(names)), *rng.multinomial(len(names), np.full(len(names), 1 / len(names)), RESAMPLES)]
    codes = codebook.tag_codes()
    auroc = {way: np.full((len(drawn), len(codes)), np.nan) for way in p}
    for place in range(len(codes)):
        rows = np.flatnonzero(truth[:, place] >= 0)
        for draw, times in enumerate(drawn):
            weight = times[number[rows]]
            there = truth[rows, place][weight > 0]
            if 0 < there.sum() < len(there):
                for way, own in p.items():
                    auroc[way][draw, place] = roc_auc_score(truth[rows, place], own[rows, place], sample_weight=weight)
    rows_of = {code: [place] for place, code in enumerate(codes)}
    rows_of |= {family.title: [codes.index(code) for code in family.codes] for family in codebook.tag_families()}
    of = {name: {way: own[:, places].mean(axis=1) for way, own in auroc.items()} for name, places in rows_of.items()}
    return {
        "auroc": {name: {way: _interval(own) for way, own in ways.items()} for name, ways in of.items()},
        "share": {
            name: {way: _interval((ways[way] - 0.5) / (ways["utterances"] - 0.5)) for way in ("counted", "present")}
            for name, ways in of.items()
        },
    }


def _interval(drawn: np.ndarray) -> list[float]:
    """The estimate, which is the first, and the 2.5 and 97.5 percentiles of the others."""
    return [float(drawn[0]), *map(float, np.nanpercentile(drawn[1:], [2.5, 97.5]))]


def table(figures: dict[str, Any]) -> str:
    """Markdown: a row per family and code."""
    rows = [
        f"{figures['segments']} segments of {figures['minutes']:g} minutes, {figures['groups']} groups",
        "",
        "| AUROC on utterances | in so many segments | "
        + " | ".join(WAYS.values())
        + " | share, counts | share, presence |",
        "|---" * 7 + "|",
    ]
    for family, codes in figures["families"].items():
        for name in (family, *codes):
            there = figures["present"].get(name)
            cells = [f"{a:.3f} [{low:.3f}, {high:.3f}]" for a, low, high in figures["auroc"][name].values()]
            cells += [f"{a:.0%} [{low:.0%}, {high:.0%}]" for a, low, high in figures["share"][name].values()]
            rows.append(f"| {name} | {'' if there is None else f'{there:.0%}'} | {' | '.join(cells)} |")
    return "\n".join(rows)
