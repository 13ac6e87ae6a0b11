"""Scoring a corpus: the batch engine against the ways that others score, same weights, same ten utterances of context.

Every way runs in a process of its own, so that peak memory is its own. The rivals get texts in memory and keep their
results there; ours reads a corpus folder and writes shards. A rival sees one window per utterance: the ten utterances
before it, and it. All use the tagger's encoder and head; ours once more as it is, with its two further opinions.
"""

from __future__ import annotations

import argparse
import copy
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import cohen_kappa_score
from torch import nn
from transformers import PreTrainedModel, Trainer, TrainingArguments, pipeline
from transformers.modeling_outputs import SequenceClassifierOutput

from threers.corpus import Corpus
from threers.decisions import tag
from threers.hardware import Hardware, choose, matrix_rate, operations_per_token
from threers.network import SpanTagger
from threers.scores import PARTS
from threers.scoring import Finished, score_here, score_to_folder
from threers.settings import Engine
from threers.streams import Source
from threers.tagger import Tagger

PREVIOUS = 10
WAYS = {
    "whole": "threers score, the whole tagger",
    "encoder": "threers score, encoder and head",
    "pipeline": "pipeline('text-classification'), windows, batches of 32",
    "sorted": "the same, sorted by length, bfloat16",
    "padded": "one window at a time, padded to 512",
    "trainer": "Trainer.predict on windows, batches of 32",
}


