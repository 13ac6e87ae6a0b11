"""The choices that verbs share, each a plain dataclass, checked when made. Layer 0: the standard library only.

The YAML files under `configs/` give the values; `mapping.from_mapping` turns them into these objects and names a wrong
key.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from threers.errors import SettingsError

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "float32", "bfloat16")
ENGINES = ("local", "ray")


def require(condition: bool, key: str, found: object, expected: str) -> None:
    """Raise SettingsError, with what was found at the key and what was expected, unless the condition holds."""
    if not condition:
        raise SettingsError(f"{key}: found {found!r}; expected {expected}")


def require_one_of(key: str, found: str, known: tuple[str, ...]) -> None:
    """Raise SettingsError unless the value is one of those known."""
    require(found in known, key, found, "one of " + ", ".join(known))


def require_minutes(key: str, found: float) -> None:
    """Raise SettingsError unless the value can be a segment's length."""
    require(0 < found < math.inf, key, found, "above 0, and finite")


def require_seed(key: str, found: int) -> None:
    """Raise SettingsError unless every library takes the value for a seed."""
    require(0 <= found < 2**32, key, found, "0 or more, below 2 ** 32")


def require_given(key: str, found: str) -> None:
    """Raise SettingsError unless there is a path or name."""
    require(bool(found), key, found, f"a path or name, as in {key}=…")


@dataclass(kw_only=True, frozen=True)
class Backbone:
    """The pretrained model and what suits it."""

    name: str
    """What agreement tables and manifests call it."""
    source: str
    """`packages`: installed Python packages carry the weights; `folder`: a local folder; `hub`: a hub name."""
    packages: tuple[str, ...] = ()
    """Distribution names; one that holds the model folder, or several that hold the pieces of one zip."""
    inside: str = ""
    """Path of the model folder, or of the pieces' common stem, inside the installed packages."""
    path: str = ""
    """Folder of the weights. With source `hub` their name there, or the folder of a copy, which needs no network."""
    revision: str = ""
    """Only with source `hub`: the commit, branch or tag that is fetched; empty: the newest."""
    sha256: str = ""
    """Expected SHA-256 of model.safetensors; empty: not checked."""
    install: str = ""
    """The line to run when the packages are missing."""
    allow_network: bool = False
    """Only with source `hub`: may the weights be fetched?"""
    chunk_tokens: int = 256
    """Tokens per chunk, special tokens included."""
    overlap_tokens: int = 64
    """Tokens that neighbouring chunks share when scoring."""
    lookahead: bool = True
    """False hides every later utterance: for use while the session is still going on. A decoder, which reads the past
    only, never sees them, unless it reads twice."""
    read_twice: bool = False
    """For decoders: each chunk holds its utterances twice, and those of the second copy, which see all of the first,
    are judged. Needs twice the tokens; `chunk_tokens` counts both copies."""
    layers: int = 0
    """Use the lowest so many layers only; 0: all of them."""
    frozen_layers: int = 0
    """The lowest so many layers, and all below them, stay as they were: less to compute. 0: all are trained."""
    read_layers: int = 0
    """At which layer the backbone as it was before training is read, see `training.pretrained_share`; 0: at two thirds
    of its depth."""
    lora_rank: int = 0
    """Rank of low-rank adapters (LoRA), which are trained in place of the backbone's own weights; 0: these are trained.
    Needs a `learning_rate` about ten times as high, and the package peft, for training only."""
    learning_rate: float = 5e-5
    """Peak rate of the backbone's weights, or of the adapters."""

    def __post_init__(self) -> None:
        require_one_of("backbone.source", self.source, ("packages", "folder", "hub"))
        if self.source == "packages":
            require(bool(self.packages), "backbone.packages", self.packages, "at least one package name")
        else:
            require_given("backbone.path", self.path)
        require(
            self.source != "hub" or self.allow_network or self.is_copy,
            "backbone.allow_network",
            False,
            f"true, to fetch {self.path} from a hub, or a copy of it in backbone.path=FOLDER",
        )
        require(self.chunk_tokens >= 32, "backbone.chunk_tokens", self.chunk_tokens, "at least 32")
        require(
            0 <= self.overlap_tokens <= self.chunk_tokens // 2,
            "backbone.overlap_tokens",
            self.overlap_tokens,
            f"between 0 and half of chunk_tokens ({self.chunk_tokens // 2})",
        )
        require(
            self.lookahead or not self.read_twice,
            "backbone.read_twice",
            True,
            "false with lookahead=false, because the second copy sees what comes later in the first",
        )
        require(self.lora_rank >= 0, "backbone.lora_rank", self.lora_rank, "0 or more")
        most = self.layers or 1000
        require(self.layers >= 0, "backbone.layers", self.layers, "0 or more")
        for key in ("frozen_layers", "read_layers"):
            expected = f"0 to {most}, the layers used" if self.layers else "0 or more"
            require(0 <= getattr(self, key) <= most, f"backbone.{key}", getattr(self, key), expected)
        require(0 < self.learning_rate < 1, "backbone.learning_rate", self.learning_rate, "between 0 and 1")

    @property
    def is_copy(self) -> bool:
        """Is the path of a backbone from a hub a folder on this machine?"""
        return self.source == "hub" and Path(self.path).expanduser().is_dir()


