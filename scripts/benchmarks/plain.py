"""A plain `AutoModelForSequenceClassification` fine-tune, with the optimiser and rate of the library's examples."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    PrinterCallback,
    Trainer,
    TrainingArguments,
)

from threers.hardware import choose

EPOCHS, BATCH, RATE, LONGEST = 3, 16, 5e-5, 256


def fine_tune(
    said: Sequence[str], labels: np.ndarray, n_labels: int, heard: Sequence[str], *, folder: Path, seed: int
) -> tuple[np.ndarray, dict[str, int]]:
    """See `rivals.Rival`; tokens are counted without the padding of batches and with it."""
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    ours, theirs = (tokenizer(list(texts), truncation=True, max_length=LONGEST)["input_ids"] for texts in (said, heard))
    trainer, padded = _train(ours, labels, n_labels, tokenizer, folder, seed)
    logits = trainer.predict([{"input_ids": ids} for ids in theirs]).predictions
    read = {"training_tokens": EPOCHS * sum(map(len, ours)), "padded_tokens": padded}
    return decide(logits, exclusive=labels.ndim == 1), read


def decide(logits: np.ndarray, *, exclusive: bool) -> np.ndarray:
    """Codes of each row, bool (n, k): the likeliest alone (of equals, as bfloat16 has them, the first), or each that is
    likelier than not.
    """
    return np.arange(logits.shape[1]) == logits.argmax(axis=1)[:, None] if exclusive else logits > 0


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
