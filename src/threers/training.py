"""Fitting a tagger with transformers' Trainer. Layer 3."""

from __future__ import annotations

import copy
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from threers import adapters, ranks
from threers.adaptation import adapted_for
from threers.backbones import adapted, locate
from threers.batches import Examples
from threers.chunks import SessionTokens, lengths, tokenise
from threers.codebook import Codebook
from threers.coder_heads import start_heads
from threers.corpus import Corpus, coded_sessions, grouped_split, require_disjoint, session_hashes
from threers.decisions import Decisions
from threers.epochs import Validation
from threers.errors import InputError
from threers.finetuning import Lesson, fine_tune
from threers.hardware import choose
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

    A share of it, whole groups, is kept aside. The latest epoch whose macro-F1 there is not clearly below the best one
    is kept, and temperature and thresholds are fitted there. `work`: folder for checkpoints, from which a run that was
    cut off goes on; the caller removes it. `tagger_type`, `learner_type`: another way of cutting sessions, or another
    loss, for comparison. Of several processes that train together (see `ranks`), the first returns the tagger, and the
    others one that is not finished.

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
    whole, corpus = corpus, coded_sessions(corpus)
    train_ids, held_ids = grouped_split(corpus, training.validation_share, training.seed)
    require_disjoint(corpus.sessions, train_ids, held_ids)
    if backbone.lora_rank:
        adapters.require_peft()
    adapts = training.adapt_epochs > 0
    source = adapted_for(whole, held_ids, backbone, training, work) if adapts else locate(backbone)
    adaptation = adapted(source)
    hardware = choose(training.device, training.precision, reduced=True)
    logger.info("training on %s in %s (%s)", hardware.device, hardware.precision, hardware.reason)
    torch.manual_seed(training.seed)
    tagger = tagger_type.start(source, backbone, corpus.codebook, training.dropout)
    targets = build_targets(corpus.utterances, corpus.codings, corpus.codebook, training.segment_minutes)
    learnt_as = _say_what_is_learnt(targets, training)
    learn, held = corpus.select(train_ids), corpus.select(held_ids)
    of_learn, of_held = (
        targets.rows(corpus.utterances["session_id"].isin(ids).to_numpy()) for ids in (train_ids, held_ids)
    )
    lesson, frequency = _lesson(tagger, learn, of_learn, training, learner_type)
    if lesson.heads is not None:
        learnt_as["coders_with_heads"] = lesson.heads.coders
    validation = Validation(tagger, held, of_held, frequency, training.device)
    tuned = fine_tune(tagger, lesson, validation, training, hardware, work)
    if not ranks.is_first():
        return tagger
    tagger.decisions = Decisions.from_dict(tuned.figures["decisions"], corpus.codebook, "history.json")
    _warn(tagger, tuned.figures["collapsed"])
    tagger.manifest = {
        "training": asdict(training),
        "hardware": asdict(hardware),
        "sessions": {"training": len(train_ids), "kept_aside": len(held_ids)},
        "learnt_as": learnt_as,
        "learnt_from": sorted(
            {*session_hashes(corpus.utterances).values(), *session_hashes(rated.utterances).values()}
        ),
        "lookahead": tagger.backbone.lookahead,
        "tokens_per_epoch": tuned.tokens,
        "epochs": tuned.epochs,
        "kept_epochs": tuned.kept,
        "kept_aside": tuned.figures["macro_f1"],
        "precision_check": _check_precision(tagger, validation),
        "ratings": _fit_ratings(tagger, rated, training),
    }
    if adaptation is not None:
        _note_adaptation(tagger, adaptation, held)
    return tagger


def _lesson(
    tagger: Tagger, learn: Corpus, targets: Targets, training: Training, learner_type: type[Learner]
) -> tuple[Lesson, np.ndarray]:
    """Fit the two opinions, and set out what the encoder is to learn; returns that and how often each code occurs."""
    book, backbone = tagger.codebook, tagger.backbone
    weight = targets.weight(training.coder_correlation)
    sessions = tokenise(learn.utterances, tagger.tokenizer)
    said = _fit_opinions(tagger, learn, sessions, targets, weight, training)
    if backbone.lora_rank:
        adapters.add(tagger.model.encoder, backbone.lora_rank, backbone.frozen_layers)
    if targets.segments is not None:
        # A chunk is shorter than a segment, so the encoder learns from what the two opinions make of the segments.
        targets = spread(said / (training.lexical_share + training.pretrained_share), targets, book)
        weight = targets.weight(training.coder_correlation)
    tagger.decisions = replace(tagger.decisions, not_learnt=_not_learnt(weight, book))
    tables, heads = (targets.share, targets.given, weight), None
    if training.coder_heads:
        tables, heads = start_heads(learn, weight)
    with torch.no_grad():
        tagger.model.head.bias.copy_(torch.from_numpy(prior_logits(targets, weight, book)))
    balance = code_weights(targets, weight, book, training.balance)
    lesson = Lesson(_examples(sessions, *tables), balance, heads, learner_type)
    return lesson, code_frequency(targets, weight)


def _check_precision(tagger: Tagger, validation: Validation) -> dict[str, Any]:
    """Compare bfloat16 with float32 on the sessions kept aside, and say so where it would change tags."""
    sides = validation.sessions, validation.roles, validation.targets
    found = check_precision(tagger, *sides, validation.hardware.device)
    if not found["kept"]:
        logger.warning(
            "bfloat16 would change the tags of %.1f %% of utterances; the tagger scores in float32",
            100 * found["flipped"],
        )
    return found


def _note_adaptation(tagger: Tagger, adaptation: dict[str, Any], held: Corpus) -> None:
    """What the backbone has read, the tagger has learnt from, too."""
    read = set(adaptation["session_hashes"])
    known = sum(session in read for session in session_hashes(held.utterances).values())
    if known:
        logger.warning(
            "the backbone was adapted to %d of %d sessions kept aside, so the figures there are too good; "
            "training.adapt_epochs adapts to the others only",
            known,
            len(held.sessions),
        )
    tagger.manifest["learnt_from"] = sorted(read.union(tagger.manifest["learnt_from"]))
    tagger.manifest["adaptation"] = {"sessions": len(read), "loss": adaptation["loss"], "known_aside": known}


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
    """How many utterances and segments were coded, for log and manifest. Raises InputError where the settings cannot
    learn from segments.
    """
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
    group = corpus.group_of
    return np.unique(corpus.utterances["session_id"].map(group), return_inverse=True)[1]
