"""Encode-once (chunks, every utterance pooled from its own tokens) against one window of previous utterances each.

Everything else is the same: backbone, pooling, heads, loss, optimiser, folds.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from threers.agreement import agree, macro_f1_difference
from threers.chunks import Chunk, Chunker, SessionTokens
from threers.corpus import Corpus, grouped_folds, require_disjoint
from threers.doctor import shipped_backbone
from threers.hardware import choose
from threers.mapping import from_mapping
from threers.scores import scores_to_codings
from threers.scoring import Tally, score_sessions
from threers.settings import Training
from threers.shipped import read_yaml
from threers.tagger import Tagger
from threers.training import fit

PREVIOUS = 10
NAMES = {"chunks": "encode once", "windows": f"window of {PREVIOUS} previous utterances"}


@dataclass(frozen=True, kw_only=True)
class WindowChunker(Chunker):
    """One chunk per utterance: the utterance and up to ten before it, the oldest tokens cut where there are too
    many.
    """

    def for_scoring(self, session: SessionTokens, index: int = 0) -> list[Chunk]:
        """One window per utterance, of which only that utterance is pooled; its own tokens beyond the room are cut."""
        chunks = []
        for number, own in enumerate(session.utterances):
            own = np.concatenate([session.markers[number], own])[: self.room]
            earlier = range(max(0, number - PREVIOUS), number)
            spoken = [part for one in earlier for part in (session.markers[one], session.utterances[one])]
            before = np.concatenate([np.zeros(0, np.int32), *spoken])
            context = before[len(before) - min(len(before), self.room - len(own)) :]
            head = np.array(self.before, dtype=np.int32)
            tokens = np.concatenate([head, context, own, np.array(self.after, dtype=np.int32)]).astype(np.int32)
            start = len(head) + len(context)
            piece = np.array([[number, start, start + len(own)]], dtype=np.int32)
            chunks.append(Chunk(index, tokens, piece, np.ones(1, dtype=bool)))
        return chunks

    def for_training(self, session: SessionTokens, index: int, rng: np.random.Generator) -> list[Chunk]:
        """The same windows in every epoch."""
        return self.for_scoring(session, index)


class WindowTagger(Tagger):
    """A tagger that reads one window per utterance."""

    @property
    def chunker(self) -> Chunker:
        """Cuts windows instead of chunks."""
        return WindowChunker(**vars(super().chunker))


def compare(given: argparse.Namespace) -> dict[str, Any]:
    """Train and score both sides on the same folds; figures of each, and the difference of their macro-F1."""
    corpus, backbone = Corpus.load(given.corpus), shipped_backbone(given.backbone)
    training = from_mapping(Training, read_yaml("training", "default")[0])
    # The encoder alone is compared. A window holds one utterance to learn from where a chunk holds many, so a step of
    # as many utterances is a step of more tokens.
    training = replace(training, lexical_share=0.0, pretrained_share=0.0)
    window_training = replace(
        training, epochs=given.window_epochs or training.epochs, batch_tokens=training.batch_tokens * PREVIOUS
    )
    fold_of = grouped_folds(corpus, given.folds, 1)
    sides = {"chunks": (Tagger, training), "windows": (WindowTagger, window_training)}
    figures: dict[str, Any] = {side: {"name": NAMES[side], "epochs": t.epochs} for side, (_, t) in sides.items()}
    codings = [corpus.codings]
    tested = []
    for fold in range(given.only or given.folds):
        learn_ids, test_ids = list(fold_of.index[fold_of != fold]), list(fold_of.index[fold_of == fold])
        require_disjoint(corpus.sessions, learn_ids, test_ids)
        tested += test_ids
        test = corpus.select(test_ids)
        for side, (tagger_type, settings) in sides.items():
            start = time.monotonic()
            tagger = fit(corpus.select(learn_ids), backbone, settings, tagger_type=tagger_type)
            trained = time.monotonic()
            tally = Tally()
            scores = score_sessions(tagger, test.utterances, choose(), tally)
            own = figures[side]
            read = tagger.manifest["tokens_per_epoch"] * len(tagger.manifest["epochs"])
            for key, value in {
                "training_tokens": read,
                "training_seconds": trained - start,
                "scoring_tokens": tally.tokens,
                "scoring_seconds": tally.seconds,
            }.items():
                own[key] = own.get(key, 0) + value
            codings.append(scores_to_codings(scores, corpus.codebook, f"model:{side}"))
    part, merged = corpus.select(tested), pd.concat(codings, ignore_index=True)
    groups = int(part.sessions["group_id"].nunique())
    figures["folds"] = {"dealt": given.folds, "run": given.only or given.folds, "groups": groups}
    figures["macro_f1"] = _macro_f1(part, merged[merged["session_id"].isin(tested)])
    return figures


def _macro_f1(corpus: Corpus, codings: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """By title of a family: macro-F1 of each side against the consensus, and their difference with its interval."""
    groups = corpus.group_of
    judged = (codings, corpus.utterances, groups, corpus.codebook)
    rows = agree(*judged, resamples=100)
    rows = rows[(rows["level"] == "utterance") & (rows["statistic"] == "macro_f1") & (rows["rater_b"] == "consensus")]
    estimate = rows.set_index(["family", "rater_a"])["estimate"]
    return {
        family.title: {
            "chunks": estimate[family.name, "model:chunks"],
            "windows": estimate[family.name, "model:windows"],
            "difference": list(macro_f1_difference(*judged, "model:chunks", "model:windows", family.name)),
        }
        for family in corpus.codebook.tag_families()
    }


def table(figures: dict[str, Any]) -> str:
    """Markdown: a row per figure, a column per side, and their ratio or difference."""
    a, b = figures["chunks"], figures["windows"]
    folds = figures["folds"]
    rows = [
        f"{folds['run']} of {folds['dealt']} folds, {folds['groups']} groups tested",
        "",
        f"| | {a['name']} | {b['name']} | |",
        "|---|---|---|---|",
        f"| epochs | {a['epochs']} | {b['epochs']} | |",
    ]
    for family, figure in figures["macro_f1"].items():
        estimate, low, high = figure["difference"]
        rows.append(
            f"| macro-F1 {family} | {figure['chunks']:.3f} | {figure['windows']:.3f} "
            f"| difference {estimate:+.3f} [{low:+.3f}, {high:+.3f}] |"
        )
    for key, unit in (
        ("training_tokens", "tokens"),
        ("training_seconds", "s"),
        ("scoring_tokens", "tokens"),
        ("scoring_seconds", "s"),
    ):
        rows.append(
            f"| {key.split('_')[0]} | {a[key]:,.0f} {unit} | {b[key]:,.0f} {unit} | 1 : {b[key] / a[key]:.1f} |"
        )
    return "\n".join(rows)
