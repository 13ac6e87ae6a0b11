import hashlib
import json
import shutil
import zipfile
from dataclasses import replace
from importlib import metadata
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.conftest import DECODERS, local_backbone, make_backbone
from threers import backbones, doctor
from threers.backbones import load_encoder
from threers.chunks import tokenise
from threers.doctor import shipped_backbone
from threers.errors import InputError, SettingsError
from threers.hardware import Hardware
from threers.settings import Backbone
from threers.tagger import Tagger
from threers.training import fit


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


def test_a_copy_of_a_model_from_a_hub_needs_no_network(tiny_folder):
    backbone = Backbone(name="b", source="hub", path=str(tiny_folder), revision="0" * 40)
    assert backbones.locate(backbone) == tiny_folder


def test_the_revision_is_what_a_hub_is_asked_for(tiny_folder, monkeypatch):
    asked = {}

    def fetch(name, **words):
        asked.update(words, name=name)
        return tiny_folder

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    backbones.locate(Backbone(name="b", source="hub", path="some/name", allow_network=True, revision="abc"))
    assert (asked["name"], asked["revision"]) == ("some/name", "abc")
    backbones.locate(Backbone(name="b", source="hub", path="some/name", allow_network=True))
    assert asked["revision"] is None


def test_a_tokenizer_without_padding_is_given_the_end_of_text(tmp_path):
    _, tokenizer = load_encoder(make_backbone(tmp_path, "llama"))
    assert tokenizer.pad_token_id == tokenizer.eos_token_id


@pytest.mark.parametrize(("kind", "says"), [("t5", "reads with one half and writes"), ("deberta", "cannot be read in")])
def test_a_model_that_does_not_suit_is_refused_in_one_line(kind, says, tmp_path, annomi_like, quick_training):
    with pytest.raises(InputError, match=says):
        fit(annomi_like, local_backbone(make_backbone(tmp_path, kind)), quick_training)


def test_reading_twice_and_hiding_the_future_exclude_each_other(tiny_folder):
    with pytest.raises(SettingsError, match=r"backbone\.read_twice: found True; expected false with lookahead=false"):
        local_backbone(tiny_folder, lookahead=False, read_twice=True)


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
    with zipfile.ZipFile(piece, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/model.safetensors", b"weights" * 100)
    whole = piece.read_bytes()
    start = whole.index(b"model.safetensors") + len(b"model.safetensors")
    halves = [tmp_path / "input" / "model.zip.001", tmp_path / "input" / "model.zip.002"]
    halves[0].write_bytes(whole[:start] + b"\xff" * 4 + whole[start + 4 :])  # in the packed weights
    halves[1].write_bytes(b"")
    pieces = [SimpleNamespace(as_posix=p.as_posix, name=p.name, locate=lambda p=p: p) for p in halves]
    monkeypatch.setattr(metadata, "files", lambda name: [pieces[name == "part-2"]])
    with pytest.raises(InputError, match="make no whole zip"):
        backbones.locate(settings)
    assert not list((tmp_path / "cache").rglob("model.safetensors"))


@pytest.mark.parametrize("kind", ["bert", "mpnet", "roberta", "deberta-v2", "modernbert", *DECODERS])
def test_a_tagger_of_lower_layers_only_says_the_same_when_loaded(kind, tmp_path, annomi_like, quick_training):
    folder = make_backbone(tmp_path / kind, kind)
    backbone = local_backbone(folder, layers=1, frozen_layers=1, read_layers=1)
    training = replace(quick_training, epochs=1, lexical_share=0.0, pretrained_share=0.5)
    tagger = fit(annomi_like, backbone, training)
    assert sum(".1." in name for name, _ in load_encoder(folder)[0].named_parameters()) > 0
    assert not any(".1." in name for name, _ in tagger.model.encoder.named_parameters() if "layer" in name)
    before = {name: tensor for name, tensor in load_encoder(folder)[0].state_dict().items() if ".0." in name}
    for name, tensor in before.items():
        assert torch.equal(tagger.model.encoder.state_dict()[name], tensor), "frozen"
    tagger.save(tmp_path / "tagger")
    again = Tagger.load(tmp_path / "tagger")
    sessions = tokenise(annomi_like.utterances, tagger.tokenizer)
    cpu = Hardware("cpu", "float32", "")
    assert np.allclose(tagger.logits(sessions, cpu).logits, again.logits(sessions, cpu).logits, atol=1e-4)


def test_more_layers_than_there_are_is_refused(tiny_folder, annomi_like, quick_training):
    with pytest.raises(InputError, match=r"5 layers were asked for, but it has 2; .*backbone\.layers"):
        fit(annomi_like, local_backbone(tiny_folder, layers=5), quick_training)
    with pytest.raises(SettingsError, match=r"backbone\.read_layers: found 2; expected 0 to 1"):
        local_backbone(tiny_folder, layers=1, read_layers=2)


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"num_hidden_layers": "x", "hidden_size": 1, "intermediate_size": 1}']
)
def test_doctor_names_a_backbone_whose_config_is_damaged(text, tiny_folder, tmp_path, monkeypatch):
    folder = shutil.copytree(tiny_folder, tmp_path / "backbone")
    monkeypatch.setattr(doctor, "shipped_backbone", lambda name: local_backbone(folder))
    assert dict(doctor.examine())["backbone minilm"] == "ready, hash as expected"
    (folder / "config.json").write_text(text)
    found = dict(doctor.examine())
    assert found["scoring with minilm"] == "unknown until the backbone is there"
    assert found["backbone minilm"].startswith(f"missing: {folder / 'config.json'}: ")


def test_a_tokenizer_whose_length_is_no_number_is_refused(tiny_folder, tmp_path):
    folder = shutil.copytree(tiny_folder, tmp_path / "backbone")
    config = folder / "tokenizer_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"model_max_length": "x"}))
    with pytest.raises(InputError, match="cannot load its tokenizer"):
        backbones.load_tokenizer(folder)