class WindowModel(PreTrainedModel):
    """The tagger's encoder and head on (context, own utterance) pairs: pooled over the own tokens, type 1."""

    _supports_sdpa = True

    def __init__(self, model: SpanTagger) -> None:
        super().__init__(copy.deepcopy(model.encoder.config))
        self.config.num_labels = model.head.out_features
        self.model = model
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Keep them: they are trained."""

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor, **_: Any
    ) -> SequenceClassifierOutput:
        """Logits (batch, n_codes)."""
        own = token_type_ids.bool() & attention_mask.bool()
        sizes = own.sum(dim=1)
        inside, firsts = own.reshape(-1).nonzero()[:, 0], sizes.cumsum(0) - sizes
        pooled = self.model.pool(input_ids, attention_mask, own, inside, firsts)
        return SequenceClassifierOutput(logits=self.model.classify(pooled))


def windows(utterances: pd.DataFrame) -> list[dict[str, str]]:
    """The ten utterances before each, and each, with roles."""
    made = []
    for _, session in utterances.groupby("session_id", sort=False):
        lines = [f"{role}: {text}" for role, text in zip(session["role"], session["text"], strict=True)]
        made += [
            {"text": " ".join(lines[max(0, at - PREVIOUS) : at]), "text_pair": line} for at, line in enumerate(lines)
        ]
    return made


def ours(tagger: Tagger, corpus: Path, hardware: Hardware, rates: list[float]) -> tuple[np.ndarray, int, float]:
    """Probabilities, tokens read, and seconds from the corpus folder to the last shard.

    After each shard the machine's matrix rate is added to `rates`, off the clock.
    """
    paused = 0.0

    def way(*given: Any) -> Finished:
        nonlocal paused
        for finished in score_here(tagger, *given):
            start = time.perf_counter()
            rates.append(matrix_rate(torch.bfloat16))
            paused += time.perf_counter() - start
            yield finished

    with tempfile.TemporaryDirectory() as scratch:
        start = time.perf_counter()
        source = Source(corpus, tagger.codebook)
        tally = score_to_folder(tagger, source, Path(scratch), Engine(), hardware, include_text=False, way=way)
        seconds = time.perf_counter() - start - paused
        parts = sorted((Path(scratch) / PARTS).glob("part-*.parquet"))
        table = pd.concat([pd.read_parquet(part) for part in parts], ignore_index=True)
    return table[[f"p_{code}" for code in tagger.codebook.tag_codes()]].to_numpy(), tally.tokens, seconds


def theirs(way: str, tagger: Tagger, utterances: pd.DataFrame) -> tuple[np.ndarray, int, float]:
    """Logits, positions computed, and seconds; windows are made before the clock starts."""
    made, model = windows(utterances), WindowModel(tagger.model).eval()
    tokenizer = tagger.tokenizer
    tokenizer.model_max_length = 512
    cut = {"truncation": "only_first", "max_length": 512}
    texts = [one["text"] for one in made], [one["text_pair"] for one in made]
    lengths = np.array([len(ids) for ids in tokenizer(*texts, **cut)["input_ids"]])
    start = time.perf_counter()
    if way in ("pipeline", "sorted"):
        order = np.argsort(-lengths, kind="stable") if way == "sorted" else np.arange(len(made))
        dtype = torch.bfloat16 if way == "sorted" else torch.float32
        classify = pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")
        options = {"top_k": None, "function_to_apply": "none", "batch_size": 32, **cut}
        with torch.autocast("cpu", dtype=dtype, enabled=way == "sorted"):
            found = list(classify((made[i] for i in order), **options))
        logits = np.empty((len(made), tagger.model.head.out_features))
        for place, scores in zip(order, found, strict=True):
            for one in scores:
                logits[place, model.config.label2id[one["label"]]] = one["score"]
        padded = sum(lengths[order[i : i + 32]].max() * len(order[i : i + 32]) for i in range(0, len(order), 32))
    elif way == "padded":
        rows = []
        with torch.inference_mode():
            for one in made:
                batch = tokenizer(one["text"], one["text_pair"], padding="max_length", return_tensors="pt", **cut)
                rows.append(model(**batch).logits)
        logits, padded = torch.cat(rows).numpy(), 512 * len(made)
    else:
        encoded = tokenizer(*texts, **cut)
        items = [{key: encoded[key][i] for key in encoded} for i in range(len(made))]
        with tempfile.TemporaryDirectory() as scratch:
            arguments = TrainingArguments(
                scratch, per_device_eval_batch_size=32, report_to=[], disable_tqdm=True, use_cpu=True
            )
            logits = Trainer(model, arguments, processing_class=tokenizer).predict(items).predictions
        padded = sum(lengths[i : i + 32].max() * len(lengths[i : i + 32]) for i in range(0, len(lengths), 32))
    return logits, int(padded), time.perf_counter() - start


def run(given: argparse.Namespace) -> None:
    """One way, in this process; figures and tags to the folder `out`."""
    way, out = given.way, Path(given.out)
    tagger = Tagger.load(given.tagger)
    if way != "whole":
        tagger = replace(tagger, lexicon=None, lexical_share=0.0, pretrained=None, pretrained_share=0.0)
    rates = [matrix_rate(torch.bfloat16)]
    corpus = Corpus.load(given.corpus)
    few = corpus.select(corpus.sessions["session_id"].iloc[: given.sessions])
    roles = few.utterances["role"].tolist()
    if way in ("whole", "encoder"):
        hardware = choose("cpu", reduced=True)
        tagger.lower(hardware)
        p, positions, seconds = ours(tagger, Path(given.corpus), hardware, rates)
        first = corpus.utterances["session_id"].isin(few.sessions["session_id"]).to_numpy()
        tags, utterances = tag(p[first], tagger.codebook, tagger.decisions), len(p)
        length = tagger.backbone.chunk_tokens
    else:
        logits, positions, seconds = theirs(way, tagger, few.utterances)
        tags, utterances = tagger.tags(logits.astype(np.float32), roles)[1], len(logits)
        length = positions // utterances
    operations = positions * operations_per_token(tagger.model.encoder.config.to_dict(), length)
    # Before and after, and after each shard, because a shared machine's rate may halve from one minute to the next.
    rates.append(matrix_rate(torch.bfloat16))
    np.save(out / f"{way}.npy", tags)
    figures = {
        "utterances": utterances,
        "positions": positions,
        "seconds": seconds,
        "rate_share": operations / seconds / (np.mean(rates) * 1e9),
        "rates": rates,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    (out / f"{way}.json").write_text(json.dumps(figures), encoding="utf-8")


def compare(given: argparse.Namespace) -> dict[str, Any]:
    """Every way in a process of its own, one after the other."""
    figures: dict[str, Any] = {"ways": {}}
    with tempfile.TemporaryDirectory() as scratch:
        for way in WAYS:
            words = [sys.executable, sys.argv[0], "scoring", "--way", way, "--out", scratch]
            words += ["--tagger", given.tagger, "--corpus", given.corpus, "--sessions", str(given.sessions)]
            subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
            figures["ways"][way] = json.loads((Path(scratch) / f"{way}.json").read_text(encoding="utf-8"))
        tags = {way: np.load(Path(scratch) / f"{way}.npy") for way in WAYS}
    for way, own in figures["ways"].items():
        own["kappa"] = float(cohen_kappa_score(tags["encoder"].ravel(), tags[way].ravel()))
    return figures


def table(figures: dict[str, Any]) -> str:
    """Markdown: a row per way."""
    ways = figures["ways"]
    rate = {way: own["utterances"] / own["seconds"] for way, own in ways.items()}
    rows = [
        "| | utterances | tokens per utterance | utterances per second | ours is faster by | of the bfloat16 rate "
        "| peak memory | kappa of the tags with ours |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for way, own in ways.items():
        share = "" if way == "whole" else f"{own['rate_share']:.0%}"
        rows.append(
            f"| {WAYS[way]} | {own['utterances']:,} | {own['positions'] / own['utterances']:.0f} | {rate[way]:,.0f} "
            f"| {rate['encoder'] / rate[way]:.1f} times | {share} | {own['peak_mb']:,.0f} MB | {own['kappa']:.2f} |"
        )
    return "\n".join(rows)
