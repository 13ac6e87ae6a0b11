"""Fitting a tagger with transformers' Trainer. Layer 3."""

from __future__ import annotations

import json
import logging
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import Progress
from safetensors.torch import load_file, save_file
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import Dataset
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments, get_linear_schedule_with_warmup
from transformers.trainer_utils import get_last_checkpoint

from threers.backbones import locate
from threers.chunks import Chunk, Chunker, SessionTokens, tokenise
from threers.corpus import Corpus, grouped_split, require_disjoint
from threers.decisions import Decisions, fit_decisions, macro_f1
from threers.hardware import Hardware, choose
from threers.learner import Learner, code_weights, prior_logits
from threers.settings import Backbone, Training
from threers.tagger import Tagger, collate
from threers.targets import Targets, build_targets

logger = logging.getLogger(__name__)

#: Tokens per forward pass when scoring the sessions kept aside.
VALIDATION_BATCH_TOKENS = 8192


@dataclass(frozen=True)
class Examples:
    """Coded sessions: tokens, and per session `share` and `weight`, both float32 (n_utterances, n_codes)."""

    sessions: list[SessionTokens]
    share: list[np.ndarray]
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
            coded = self.examples.weight[number].any(axis=1)
            chunks += [c for c in self.chunker.for_training(session, number, rng) if coded[c.pieces[:, 0]].any()]
        return chunks

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, number: int) -> list[Chunk]:
        return self.batches[number]

    def collate(self, batch: Sequence[list[Chunk]], pad_id: int) -> dict[str, torch.Tensor]:
        """Turn one batch of chunks into what `Learner.forward` takes."""
        tensors, pieces = collate(batch[0], pad_id)
        for name, per_session in (("share", self.examples.share), ("weight", self.examples.weight)):
            tensors[name] = torch.from_numpy(np.stack([per_session[session][place] for session, place, _ in pieces]))
        return tensors


class Validation:
    """The sessions kept aside: measured after each epoch with the code that scores, and decisions fitted there."""

    def __init__(self, tagger: Tagger, corpus: Corpus, hardware: Hardware) -> None:
        self.tagger, self.hardware = tagger, hardware
        self.targets: Targets = build_targets(corpus.utterances, corpus.codings, corpus.codebook)
        self.roles = corpus.utterances["role"].tolist()
        self.sessions = tokenise(corpus.utterances, tagger.tokenizer)

    def measure(self) -> tuple[dict[str, float], Decisions, list[str]]:
        """Macro-F1 per family, the decisions fitted here, and the families whose tags have collapsed to one code."""
        tagger, share, coders = self.tagger, self.targets.share, self.targets.coders
        logits = tagger.logits(self.sessions, self.hardware, VALIDATION_BATCH_TOKENS).logits
        legal = tagger.codebook.legal_mask(self.roles)
        tagger.decisions = fit_decisions(logits, share, coders, legal, tagger.codebook)
        _, tags = tagger.tags(logits, self.roles)
        collapsed = []
        start = 0
        for family in tagger.codebook.tag_families():
            own = slice(start, start := start + len(family.codes))
            coded = (coders[:, own] > 0).any(axis=1)
            varied = len(np.unique(share[coded, own] >= 0.5, axis=0)) > 1
            if varied and len(np.unique(tags[coded, own], axis=0)) == 1:
                collapsed.append(family.title)
        return macro_f1(tags, share, coders, tagger.codebook), tagger.decisions, collapsed


