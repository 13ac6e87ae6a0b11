"""What each verb is given: its keys as a plain dataclass, checked when made. Layer 0: the standard library only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from threers.settings import (
    DEVICES,
    PRECISIONS,
    Backbone,
    Engine,
    Training,
    require,
    require_given,
    require_minutes,
    require_one_of,
    require_seed,
)

PRIVACY = ("warn", "refuse", "off")
SAMPLES = ("random", "by_patient", "uncertain")
SHEETS = ("csv", "xlsx")


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
        require_given("source", self.source)
        require_given("corpus", self.corpus)
        require_one_of("privacy", self.privacy, PRIVACY)


@dataclass(kw_only=True, frozen=True)
class AdaptRun:
    """`threers adapt`: a backbone reads the transcripts of a corpus, before any tagger is trained."""

    corpus: str
    out: str
    backbone: Backbone
    epochs: int = 1
    """How often the sessions are gone through; a backbone without a head for it goes through them once more."""
    batch_tokens: int = 1024
    """Tokens per optimiser step, padding not counted."""
    validation_share: float = 0.1
    """Share of the corpus, in whole groups, that is not read, and on which the loss is measured."""
    seed: int = 1
    """Draws what is kept aside, what is masked and the order of the batches."""
    device: str = "auto"
    precision: str = "auto"
    """What training computes in: `auto` takes what the device is fast with."""
    overwrite: bool = False

    def __post_init__(self) -> None:
        require_given("corpus", self.corpus)
        require_given("out", self.out)
        require(1 <= self.epochs <= 1000, "epochs", self.epochs, "from 1 to 1000")
        require(self.batch_tokens >= 64, "batch_tokens", self.batch_tokens, "at least 64")
        require_seed("seed", self.seed)
        require(0 < self.validation_share < 0.5, "validation_share", self.validation_share, "between 0 and 0.5")
        require_one_of("device", self.device, DEVICES)
        require_one_of("precision", self.precision, PRECISIONS)

    @property
    def training(self) -> Training:
        """The same as a training that adapts its backbone first."""
        same = ("batch_tokens", "validation_share", "seed", "device", "precision")
        return Training(adapt_epochs=self.epochs, **{key: getattr(self, key) for key in same})


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
        require_given("corpus", self.corpus)
        require_given("tagger", self.tagger)


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
        require_given("corpus", self.corpus)
        require_given("out", self.out)
        require(self.folds >= 2, "folds", self.folds, "at least 2")
        require_seed("seed", self.seed)
        require(self.resamples >= 100, "resamples", self.resamples, "at least 100")
        require(self.workers >= 1, "workers", self.workers, "at least 1")


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
        require_given("tagger", self.tagger)
        require_given("source", self.source)
        require_given("out", self.out)
        require_one_of("device", self.device, DEVICES)
        require_one_of("precision", self.precision, PRECISIONS)
        require(0 <= self.abstain < 0.5, "abstain", self.abstain, "from 0 to below 0.5")
        require_minutes("segment_minutes", self.segment_minutes)
        require(self.repair_segments >= 0, "repair_segments", self.repair_segments, "0 or more")


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
        require_given("to", self.to)
        require_minutes("segment_minutes", self.segment_minutes)
        if self.format != "spss":
            of_spss = self.to.lower().endswith((".sav", ".zsav"))
            require(not of_spss, "to", self.to, "a folder, with format=spss: it gets a file for each table of scores")
            texts = "the corpus that was scored, as in corpus=…, because scores hold no texts (threers import makes it)"
            require(bool(self.corpus), "corpus", self.corpus, texts)
            return
        require_given("scores", self.scores)
        for key in ("coders", "originals"):
            require(not getattr(self, key), key, getattr(self, key), "nothing with format=spss, which writes scores")


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
        require_given("corpus", self.corpus)
        require_given("out", self.out)
        require(self.n >= 1, "n", self.n, "at least 1")
        require_seed("seed", self.seed)
        require_one_of("how", self.how, SAMPLES)
        require_one_of("sheets", self.sheets, SHEETS)
        if self.how == "uncertain":
            require(bool(self.scores), "scores", self.scores, "a scores folder, to know where the tagger is unsure")
        else:
            require(not self.scores, "scores", self.scores, f"none: how={self.how} does not look at scores")


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
            require(bool(self.a), "a", self.a, "the other coder's table, because b is given")
            require(bool(self.b), "b", self.b, "the other coder's table, because a is given")
            require(not self.corpus, "corpus", self.corpus, "either a corpus or two tables a and b, not both")
            require(not self.scores, "scores", self.scores, "none beside two tables; scores need a corpus")
        else:
            require(bool(self.corpus), "corpus", self.corpus, "a corpus folder, as in corpus=…, or two tables: a=… b=…")
            for key in ("codebook", "roles", "columns"):
                require(not getattr(self, key), key, getattr(self, key), "two tables a=… b=…; a corpus has its own")
        require_given("out", self.out)
        require(self.resamples >= 100, "resamples", self.resamples, "at least 100")
        require_seed("seed", self.seed)
        require_minutes("segment_minutes", self.segment_minutes)
        require(0 <= self.consensus_share <= 1, "consensus_share", self.consensus_share, "between 0 and 1")


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
        require_given("scores", self.scores)
        require_given("out", self.out)
        require_minutes("segment_minutes", self.segment_minutes)
        require(self.repair_segments >= 0, "repair_segments", self.repair_segments, "0 or more")


@dataclass(kw_only=True, frozen=True)
class PurgeRun:
    """`threers purge`: delete what threers made."""

    path: str
    confirm: bool = False
    """False: only show what would be deleted."""

    def __post_init__(self) -> None:
        require_given("path", self.path)


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
        require_given("out", self.out)
        require(self.folds >= 2, "folds", self.folds, "at least 2")
