"""SetFit, as its documentation has it: a sentence model learns from pairs of texts, a logistic regression from all."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from datasets import Dataset


def set_fit(
    said: Sequence[str],
    labels: np.ndarray,
    n_labels: int,
    heard: Sequence[str],
    *,
    folder: Path,
    seed: int,
    per_code: int | None = None,
    steps: int = -1,
) -> tuple[np.ndarray, dict[str, int]]:
    """See `rivals.Rival`. `per_code`: texts drawn of each code, else all; `steps`: batches of pairs, else every pair.

    Raises:
        SystemExit: SetFit is not installed.

    """
    try:
        from setfit import SetFitModel, Trainer, TrainingArguments
    except ModuleNotFoundError:
        raise SystemExit("SetFit is not installed: pip install 'setfit>=1.2'") from None
    present = np.eye(n_labels)[labels] if labels.ndim == 1 else labels
    rows = np.arange(len(present)) if per_code is None else _draw(present, per_code, seed)
    model = SetFitModel.from_pretrained(
        str(folder), multi_target_strategy=None if labels.ndim == 1 else "one-vs-rest", local_files_only=True
    )
    examples = Dataset.from_dict({"text": [said[row] for row in rows], "label": labels[rows].tolist()})
    with tempfile.TemporaryDirectory() as scratch:
        arguments = TrainingArguments(
            output_dir=scratch,
            max_steps=steps,
            seed=seed,
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
            show_progress_bar=False,
        )
        trainer = Trainer(model=model, args=arguments, train_dataset=examples)
        trainer.train()
    found = np.asarray(model.predict(list(heard), as_numpy=True))
    return (np.eye(n_labels)[found] if labels.ndim == 1 else found).astype(bool), {}


def _draw(present: np.ndarray, per_code: int, seed: int) -> np.ndarray:
    """Rows (n,) of so many texts of each code, and without any, of `present` (n_texts, k); of a rarer code all."""
    rng = np.random.default_rng(seed)
    rows = [np.flatnonzero(column) for column in (*present.T, ~present.any(axis=1))]
    return np.unique(np.concatenate([rng.permutation(own)[:per_code] for own in rows]))
