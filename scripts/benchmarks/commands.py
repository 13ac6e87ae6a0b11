"""The commands that malformed inputs are given to, and the values that no key can have."""

from __future__ import annotations

from dataclasses import dataclass

from .shelf import ADAPTING, ROLES, SETTINGS

#: What stands at the output of a run: the results of another, its own, nothing.
OVERWRITE, OWN, FRESH = "overwrite", "own", "fresh"


@dataclass(frozen=True)
class Command:
    """A verb with its keys; `inputs` are paths on the shelf, `out` the key and path of what it writes."""

    verb: str
    out: tuple[str, str]
    inputs: dict[str, str]
    words: tuple[str, ...] = ()
    resumes: bool = False
    """Does the same command go on with what is there?"""
    at_once: bool = False
    """Does it work on what stands at its output and read nothing else?"""


TRAINING = tuple(SETTINGS)
COMMANDS = (
    Command("import", ("corpus", "corpus"), {"source": "sources/coded.csv", "roles": "sources/roles.csv"}),
    Command(
        "import",
        ("corpus", "corpus"),
        {"source": "sources/coded.csv", "reader": "sources/reader.yaml", "codebook": "sources/book.yaml"},
        (ROLES,),
    ),
    Command(
        "import",
        ("corpus", "corpus"),
        {"source": "sources", "names": "more/names.txt", "codebook": "sources/book.yaml"},
    ),
    Command("import", ("corpus", "corpus"), {"source": "formats/*"}, ("codebook=3rs-2015", ROLES)),
    Command("adapt", ("out", "adapted"), {"corpus": "corpus", "backbone.path": "backbone"}, ADAPTING, resumes=True),
    Command(
        "adapt", ("out", "half/adapted"), {"corpus": "corpus", "backbone.path": "backbone"}, ADAPTING, resumes=True
    ),
    Command("adapt", ("out", "adapted"), {"corpus": "later", "backbone.path": "adapted"}, ADAPTING),
    Command("train", ("tagger", "tagger"), {"corpus": "corpus", "backbone.path": "adapted"}, TRAINING),
    Command("train", ("tagger", "tagger"), {"corpus": "corpus", "backbone.path": "backbone"}, TRAINING),
    Command(
        "train",
        ("tagger", "half/tagger"),
        {"corpus": "corpus", "calibration": "evaluation", "backbone.path": "backbone"},
        TRAINING,
        resumes=True,
    ),
    Command(
        "evaluate",
        ("out", "evaluation"),
        {"corpus": "corpus", "backbone.path": "backbone"},
        ("folds=2", "resamples=100", *TRAINING),
        resumes=True,
    ),
    Command(
        "evaluate",
        ("out", "half/evaluation"),
        {"corpus": "corpus", "backbone.path": "backbone"},
        ("folds=2", "resamples=100", *TRAINING),
        resumes=True,
    ),
    Command("score", ("out", "scores"), {"tagger": "tagger", "source": "later"}, resumes=True),
    Command("score", ("out", "half/scores"), {"tagger": "tagger", "source": "later"}, resumes=True),
    Command("score", ("out", "scores"), {"tagger": "tagger", "source": "sources/new.csv"}, (ROLES,)),
    Command("agree", ("out", "agreement"), {"corpus": "later", "scores": "scores"}, ("resamples=100",), resumes=True),
    Command("agree", ("out", "coders"), {"a": "sources/a.csv", "b": "sources/b.csv"}, ("resamples=100",)),
    Command("report", ("out", "pages"), {"scores": "scores", "corpus": "later"}, ("include_text=true",), resumes=True),
    Command("report", ("out", "pages"), {"scores": "scores"}),
    Command("export", ("to", "export/tags.csv"), {"corpus": "later", "scores": "scores"}),
    Command(
        "export",
        ("to", "export/elan"),
        {"corpus": "spoken", "originals": "elan"},
        ("format=elan",),
    ),
    Command("sample", ("out", "sample"), {"corpus": "later"}, ("n=2",), resumes=True),
    Command("sample", ("out", "unsure"), {"corpus": "later", "scores": "scores"}, ("n=2", "how=uncertain")),
    Command("purge", ("path", "scores"), {}, ("confirm=true",), at_once=True),
    Command("purge", ("path", "half/tagger"), {}, ("confirm=true",), at_once=True),
    Command("purge", ("path", "adapted"), {}, ("confirm=true",), at_once=True),
    Command("purge", ("path", "corpus"), {}, at_once=True),
    Command("doctor", ("", ""), {}, at_once=True),  # it has no keys, and reads nothing of the user's
)
KEYS = {
    "import": ("source", "corpus", "reader", "codebook", "roles", "columns", "privacy", "names", "overwrite"),
    "adapt": ("corpus", "out", "backbone", "backbone.chunk_tokens", "backbone.frozen_layers", "backbone.lora_rank",
              "epochs", "batch_tokens", "validation_share", "seed", "device", "precision"),
    "train": ("corpus", "tagger", "backbone", "backbone.chunk_tokens", "backbone.lookahead", "backbone.learning_rate",
              "training.batch_tokens", "training.dropout", "training.validation_share", "training.seed",
              "training.device", "training.balance", "training.warmup", "training.average_epochs",
              "training.lexical_share", "training.layer_decay", "training.repeats", "training.adapt_epochs",
              "calibration", "training"),
    "evaluate": ("corpus", "out", "folds", "seed", "backbone.overlap_tokens", "training.precision",
                 "training.weight_decay"),
    "score": ("tagger", "source", "out", "device", "precision", "abstain", "segment_minutes", "repair_segments",
              "engine", "engine.batch_tokens", "engine.shard_sessions", "reader", "roles", "columns", "include_text"),
    "agree": ("corpus", "scores", "a", "b", "codebook", "segment_minutes", "consensus_share", "verdict.widest", "seed",
              "verdict", "roles", "columns"),
    "report": ("scores", "corpus", "out", "blind", "segment_minutes", "repair_segments"),
    "export": ("corpus", "scores", "to", "format", "coders", "originals"),
    "sample": ("corpus", "scores", "out", "n", "how", "sheets", "seed"),
    "purge": ("path", "confirm", "out", "overwrite"),
    "doctor": ("path", "device", "backbone", "hydra"),
}  # fmt: skip
ODD = ("nan", "inf", "-inf", "-1", "0", "1e300", "99999999999999999999", "x", "true", "null", "[]", "{}", "[1,x]",
       "{a: 1}", "''", "???", "${x}", "../..", "/", "'\x00'", "0.5",
       "'a=b'", "[[", "{a: {b: c}}", "/dev/null")  # fmt: skip
