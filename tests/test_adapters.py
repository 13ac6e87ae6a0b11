"""Low-rank adapters: what they train, what they leave alone, and that nothing of them is left afterwards."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.conftest import local_backbone, make_backbone
from threers import adapters, finetuning
from threers.backbones import load_encoder
from threers.chunks import tokenise
from threers.errors import InputError, SettingsError
from threers.hardware import choose
from threers.tagger import Tagger
from threers.training import fit

CPU = choose("cpu", "float32")
KINDS = ["bert", "mpnet", "xlm-roberta", "deberta-v2", "modernbert", "albert", "llama", "qwen3", "modernbert-decoder"]
needs_peft = pytest.mark.usefixtures("peft")


@pytest.fixture
def peft():
    return pytest.importorskip("peft", reason="peft is not installed")


def said(encoder):
    ids = torch.arange(5, 45).reshape(2, 20)
    with torch.no_grad():
        return encoder(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state


def test_without_peft_it_says_what_to_install_before_anything_is_read(
    annomi_like, quick_training, monkeypatch, tmp_path
):
    monkeypatch.setattr(adapters, "find_spec", lambda name: None)
    with pytest.raises(
        InputError, match=r"backbone\.lora_rank: needs the package peft; run: pip install -e '\.\[lora\]'"
    ):
        fit(annomi_like, local_backbone(tmp_path, lora_rank=4), quick_training)
    with pytest.raises(SettingsError, match=r"backbone\.lora_rank: found -1"):
        local_backbone(tmp_path, lora_rank=-1)


@needs_peft
@pytest.mark.parametrize("kind", [*KINDS, "gpt2"])
def test_adapters_begin_at_nothing_and_stay_in_the_weights_when_merged(kind, tmp_path):
    encoder, _ = load_encoder(make_backbone(tmp_path, kind))
    encoder.eval()
    names, before = set(encoder.state_dict()), said(encoder)
    adapters.add(encoder, 4)
    assert torch.equal(said(encoder), before)
    learnt = {name: weight for name, weight in encoder.named_parameters() if weight.requires_grad}
    assert learnt
    assert all("lora_" in name for name in learnt)
    for name, weight in learnt.items():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    changed = said(encoder)
    assert not torch.allclose(changed, before, atol=1e-3)
    adapters.merge(encoder)
    assert set(encoder.state_dict()) == names
    assert torch.allclose(said(encoder), changed, atol=1e-4)


@needs_peft
@pytest.mark.parametrize("kind", ["bert", "deberta-v2", "modernbert", "llama"])
def test_a_tagger_trained_by_adapters_is_saved_as_any_other(kind, tmp_path, annomi_like, quick_training):
    folder, corpus = make_backbone(tmp_path / "backbone", kind), annomi_like.select([f"s{n:03}" for n in range(8)])
    start = load_encoder(folder)[0].state_dict()
    training = replace(quick_training, epochs=1)
    tagger = fit(corpus, local_backbone(folder, lora_rank=4, learning_rate=1e-2), training)
    end = tagger.model.encoder.state_dict()
    assert end.keys() == start.keys()
    moved = {name for name in end if not torch.allclose(end[name], start[name], atol=1e-6)}
    assert moved
    assert all(end[name].ndim == 2 for name in moved), "linear layers only"
    tagger.save(tmp_path / "tagger")
    again = Tagger.load(tmp_path / "tagger")
    sessions = tokenise(corpus.utterances, tagger.tokenizer)
    assert np.array_equal(tagger.logits(sessions, CPU).logits, again.logits(sessions, CPU).logits)


@needs_peft
@pytest.mark.parametrize("kind", ["bert", "qwen3"])
def test_frozen_layers_have_no_adapter_and_lower_layers_learn_less(kind, tmp_path, annomi_like, quick_training):
    folder, corpus = make_backbone(tmp_path, kind), annomi_like.select([f"s{n:03}" for n in range(8)])
    start = load_encoder(folder)[0].state_dict()
    backbone, training = local_backbone(folder, lora_rank=4, frozen_layers=1), replace(quick_training, epochs=1)
    tagger = fit(corpus, backbone, training)
    end = tagger.model.encoder.state_dict()
    moved = {name for name in end if not torch.equal(end[name], start[name])}
    assert moved
    assert not any(".0." in name or name.startswith("layers.0.") for name in moved)
    frozen = copy.deepcopy(load_encoder(folder)[0])
    adapters.add(frozen, 4, 1)
    assert not any(
        "lora_" in name and ".0." in f".{name}".partition("lora_")[0] for name, _ in frozen.named_parameters()
    )

    tagger = Tagger.start(folder, local_backbone(folder), annomi_like.codebook, 0.1)
    adapters.add(tagger.model.encoder, 4)
    learner = torch.nn.Module()
    learner.model, learner.heads = tagger.model, None
    rates = {
        group["lr"]
        for group in finetuning._rate_groups(learner, tagger.backbone, replace(quick_training, layer_decay=0.5))
    }
    assert rates == {1e-3, 5e-4}, "head and upper layer, and lower layer"


@needs_peft
@pytest.mark.parametrize(("kind", "layers"), [("bert", 2), ("bert", 9), ("albert", 1)])
def test_adapters_without_a_layer_to_stand_beside_are_refused(kind, layers, tmp_path):
    encoder, _ = load_encoder(make_backbone(tmp_path, kind))
    with pytest.raises(InputError, match=rf"backbone\.frozen_layers={layers}: leaves no layer"):
        adapters.add(encoder, 4, layers)


@needs_peft
def test_adapters_that_were_cut_off_go_on_to_the_same_weights(
    tmp_path, tiny_folder, annomi_like, quick_training, monkeypatch
):
    corpus, backbone = annomi_like.select([f"s{n:03}" for n in range(8)]), local_backbone(tiny_folder, lora_rank=4)
    undisturbed = fit(corpus, backbone, quick_training)
    real, calls = finetuning.Validation.measure, []

    def cut_off(self):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(self)

    monkeypatch.setattr(finetuning.Validation, "measure", cut_off)
    with pytest.raises(KeyboardInterrupt):
        fit(corpus, backbone, quick_training, work=tmp_path / "work")
    resumed = fit(corpus, backbone, quick_training, work=tmp_path / "work")
    for key, tensor in undisturbed.model.state_dict().items():
        assert torch.allclose(tensor, resumed.model.state_dict()[key], atol=1e-6), key
