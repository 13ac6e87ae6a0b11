"""Fitting a tagger with transformers' Trainer. Layer 3."""

from __future__ import annotations

import json
import logging
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress
from safetensors.torch import load_file, save_file
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import Dataset
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments, get_linear_schedule_with_warmup

from threers.backbones import locate
from threers.chunks import Chunk, Chunker, SessionTokens, tokenise
from threers.codebook import Codebook
from threers.corpus import Corpus, coded_sessions, grouped_split, require_disjoint, session_hashes
from threers.decisions import Decisions, family_columns, fit_decisions, macro_f1
from threers.hardware import Hardware, choose
from threers.learner import Learner, code_weights, prior_logits
from threers.lexicon import Lexicon
from threers.scores import write_json
from threers.settings import Backbone, Training
from threers.tagger import Tagger, collate
from threers.targets import Targets, build_targets

logger = logging.getLogger(__name__)

#: Tokens per forward pass when scoring the sessions kept aside.
VALIDATION_BATCH_TOKENS = 8192


@dataclass(frozen=True)
class Examples:
    """Coded sessions: their tokens, and per session `share`, `given` and `weight`, float32 (n_utterances, n_codes)."""

    sessions: list[SessionTokens]
    share: list[np.ndarray]
    given: list[np.ndarray]
    weight: list[np.ndarray]


class EpochBatches(Dataset):
    """Batches of chunks. `begin(epoch)` draws borders and order anew; the number of batches stays the same."""

    def __init__(self, examples: Examples, chunker: Chunker, batch_tokens: int, seed: int) -> None:
        self.examples, self.chunker, self.seed = examples, chunker, seed
        self.tokens = sum(len(chunk.tokens) for chunk in self._cut(np.random.default_rng([seed, 0])))
        self.size = max(1, round(self.tokens / batch_tokens))
        self.begin(0)

    def begin(self, epoch: int) -> None:
        """Cut and shuffle for this epoch; the same seed and epoch give the same batches."""
        rng = np.random.default_rng([self.seed, epoch])
        chunks = self._cut(rng)
        chunks = [chunks[place] for place in rng.permutation(len(chunks))]
        ends = np.cumsum([len(chunk.tokens) for chunk in chunks])
        home = (ends - 1) * self.size // ends[-1]
        self.batches: list[list[Chunk]] = [[] for _ in range(self.size)]
        for chunk, batch in zip(chunks, home, strict=True):
            self.batches[batch].append(chunk)
        # A chunk longer than its share can leave a batch empty; the largest one gives up half.
        for number in [n for n, batch in enumerate(self.batches) if not batch]:
            largest = max(self.batches, key=len)
            half = len(largest) // 2
            self.batches[number], largest[:] = largest[half:] or largest[:], largest[:half] or largest[:]

    def _cut(self, rng: np.random.Generator) -> list[Chunk]:
        chunks: list[Chunk] = []
        for number, session in enumerate(self.examples.sessions):
            coded = self.examples.weight[number].sum(axis=1) > 0
            chunks += [c for c in self.chunker.for_training(session, number, rng) if coded[c.pieces[:, 0]].any()]
        return chunks

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, number: int) -> list[Chunk]:
        return self.batches[number]

    def collate(self, batch: Sequence[list[Chunk]], pad_id: int) -> dict[str, torch.Tensor]:
        """Turn one batch of chunks into what `Learner.forward` takes."""
        tensors, pieces = collate(batch[0], pad_id)
        for name in ("share", "given", "weight"):
            per_session = getattr(self.examples, name)
            tensors[name] = torch.from_numpy(np.stack([per_session[session][place] for session, place, _ in pieces]))
        # The pieces of one long utterance weigh together what an utterance weighs.
        part = [size / len(self.examples.sessions[session].utterances[place]) for session, place, size in pieces]
        tensors["weight"] *= torch.tensor(part, dtype=torch.float32)[:, None].clamp(max=1)
        return tensors


