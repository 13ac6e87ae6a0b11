"""Fetching a backbone's files: from installed packages, or from a hub where the user allows it. Layer 2, no torch."""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
import zlib
from importlib import metadata
from pathlib import Path, PurePosixPath

from threers.errors import InputError, first_line
from threers.settings import Backbone

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


def from_packages(backbone: Backbone) -> Path:
    """The folder with the weights in an installed package; those that come in pieces are joined in the user's cache.

    Raises:
        InputError: a package is not installed, or damaged.

    """
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
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
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


def from_hub(backbone: Backbone) -> Path:
    """The folder that a hub's files were fetched to. Raises InputError where they cannot be."""
    from huggingface_hub import snapshot_download

    # errors of many kinds: no network, no such name, no access
    try:
        revision = backbone.revision or None
        return Path(snapshot_download(backbone.path, revision=revision, allow_patterns=list(MODEL_FILES)))
    except Exception as error:
        raise InputError(
            f"backbone {backbone.name}: hub name {backbone.path} cannot be fetched: {first_line(error)}"
        ) from error


def sha256(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
