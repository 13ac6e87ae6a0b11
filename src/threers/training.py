"""Fitting a tagger with transformers' Trainer. Layer 3."""

from __future__ import annotations

import copy
import logging
import math
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import PrinterCallback, Trainer, TrainingArguments, get_linear_schedule_with_warmup

from threers import adapters, ranks
from threers.backbones import WEIGHTS, locate
from threers.batches import EpochBatches, Examples
from threers.chunks import SessionTokens, lengths, tokenise
from threers.codebook import Codebook
from threers.coder_heads import FASTER, start_heads
from threers.corpus import Corpus, coded_sessions, grouped_split, require_disjoint, session_hashes
from threers.decisions import Decisions
from threers.epochs import EpochEnd, Validation, is_damaged
from threers.errors import InputError
from threers.hardware import Hardware, choose
from threers.learner import Learner, code_frequency, code_weights, prior_logits, spread
from threers.lexicon import Lexicon
from threers.precision import check_precision
from threers.pretrained import Pretrained
from threers.ratings import learn_ratings, rated_sessions
from threers.settings import Backbone, Training
from threers.tagger import Tagger
from threers.targets import Targets, build_targets

logger = logging.getLogger(__name__)


def fit(
    corpus: Corpus,
    backbone: Backbone,
    training: Training,
    *,
    work: Path | None = None,
    tagger_type: type[Tagger] = Tagger,
    learner_type: type[Learner] = Learner,
) -> Tagger:
    """Train a tagger on the coded sessions of a corpus.

    A share of it, whole groups, is kept aside; the epoch with the best macro-F1 there is kept, and temperature and
    thresholds are fitted there. `work`: folder for checkpoints, from which a run that was cut off goes on; the caller
    removes it. `tagger_type`, `learner_type`: another way of cutting sessions, or another loss, for comparison. Of
    several processes that train together (see `ranks`), the first returns the tagger, and the others one that is not
    finished.

    Raises:
        InputError: nothing to learn from, too few groups, a backbone that cannot be used, or a diverging loss.

    """
    if work is None:
        with tempfile.TemporaryDirectory(prefix="threers-") as scratch:
            folder = Path(scratch)
            return fit(corpus, backbone, training, work=folder, tagger_type=tagger_type, learner_type=learner_type)
    if ranks.is_first():
        work.mkdir(parents=True, exist_ok=True)
    rated = corpus.select(rated_sessions(corpus.codings, corpus.codebook))
    corpus = coded_sessions(corpus)
    hardware = choose(training.device, training.precision, reduced=True)
    logger.info("training on %s in %s (%s)", hardware.device, hardware.precision, hardware.reason)
    if backbone.lora_rank:
        adapters.require_peft()
    torch.manual_seed(training.seed)
    tagger = tagger_type.start(locate(backbone), backbone, corpus.codebook, training.dropout)
    targets = build_targets(corpus.utterances, corpus.codings, corpus.codebook, training.segment_minutes)
    learnt_as = _say_what_is_learnt(targets, training)
    train_ids, held_ids = grouped_split(corpus, training.validation_share, training.seed)
    require_disjoint(corpus.sessions, train_ids, held_ids)
    learn, held = corpus.select(train_ids), corpus.select(held_ids)
    of_learn = targets.rows(corpus.utterances["session_id"].isin(train_ids).to_numpy())
    of_held = targets.rows(corpus.utterances["session_id"].isin(held_ids).to_numpy())
    weight = of_learn.weight(training.coder_correlation)
    sessions = tokenise(learn.utterances, tagger.tokenizer)
    said = _fit_opinions(tagger, learn, sessions, of_learn, weight, training)
    if backbone.lora_rank:
        adapters.add(tagger.model.encoder, backbone.lora_rank, backbone.frozen_layers)
    if of_learn.segments is not None:
        # A chunk is shorter than a segment, so the encoder learns from what the two opinions make of the segments.
        of_learn = spread(said / (training.lexical_share + training.pretrained_share), of_learn, corpus.codebook)
        weight = of_learn.weight(training.coder_correlation)
    tagger.decisions = replace(tagger.decisions, not_learnt=_not_learnt(weight, corpus.codebook))
    tables, heads = (of_learn.share, of_learn.given, weight), None
    if training.coder_heads:
        tables, heads = start_heads(corpus, train_ids, weight)
        learnt_as["coders_with_heads"] = heads.coders
    examples = _examples(sessions, *tables)
    # Each process reads its share of a step.
    batches = EpochBatches(examples, tagger.chunker, training.batch_tokens // ranks.count(), training.seed)
    steps = math.ceil(len(batches) / ranks.count())
    with torch.no_grad():
        tagger.model.head.bias.copy_(torch.from_numpy(prior_logits(of_learn, weight, corpus.codebook)))
    # Deep-copies the network: the copy, a running mean, is the tagger; the original goes on learning.
    decay = 1 - 1 / max(1.0, training.average_epochs * steps)
    average = AveragedModel(tagger.model, multi_avg_fn=get_ema_multi_avg_fn(decay))
    balance = code_weights(of_learn, weight, corpus.codebook, training.balance)
    learner = learner_type(tagger.model, average, corpus.codebook, balance, heads)
    tagger.model = learner.average.module
    validation = Validation(tagger, held, of_held, code_frequency(of_learn, weight), training.device)
    epochs = EpochEnd(batches, validation, training.patience, work)
    _run_trainer(learner, batches, epochs, training, hardware, steps * training.epochs, work)
    if not ranks.is_first():
        return tagger
    best = epochs.history[epochs.best]
    tagger.model.load_state_dict(load_file(str(epochs.weights(epochs.best))))
    if backbone.lora_rank:
        adapters.merge(tagger.model.encoder)
    tagger.decisions = Decisions.from_dict(best["decisions"], corpus.codebook, "history.json")
    _warn(tagger, best["collapsed"])
    precision = check_precision(tagger, validation.sessions, validation.roles, of_held, validation.hardware.device)
    if not precision["kept"]:
        logger.warning(
            "bfloat16 would change the tags of %.1f %% of utterances; the tagger scores in float32",
            100 * precision["flipped"],
        )
    tagger.manifest = {
        "training": asdict(training),
        "hardware": asdict(hardware),
        "sessions": {"training": len(train_ids), "kept_aside": len(held_ids)},
        "learnt_as": learnt_as,
        "learnt_from": sorted(
            {*session_hashes(corpus.utterances).values(), *session_hashes(rated.utterances).values()}
        ),
        "lookahead": tagger.backbone.lookahead,
        "tokens_per_epoch": batches.tokens,
        "epochs": epochs.history,
        "best_epoch": epochs.best + 1,
        "precision_check": precision,
        "ratings": _fit_ratings(tagger, rated, training),
    }
    return tagger


def _fit_opinions(
    tagger: Tagger,
    learn: Corpus,
    sessions: list[SessionTokens],
    targets: Targets,
    weight: np.ndarray,
    training: Training,
) -> np.ndarray:
    """Give the tagger its linear opinions beside the encoder; returns the sum of what they say of these sessions, each
    times its share: logits float32 (n_utterances, n_codes).
    """
    said = np.zeros(targets.share.shape, dtype=np.float32)
    if training.lexical_share:
        words = [tokens for session in sessions for tokens in session.utterances]
        tagger.lexicon = Lexicon.fit(words, _group_numbers(learn), targets, weight, tagger.codebook)
        tagger.lexical_share = training.lexical_share
        said += training.lexical_share * tagger.lexicon.logits(words)
    if training.pretrained_share:
        tagger.pretrained, logits = Pretrained.fit(
            copy.deepcopy(tagger.model.encoder),
            tagger.backbone.read_layers,
            sessions,
            targets,
            weight,
            tagger.codebook,
            tagger.reading(choose(training.device)),
        )
        tagger.pretrained_share = training.pretrained_share
        said += training.pretrained_share * logits
    return said


def _fit_ratings(tagger: Tagger, rated: Corpus, training: Training) -> dict[str, Any]:
    """Give the tagger what can be learnt of the ratings of these sessions; returns what the manifest says of it.

    Also of sessions kept aside, and of those without coded utterances: nothing is chosen by how the tagger rates them.
    """
    if rated.sessions.empty:
        return {}
    if tagger.pretrained is None:
        logger.warning(
            "ratings are not learnt: they need the backbone as it was before training, which "
            "training.pretrained_share=0 leaves out"
        )
        return {}
    sessions = tokenise(rated.utterances, tagger.tokenizer)
    encoded = tagger.pretrained.encode(sessions, tagger.reading(choose(training.device)))
    tagger.ratings, found = learn_ratings(tagger.pretrained.vectors(encoded), lengths(sessions), rated, training)
    return found


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


def _say_what_is_learnt(targets: Targets, training: Training) -> dict[str, Any]:
    """How many utterances and segments were coded, for log and manifest."""
    found: dict[str, Any] = {"utterances": int((targets.coders > 0).any(axis=1).sum())}
    if targets.segments is None:
        return found
    if training.coder_heads:
        raise InputError(
            "training.coder_heads=true: the corpus has codes on segments, of which no coder's own threshold is learnt; "
            "set it to false"
        )
    if not training.lexical_share + training.pretrained_share:
        raise InputError(
            "training.lexical_share=0, training.pretrained_share=0: codes on segments are learnt by these two; set one"
        )
    found |= targets.segments.describe() | {"minutes": training.segment_minutes}
    logger.info(
        "learning from %d coded utterances and from codes on %d segments of %g minutes (%d of them with counts)",
        *(found[key] for key in ("utterances", "segments", "minutes", "tallied")),
    )
    if found["segments"] < found["coded_segments"]:
        logger.warning(
            "%d of %d coded segments say nothing of an utterance: none starts there whose speaker may have the codes, "
            "or they are coded themselves. Segments are numbered from 0, each of training.segment_minutes=%g",
            found["coded_segments"] - found["segments"],
            found["coded_segments"],
            training.segment_minutes,
        )
    return found


def _examples(sessions: list[SessionTokens], *tables: np.ndarray) -> Examples:
    ends = np.cumsum([len(session.utterances) for session in sessions])[:-1]
    return Examples(sessions, *(np.split(table, ends) for table in tables))


def _group_numbers(corpus: Corpus) -> np.ndarray:
    """The group of each utterance, as a number."""
    group = corpus.sessions.set_index("session_id")["group_id"]
    return np.unique(corpus.utterances["session_id"].map(group), return_inverse=True)[1]


def _run_trainer(
    learner: Learner,
    batches: EpochBatches,
    epochs: EpochEnd,
    training: Training,
    hardware: Hardware,
    steps: int,
    folder: Path,
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
    with arguments.main_process_first():
        last = _last_checkpoint(folder)
    if last:
        logger.info("going on with a run that was cut off")
    try:
        trainer.train(resume_from_checkpoint=last)
    except UnpicklingError as error:  # Trainer reads with PyTorch's loader for data only
        raise InputError(
            f"{last}: holds something else than the numbers that a training leaves, which was not run; delete {folder} "
            "and train again"
        ) from error
    finally:
        epochs.bar.stop()


def _last_checkpoint(folder: Path) -> str | None:
    """The newest whole checkpoint; one that was being written when the run was cut off is removed.

    Where anything that it goes on from is damaged, everything is, and training begins anew.
    """
    whole = []
    for checkpoint in folder.glob("checkpoint-*"):
        # Trainer writes its state last. Without weights in safetensors it would look for pickled ones.
        if all((checkpoint / name).is_file() for name in (WEIGHTS, "trainer_state.json")):
            whole.append(checkpoint)
        else:
            shutil.rmtree(checkpoint)
    if any(map(is_damaged, whole)):
        logger.warning("what a cut-off run left is damaged; training begins anew")
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return None
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
            numbers = re.findall(r"\.(?:layers?|h)\.(\d+)\.", name)
            above = re.search(r"pooler|final|encoder\.(norm|ln_f)\.", name)
            below = depth - int(numbers[0]) - 1 if numbers else (0 if above else depth)
            if backbone.frozen_layers and below >= depth - backbone.frozen_layers:
                parameter.requires_grad_(False)
                continue
            rate = backbone.learning_rate * training.layer_decay**below
        else:
            rate = training.head_learning_rate
        decay = training.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    if learner.heads is not None:
        groups[FASTER * training.head_learning_rate, 0.0] = [learner.heads.offset]
    return [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in groups.items()]