class Validation:
    """The sessions kept aside: measured after each epoch with the code that scores, and decisions fitted there."""

    def __init__(self, tagger: Tagger, corpus: Corpus, targets: Targets, device: str) -> None:
        self.tagger, self.targets = tagger, targets
        # Scored as `threers score` will, so that thresholds fit the numbers they are used on.
        self.hardware = choose(device)
        self.roles = corpus.utterances["role"].tolist()
        self.sessions = tokenise(corpus.utterances, tagger.tokenizer)

    def measure(self) -> dict[str, Any]:
        """Fit decisions, and return them with macro-F1 per family and the families whose tags never vary."""
        tagger, targets = self.tagger, self.targets
        logits = tagger.logits(self.sessions, self.hardware, VALIDATION_BATCH_TOKENS).logits
        legal = tagger.codebook.legal_mask(self.roles)
        tagger.decisions = fit_decisions(logits, targets, legal, tagger.codebook, tagger.decisions.not_learnt)
        _, tags = tagger.tags(logits, self.roles)
        figures = macro_f1(tags, targets, tagger.codebook)
        return {
            "macro_f1": figures,
            "mean": float(np.mean(list(figures.values()))) if figures else 0.0,
            "collapsed": [family.title for family, own in family_columns(tagger.codebook) if self._constant(tags, own)],
            "decisions": tagger.decisions.to_dict(),
        }

    def _constant(self, tags: np.ndarray, columns: np.ndarray) -> bool:
        coded = (self.targets.coders[:, columns] > 0).any(axis=1)
        truth = self.targets.share[coded][:, columns] >= 0.5
        return len(np.unique(truth, axis=0)) > 1 and len(np.unique(tags[coded][:, columns], axis=0)) == 1


