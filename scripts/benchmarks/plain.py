"""A plain `AutoModelForSequenceClassification` fine-tune, as a user would write it: what threers has to beat.

One model per family, each utterance by itself, majority labels, the optimiser and rate that the library's examples use.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    PrinterCallback,
    Trainer,
    TrainingArguments,
)

from threers.codebook import Codebook
from threers.corpus import Corpus
from threers.decisions import family_columns
from threers.hardware import choose
from threers.targets import Targets, build_targets

EPOCHS, BATCH, RATE, LONGEST = 3, 16, 5e-5, 256


def learn_and_tag(learn: Corpus, test: Corpus, folder: Path, seed: int) -> tuple[pd.DataFrame, dict[str, int]]:
    """Train on `learn`, tag `test`: a table session_id, utterance_id, role, tags, and how many tokens training read,
    without the padding of batches and with it.
    """
    book = learn.codebook
    targets = build_targets(learn.utterances, learn.codings, book)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    said = tokenizer(learn.utterances["text"].tolist(), truncation=True, max_length=LONGEST)["input_ids"]
    heard = tokenizer(test.utterances["text"].tolist(), truncation=True, max_length=LONGEST)["input_ids"]
    codes, legal = np.array(book.tag_codes()), book.legal_mask(test.utterances["role"])
    tags = np.zeros(legal.shape, dtype=bool)
    read = {"training_tokens": 0, "padded_tokens": 0}
    for family, columns in family_columns(book):
        exclusive = family.kind == "exclusive"
        rows, labels = _labels(targets, columns, exclusive=exclusive)
        own = [said[row] for row in rows]
        trainer, padded = _train(own, labels, len(columns), tokenizer, folder, seed)
        read["training_tokens"] += EPOCHS * sum(map(len, own))
        read["padded_tokens"] += padded
        spoken = np.flatnonzero(legal[:, columns].any(axis=1))
        logits = trainer.predict([{"input_ids": heard[row]} for row in spoken]).predictions
        tags[np.ix_(spoken, columns)] = decide(logits, exclusive=exclusive) & legal[np.ix_(spoken, columns)]
    _add_parents(tags, book)
    table = test.utterances[["session_id", "utterance_id", "role"]].copy()
    table["tags"] = [list(codes[row]) for row in tags]
    return table, read


def decide(logits: np.ndarray, *, exclusive: bool) -> np.ndarray:
    """Codes of each row, bool (n, k): the likeliest alone (of equals, as bfloat16 has them, the first), or each that is
    likelier than not.
    """
    return np.arange(logits.shape[1]) == logits.argmax(axis=1)[:, None] if exclusive else logits > 0


def _labels(targets: Targets, columns: np.ndarray, *, exclusive: bool) -> tuple[np.ndarray, np.ndarray]:
    rows = np.flatnonzero((targets.coders[:, columns] > 0).any(axis=1))
    share = targets.share[rows][:, columns]
    return rows, share.argmax(axis=1) if exclusive else (share >= 0.5).astype(np.float32)


def _train(
    said: list[list[int]], labels: np.ndarray, n_labels: int, tokenizer: Any, folder: Path, seed: int
) -> tuple[Trainer, int]:
    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_pretrained(
        folder,
        num_labels=n_labels,
        problem_type="single_label_classification" if labels.ndim == 1 else "multi_label_classification",
        local_files_only=True,
        use_safetensors=True,
    )
    examples = [{"input_ids": ids, "labels": label} for ids, label in zip(said, labels.tolist(), strict=True)]
    collate = DataCollatorWithPadding(tokenizer)
    tokens = 0

    def count(batch: list[dict[str, Any]]) -> Any:
        nonlocal tokens
        padded = collate(batch)
        tokens += padded["input_ids"].numel() if "labels" in padded else 0
        return padded

    with tempfile.TemporaryDirectory() as scratch:
        arguments = TrainingArguments(
            output_dir=scratch,
            num_train_epochs=EPOCHS,
            per_device_train_batch_size=BATCH,
            per_device_eval_batch_size=32,
            learning_rate=RATE,
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
            bf16=choose(reduced=True).precision == "bfloat16",
            use_cpu=not torch.cuda.is_available(),
            dataloader_pin_memory=False,
            seed=seed,
        )
        trainer = Trainer(model=model, args=arguments, train_dataset=examples, data_collator=count)
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return trainer, tokens


def _add_parents(tags: np.ndarray, book: Codebook) -> None:
    place = {code: number for number, code in enumerate(book.tag_codes())}
    for code in sorted(place, key=lambda code: len(book.ancestors(code)), reverse=True):
        for parent in book.ancestors(code):
            if parent in place:
                tags[:, place[parent]] |= tags[:, place[code]]
