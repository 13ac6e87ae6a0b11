"""Comparisons that print ratios: both sides in one run, on the same machine, folds and backbone.

    .venv/bin/python scripts/benchmark.py context --corpus CORPUS [--folds 5] [--only 1] [--window-epochs 2]
    .venv/bin/python scripts/benchmark.py agreement

`context` holds encode-once (chunks, every utterance pooled from its own tokens) against the usual way, one window of
the ten previous utterances per utterance. Everything else is the same: backbone, pooling, heads, loss, optimiser,
folds.

`agreement` times the whole agreement table of 4 raters on 10,000 random utterances, 24 codes in 3 families, 2,000
resamples, against resampling rows, of which it does a few for one statistic and multiplies.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import cohen_kappa_score

from threers.agreement import agree, macro_f1_difference
from threers.chunks import Chunk, Chunker, SessionTokens
from threers.codebook import Codebook
from threers.corpus import Corpus, grouped_folds, require_disjoint
from threers.doctor import shipped_backbone
from threers.hardware import choose
from threers.scores import scores_to_codings
from threers.scoring import Tally, score_sessions
from threers.settings import Training, from_mapping
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


def main() -> None:
    """Run the comparison that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["context", "agreement"])
    parser.add_argument("--corpus")
    parser.add_argument("--backbone", default="minilm")
    parser.add_argument("--folds", type=int, default=5, help="folds that the groups are dealt into")
    parser.add_argument("--only", type=int, help="run the first so many folds; default: all")
    parser.add_argument("--window-epochs", type=int, help="epochs of the window side; default: as the other side")
    parser.add_argument("--json", help="file to write the figures to")
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("threers").setLevel(logging.INFO)
    if given.what == "context" and not given.corpus:
        parser.error("context needs --corpus")
    figures = compare_context(given) if given.what == "context" else compare_agreement()
    print(table(figures) if given.what == "context" else agreement_table(figures))
    if given.json:
        Path(given.json).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def compare_context(given: argparse.Namespace) -> dict:
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
    figures: dict = {side: {"name": NAMES[side], "epochs": t.epochs} for side, (_, t) in sides.items()}
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
            scores = score_sessions(tagger, test.utterances, choose(), 8192, tally)
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
    part = corpus.select(tested)
    merged = pd.concat(codings, ignore_index=True)
    merged = merged[merged["session_id"].isin(tested)]
    groups = part.sessions.set_index("session_id")["group_id"]
    figures["folds"] = {"dealt": given.folds, "run": given.only or given.folds, "groups": int(groups.nunique())}
    judged = (merged, part.utterances, groups, corpus.codebook)
    rows = agree(*judged, resamples=100)
    rows = rows[(rows["level"] == "utterance") & (rows["statistic"] == "macro_f1") & (rows["rater_b"] == "consensus")]
    estimate = rows.set_index(["family", "rater_a"])["estimate"]
    figures["macro_f1"] = {
        family.title: {
            "chunks": estimate[family.name, "model:chunks"],
            "windows": estimate[family.name, "model:windows"],
            "difference": list(macro_f1_difference(*judged, "model:chunks", "model:windows", family.name)),
        }
        for family in corpus.codebook.tag_families()
    }
    return figures


def table(figures: dict) -> str:
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


def compare_agreement(utterances: int = 10_000, patients: int = 60, resamples: int = 2000, rows: int = 10) -> dict:
    """Seconds for every statistic from resampled tables, and for one kappa per code and pair from resampled rows."""
    codebook = Codebook.load("3rs-2015")
    units, codings, groups = random_judgements(codebook, utterances, patients)
    start = time.monotonic()
    found = agree(codings, units, groups, codebook, resamples=resamples)
    ours = time.monotonic() - start
    rng = np.random.default_rng(0)
    a, b = rng.random((2, utterances)) < 0.1
    members = [np.flatnonzero(np.arange(utterances) % patients == patient) for patient in range(patients)]
    start = time.monotonic()
    for _ in range(rows):
        drawn = np.concatenate([members[patient] for patient in rng.integers(0, patients, patients)])
        cohen_kappa_score(a[drawn], b[drawn])
    one = (time.monotonic() - start) / rows
    statistics = int(found["estimate"].notna().sum())
    return {
        "seconds": ours,
        "statistics": statistics,
        "resamples": resamples,
        "one_from_rows": one,
        "patients": patients,
    }


def random_judgements(codebook: Codebook, n: int, patients: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series]:
    """Utterances of sessions of 100, marked at random by three coders and a model; and each session's patient."""
    rng = np.random.default_rng(1)
    number = np.arange(n)
    session = np.char.add("s", (number // 100).astype(str))
    start = (number % 100) * 20.0
    units = pd.DataFrame({"session_id": session, "utterance_id": number % 100, "start": start, "end": start + 15})
    units["role"] = np.where(number % 2, "patient", "therapist")
    parts = []
    for rater in ("A", "B", "C", "model:m"):
        given = units[["session_id", "utterance_id"]].rename(columns={"utterance_id": "unit_id"})
        given = given.assign(unit="utterance", coder_id=rater, code=None, value=np.nan)
        parts.append(given)
        for role in ("patient", "therapist"):
            codes = [code for code in codebook.tag_codes() if codebook.legal(code, role) and len(code) > 1]
            chosen = (units["role"] == role).to_numpy() & (rng.random(n) < 0.3)
            parts.append(given[chosen].assign(code=rng.choice(codes, chosen.sum()), value=1.0))
    sessions = pd.unique(session)
    groups = pd.Series([f"p{place % patients}" for place in range(len(sessions))], index=sessions)
    return units, pd.concat(parts, ignore_index=True), groups


def agreement_table(figures: dict) -> str:
    """Markdown."""
    naive = figures["one_from_rows"] * figures["statistics"] * figures["resamples"]
    return (
        f"| | resampled tables | resampled rows (computed from {figures['one_from_rows'] * 1000:.1f} ms each) | |\n"
        "|---|---|---|---|\n"
        f"| {figures['statistics']:,} statistics, {figures['resamples']:,} resamples of {figures['patients']} patients "
        f"| {figures['seconds']:.1f} s | {naive:,.0f} s | 1 : {naive / figures['seconds']:,.0f} |"
    )


if __name__ == "__main__":
    main()