class EpochEnd(TrainerCallback):
    """Moves chunk borders, averages weights, measures after each epoch, keeps the best, stops when nothing gets better.

    What it writes, it writes after the epoch's checkpoint and under temporary names first: a run that is cut off finds
    either all of an epoch or nothing.
    """

    def __init__(self, batches: EpochBatches, validation: Validation, patience: int, folder: Path) -> None:
        self.batches, self.validation, self.patience, self.folder = batches, validation, patience, folder
        self.history: list[dict[str, Any]] = []
        self.bar = Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())

    @property
    def best(self) -> int:
        """The epoch whose weights are kept; the later one when two are as good."""
        return max(range(len(self.history)), key=lambda epoch: (self.history[epoch]["mean"], epoch))

    def weights(self, epoch: int) -> Path:
        """Where the mean weights of an epoch lie."""
        return self.folder / f"epoch-{epoch}.safetensors"

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Show the bar; take up what a cut-off run knew at its last checkpoint."""
        done = round(state.epoch or 0)
        if done and (self.folder / "history.json").is_file():
            self.history = json.loads((self.folder / "history.json").read_text(encoding="utf-8"))[:done]
        if len(self.history) < done:
            # Cut off between the checkpoint and our own files.
            self._measure(model, float("nan"))
            self._write(model)
        self.bar.start()
        self.task = self.bar.add_task("training", total=state.max_steps, completed=state.global_step)

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Cut the chunks of this epoch."""
        self.started = time.monotonic()
        self.batches.begin(round(state.epoch or 0))

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Take the new weights into the mean; advance the bar."""
        model.average.update_parameters(model.model)
        self.bar.advance(self.task)

    def on_epoch_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Measure, say one line, perhaps stop."""
        self._measure(model, time.monotonic() - self.started)
        control.should_training_stop = len(self.history) - 1 - self.best >= self.patience

    def on_save(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Keep the weights if they are the best so far."""
        self._write(model)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Take the bar away."""
        self.bar.stop()

    def _measure(self, model: Learner, seconds: float) -> None:
        found = self.validation.measure() | {"loss": model.take_loss(), "seconds": seconds}
        self.history.append(found)
        words = ", ".join(f"{name} {figure:.3f}" for name, figure in found["macro_f1"].items())
        words = f"macro-F1 {words}" if words else "no code marked"
        logger.info("epoch %d: loss %.3f; kept aside: %s (%.0f s)", len(self.history), found["loss"], words, seconds)

    def _write(self, model: Learner) -> None:
        newest = len(self.history) - 1
        if self.best == newest:
            scratch = self.folder / ".best.tmp"
            save_file(model.average.module.state_dict(), str(scratch))
            scratch.replace(self.weights(newest))
        write_json(self.history, self.folder / "history.json")
        for epoch in range(newest + 1):
            if epoch != self.best:
                self.weights(epoch).unlink(missing_ok=True)


def fit(
    corpus: Corpus,
    backbone: Backbone,
    training: Training,
    *,
    work: Path | None = None,
    tagger_type: type[Tagger] = Tagger,
) -> Tagger:
    """Train a tagger on the coded sessions of a corpus.

    A share of it, whole groups, is kept aside; the epoch with the best macro-F1 there is kept, and temperature and
    thresholds are fitted there. `work`: folder for checkpoints, from which a run that was cut off goes on; the caller
    removes it. `tagger_type`: another way of cutting sessions, for comparison.

    Raises:
        InputError: nothing to learn from, too few groups, a backbone that cannot be used, or a diverging loss.

    """
    if work is None:
        with tempfile.TemporaryDirectory(prefix="threers-") as scratch:
            return fit(corpus, backbone, training, work=Path(scratch), tagger_type=tagger_type)
    work.mkdir(parents=True, exist_ok=True)
    corpus = coded_sessions(corpus)
    hardware = choose(training.device, training.precision, training=True)
    logger.info("training on %s in %s (%s)", hardware.device, hardware.precision, hardware.reason)
    torch.manual_seed(training.seed)
    tagger = tagger_type.start(locate(backbone), backbone, corpus.codebook, training.dropout)
    targets = build_targets(corpus.utterances, corpus.codings, corpus.codebook)
    train_ids, held_ids = grouped_split(corpus, training.validation_share, training.seed)
    require_disjoint(corpus.sessions, train_ids, held_ids)
    learn, held = corpus.select(train_ids), corpus.select(held_ids)
    of_learn = targets.rows(corpus.utterances["session_id"].isin(train_ids).to_numpy())
    of_held = targets.rows(corpus.utterances["session_id"].isin(held_ids).to_numpy())
    weight = of_learn.weight(training.coder_correlation)
    examples = _examples(learn, of_learn, weight, tagger)
    tagger.decisions = replace(tagger.decisions, not_learnt=_not_learnt(weight, corpus.codebook))
    if training.lexical_share:
        tagger.lexicon = Lexicon.fit(_words(examples), _group_numbers(learn), of_learn, weight, corpus.codebook)
        tagger.lexical_share = training.lexical_share
    batches = EpochBatches(examples, tagger.chunker, training.batch_tokens, training.seed)
    with torch.no_grad():
        tagger.model.head.bias.copy_(torch.from_numpy(prior_logits(of_learn, weight, corpus.codebook)))
    # Deep-copies the network: the copy, a running mean, is the tagger; the original goes on learning.
    decay = 1 - 1 / max(1.0, training.average_epochs * len(batches))
    average = AveragedModel(tagger.model, multi_avg_fn=get_ema_multi_avg_fn(decay))
    balance = code_weights(of_learn, weight, corpus.codebook, training.balance)
    learner = Learner(tagger.model, average, corpus.codebook, balance)
    tagger.model = learner.average.module
    epochs = EpochEnd(batches, Validation(tagger, held, of_held, training.device), training.patience, work)
    _run_trainer(learner, batches, epochs, training, hardware, work)
    best = epochs.history[epochs.best]
    tagger.model.load_state_dict(load_file(str(epochs.weights(epochs.best))))
    tagger.decisions = Decisions.from_dict(best["decisions"], corpus.codebook, "history.json")
    _warn(tagger, best["collapsed"])
    tagger.manifest = {
        "training": asdict(training),
        "hardware": asdict(hardware),
        "sessions": {"training": len(train_ids), "kept_aside": len(held_ids)},
        "learnt_from": sorted(session_hashes(corpus.utterances).values()),
        "tokens_per_epoch": batches.tokens,
        "epochs": epochs.history,
        "best_epoch": epochs.best + 1,
    }
    return tagger


def _not_learnt(weight: np.ndarray, codebook: Codebook) -> tuple[str, ...]:
    return tuple(code for code, spoken in zip(codebook.tag_codes(), weight.sum(axis=0) > 0, strict=True) if not spoken)


def _warn(tagger: Tagger, collapsed: Sequence[str]) -> None:
    if tagger.decisions.not_learnt:
        logger.warning("no coder speaks of %s; the tagger will not either", ", ".join(tagger.decisions.not_learnt))
    for title in collapsed:
        logger.warning(
            "%s: the tagger gives every utterance the same code. Too few examples, or a learning rate too high: "
            "try another seed, backbone.learning_rate at half, or more coded sessions",
            title,
        )


def _examples(corpus: Corpus, targets: Targets, weight: np.ndarray, tagger: Tagger) -> Examples:
    sessions = tokenise(corpus.utterances, tagger.tokenizer)
    ends = np.cumsum([len(session.utterances) for session in sessions])[:-1]
    return Examples(sessions, *(np.split(table, ends) for table in (targets.share, targets.given, weight)))


def _words(examples: Examples) -> list[np.ndarray]:
    return [tokens for session in examples.sessions for tokens in session.utterances]


def _group_numbers(corpus: Corpus) -> np.ndarray:
    """The group of each utterance, as a number."""
    group = corpus.sessions.set_index("session_id")["group_id"]
    return np.unique(corpus.utterances["session_id"].map(group), return_inverse=True)[1]


def _run_trainer(
    learner: Learner, batches: EpochBatches, epochs: EpochEnd, training: Training, hardware: Hardware, folder: Path
) -> None:
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=training.epochs,
        per_device_train_batch_size=1,  # one item is one batch of chunks
        save_strategy="epoch",
        save_total_limit=1,
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=hardware.device == "cuda",
        use_cpu=hardware.device == "cpu",
        bf16=hardware.precision == "bfloat16",
        seed=training.seed,
        max_grad_norm=1.0,
    )
    arguments._n_gpu = 1  # one item is one batch; several GPUs take part through accelerate launch
    optimizer = torch.optim.AdamW(_rate_groups(learner, epochs.validation.tagger.backbone, training), fused=True)
    steps = len(batches) * training.epochs
    schedule = get_linear_schedule_with_warmup(optimizer, int(training.warmup * steps), steps)
    trainer = Trainer(
        model=learner,
        args=arguments,
        train_dataset=batches,
        data_collator=lambda batch: batches.collate(batch, epochs.validation.tagger.tokenizer.pad_token_id),
        optimizers=(optimizer, schedule),
        callbacks=[epochs],
    )
    trainer.remove_callback(PrinterCallback)
    last = _last_checkpoint(folder)
    if last:
        logger.info("going on with a run that was cut off")
    try:
        trainer.train(resume_from_checkpoint=last)
    finally:
        epochs.bar.stop()


