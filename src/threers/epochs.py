"""What happens at the end of each epoch: measure on sessions kept aside, keep the best, stop in time. Layer 3."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save_file
from transformers import TrainerCallback

from threers import ranks
from threers.batches import EpochBatches
from threers.checkpoints import note_hashes, progress
from threers.chunks import tokenise
from threers.codebook import Family
from threers.corpus import Corpus
from threers.decisions import consensus, family_columns
from threers.folders import ANEW
from threers.hardware import choose
from threers.learner import Learner
from threers.scores import write_json
from threers.stored import read_json
from threers.tagger import Tagger
from threers.targets import Targets
from threers.thresholds import fit_decisions, macro_f1

logger = logging.getLogger(__name__)

#: How far macro-F1 on the few sessions kept aside may lie below the best epoch's before that means anything. Among the
#: epochs within it the latest is kept: it has learnt most, in the smallest steps.
TOLERANCE = 0.03


class Validation:
    """The sessions kept aside: measured after each epoch with the code that scores, and decisions fitted there."""

    def __init__(self, tagger: Tagger, corpus: Corpus, targets: Targets, frequency: np.ndarray, device: str) -> None:
        self.tagger, self.targets, self.frequency = tagger, targets, frequency
        # Scored as `threers score` will, so that thresholds fit the numbers they are used on.
        self.hardware = choose(device)
        self.roles = corpus.utterances["role"].tolist()
        self.sessions = tokenise(corpus.utterances, tagger.tokenizer)

    def measure(self) -> dict[str, Any]:
        """Fit decisions, and return them with macro-F1 per family and the families whose tags never vary."""
        tagger, targets = self.tagger, self.targets
        logits = tagger.logits(self.sessions, self.hardware).logits
        legal = tagger.codebook.legal_mask(self.roles)
        not_learnt = tagger.decisions.not_learnt
        tagger.decisions = fit_decisions(logits, targets, legal, tagger.codebook, self.frequency, not_learnt)
        _, tags = tagger.tags(logits, self.roles)
        figures = macro_f1(tags, targets, tagger.codebook)
        return {
            "macro_f1": figures,
            "mean": float(np.mean(list(figures.values()))) if figures else 0.0,
            "collapsed": [
                family.title
                for family, own in family_columns(tagger.codebook)
                if self._constant(tags[:, own], family, own)
            ],
            "decisions": tagger.decisions.to_dict(),
        }

    def _constant(self, tags: np.ndarray, family: Family, columns: np.ndarray) -> bool:
        coded = (self.targets.coders[:, columns] > 0).any(axis=1)
        truth = consensus(family, self.targets.share[coded][:, columns])
        return len(np.unique(truth, axis=0)) > 1 and len(np.unique(tags[coded], axis=0)) == 1


def in_words(found: Mapping[str, Any]) -> str:
    """Macro-F1 of each family, of what `Validation.measure` found."""
    words = ", ".join(f"{name} {figure:.3f}" for name, figure in found["macro_f1"].items())
    return f"macro-F1 {words}" if words else "no code marked"


class EpochEnd(TrainerCallback):
    """Moves chunk borders, averages weights, measures after each epoch, keeps the best, stops when nothing gets better.

    What it writes, it writes after the epoch's checkpoint and under temporary names first: a run that is cut off finds
    either all of an epoch or nothing.
    """

    def __init__(self, batches: EpochBatches, validation: Validation, patience: int, folder: Path) -> None:
        self.batches, self.validation, self.patience, self.folder = batches, validation, patience, folder
        self.history: list[dict[str, Any]] = []
        self.bar = progress()

    @property
    def best(self) -> int:
        """The epoch whose weights are kept: the latest that is not clearly worse than the best one."""
        means = [epoch["mean"] for epoch in self.history]
        return max(epoch for epoch, mean in enumerate(means) if mean >= max(means) - TOLERANCE)

    def weights(self, epoch: int) -> Path:
        """Where the mean weights of an epoch lie."""
        return self.folder / f"epoch-{epoch}.safetensors"

    def has_ended(self) -> bool:
        """Had a run that was cut off stopped before that, because nothing got better? Takes up its history."""
        self.history = ranks.first_says(self._read)
        return bool(self.history) and self._is_out_of_patience()

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Show the bar; take up what a cut-off run knew at its last checkpoint."""
        done = round(state.epoch or 0)
        if done:
            self.history = ranks.first_says(self._read)[:done]
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
        control.should_training_stop = self._is_out_of_patience()

    def on_save(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Keep the weights if they are the best so far; note the hash of all that a cut-off run goes on from."""
        self._write(model)
        if ranks.is_first():
            note_hashes(self.folder, state.global_step)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Take the bar away."""
        self.bar.stop()

    def _is_out_of_patience(self) -> bool:
        return len(self.history) - 1 - self.best >= self.patience

    def _measure(self, model: Learner, seconds: float) -> None:
        found = ranks.first_says(lambda: self.validation.measure() | {"loss": model.take_loss(), "seconds": seconds})
        self.history.append(found)
        words = in_words(found)
        logger.info("epoch %d: loss %.3f; kept aside: %s (%.0f s)", len(self.history), found["loss"], words, seconds)

    def _read(self) -> list[dict[str, Any]]:
        file = self.folder / "history.json"
        return read_json(file, ANEW) if file.is_file() else []

    def _write(self, model: Learner) -> None:
        if not ranks.is_first():
            return
        newest = len(self.history) - 1
        if self.best == newest:
            scratch = self.folder / ".best.tmp"
            save_file(model.average.module.state_dict(), str(scratch))
            scratch.replace(self.weights(newest))
        write_json(self.history, self.folder / "history.json")
        for epoch in range(newest + 1):
            if epoch != self.best:
                self.weights(epoch).unlink(missing_ok=True)
