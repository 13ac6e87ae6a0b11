"""Where a backbone's weights lie, and loading them: offline, safetensors only, the hash checked. Layer 2."""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError

from threers.errors import InputError
from threers.settings import Backbone
from threers.stored import read_mapping

WEIGHTS = "model.safetensors"
#: Files of a backbone that are read; anything else in an archive is left where it is.
MODEL_FILES = (
    "config.json",
    WEIGHTS,
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
)

#: What transformers raises for a folder that it cannot read, depending on what is wrong with it.
LOADING_ERRORS: tuple[type[Exception], ...] = (
    StrictDataclassError,
    *(OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError, SafetensorError),
    *(AttributeError, IndexError, ArithmeticError, AssertionError),
)
#: What to do about a folder that is damaged.
OTHER = "restore its files, or name another folder"
#: Off, because on a CPU it forces an attention path half as fast; hidden dropout stays.
ATTENTION_DROPOUT = ("attention_probs_dropout_prob", "attention_dropout")


def locate(backbone: Backbone) -> Path:
    """Return the folder that holds the backbone's config.json and model.safetensors, its hash checked.

    Raises:
        InputError: packages not installed, folder or weights missing, or a hash that differs.

    """
    if backbone.source == "packages":
        folder = _from_packages(backbone)
    elif backbone.source == "folder" or backbone.is_copy:
        folder = Path(backbone.path).expanduser()
    else:
        folder = _from_hub(backbone)
    for needed in ("config.json", WEIGHTS):
        if not (folder / needed).is_file():
            raise InputError(
                f"backbone {backbone.name}: {folder / needed} is missing; expected a folder in the save_pretrained "
                f"layout with weights in safetensors; docs/guides/backbone.md says how to make one of other weights"
            )
    if backbone.sha256:
        found = sha256(folder / WEIGHTS)
        if found != backbone.sha256:
            raise InputError(
                f"backbone {backbone.name}: {folder / WEIGHTS} has SHA-256 {found[:16]}…, expected "
                f"{backbone.sha256[:16]}…; the file is damaged or not the one meant. "
                + (
                    f"Install it again: {backbone.install}"
                    if backbone.install
                    else "Correct the file or backbone.sha256"
                )
            )
    return folder


def load_encoder(folder: Path) -> tuple[Any, Any]:
    """Load (encoder, fast tokenizer) from a local folder, in float32, with PyTorch's own attention. A decoder without
    the head that says the next word is an encoder too.

    Raises:
        InputError: the folder does not hold a model of text that transformers can read.

    """
    from transformers import AutoConfig, AutoModel

    _require_plausible(folder / "config.json")
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        for key in ATTENTION_DROPOUT:
            if hasattr(config, key):
                setattr(config, key, 0.0)
        # What decoders keep for the next word, which nobody asks for.
        config.use_cache = False
        encoder, found = AutoModel.from_pretrained(
            folder,
            config=config,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype="float32",
            output_loading_info=True,
        )
    except LOADING_ERRORS as error:
        raise InputError(f"backbone {folder}: transformers cannot load it: {_first_line(error)}; {OTHER}") from error
    # What a file lacks, transformers makes up; a pooler, which many lack, is not used.
    lacking = sorted(name for name in found["missing_keys"] if "pooler" not in name)
    broken = [name for name, weight in encoder.named_parameters() if not weight.isfinite().all()]
    if lacking or broken:
        raise InputError(f"backbone {folder}: {WEIGHTS} has no usable {(lacking or broken)[0]}; {OTHER}")
    tokenizer = load_tokenizer(folder)
    words, known = len(tokenizer), encoder.get_input_embeddings().weight.shape[0]
    if words > known:
        raise InputError(f"backbone {folder}: its tokenizer has {words} tokens, its weights {known}; {OTHER}")
    return encoder, tokenizer


def keep_lower_layers(encoder: Any, count: int) -> None:
    """Drop every layer of an encoder above the lowest `count`; 0 keeps all.

    Raises:
        InputError: it has fewer layers, or shares one among all of them, so that none can be dropped.

    """
    depth = encoder.config.num_hidden_layers
    if count in (0, depth):
        return
    layers = layers_of(encoder)
    if layers is None or count > depth:
        raise InputError(
            f"backbone: {count} layers were asked for, but it has {'one, used again' if layers is None else depth}; "
            "set backbone.layers and backbone.read_layers to fewer, or to 0"
        )
    del layers[count:]
    encoder.config.num_hidden_layers = count
    if getattr(encoder.config, "layer_types", None):
        encoder.config.layer_types = encoder.config.layer_types[:count]


