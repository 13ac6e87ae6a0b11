"""Every option as a plain dataclass, checked when made. Layer 0: the standard library only.

The YAML files under `configs/` give the values; `mapping.from_mapping` turns them into these objects and names a wrong
key.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from threers.errors import SettingsError

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "float32", "bfloat16")
ENGINES = ("local", "ray")
PRIVACY = ("warn", "refuse", "off")
SAMPLES = ("random", "by_patient", "uncertain")
SHEETS = ("csv", "xlsx")


def _require(condition: bool, key: str, found: object, expected: str) -> None:
    if not condition:
        raise SettingsError(f"{key}: found {found!r}; expected {expected}")


def _require_one_of(key: str, found: str, known: tuple[str, ...]) -> None:
    _require(found in known, key, found, "one of " + ", ".join(known))


def _require_minutes(key: str, found: float) -> None:
    _require(0 < found < math.inf, key, found, "above 0, and finite")


def _require_given(key: str, found: str) -> None:
    _require(bool(found), key, found, f"a path or name, as in {key}=…")


@dataclass(kw_only=True, frozen=True)
class Backbone:
    """The pretrained encoder and what suits it."""

    name: str
    """What agreement tables and manifests call it."""
    source: str
    """`packages`: installed Python packages carry the weights; `folder`: a local folder; `hub`: a hub name."""
    packages: tuple[str, ...] = ()
    """Distribution names; one that holds the model folder, or several that hold the pieces of one zip."""
    inside: str = ""
    """Path of the model folder, or of the pieces' common stem, inside the installed packages."""
    path: str = ""
    """Folder of the weights when source is `folder`, hub name when it is `hub`."""
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
    """False hides every later utterance: for use while the session is still going on."""
    layers: int = 0
    """Use the lowest so many layers only; 0: all of them."""
    frozen_layers: int = 0
    """The lowest so many layers, and all below them, stay as they were: less to compute. 0: all are trained."""
    read_layers: int = 0
    """At which layer the backbone as it was before training is read, see `training.pretrained_share`; 0: at two thirds
    of its depth."""
    learning_rate: float = 5e-5
    """Peak rate of the backbone's weights."""

    def __post_init__(self) -> None:
        _require_one_of("backbone.source", self.source, ("packages", "folder", "hub"))
        if self.source == "packages":
            _require(bool(self.packages), "backbone.packages", self.packages, "at least one package name")
        else:
            _require_given("backbone.path", self.path)
        _require(
            self.source != "hub" or self.allow_network, "backbone.allow_network", False, "true, to fetch from a hub"
        )
        _require(self.chunk_tokens >= 32, "backbone.chunk_tokens", self.chunk_tokens, "at least 32")
        _require(
            0 <= self.overlap_tokens <= self.chunk_tokens // 2,
            "backbone.overlap_tokens",
            self.overlap_tokens,
            f"between 0 and half of chunk_tokens ({self.chunk_tokens // 2})",
        )
        most = self.layers or 1000
        _require(self.layers >= 0, "backbone.layers", self.layers, "0 or more")
        for key in ("frozen_layers", "read_layers"):
            expected = f"0 to {most}, the layers used" if self.layers else "0 or more"
            _require(0 <= getattr(self, key) <= most, f"backbone.{key}", getattr(self, key), expected)
        _require(0 < self.learning_rate < 1, "backbone.learning_rate", self.learning_rate, "between 0 and 1")


