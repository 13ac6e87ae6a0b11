"""The encoder learns the codes with transformers' Trainer, once, or several times and averaged. Layer 3."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import Trainer, get_linear_schedule_with_warmup

from threers import adapters, ranks
from threers.backbones import WEIGHTS, sha256
from threers.batches import EpochBatches, Examples
from threers.checkpoints import arguments, clear, go_on
from threers.coder_heads import FASTER, CoderHeads
from threers.epochs import EpochEnd, Validation, in_words
from threers.errors import InputError
from threers.folders import ANEW
from threers.freezing import freeze_lower_layers, layers_above
from threers.hardware import Hardware
from threers.learner import Learner
from threers.scores import write_json
from threers.settings import Backbone, Training
from threers.stored import read_mapping
from threers.tagger import Tagger

logger = logging.getLogger(__name__)

#: Seeds of runs that are averaged lie so far apart that trainings with neighbouring seeds share none.
APART = 1_000_003
#: In the folder of a run that is whole, what came of it.
TUNED = "tuned.json"


@dataclass(frozen=True)
class Lesson:
    """What an encoder learns from. `balance`: weight of each code (n_codes,), see `learner.code_weights`; `heads`: each
    coder's own threshold, if these are learnt; `learner_type`: the loss.
    """

    examples: Examples
    balance: np.ndarray
    heads: CoderHeads | None
    learner_type: type[Learner]


@dataclass(frozen=True)
class Tuned:
    """What came of it: what was measured after each epoch of each run; the epoch kept of each, counted from 1; tokens
    of an epoch; and what `Validation.measure` says of the weights kept.
    """

    epochs: list[dict[str, Any]]
    kept: list[int]
    tokens: int
    figures: dict[str, Any]


def fine_tune(
    tagger: Tagger, lesson: Lesson, validation: Validation, training: Training, hardware: Hardware, work: Path
) -> Tuned:
    """Train the network of a tagger, `training.repeats` times from the same start, and keep the mean of the weights.

    Each run draws its batches and its dropout anew. Weights that come from one start can be averaged, and the mean
    mostly errs less than each of them (Wortsman et al. 2022, "Model soups"). Of several processes that train together
    only the first ends with the weights kept. `work`: folder for checkpoints, from which a run that was cut off goes
    on.

    Raises:
        InputError: a diverging loss, or a checkpoint with something else than the numbers that a training leaves.

    """
    if training.repeats == 1:
        return _run(tagger, lesson, validation, training, hardware, work)
    start, runs = tagger.model, []
    folders = [work / f"run-{number + 1}" for number in range(training.repeats)]
    for number, folder in enumerate(folders):
        found = ranks.first_says(partial(_whole, folder))
        if found is None:
            logger.info("run %d of %d", number + 1, training.repeats)
            tagger.model = copy.deepcopy(start)
            own = replace(training, seed=(training.seed + number * APART) % 2**32)
            found = _run(tagger, lesson, validation, own, hardware, folder)
            _keep(tagger, found, folder)
        runs.append(found)
    figures = {}
    if ranks.is_first():
        if tagger.backbone.lora_rank:
            adapters.merge(start.encoder)
        tagger.model = start
        tagger.model.load_state_dict(mean_weights([folder / WEIGHTS for folder in folders]))
        figures = validation.measure()
        logger.info("mean of %d runs; kept aside: %s", training.repeats, in_words(figures))
    epochs = [{"run": number + 1} | epoch for number, run in enumerate(runs) for epoch in run.epochs]
    return Tuned(epochs, [epoch for run in runs for epoch in run.kept], runs[0].tokens, figures)


def mean_weights(files: Sequence[Path]) -> dict[str, torch.Tensor]:
    """Mean of each tensor over files of weights; of whole numbers, which do not learn, the first file's."""
    mean = load_file(str(files[0]))
    for number, file in enumerate(files[1:], start=2):
        for name, tensor in load_file(str(file)).items():
            if tensor.is_floating_point():
                mean[name] += (tensor - mean[name]) / number
    return mean


