"""Where a backbone's weights lie, and loading them: offline, safetensors only, the hash checked. Layer 2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError

from threers.errors import InputError, first_line
from threers.fetching import WEIGHTS, from_hub, from_packages, sha256
from threers.settings import Backbone
from threers.stored import read_mapping

#: What transformers raises for a folder that it cannot read, depending on what is wrong with it.
LOADING_ERRORS: tuple[type[Exception], ...] = (
    StrictDataclassError,
    *(OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError, SafetensorError),
    *(AttributeError, IndexError, ArithmeticError, AssertionError),
)
#: What to do about a folder that is damaged.
OTHER = "restore its files, or name another folder"
#: In the config.json of a backbone that was adapted to transcripts: its manifest.json says to which.
ADAPTED = "threers_adapted"
#: Off, because on a CPU it forces an attention path half as fast; hidden dropout stays.
ATTENTION_DROPOUT = ("attention_probs_dropout_prob", "attention_dropout")


def locate(backbone: Backbone) -> Path:
    """Return the folder that holds the backbone's config.json and model.safetensors, its hash checked.

    Raises:
        InputError: packages not installed, folder or weights missing, or a hash that differs.

    """
    if backbone.source == "packages":
        folder = from_packages(backbone)
    elif backbone.source == "folder" or backbone.is_copy:
        folder = Path(backbone.path).expanduser()
    else:
        folder = from_hub(backbone)
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
        encoder, found = _read(AutoModel, folder, config)
    except LOADING_ERRORS as error:
        raise InputError(f"backbone {folder}: transformers cannot load it: {first_line(error)}; {OTHER}") from error
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


def load_masked(folder: Path) -> tuple[Any, Any, bool]:
    """Load (encoder with the head that names masked tokens, fast tokenizer, is the head new?) as `load_encoder` does.

    Raises:
        InputError: as `load_encoder`, or transformers has no such head for this kind of model.

    """
    from transformers import AutoModelForMaskedLM

    encoder, tokenizer = load_encoder(folder)
    try:
        model, found = _read(AutoModelForMaskedLM, folder, encoder.config)
    except LOADING_ERRORS as error:
        kind = encoder.config.model_type
        raise InputError(
            f"backbone {folder}: transformers cannot train {kind} on masked tokens: {first_line(error)[:100]}; "
            "it cannot be adapted, take another backbone or train without"
        ) from error
    inside = f"{model.base_model_prefix}."
    return model, tokenizer, any(not name.startswith(inside) for name in found["missing_keys"])


def _read(kind: Any, folder: Path, config: Any) -> tuple[Any, dict[str, Any]]:
    """A model of one of transformers' kinds, in float32, and what its file lacked or held beyond it."""
    found: tuple[Any, dict[str, Any]] = kind.from_pretrained(
        folder,
        config=config,
        local_files_only=True,
        use_safetensors=True,
        trust_remote_code=False,
        dtype="float32",
        output_loading_info=True,
    )
    return found


def adapted(folder: Path) -> dict[str, Any] | None:
    """The manifest of a backbone that `threers.adaptation` made, which says what it has read; None of any other.

    Raises:
        InputError: its manifest is not there, damaged, or that of other weights.

    """
    if not read_mapping(folder / "config.json", {}, OTHER).get(ADAPTED):
        return None
    manifest = folder / "manifest.json"
    remedy = "it says which sessions this adapted backbone has read: restore the folder, or adapt again"
    found = read_mapping(manifest, {"session_hashes": list, "loss": list, "weights_sha256": str}, remedy)
    if sha256(folder / WEIGHTS) != found["weights_sha256"]:
        raise InputError(f"{manifest}: is not that of the {WEIGHTS} beside it; {remedy}")
    return dict(found)


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
        found("a")  # some settings are looked at only now
    except Exception as error:  # the tokenizers library raises no more special kind
        raise InputError(f"{folder}: transformers cannot load its tokenizer: {first_line(error)}; {OTHER}") from error
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
