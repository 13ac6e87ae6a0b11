import hashlib
import zipfile
from importlib import metadata
from types import SimpleNamespace

import pytest

from tests.conftest import local_backbone
from threers import backbones
from threers.doctor import shipped_backbone
from threers.errors import InputError, SettingsError
from threers.settings import Backbone


def test_the_bundled_backbone_has_the_hash_that_was_published():
    folder = backbones.locate(shipped_backbone("minilm"))
    encoder, tokenizer = backbones.load_encoder(folder)
    assert encoder.config.hidden_size == 384
    assert encoder.config.attention_probs_dropout_prob == 0
    assert tokenizer("hello")["input_ids"][0] == tokenizer.cls_token_id


def test_a_hash_that_differs_is_refused(tiny_folder):
    with pytest.raises(InputError, match=r"has SHA-256 .* expected 0000000000000000"):
        backbones.locate(local_backbone(tiny_folder, sha256="0" * 64))


def test_a_package_that_is_not_installed_is_named_with_the_line_to_run():
    wanted = Backbone(name="b", source="packages", packages=("no-such-package-xyz",), install="pip install it")
    with pytest.raises(InputError, match=r"package no-such-package-xyz is not installed; run: pip install it"):
        backbones.locate(wanted)


def test_a_folder_that_is_no_model_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"config\.json is missing"):
        backbones.locate(local_backbone(tmp_path))


def test_a_hub_name_needs_leave_to_use_the_network():
    with pytest.raises(SettingsError, match="allow_network"):
        Backbone(name="b", source="hub", path="some/name")


def test_pieces_of_one_zip_are_joined_and_nothing_climbs_out(tiny_folder, tmp_path, monkeypatch):
    whole = tmp_path / "model.zip"
    with zipfile.ZipFile(whole, "w") as archive:
        for file in tiny_folder.iterdir():
            archive.write(file, f"model/{file.name}")
        archive.writestr("../../config.json", "climbs out")
        archive.writestr("model/run_me.py", "not wanted")
    data = whole.read_bytes()
    files = {}
    for number, part in enumerate((data[:1000], data[1000:])):
        piece = tmp_path / f"part_{number}" / "input" / f"model.zip.00{number}"
        piece.parent.mkdir(parents=True)
        piece.write_bytes(part)
        files[f"part-{number}"] = [
            SimpleNamespace(as_posix=lambda p=piece: p.as_posix(), name=piece.name, locate=lambda p=piece: p)
        ]
    monkeypatch.setattr(metadata, "files", files.__getitem__)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    sha = hashlib.sha256((tiny_folder / "model.safetensors").read_bytes()).hexdigest()
    settings = Backbone(
        name="joined", source="packages", packages=("part-0", "part-1"), inside="input/model.zip.", sha256=sha
    )
    folder = backbones.locate(settings)
    assert (folder / "model.safetensors").read_bytes() == (tiny_folder / "model.safetensors").read_bytes()
    assert "climbs out" not in (folder / "config.json").read_text()
    assert not (folder / "run_me.py").exists()
    assert backbones.locate(settings) == folder


def test_damaged_pieces_leave_nothing_in_the_cache(tmp_path, monkeypatch):
    piece = tmp_path / "input" / "model.zip.001"
    piece.parent.mkdir()
    piece.write_bytes(b"no zip")
    found = SimpleNamespace(as_posix=piece.as_posix, name=piece.name, locate=lambda: piece)
    monkeypatch.setattr(metadata, "files", lambda name: [found] if name == "part-1" else [])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    settings = Backbone(name="joined", source="packages", packages=("part-1", "part-2"), inside="input/model.zip.")
    with pytest.raises(InputError, match="found 1 pieces, expected 2"):
        backbones.locate(settings)
    monkeypatch.setattr(metadata, "files", lambda name: [found])
    with pytest.raises(InputError, match="make no whole zip"):
        backbones.locate(settings)
    assert not list((tmp_path / "cache").rglob("model.safetensors"))