@dataclass(kw_only=True, frozen=True)
class Training:
    """How a tagger is fitted."""

    epochs: int = 4
    """How often the corpus is gone through, at most."""
    batch_tokens: int = 1024
    """Tokens per optimiser step, padding not counted."""
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
    segment_minutes: float = 5.0
    """Length of a segment, where coders coded segments: an utterance belongs to the one in which it starts."""
    validation_share: float = 0.1
    """Share of the corpus, in whole groups, kept aside for early stopping, temperature and thresholds."""
    patience: int = 2
    """Epochs without a better validation figure before training stops; the best epoch is kept."""
    seed: int = 1
    """Draws what is kept aside, the new layers and the order of the batches."""
    device: str = "auto"
    """`auto`, `cpu` or `cuda`."""
    precision: str = "auto"
    """`auto`, `float32` or `bfloat16`; `auto` takes what the device is fast with."""

    def __post_init__(self) -> None:
        _require(self.epochs >= 1, "training.epochs", self.epochs, "at least 1")
        _require(self.batch_tokens >= 64, "training.batch_tokens", self.batch_tokens, "at least 64")
        _require(
            0 < self.head_learning_rate < 1, "training.head_learning_rate", self.head_learning_rate, "between 0 and 1"
        )
        _require(0 < self.layer_decay <= 1, "training.layer_decay", self.layer_decay, "above 0, at most 1")
        _require(0 <= self.weight_decay < 1, "training.weight_decay", self.weight_decay, "between 0 and 1")
        _require(0 <= self.warmup < 1, "training.warmup", self.warmup, "between 0 and 1")
        _require(self.average_epochs >= 0, "training.average_epochs", self.average_epochs, "0 or more")
        _require(0 <= self.dropout < 1, "training.dropout", self.dropout, "between 0 and 1")
        _require(0 <= self.lexical_share < 1, "training.lexical_share", self.lexical_share, "from 0 to below 1")
        left = 1 - self.lexical_share
        _require(
            0 <= self.pretrained_share < left,
            "training.pretrained_share",
            self.pretrained_share,
            f"from 0 to below {left:.2g}, what lexical_share leaves",
        )
        _require(0 <= self.balance <= 1, "training.balance", self.balance, "between 0 and 1")
        _require(
            0 <= self.coder_correlation <= 1, "training.coder_correlation", self.coder_correlation, "between 0 and 1"
        )
        _require(
            0 < self.segment_minutes < math.inf, "training.segment_minutes", self.segment_minutes, "above 0, and finite"
        )
        _require(
            0 < self.validation_share < 0.5, "training.validation_share", self.validation_share, "between 0 and 0.5"
        )
        _require(self.patience >= 1, "training.patience", self.patience, "at least 1")
        _require_one_of("training.device", self.device, DEVICES)
        _require_one_of("training.precision", self.precision, PRECISIONS)


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
        _require_one_of("engine.kind", self.kind, ENGINES)
        _require(self.workers >= 0, "engine.workers", self.workers, "0 or more")
        _require(
            self.batch_tokens == 0 or self.batch_tokens >= 64,
            "engine.batch_tokens",
            self.batch_tokens,
            "0, or at least 64",
        )
        _require(self.shard_sessions >= 1, "engine.shard_sessions", self.shard_sessions, "at least 1")


@dataclass(kw_only=True, frozen=True)
class ImportRun:
    """`threers import`: transcript and coding files to a corpus."""

    source: str
    corpus: str
    reader: str = "auto"
    codebook: str = ""
    """Name or YAML file; empty: the one that the reader names."""
    roles: dict[str, str] | str = field(default_factory=dict)
    """Speaker -> role, or the path of a table with columns file, speaker, role."""
    columns: dict[str, Any] = field(default_factory=dict)
    privacy: str = "warn"
    """What to do where texts hold what may identify a person: count it, write nothing, or do not look."""
    names: str = ""
    """A file with a name per line, to be looked for in the texts."""
    overwrite: bool = False

    def __post_init__(self) -> None:
        _require_given("source", self.source)
        _require_given("corpus", self.corpus)
        _require_one_of("privacy", self.privacy, PRIVACY)


@dataclass(kw_only=True, frozen=True)
class TrainRun:
    """`threers train`: corpus to tagger."""

    corpus: str
    tagger: str
    backbone: Backbone
    training: Training
    calibration: str = ""
    """Folder of `threers evaluate` on the same corpus: the tagger carries its out-of-fold scores."""
    overwrite: bool = False

    def __post_init__(self) -> None:
        _require_given("corpus", self.corpus)
        _require_given("tagger", self.tagger)