def _last_checkpoint(folder: Path) -> str | None:
    """The newest whole checkpoint; one that was being written when the run was cut off is removed."""
    whole = []
    for checkpoint in folder.glob("checkpoint-*"):
        # Trainer writes this file last.
        if (checkpoint / "trainer_state.json").is_file():
            whole.append(checkpoint)
        else:
            shutil.rmtree(checkpoint)
    return str(max(whole, key=lambda path: int(path.name.split("-")[1]))) if whole else None


def _rate_groups(learner: Learner, backbone: Backbone, training: Training) -> list[dict[str, Any]]:
    """Parameter groups: heads at their own rate, each encoder layer at `layer_decay` times the rate of the one
    above.
    """
    encoder = learner.model.encoder
    depth = encoder.config.num_hidden_layers
    # A small corpus uses few of the words; moving only those away from the rest gains nothing and costs a tenth of
    # the time.
    encoder.get_input_embeddings().requires_grad_(False)
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for name, parameter in learner.model.named_parameters():
        if not parameter.requires_grad:
            continue
        if name.startswith("encoder."):
            numbers = re.findall(r"\.layers?\.(\d+)\.", name)
            below = depth - int(numbers[0]) - 1 if numbers else (0 if "pooler" in name or "final" in name else depth)
            rate = backbone.learning_rate * training.layer_decay**below
        else:
            rate = training.head_learning_rate
        decay = training.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    return [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in groups.items()]