def layers_of(encoder: Any) -> Any:
    """The list of an encoder's layers; None where all share one."""
    from torch import nn

    depth = encoder.config.num_hidden_layers
    lists = (part for part in encoder.modules() if isinstance(part, nn.ModuleList) and len(part) == depth)
    return next(lists, None)


def load_tokenizer(folder: Path) -> Any:
    """Load the fast tokenizer of a local folder.

    Raises:
        InputError: there is none that transformers can read.

    """
    from transformers import AutoTokenizer

    try:
        found = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False, use_fast=True)
    except Exception as error:  # the tokenizers library raises no more special kind
        raise InputError(f"{folder}: transformers cannot load its tokenizer: {_first_line(error)}; {OTHER}") from error
    if found.pad_token_id is None and found.eos_token_id is not None:
        # Llama and its kin have none; which token fills a row does not matter, because the mask hides it.
        found.pad_token = found.eos_token
    return found


def _require_plausible(config: Path) -> None:
    """Refuse sizes with which building the network would never end."""
    sizes = read_mapping(config, {}, OTHER)
    for key, value in sizes.items():
        if isinstance(value, int) and value > 10**7:
            raise InputError(f"{config}: {key} is {str(value)[:20]}; expected less than ten million; {OTHER}")
    layers = sizes.get("num_hidden_layers", 1)
    if isinstance(layers, int) and layers > 1000:
        raise InputError(f"{config}: num_hidden_layers is {layers}; expected at most 1000; {OTHER}")


def _from_packages(backbone: Backbone) -> Path:
    files = []
    for name in backbone.packages:
        try:
            files += metadata.files(name) or []
        except metadata.PackageNotFoundError:
            raise InputError(
                f"backbone {backbone.name}: package {name} is not installed; run: {backbone.install}"
            ) from None
    inside = sorted((f for f in files if f"/{backbone.inside}" in f.as_posix()), key=lambda f: f.as_posix())
    if len(backbone.packages) == 1:
        weights = [Path(str(f.locate())) for f in inside if f.name == WEIGHTS]
        if not weights:
            raise InputError(
                f"backbone {backbone.name}: package {backbone.packages[0]} holds no {backbone.inside}/{WEIGHTS}; "
                f"install it again: {backbone.install}"
            )
        return weights[0].parent
    return _join(backbone, sorted((Path(str(f.locate())) for f in inside), key=lambda p: p.name))


def _join(backbone: Backbone, pieces: list[Path]) -> Path:
    """Concatenate the pieces of one zip and unpack the model's files, once per machine."""
    if len(pieces) != len(backbone.packages):
        raise InputError(
            f"backbone {backbone.name}: found {len(pieces)} pieces, expected {len(backbone.packages)}; "
            f"install them again: {backbone.install}"
        )
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "threers" / "backbones"
    folder = home / f"{backbone.name}-{backbone.sha256[:16]}"
    if (folder / WEIGHTS).is_file():
        return folder
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home) as scratch:
        joined = Path(scratch) / "joined.zip"
        with joined.open("wb") as out:
            for piece in pieces:
                out.write(piece.read_bytes())
        unpacked = Path(scratch) / "model"
        unpacked.mkdir()
        try:
            _unzip(joined, unpacked)
        except (zipfile.BadZipFile, OSError) as error:
            raise InputError(
                f"backbone {backbone.name}: its pieces make no whole zip; run: {backbone.install}"
            ) from error
        if (unpacked / WEIGHTS).is_file() and sha256(unpacked / WEIGHTS) == backbone.sha256:
            unpacked.rename(folder)
            return folder
    raise InputError(
        f"backbone {backbone.name}: the weights in its pieces are not the ones meant; run: {backbone.install}"
    )


def _unzip(archive_file: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive_file) as archive:
        for entry in archive.infolist():
            path = PurePosixPath(entry.filename)
            # Only known names at the top or in one folder, so no entry can climb out or stand in for another.
            if path.name in MODEL_FILES and len(path.parts) <= 2 and ".." not in path.parts:
                (folder / path.name).write_bytes(archive.read(entry))


def _from_hub(backbone: Backbone) -> Path:
    from huggingface_hub import snapshot_download

    # errors of many kinds: no network, no such name, no access
    try:
        revision = backbone.revision or None
        return Path(snapshot_download(backbone.path, revision=revision, allow_patterns=list(MODEL_FILES)))
    except Exception as error:
        raise InputError(
            f"backbone {backbone.name}: hub name {backbone.path} cannot be fetched: {_first_line(error)}"
        ) from error


def sha256(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