@dataclass(kw_only=True, frozen=True)
class EvaluateRun:
    """`threers evaluate`: grouped cross-validation and the agreement of its out-of-fold scores."""

    corpus: str
    out: str
    backbone: Backbone
    training: Training
    folds: int = 5
    seed: int = 1
    """Draws the folds and the resamples; the tagger's own seed is training.seed."""
    resamples: int = 2000
    curve: bool = False
    """True: also learn from a quarter, half and three quarters of each fold's groups."""
    workers: int = 1
    """Folds trained side by side, each with its share of the processor; every one takes memory of its own."""
    overwrite: bool = False

    def __post_init__(self) -> None:
        _require_given("corpus", self.corpus)
        _require_given("out", self.out)
        _require(self.folds >= 2, "folds", self.folds, "at least 2")
        _require(self.resamples >= 100, "resamples", self.resamples, "at least 100")
        _require(self.workers >= 1, "workers", self.workers, "at least 1")


@dataclass(kw_only=True, frozen=True)
class ScoreRun:
    """`threers score`: transcripts or a corpus to scores."""

    tagger: str
    source: str
    out: str
    engine: Engine
    device: str = "auto"
    precision: str = "auto"
    include_text: bool = False
    abstain: float = 0.0
    """Largest error per code to be promised, by leaving the rest to humans; 0: everything is tagged."""
    segment_minutes: float = 5.0
    repair_segments: int = 2
    """A rupture counts as repaired up to this many segments after its last, see `threers.episodes`."""
    reader: str = "auto"
    roles: dict[str, str] | str = field(default_factory=dict)
    """Speaker -> role, or the path of a table with columns file, speaker, role."""
    columns: dict[str, Any] = field(default_factory=dict)
    overwrite: bool = False

    def __post_init__(self) -> None:
        _require_given("tagger", self.tagger)
        _require_given("source", self.source)
        _require_given("out", self.out)
        _require_one_of("device", self.device, DEVICES)
        _require_one_of("precision", self.precision, PRECISIONS)
        _require(0 <= self.abstain < 0.5, "abstain", self.abstain, "from 0 to below 0.5")
        _require_minutes("segment_minutes", self.segment_minutes)
        _require(self.repair_segments >= 0, "repair_segments", self.repair_segments, "0 or more")


@dataclass(kw_only=True, frozen=True)
class ExportRun:
    """`threers export`: tags, or coders' codings, back into the formats of coders' tools; or scores for statistics."""

    to: str
    corpus: str = ""
    """May be empty only for `spss`."""
    scores: str = ""
    """Empty: the codings of the corpus are written."""
    format: str = ""
    """Empty: what the suffix of `to` means. `spss`: the scores' summaries and utterances, in a folder."""
    coders: bool = False
    """True: beside the tags of `scores`, the coders' own codings."""
    originals: str = ""
    segment_minutes: float = 5.0
    """Length of the segments that coders have coded, to write their times."""
    overwrite: bool = False

    def __post_init__(self) -> None:
        _require_given("to", self.to)
        _require_minutes("segment_minutes", self.segment_minutes)
        if self.format != "spss":
            of_spss = self.to.lower().endswith((".sav", ".zsav"))
            _require(not of_spss, "to", self.to, "a folder, with format=spss: it gets a file for each table of scores")
            _require_given("corpus", self.corpus)
            return
        _require_given("scores", self.scores)
        for key in ("coders", "originals"):
            _require(not getattr(self, key), key, getattr(self, key), "nothing with format=spss, which writes scores")


@dataclass(kw_only=True, frozen=True)
class SampleRun:
    """`threers sample`: sessions for people to code, on sheets."""

    corpus: str
    out: str
    n: int = 10
    how: str = "by_patient"
    """`random`, `by_patient` (random, spread over the patients), `uncertain` (where the tagger is least sure)."""
    scores: str = ""
    """For `uncertain`: scores of the same corpus."""
    sheets: str = "csv"
    seed: int = 1
    overwrite: bool = False

    def __post_init__(self) -> None:
        _require_given("corpus", self.corpus)
        _require_given("out", self.out)
        _require(self.n >= 1, "n", self.n, "at least 1")
        _require_one_of("how", self.how, SAMPLES)
        _require_one_of("sheets", self.sheets, SHEETS)
        if self.how == "uncertain":
            _require(bool(self.scores), "scores", self.scores, "a scores folder, to know where the tagger is unsure")
        else:
            _require(not self.scores, "scores", self.scores, f"none: how={self.how} does not look at scores")


