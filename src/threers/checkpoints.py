"""Training with transformers' Trainer that goes on from its newest whole checkpoint. Layer 3."""

from __future__ import annotations

import logging
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError

from rich.console import Console
from rich.progress import Progress
from transformers import PrinterCallback, Trainer, TrainingArguments

from threers import ranks
from threers.backbones import WEIGHTS, sha256
from threers.errors import InputError
from threers.hardware import Hardware
from threers.processes import is_worker
from threers.scores import write_json
from threers.stored import read_json

logger = logging.getLogger(__name__)

#: In a checkpoint, the hash of each file that it goes on from.
HASHES = "hashes.json"


def arguments(folder: Path, epochs: int, hardware: Hardware, seed: int) -> TrainingArguments:
    """A checkpoint in `folder` after each epoch; an item of the data is a whole batch."""
    found = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=epochs,
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
        seed=seed,
        max_grad_norm=1.0,
    )
    found._n_gpu = 1  # one item is one batch; several GPUs take part through accelerate launch
    return found


def go_on(trainer: Trainer, folder: Path, has_ended: Callable[[], bool] = lambda: False) -> None:
    """Train from the newest whole checkpoint in `folder`, or from the beginning.

    `has_ended`: whether a run that left a checkpoint had stopped of its own accord.

    Raises:
        InputError: a checkpoint holds something else than the numbers that a training leaves.

    """
    trainer.remove_callback(PrinterCallback)
    with trainer.args.main_process_first():
        last = last_checkpoint(folder)
    if last:
        logger.info("going on with a run that was cut off")
        if has_ended():
            return
    try:
        trainer.train(resume_from_checkpoint=last)
    except UnpicklingError as error:  # Trainer reads with PyTorch's loader for data only
        raise InputError(
            f"{last}: holds something else than the numbers that a training leaves, which was not run; delete {folder} "
            "and train again"
        ) from error


def progress() -> Progress:
    """A bar for whoever watches: on a terminal, of the first process, and not of one that works beside others."""
    shown = sys.stderr.isatty() and ranks.is_first() and not is_worker()
    return Progress(console=Console(stderr=True), transient=True, disable=not shown)


def last_checkpoint(folder: Path) -> str | None:
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
        clear(folder)
        return None
    return str(max(whole, key=lambda path: int(path.name.split("-")[1]))) if whole else None


def clear(folder: Path) -> None:
    """Remove all that is in a folder."""
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def note_hashes(folder: Path, step: int) -> None:
    """Note in the checkpoint of this step the hash of each file in `folder` that it goes on from."""
    checkpoint = folder / f"checkpoint-{step}"
    files = [*folder.glob("*.*"), *checkpoint.iterdir()]
    hashes = {str(file.relative_to(folder)): sha256(file) for file in files if file.is_file()}
    write_json(hashes, checkpoint / HASHES)


def is_damaged(checkpoint: Path) -> bool:
    """Is a file that this checkpoint goes on from not as it was written? Without hashes nobody can say."""
    if not (checkpoint / HASHES).is_file():
        return False
    try:
        hashes = read_json(checkpoint / HASHES)
        return any(sha256(checkpoint.parent / name) != saved for name, saved in hashes.items())
    except (InputError, OSError, AttributeError, TypeError):
        return True