@dataclass(kw_only=True, frozen=True)
class Training:
    """How a tagger is fitted."""

    epochs: int = 4
    """How often the corpus is gone through, at most."""
    repeats: int = 1
    """How often the encoder is trained from the same start, each time with other batches and other dropout; the mean of
    the weights is kept, and scoring takes no longer. Training takes so many times as long."""
    adapt_epochs: int = 0
    """How often the backbone first reads all sessions of the corpus, coded or not, to learn their language (masked
    tokens); never those of groups kept aside or tested. 0: it stays as it is."""
    batch_tokens: int = 1024
    """Tokens per optimiser step, padding not counted; one chunk at least, however long."""
    head_learning_rate: float = 1e-3
    """Peak rate of the new layers on top of the backbone."""
    layer_decay: float = 0.9
    """Each layer further down learns at this share of the rate above it."""
    weight_decay: float = 0.01
    """How strongly weights are drawn towards zero, as AdamW does."""
    warmup: float = 0.1
    """Share of the steps over which the rate rises."""
    average_epochs: float = 0.33
    """The kept weights are a running mean over about this many epochs; 0 keeps the last step's."""
    dropout: float = 0.2
    """Dropout before the heads; attention dropout is off, because on a CPU it forces a path half as fast."""
    lexical_share: float = 0.2
    """How much single words and word pairs count in the tagger's logits; 0 leaves them out."""
    pretrained_share: float = 0.5
    """How much the backbone as it was before training counts, read by a linear model; 0 leaves it out, and saves half
    of the scoring time."""
    balance: float = 0.5
    """Weight of a code in the loss: (1 / its frequency) to this power; 0 weighs all alike, 1 makes rare codes equal."""
    coder_correlation: float = 0.5
    """How much coders of one utterance repeat each other; n coders weigh n / (1 + (n - 1) * this)."""
    coder_heads: bool = False
    """Learn each coder's own threshold for each code beside the encoder, so that the tagger's part from the encoder
    speaks for the mean coder and not for whoever coded most. For coders who coded different patients."""
    segment_minutes: float = 5.0
    """Length of a segment, where coders coded segments: an utterance belongs to the one in which it starts."""
    validation_share: float = 0.1
    """Share of the corpus, in whole groups, kept aside for early stopping, temperature and thresholds."""
    patience: int = 2
    """Epochs without a better validation figure before training stops; the latest that is hardly worse is kept."""
    seed: int = 1
    """Draws what is kept aside, the new layers and the order of the batches."""
    device: str = "auto"
    """`auto`, `cpu` or `cuda`."""
    precision: str = "auto"
    """`auto`, `float32` or `bfloat16`; `auto` takes what the device is fast with."""

    def __post_init__(self) -> None:
        require(self.epochs >= 1, "training.epochs", self.epochs, "at least 1")
        require(1 <= self.repeats <= 100, "training.repeats", self.repeats, "from 1 to 100")
        require(0 <= self.adapt_epochs <= 1000, "training.adapt_epochs", self.adapt_epochs, "from 0 to 1000")
        require(self.batch_tokens >= 64, "training.batch_tokens", self.batch_tokens, "at least 64")
        require(
            0 < self.head_learning_rate < 1, "training.head_learning_rate", self.head_learning_rate, "between 0 and 1"
        )
        require(0 < self.layer_decay <= 1, "training.layer_decay", self.layer_decay, "above 0, at most 1")
        require(0 <= self.weight_decay < 1, "training.weight_decay", self.weight_decay, "between 0 and 1")
        require(0 <= self.warmup < 1, "training.warmup", self.warmup, "between 0 and 1")
        require(self.average_epochs >= 0, "training.average_epochs", self.average_epochs, "0 or more")
        require(0 <= self.dropout < 1, "training.dropout", self.dropout, "between 0 and 1")
        require(0 <= self.lexical_share < 1, "training.lexical_share", self.lexical_share, "from 0 to below 1")
        left = 1 - self.lexical_share
        require(
            0 <= self.pretrained_share < left,
            "training.pretrained_share",
            self.pretrained_share,
            f"from 0 to below {left:.2g}, what lexical_share leaves",
        )
        require(0 <= self.balance <= 1, "training.balance", self.balance, "between 0 and 1")
        require(
            0 <= self.coder_correlation <= 1, "training.coder_correlation", self.coder_correlation, "between 0 and 1"
        )
        require_minutes("training.segment_minutes", self.segment_minutes)
        require(
            0 < self.validation_share < 0.5, "training.validation_share", self.validation_share, "between 0 and 0.5"
        )
        require(self.patience >= 1, "training.patience", self.patience, "at least 1")
        require_seed("training.seed", self.seed)
        require_one_of("training.device", self.device, DEVICES)
        require_one_of("training.precision", self.precision, PRECISIONS)


@dataclass(kw_only=True, frozen=True)
class Engine:
    """How the batch engine reads and writes, and who does the work."""

    kind: str = "local"
    """`local`: this machine; `ray`: a Ray cluster, whose machines share the folders."""
    workers: int = 0
    """Processes that score; 0: one per GPU, without a GPU one per machine."""
    batch_tokens: int = 0
    """Tokens per forward pass, padding counted; 0: what suits the device."""
    shard_sessions: int = 16
    """Sessions per written shard: a killed run loses at most these."""

    def __post_init__(self) -> None:
        require_one_of("engine.kind", self.kind, ENGINES)
        require(self.workers >= 0, "engine.workers", self.workers, "0 or more")
        require(
            self.batch_tokens == 0 or self.batch_tokens >= 64,
            "engine.batch_tokens",
            self.batch_tokens,
            "0, or at least 64",
        )
        require(self.shard_sessions >= 1, "engine.shard_sessions", self.shard_sessions, "at least 1")
