"""Which layers of a backbone learn, and how deep each parameter lies, whatever the backbone calls its parts."""

import pytest
from transformers import CONFIG_MAPPING, AutoModel

from threers.freezing import freeze_lower_layers, layers_above

SIZES = {"vocab_size": 50, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 24, "pad_token_id": 0}


def make_encoder(kind):
    return AutoModel.from_config(CONFIG_MAPPING[kind](**SIZES, num_hidden_layers=4))


@pytest.mark.parametrize(
    ("kind", "lowest", "uppermost", "below", "on_top"),
    [
        ("bert", "encoder.layer.0.", "encoder.layer.3.", "embeddings.", "pooler."),
        ("modernbert", "layers.0.", "layers.3.", "embeddings.norm.", "final_norm."),
        ("mpnet", "encoder.layer.0.", "encoder.layer.3.", "encoder.relative_attention_bias.", "pooler."),
        ("qwen3", "layers.0.", "layers.3.", "embed_tokens.", "norm."),
        (
            "opt",
            "decoder.layers.0.final_layer_norm.",
            "decoder.layers.3.",
            "decoder.embed_",
            "decoder.final_layer_norm.",
        ),
        ("mpt", "blocks.0.", "blocks.3.", "wte.", "norm_f."),
    ],
)
def test_the_depth_of_every_part_is_known_and_lower_layers_can_be_frozen(kind, lowest, uppermost, below, on_top):
    encoder = make_encoder(kind)
    above = layers_above(encoder)
    depth = {name: above[parameter] for name, parameter in encoder.named_parameters()}
    for prefix, expected in ((lowest, 3), (uppermost, 0), (below, 4), (on_top, 0)):
        assert {depth[name] for name in depth if name.startswith(prefix)} == {expected}
    freeze_lower_layers(encoder, 0)
    assert all(parameter.requires_grad for parameter in encoder.parameters())
    freeze_lower_layers(encoder, 2)
    learning = {name for name, parameter in encoder.named_parameters() if parameter.requires_grad}
    assert learning == {name for name in depth if depth[name] < 2}


def test_layers_that_share_their_weights_are_frozen_together():
    encoder = AutoModel.from_config(CONFIG_MAPPING["albert"](**SIZES, num_hidden_layers=4, embedding_size=8))
    freeze_lower_layers(encoder, 1)
    learning = {name for name, parameter in encoder.named_parameters() if parameter.requires_grad}
    assert learning
    assert all(name.startswith("pooler") for name in learning)