def _run(
    tagger: Tagger, lesson: Lesson, validation: Validation, training: Training, hardware: Hardware, work: Path
) -> Tuned:
    # Each process reads its share of a step.
    batches = EpochBatches(lesson.examples, tagger.chunker, training.batch_tokens // ranks.count(), training.seed)
    steps = math.ceil(len(batches) / ranks.count())
    encoder = tagger.model.encoder
    freeze_lower_layers(encoder, tagger.backbone.frozen_layers)
    # A small corpus uses few of the words; moving only those away from the rest gains nothing and costs a tenth of
    # the time.
    encoder.get_input_embeddings().requires_grad_(False)
    # Deep-copies the network: the copy, a running mean, is the tagger; the original goes on learning.
    decay = 1 - 1 / max(1.0, training.average_epochs * steps)
    average = AveragedModel(tagger.model, multi_avg_fn=get_ema_multi_avg_fn(decay))
    heads = copy.deepcopy(lesson.heads)
    learner = lesson.learner_type(tagger.model, average, tagger.codebook, lesson.balance, heads)
    tagger.model = learner.average.module
    epochs = EpochEnd(batches, validation, training.patience, work)
    _run_trainer(learner, batches, epochs, training, hardware, steps * training.epochs, work)
    if ranks.is_first():
        tagger.model.load_state_dict(load_file(str(epochs.weights(epochs.best))))
        if tagger.backbone.lora_rank:
            adapters.merge(tagger.model.encoder)
    return Tuned(epochs.history, [epochs.best + 1], batches.tokens, epochs.history[epochs.best])


def _keep(tagger: Tagger, found: Tuned, folder: Path) -> None:
    """Leave of a whole run its weights, and what came of it."""
    if not ranks.is_first():
        return
    clear(folder)
    save_file(tagger.model.state_dict(), str(folder / WEIGHTS))
    write_json(asdict(found) | {"sha256": sha256(folder / WEIGHTS)}, folder / TUNED)


def _whole(folder: Path) -> Tuned | None:
    """What came of a run, if it is whole and as it was written; a damaged one is made again."""
    if not (folder / TUNED).is_file():
        return None
    kinds = {"epochs": list, "kept": list, "tokens": int, "figures": dict}
    try:
        found = read_mapping(folder / TUNED, {**kinds, "sha256": str}, ANEW)
        if sha256(folder / WEIGHTS) == found["sha256"]:
            return Tuned(**{key: found[key] for key in kinds})
    except (InputError, FileNotFoundError):
        pass
    logger.warning("what a finished run of this training left is damaged; it is made again")
    return None


def _run_trainer(
    learner: Learner,
    batches: EpochBatches,
    epochs: EpochEnd,
    training: Training,
    hardware: Hardware,
    steps: int,
    folder: Path,
) -> None:
    optimizer = torch.optim.AdamW(_rate_groups(learner, epochs.validation.tagger.backbone, training), fused=True)
    schedule = get_linear_schedule_with_warmup(optimizer, int(training.warmup * steps), steps)
    trainer = Trainer(
        model=learner,
        args=arguments(folder, training.epochs, hardware, training.seed),
        train_dataset=batches,
        data_collator=lambda batch: batches.collate(batch, epochs.validation.tagger.tokenizer.pad_token_id),
        optimizers=(optimizer, schedule),
        callbacks=[epochs],
    )
    try:
        go_on(trainer, folder, epochs.has_ended)
    finally:
        epochs.bar.stop()


def _rate_groups(learner: Learner, backbone: Backbone, training: Training) -> list[dict[str, Any]]:
    """Parameter groups: heads at their own rate, each encoder layer at `layer_decay` times the rate of the one
    above.
    """
    above = layers_above(learner.model.encoder)
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for parameter in learner.model.parameters():
        if not parameter.requires_grad:
            continue
        if parameter in above:
            rate = backbone.learning_rate * training.layer_decay ** above[parameter]
        else:
            rate = training.head_learning_rate
        decay = training.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    if learner.heads is not None:
        groups[FASTER * training.head_learning_rate, 0.0] = [learner.heads.offset]
    return [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in groups.items()]
