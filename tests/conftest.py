"""Fixtures: a tiny backbone with random weights and tiny corpora, made here; nothing comes from a network."""

import json
import os
import sys
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
sys.path.insert(0, str(Path(__file__).parent / "guard"))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [sys.path[0], os.environ.get("PYTHONPATH")]))

import no_network
import numpy as np
import pandas as pd
import pytest
from hypothesis import settings as hypothesis_settings

from threers.codebook import Codebook
from threers.corpus import Corpus, conform
from threers.settings import Backbone, Training

no_network.install()

# In CI the same examples every time, so that a change is judged and not its luck; elsewhere new ones.
hypothesis_settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    hypothesis_settings.load_profile("ci")

WORDS = (
    "i you we it that this not no yes well okay mm never always feel think want need stop help angry sad fine maybe "
    "why how what when because therapy week talk say tell mother work home sleep drink again nothing everything good"
).split()


@pytest.fixture(scope="session")
def network_log(tmp_path_factory) -> Path:
    log = tmp_path_factory.mktemp("network") / "log"
    os.environ[no_network.LOG] = str(log)
    return log


@pytest.fixture(autouse=True)
def no_network_was_tried(network_log):
    """Refused it is anyway; this finds what a library tried and said nothing of."""
    yield
    tried = network_log.read_text(encoding="utf-8") if network_log.exists() else ""
    network_log.unlink(missing_ok=True)
    assert not tried


@pytest.fixture
def own_machine(monkeypatch):
    """For tests of programs that talk to themselves through sockets."""
    monkeypatch.setenv(no_network.OWN_MACHINE, "1")


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory) -> Path:
    return make_backbone(tmp_path_factory.mktemp("backbone"), "bert")


@pytest.fixture
def tiny_backbone(tiny_folder) -> Backbone:
    return local_backbone(tiny_folder)


@pytest.fixture
def quick_training() -> Training:
    return Training(epochs=2, batch_tokens=256, validation_share=0.3, device="cpu", precision="float32")


@pytest.fixture(scope="session")
def annomi_like() -> Corpus:
    """24 sessions of 12 groups whose codes follow from one word each: something to learn, and two coders for half."""
    return make_corpus()


@pytest.fixture(scope="session")
def tiny_tagger(tiny_folder, tmp_path_factory) -> Path:
    """The folder of a tagger that nobody trained."""
    import torch

    from threers.tagger import Tagger

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("tagger") / "t"
    Tagger.start(tiny_folder, local_backbone(tiny_folder), Codebook.load("annomi"), 0.1).save(folder)
    return folder


@pytest.fixture(scope="session")
def sixty_sessions(tmp_path_factory) -> Path:
    return make_corpus(30).save(tmp_path_factory.mktemp("corpus") / "corpus")


@pytest.fixture(scope="session")
def whole_run(tiny_tagger, sixty_sessions, tmp_path_factory) -> dict[str, bytes]:
    """The parts that one process writes of sixty sessions, one session each."""
    out = tmp_path_factory.mktemp("whole") / "scores"
    score_in_parts(tiny_tagger, sixty_sessions, out)
    return parts(out)


def score_in_parts(tagger: Path, corpus: Path, out: Path, **options):
    """Score in this process, or in another way, one session to a part."""
    from threers.hardware import choose
    from threers.scoring import score_to_folder
    from threers.settings import Engine
    from threers.streams import Source
    from threers.tagger import Tagger

    out.mkdir(exist_ok=True)
    loaded = Tagger.load(tagger)
    source = Source(corpus, loaded.codebook)
    options = {"include_text": False} | options
    return score_to_folder(loaded, source, out, Engine(shard_sessions=1), choose("cpu", "float32"), **options)


def score_command(tagger: Path, source: Path, out: Path, *words: str) -> list[str]:
    """The same as a command."""
    settings = ["device=cpu", "precision=float32", "engine.shard_sessions=1", *words]
    return [
        sys.executable,
        "-m",
        "threers.cli",
        "score",
        f"tagger={tagger}",
        f"source={source}",
        f"out={out}",
        *settings,
    ]


def parts(scores: Path) -> dict[str, bytes]:
    return {part.name: part.read_bytes() for part in sorted((scores / "utterances").glob("part-*.parquet"))}


def forget_hashes(tagger: Path) -> None:
    """Take the hashes of its files out of a tagger's manifest, as whoever changes a file on purpose could."""
    manifest = tagger / "manifest.json"
    if manifest.is_file():
        found = json.loads(manifest.read_text(encoding="utf-8"))
        manifest.write_text(json.dumps({key: value for key, value in found.items() if key != "files"}))