@dataclass(kw_only=True, frozen=True)
class VerdictRules:
    """Limits of the verdict per code; conventions, to be set before one looks at the figures."""

    fewest_marks: int = 20
    fewest_groups: int = 10
    widest: float = 0.4
    """Widest interval of kappa that still says something."""
    margin: float = 0.05
    """How far kappa may lie below the coders' own."""
    group_icc: float = 0.75
    group_icc_low: float = 0.6
    screening_auroc: float = 0.75
    screening_recall: float = 0.75


@dataclass(kw_only=True, frozen=True)
class AgreeRun:
    """`threers agree`: coders, human or model, against each other."""

    out: str
    corpus: str = ""
    scores: tuple[str, ...] = ()
    a: str = ""
    """A coder's table, to be compared with `b` without a corpus."""
    b: str = ""
    codebook: str = ""
    """Name or YAML file, for two tables; empty: the codes that they hold."""
    roles: dict[str, str] = field(default_factory=dict)
    columns: dict[str, Any] = field(default_factory=dict)
    resamples: int = 2000
    seed: int = 1
    segment_minutes: float = 5.0
    consensus_share: float = 0.5
    verdict: VerdictRules = field(default_factory=VerdictRules)
    include_text: bool = False
    """True: agreement.html lists utterances on which model and coders disagree, with their text."""
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.a or self.b:
            _require(bool(self.a), "a", self.a, "the other coder's table, because b is given")
            _require(bool(self.b), "b", self.b, "the other coder's table, because a is given")
            _require(not self.corpus, "corpus", self.corpus, "either a corpus or two tables a and b, not both")
            _require(not self.scores, "scores", self.scores, "none beside two tables; scores need a corpus")
        else:
            _require(
                bool(self.corpus), "corpus", self.corpus, "a corpus folder, as in corpus=…, or two tables: a=… b=…"
            )
            for key in ("codebook", "roles", "columns"):
                _require(not getattr(self, key), key, getattr(self, key), "two tables a=… b=…; a corpus has its own")
        _require_given("out", self.out)
        _require(self.resamples >= 100, "resamples", self.resamples, "at least 100")
        _require_minutes("segment_minutes", self.segment_minutes)
        _require(0 <= self.consensus_share <= 1, "consensus_share", self.consensus_share, "between 0 and 1")


@dataclass(kw_only=True, frozen=True)
class ReportRun:
    """`threers report`: scores to a page per session and an index of them."""

    scores: str
    out: str
    corpus: str = ""
    """What was scored: gives the coders' codings, patients, ratings and, if asked for, the text."""
    include_text: bool = False
    blind: bool = False
    """True: the pages begin with the tags hidden, and the index has none, so that coders make a new gold standard."""
    segment_minutes: float = 5.0
    repair_segments: int = 2
    """A rupture counts as repaired up to this many segments after its last, see `threers.episodes`."""
    overwrite: bool = False

    def __post_init__(self) -> None:
        _require_given("scores", self.scores)
        _require_given("out", self.out)
        _require_minutes("segment_minutes", self.segment_minutes)
        _require(self.repair_segments >= 0, "repair_segments", self.repair_segments, "0 or more")


@dataclass(kw_only=True, frozen=True)
class PurgeRun:
    """`threers purge`: delete what threers made."""

    path: str
    confirm: bool = False
    """False: only show what would be deleted."""

    def __post_init__(self) -> None:
        _require_given("path", self.path)


@dataclass(kw_only=True, frozen=True)
class DoctorRun:
    """`threers doctor`: nothing to set."""


@dataclass(kw_only=True, frozen=True)
class DemoRun:
    """`threers demo`: the whole way on the bundled synthetic sessions."""

    out: str
    backbone: Backbone
    training: Training
    folds: int = 2

    def __post_init__(self) -> None:
        _require_given("out", self.out)
        _require(self.folds >= 2, "folds", self.folds, "at least 2")
