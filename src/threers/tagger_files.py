"""The files of a tagger's folder: each is loaded, or refused with one line. Layer 2."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from threers.backbones import LOADING_ERRORS, WEIGHTS, sha256
from threers.codebook import Codebook
from threers.errors import InputError, first_line
from threers.lexicon import Lexicon
from threers.network import SpanTagger
from threers.pretrained import Pretrained
from threers.ratings import Ratings
from threers.stored import read_mapping

#: What to do about a folder that is damaged.
RESTORE = "restore the folder"
#: What a manifest must say, and what it may.
_NEEDED = {"codebook_sha256": str, "chunks": dict, "lexical_share": float, "pretrained_share": float}
_OPTIONAL = {"name": str, "files": dict, "learnt_from": list, "precision_check": dict, "synthetic": bool}
#: Written after the others, or for people only.
_UNHASHED = ("manifest.json", "README.md")
LEXICON = "lexicon.safetensors"
PRETRAINED = "pretrained.safetensors"
RATINGS = "ratings.safetensors"


def codebook_and_manifest(folder: Path) -> tuple[Codebook, dict[str, Any]]:
    """The codebook and the manifest of a tagger, whose files are all there as they were saved.

    Raises:
        InputError: something is missing, damaged or does not belong together; names the file.

    """
    for needed in ("config.json", WEIGHTS, "codebook.yaml", "decisions.json", "manifest.json"):
        if not (folder / needed).is_file():
            raise InputError(f"tagger {folder}: {needed} is missing; expected a folder that `threers train` wrote")
    codebook = Codebook.load(folder / "codebook.yaml")
    manifest = read_mapping(folder / "manifest.json", _NEEDED, RESTORE, _OPTIONAL)
    if manifest["codebook_sha256"] != codebook.hash:
        raise InputError(f"tagger {folder}: codebook.yaml is not the one it was trained with; {RESTORE}")
    words, untrained = manifest["lexical_share"], manifest["pretrained_share"]
    if not (0 <= words <= 1 and 0 <= untrained <= 1 - words):  # false of what is no number
        raise InputError(
            f"tagger {folder}: manifest.json: lexical_share is {words!s:.9}, pretrained_share {untrained!s:.9}; "
            f"expected 0 or more, and together 1 at most; {RESTORE}"
        )
    _require_same_files(folder, manifest.get("files", {}))
    return codebook, manifest


def require(folder: Path, name: str) -> None:
    """Refuse a folder that lacks a file."""
    if not (folder / name).is_file():
        raise InputError(f"tagger {folder}: {name} is missing; {RESTORE}")


def _require_same_files(folder: Path, files: dict[str, str]) -> None:
    """Refuse a folder with a file that is not as it was saved: a bit that flipped in the weights would not show."""
    for name, saved in files.items():
        require(folder, name)
        if sha256(folder / name) != saved:
            raise InputError(f"tagger {folder}: {name} is not as it was saved: damaged, or another file; {RESTORE}")


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file that a tagger is made of."""
    files = sorted(file for file in folder.iterdir() if file.is_file() and file.name not in _UNHASHED)
    return {file.name: sha256(file) for file in files}


def digest(folder: Path, further: Iterable[str], settings: Any) -> str:
    """SHA-256 over the weights, the codebook, the decisions, these `further` files, and settings as JSON."""
    found = hashlib.sha256()
    for name in (WEIGHTS, "codebook.yaml", "decisions.json", *further):
        with (folder / name).open("rb") as file:  # bit by bit: weights may be larger than what memory is left
            hashlib.file_digest(file, lambda: found)
    found.update(json.dumps(settings).encode())
    return found.hexdigest()


def _blank_encoder(folder: Path) -> Any:
    from transformers import AutoConfig, AutoModel

    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    return AutoModel.from_config(config, trust_remote_code=False)


def load_model(folder: Path, n_codes: int, lookahead: bool) -> SpanTagger:
    """The trained network. Raises InputError where the weights are damaged, or not of this configuration."""
    try:
        model = SpanTagger(_blank_encoder(folder), n_codes, lookahead=lookahead)
        model.load_state_dict(load_file(str(folder / WEIGHTS)))
    except LOADING_ERRORS as error:
        said = first_line(error)[:200]
        raise InputError(
            f"tagger {folder}: {WEIGHTS} does not fit config.json and codebook.yaml: {said}; {RESTORE}"
        ) from error
    return model.eval()


def load_lexicon(folder: Path) -> Lexicon:
    """What words say. Raises InputError where it is damaged."""
    try:
        return Lexicon.load(folder / LEXICON)
    except (OSError, TypeError, SafetensorError) as error:
        raise InputError(f"tagger {folder}: {LEXICON} is damaged; {RESTORE}") from error


def load_pretrained(folder: Path, lookahead: bool) -> Pretrained:
    """What the untrained backbone says. Raises InputError where it is damaged."""
    try:
        return Pretrained.load(folder / PRETRAINED, _blank_encoder(folder), lookahead=lookahead)
    except (OSError, KeyError, ValueError, RuntimeError, SafetensorError) as error:
        raise InputError(
            f"tagger {folder}: {PRETRAINED} is damaged or of an older version; restore the folder or train again"
        ) from error


def load_ratings(folder: Path, codebook: Codebook, pretrained: Pretrained | None) -> Ratings:
    """How sessions and segments are rated. Raises InputError where that is damaged, or of another tagger."""
    try:
        return Ratings.load(folder / RATINGS, codebook, 0 if pretrained is None else len(pretrained.center))
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise InputError(f"tagger {folder}: {RATINGS} is damaged or not of this tagger; {RESTORE}") from error