class EpochEnd(TrainerCallback):
    """Moves chunk borders, averages weights, measures after each epoch, keeps the best, stops when nothing gets better.

    `average`: the running mean of the network's weights; it is what is measured and kept.
    """

    def __init__(
        self, batches: EpochBatches, validation: Validation, average: AveragedModel, patience: int, folder: Path
    ) -> None:
        self.batches, self.validation, self.patience, self.folder = batches, validation, patience, folder
        self.average = average
        if (folder / "average.safetensors").is_file():
            average.load_state_dict(load_file(str(folder / "average.safetensors")))
        self.history: list[dict[str, Any]] = []
        if (folder / "history.json").is_file():
            self.history = json.loads((folder / "history.json").read_text())
        self.losses: list[float] = []
        self.bar = Progress(transient=True, disable=not sys.stderr.isatty())

    @property
    def best(self) -> dict[str, Any]:
        """The epoch whose weights are kept."""
        return max(self.history, key=lambda epoch: epoch["mean"])

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Show the bar; forget epochs that a cut-off run measured after its last checkpoint."""
        self.history = self.history[: round(state.epoch or 0)]
        self.bar.start()
        self.task = self.bar.add_task("training", total=state.max_steps, completed=state.global_step)

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Cut the chunks of this epoch."""
        self.started = time.monotonic()
        self.batches.begin(round(state.epoch or 0))

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Take the new weights into the mean; advance the bar."""
        self.average.update_parameters(model.model)
        self.bar.advance(self.task)

    def on_epoch_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Measure, say one line, keep the best weights, perhaps stop."""
        seconds = time.monotonic() - self.started
        figures, decisions, collapsed = self.validation.measure()
        mean = float(np.mean(list(figures.values()))) if figures else 0.0
        loss = model.take_loss()
        self.history.append(
            {"loss": loss, "macro_f1": figures, "mean": mean, "seconds": seconds, "collapsed": collapsed}
        )
        words = ", ".join(f"{name} {figure:.3f}" for name, figure in figures.items()) or "no coded utterance kept aside"
        logger.info("epoch %d: loss %.3f, kept-aside macro-F1 %s (%.0f s)", len(self.history), loss, words, seconds)
        best = max(range(len(self.history)), key=lambda epoch: self.history[epoch]["mean"])
        if best == len(self.history) - 1:
            save_file(self.average.module.state_dict(), str(self.folder / "best.safetensors"))
            (self.folder / "decisions.json").write_text(json.dumps(decisions.to_dict()))
        save_file(self.average.state_dict(), str(self.folder / "average.safetensors"))
        (self.folder / "history.json").write_text(json.dumps(self.history))
        control.should_training_stop = len(self.history) - 1 - best >= self.patience

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Take the bar away."""
        self.bar.stop()


def fit(
    corpus: Corpus,
    backbone: Backbone,
    training: Training,
    *,
    work: Path | None = None,
    tagger_type: type[Tagger] = Tagger,
) -> Tagger:
    """Train a tagger on the coded sessions of a corpus.

    A share of the groups is kept aside; the epoch with the best macro-F1 there is kept, and temperature and thresholds are
    fitted there. `work`: folder for checkpoints, from which a run that was cut off goes on; removed at the end.
    `tagger_type`: another way of cutting sessions, for comparison.

    Raises:
        InputError: nothing to learn from, too few groups, or a backbone that cannot be used.

    """
    hardware = choose(training.device, training.precision, training=True)
    logger.info("training on %s in %s (%s)", hardware.device, hardware.precision, hardware.reason)
    torch.manual_seed(training.seed)
    tagger = tagger_type.start(locate(backbone), backbone, corpus.codebook, training.dropout)
    train_ids, held_ids = grouped_split(corpus, training.validation_share, training.seed)
    require_disjoint(corpus.sessions, train_ids, held_ids)
    examples = _examples(corpus.select(train_ids), tagger, training)
    share, weight = np.concatenate(examples.share), np.concatenate(examples.weight)
    learner = Learner(tagger.model, corpus.codebook, code_weights(share, weight, corpus.codebook, training.balance))
    with torch.no_grad():
        tagger.model.head.bias.copy_(torch.from_numpy(prior_logits(share, weight, corpus.codebook)))
    batches = EpochBatches(examples, tagger.chunker, training.batch_tokens, training.seed)
    validation = Validation(tagger, corpus.select(held_ids), hardware)
    # Deep-copies the network: the copy is the tagger, the original goes on learning.
    window = max(1.0, training.average_epochs * len(batches))
    average = AveragedModel(learner.model, multi_avg_fn=get_ema_multi_avg_fn(1 - 1 / window))
    tagger.model = average.module
    with _work_folder(work) as folder:
        epochs = EpochEnd(batches, validation, average, training.patience, folder)
        _run_trainer(learner, batches, epochs, training, hardware, folder)
        tagger.model.load_state_dict(load_file(str(folder / "best.safetensors")))
        raw = json.loads((folder / "decisions.json").read_text())
        tagger.decisions = Decisions.from_dict(raw, corpus.codebook, str(folder / "decisions.json"))
    for title in epochs.best["collapsed"]:
        logger.warning(
            "%s: the tagger gives every utterance the same code. Too few examples, or a learning rate too high: "
            "try another seed, backbone.learning_rate at half, or more coded sessions",
            title,
        )
    tagger.manifest = {
        "training": asdict(training),
        "hardware": asdict(hardware),
        "sessions": {"training": len(train_ids), "kept_aside": len(held_ids)},
        "tokens_per_epoch": batches.tokens,
        "epochs": epochs.history,
    }
    return tagger


def _examples(corpus: Corpus, tagger: Tagger, training: Training) -> Examples:
    targets = build_targets(corpus.utterances, corpus.codings, corpus.codebook)
    sessions = tokenise(corpus.utterances, tagger.tokenizer)
    ends = np.cumsum([len(session.utterances) for session in sessions])[:-1]
    weight = targets.weight(training.coder_correlation)
    return Examples(sessions, np.split(targets.share, ends), np.split(weight, ends))


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
    last = get_last_checkpoint(str(folder))
    if last:
        logger.info("going on from epoch %d of a run that was cut off", len(epochs.history))
    trainer.train(resume_from_checkpoint=last)


def _rate_groups(learner: Learner, backbone: Backbone, training: Training) -> list[dict[str, Any]]:
    """Parameter groups: heads at their own rate, each encoder layer at `layer_decay` times the rate of the one above."""
    encoder = learner.model.encoder
    depth = encoder.config.num_hidden_layers
    # A small corpus uses few of the words; moving only those away from the rest gains nothing and costs a tenth of the time.
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


@contextmanager
def _work_folder(work: Path | None) -> Iterator[Path]:
    """A folder for checkpoints: a temporary one, or `work`, which stays when training is cut off."""
    if work is None:
        with tempfile.TemporaryDirectory(prefix="threers-") as scratch:
            yield Path(scratch)
        return
    work.mkdir(parents=True, exist_ok=True)
    yield work
    shutil.rmtree(work)
