"""Going on with a backbone's pre-training on a lab's own transcripts, coded or not, before it learns codes. Layer 3.

After Gururangan et al. 2020, "Don't stop pretraining": tokens are masked, and the backbone says which they were. It
reads whole chunks, as the tagger will.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.optim.lr_scheduler import LambdaLR
from transformers import Trainer, TrainerCallback

from threers import ranks
from threers.backbones import ADAPTED, WEIGHTS, adapted, keep_lower_layers, load_masked, locate, sha256
from threers.batches import EpochBatches, Examples
from threers.checkpoints import arguments, go_on, note_hashes, progress
from threers.corpus import Corpus, require_disjoint, session_hashes
from threers.doctor import versions
from threers.errors import InputError
from threers.freezing import freeze_lower_layers
from threers.hardware import Hardware, choose
from threers.masking import HeldAside, MaskedText, masked_loss
from threers.network import check_fit
from threers.scores import write_json
from threers.settings import Backbone, Training

logger = logging.getLogger(__name__)

#: Settings of a training that an adaptation depends on.
SETTINGS = ("adapt_epochs", "batch_tokens", "head_learning_rate", "weight_decay", "warmup", "seed")
#: Settings of a backbone that suit it as well after it was adapted.
KEPT = ("chunk_tokens", "overlap_tokens", "lookahead", "frozen_layers", "read_layers", "learning_rate")


def adapt(read: Corpus, aside: Corpus, backbone: Backbone, training: Training, out: Path, work: Path) -> dict[str, Any]:
    """Let a backbone read the sessions of `read`, `training.adapt_epochs` times, and write it to the folder `out`.

    Its weights learn at `backbone.learning_rate`; frozen layers stay. A backbone without the head that names masked
    tokens gets a new one, which first learns alone for an epoch, so that its errors do not bend the rest.

    Args:
        read: sessions to learn from; their codings are not looked at.
        aside: sessions of other groups; the loss there is measured, and decides nothing.
        backbone: what is adapted.
        training: epochs, batches, rates, seed, device and precision.
        out: appears when all is done, in the save_pretrained layout, with manifest.json and README.md.
        work: folder for checkpoints, from which a run that was cut off goes on; the caller removes it.

    Returns:
        The manifest: settings; `loss`, mean per masked token of `aside` in nats, before and after each epoch; and
        `session_hashes` of all sessions that the weights were ever adapted to.

    Raises:
        InputError: a backbone that is not trained in this way, or a diverging loss.
        LeakError: a group stands on both sides.

    """
    if backbone.lora_rank:
        raise InputError(
            f"backbone.lora_rank={backbone.lora_rank}: an adaptation trains the weights themselves; adapt with "
            "backbone.lora_rank=0 and the backbone.learning_rate that suits them, and train adapters from its folder"
        )
    sessions = pd.concat([read.sessions, aside.sessions])
    require_disjoint(sessions, read.sessions["session_id"], aside.sessions["session_id"])
    hardware = choose(training.device, training.precision, reduced=True)
    torch.manual_seed(training.seed)
    source = locate(backbone)
    known = (adapted(source) or {}).get("session_hashes", [])
    model, tokenizer, new_head = load_masked(source)
    keep_lower_layers(model.base_model, backbone.layers)
    check_fit(model.config, tokenizer, backbone)
    text = MaskedText(read, tokenizer, backbone)
    every = [np.ones((len(session.utterances), 1)) for session in text.sessions]
    batches = EpochBatches(Examples(text.sessions, [], [], every), text.chunker, training.batch_tokens, training.seed)
    epochs = _Epochs(batches, HeldAside(MaskedText(aside, tokenizer, backbone), hardware), new_head, work)
    logger.info(
        "adapting the backbone to %d sessions, coded or not, on %s in %s (%s)",
        *(len(text.sessions), hardware.device, hardware.precision, hardware.reason),
    )
    _train(model, text, epochs, backbone, training, hardware)
    if epochs.losses[-1] >= epochs.losses[0]:
        logger.warning(
            "the loss on others is not lower than before, so what was read does not help there; try "
            "backbone.learning_rate=%g, fewer epochs, or the backbone as it was",
            backbone.learning_rate / 2,
        )
    manifest = {
        "kind": "adapted backbone",
        "backbone": asdict(backbone),
        "use": _use(backbone),
        "settings": {key: getattr(training, key) for key in SETTINGS},
        "new_head": new_head,
        "loss": epochs.losses,
        "sessions": {"read": len(text.sessions), "kept_aside": len(aside.sessions)},
        "tokens_per_epoch": batches.tokens,
        "hardware": asdict(hardware),
        "versions": versions(),
        "session_hashes": sorted({*session_hashes(read.utterances).values(), *known}),
    }
    return _save(model, tokenizer, manifest, work / "made", out)


def adapted_for(corpus: Corpus, held_ids: Sequence[str], backbone: Backbone, training: Training, work: Path) -> Path:
    """The folder of a backbone adapted to every session of `corpus`, coded or not, but those of the groups to which
    `held_ids` belong. What is in `work` already is taken up.
    """
    if ranks.count() > 1:
        raise InputError(
            f"training.adapt_epochs={training.adapt_epochs}: several processes cannot adapt a backbone together; run "
            "threers adapt first, and train from its folder with training.adapt_epochs=0"
        )
    made = work / "adapted"
    if not made.is_dir():
        group = corpus.group_of
        held = group.isin(group[list(held_ids)])
        read, aside = corpus.select(group.index[~held]), corpus.select(group.index[held])
        adapt(read, aside, backbone, training, made, work / "adapting")
        shutil.rmtree(work / "adapting")
    return made


class _Trainer(Trainer):
    """Trainer asks for the loss in this way."""

    def compute_loss(self, model: Any, inputs: dict[str, torch.Tensor], *_: Any, **__: Any) -> torch.Tensor:
        return masked_loss(model, **inputs)


class _Epochs(TrainerCallback):
    """Moves chunk borders, lets the encoder learn when its turn comes, and measures after each epoch."""

    def __init__(self, batches: EpochBatches, held: HeldAside, new_head: bool, folder: Path) -> None:
        self.batches, self.held, self.new_head, self.folder = batches, held, new_head, folder
        self.losses: list[float] = []
        self.bar = progress()

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Measure before anything is learnt, or take up what was measured before the run was cut off."""
        self.losses = [entry["held"] for entry in state.log_history if "held" in entry]
        self.learning = [parameter for parameter in model.base_model.parameters() if parameter.requires_grad]
        if not self.new_head and not self.losses:
            self._measure(state, model)
        self.bar.start()
        self.task = self.bar.add_task("adapting", total=state.max_steps, completed=state.global_step)

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Cut the chunks of this epoch."""
        epoch = round(state.epoch or 0)
        self.batches.begin(epoch)
        for parameter in self.learning:
            parameter.requires_grad_(epoch >= self.new_head)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Advance the bar."""
        self.bar.advance(self.task)

    def on_epoch_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Measure; after a new head's own epoch that is the loss before the encoder learns."""
        self._measure(state, model)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Note the hash of all that a cut-off run goes on from."""
        note_hashes(self.folder, state.global_step)

    def _measure(self, state: Any, model: Any) -> None:
        loss = self.held.loss(model)
        state.log_history.append({"held": loss})  # so that the checkpoint has it
        self.losses.append(loss)
        when = f"after epoch {len(self.losses) - 1}" if len(self.losses) > 1 else "before"
        logger.info("loss per masked token of the sessions kept aside, %s: %.3f", when, loss)


def _train(
    model: Any, text: MaskedText, epochs: _Epochs, backbone: Backbone, training: Training, hardware: Hardware
) -> None:
    alone = len(epochs.batches) * epochs.new_head
    steps = alone + len(epochs.batches) * training.adapt_epochs

    def share(step: int, begin: int) -> float:
        """Of the peak rate: none before `begin`, then a rise, then a fall to the end."""
        rise = max(1.0, training.warmup * (steps - begin))
        return min(max(0, step - begin) / rise, (steps - step) / max(1.0, steps - begin - rise))

    freeze_lower_layers(model.base_model, backbone.frozen_layers)
    inside = {id(parameter) for parameter in model.base_model.parameters()}
    groups: dict[tuple[bool, bool], list[torch.nn.Parameter]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            groups.setdefault((id(parameter) in inside, parameter.ndim > 1), []).append(parameter)
    rates = {False: training.head_learning_rate, True: backbone.learning_rate}
    optimizer = torch.optim.AdamW(
        [
            {"params": own, "lr": rates[of_encoder], "weight_decay": training.weight_decay * is_matrix}
            for (of_encoder, is_matrix), own in groups.items()
        ],
        fused=True,
    )
    schedule = LambdaLR(optimizer, [partial(share, begin=alone * of_encoder) for of_encoder, _ in groups])
    trainer = _Trainer(
        model=model,
        args=arguments(epochs.folder, training.adapt_epochs + epochs.new_head, hardware, training.seed),
        train_dataset=epochs.batches,
        data_collator=lambda batch: text.mask(batch[0]),
        optimizers=(optimizer, schedule),
        callbacks=[epochs],
    )
    try:
        go_on(trainer, epochs.folder)
    finally:
        epochs.bar.stop()


def _save(model: Any, tokenizer: Any, manifest: dict[str, Any], made: Path, out: Path) -> dict[str, Any]:
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(mode=0o700)
    # A mark in config.json: whoever copies the weights without the manifest cannot forget what they have read.
    setattr(model.config, ADAPTED, True)
    model.save_pretrained(made)
    tokenizer.save_pretrained(made)
    manifest = manifest | {"weights_sha256": sha256(made / WEIGHTS)}
    write_json(manifest, made / "manifest.json")
    (made / "README.md").write_text(_readme(manifest), encoding="utf-8")
    made.rename(out)
    return manifest


def _use(backbone: Backbone) -> str:
    """The words that choose the backbone once it is adapted, with those settings that suit it still."""
    plain = Backbone(name="local", source="folder", path="FOLDER")
    changed = [key for key in KEPT if getattr(backbone, key) != getattr(plain, key)]
    values = [f"backbone.{key}={str(getattr(backbone, key)).lower()}" for key in changed]
    return " ".join(["backbone=local", "backbone.path=FOLDER", f"backbone.name={backbone.name}_adapted", *values])


def _readme(manifest: dict[str, Any]) -> str:
    name, loss = manifest["backbone"]["name"], manifest["loss"]
    return "\n".join(
        [
            f"# {name}, adapted",
            "",
            f"The backbone *{name}* after it has read {manifest['sessions']['read']} sessions "
            f"(masked tokens, epochs {len(loss) - 1}). On {manifest['sessions']['kept_aside']} sessions of other "
            f"groups its loss per masked token was {loss[0]:.2f} before and {loss[-1]:.2f} afterwards.",
            "",
            f"Use: `threers train {manifest['use']}`",
            "",
            "It has read confidential transcripts, may complete phrases from them, and holds a hash of each: keep this "
            "folder under the same protection as the transcripts. No tagger that starts from it is to be tested on "
            "patients whom it has read.",
            "",
        ]
    )