#: Kinds whose tokens see the past only.
DECODERS = ("llama", "qwen3", "modernbert-decoder")


def local_backbone(folder: Path, **changes) -> Backbone:
    settings = {"chunk_tokens": 64, "overlap_tokens": 16, "learning_rate": 1e-3} | changes
    return Backbone(name="tiny", source="folder", path=str(folder), **settings)


def make_backbone(folder: Path, kind: str) -> Path:
    """Save a backbone of two layers with random weights, and a word-level fast tokenizer, in the save_pretrained
    layout. As real ones do, Llama's puts a token in front only and has none to pad with, Qwen's puts none.
    """
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import AutoModel, PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = [
        *special,
        "patient",
        "therapist",
        "client",
        "teacher",
        "student",
        "participant",
        "other",
        "unknown",
        ":",
        ".",
    ]
    vocabulary = {word: number for number, word in enumerate(dict.fromkeys([*words, *WORDS]))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    around = {"llama": "[CLS] $A", "qwen3": "$A"}.get(kind, "[CLS] $A [SEP]")
    tokenizer.post_processor = processors.TemplateProcessing(single=around, special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    names = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    if kind in ("llama", "qwen3"):
        names = {"eos_token": "[SEP]"} | ({"pad_token": "[PAD]"} if kind == "qwen3" else {"bos_token": "[CLS]"})
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", **names)
    torch.manual_seed(0)
    AutoModel.from_config(tiny_config(kind, len(vocabulary))).save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def tiny_config(kind: str, vocabulary: int):
    from transformers import AutoConfig

    size = {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 160,
        "pad_token_id": 0,
        "bos_token_id": 2,
        "cls_token_id": 2,
        "eos_token_id": 3,
        "sep_token_id": 3,
    }
    if kind == "deberta-v2":
        size |= {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "max_relative_positions": 32}
    if kind in ("llama", "qwen3"):  # several queries for each key
        size |= {"num_key_value_heads": 1, "head_dim": 16}
    if kind.startswith("modernbert"):
        size |= {"local_attention": 16, "global_attn_every_n_layers": 2}
    return AutoConfig.for_model(kind, **size)


def make_corpus(groups: int = 12, sessions_per_group: int = 2, utterances: int = 16, seed: int = 0) -> Corpus:
    """Client codes follow from `angry` (sustain) and `want` (change); therapist codes from `why`, `say`, `help`."""
    rng = np.random.default_rng(seed)
    cue = {
        "client": {"angry": "sustain", "want": "change", None: "neutral"},
        "therapist": {"why": "question", "say": "reflection", "help": "therapist_input", None: "other"},
    }
    plain = [word for word in WORDS if word not in {"angry", "want", "why", "say", "help"}]
    rows, codings = [], []
    for session in range(groups * sessions_per_group):
        for number in range(utterances):
            role = ("therapist", "client")[number % 2]
            word = list(cue[role])[rng.integers(len(cue[role]))]
            text = list(rng.choice(plain, rng.integers(2, 12)))
            if word:
                text.insert(int(rng.integers(len(text))), word)
            rows.append((f"s{session:03}", number, role, role[0].upper(), number * 5.0, None, " ".join(text)))
            for coder in ("A", "B")[: 1 + session % 2]:
                code = cue[role][word] if rng.random() > 0.1 else rng.choice(list(cue[role].values()))
                codings.append((f"s{session:03}", "utterance", number, coder, code, 1.0))
    sessions = pd.DataFrame(
        {
            "session_id": [f"s{s:03}" for s in range(groups * sessions_per_group)],
            "group_id": [f"g{s // sessions_per_group}" for s in range(groups * sessions_per_group)],
            "patient_id": None,
            "therapist_id": None,
            "session_number": None,
            "source_file": "made.csv",
            "source_sha256": "0" * 64,
        }
    )
    columns = ["session_id", "utterance_id", "role", "speaker", "start", "end", "text"]
    coding_columns = ["session_id", "unit", "unit_id", "coder_id", "code", "value"]
    return Corpus(
        utterances=conform(pd.DataFrame(rows, columns=columns), "utterances"),
        sessions=conform(sessions, "sessions"),
        codings=conform(pd.DataFrame(codings, columns=coding_columns), "codings"),
        codebook=Codebook.load("annomi"),
    )
