import copy

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel, MPNetConfig, MPNetModel, RobertaConfig, RobertaModel

from threers import lowered
from threers.hardware import Hardware
from threers.lowered import PackedLinear, lower

SIZES = {"vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
KINDS = [(BertModel, BertConfig), (RobertaModel, RobertaConfig), (MPNetModel, MPNetConfig)]


def read(encoder, precision):
    ids = torch.arange(2, 42).reshape(2, 20)
    with torch.inference_mode(), Hardware("cpu", precision, "").autocast:
        return encoder(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state.float()


@pytest.mark.parametrize(("model", "config"), KINDS)
@pytest.mark.parametrize("activation", ["gelu", "relu", "gelu_new"])
def test_a_lowered_encoder_says_the_same(model, config, activation):
    torch.manual_seed(1)
    encoder = model(config(**SIZES, hidden_act=activation), add_pooling_layer=False).eval()
    changed = copy.deepcopy(encoder)
    lower(changed, Hardware("cpu", "bfloat16", ""))
    assert not any(isinstance(module, nn.Linear) for module in changed.modules())
    exact, cast, packed = read(encoder, "float32"), read(encoder, "bfloat16"), read(changed, "bfloat16")
    assert (packed - exact).abs().max() < 1.2 * (cast - exact).abs().max()
    assert (packed - exact).abs().max() > 0


def test_gelu_is_applied_once_where_it_is_the_exact_one():
    for activation, fused in [("gelu", True), ("relu", False), ("gelu_new", False)]:
        encoder = BertModel(BertConfig(**SIZES, hidden_act=activation), add_pooling_layer=False)
        lower(encoder, Hardware("cpu", "bfloat16", ""))
        inner = encoder.encoder.layer[0].intermediate
        assert isinstance(inner.dense, PackedLinear)
        assert (inner.dense.after[0] == "gelu") == isinstance(inner.intermediate_act_fn, nn.Identity) == fused


def test_a_processor_without_these_products_keeps_plain_layers(monkeypatch):
    monkeypatch.setattr(lowered, "packs", lambda: False)
    encoder = BertModel(BertConfig(**SIZES), add_pooling_layer=False).eval()
    lower(encoder, Hardware("cpu", "bfloat16", ""))
    own = [module for module in encoder.modules() if isinstance(module, nn.Linear)]
    assert own
    assert {module.weight.dtype for module in own} == {torch.bfloat16}
    assert torch.isfinite(read(encoder, "bfloat16")).all()


def test_in_float32_nothing_changes():
    encoder = BertModel(BertConfig(**SIZES))
    before = encoder.state_dict()
    lower(encoder, Hardware("cpu", "float32", ""))
    assert encoder.state_dict().keys() == before.keys()
    assert all(tensor.dtype == torch.float32 for tensor in encoder.parameters())
