import json

import numpy as np
import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from threers import attention
from threers.attention import NAME, rows, suit
from threers.chunks import tokenise
from threers.corpus import Corpus
from threers.hardware import Hardware
from threers.tagger import Tagger

BFLOAT16 = Hardware("cpu", "bfloat16", "")


def states(length=150, batch=3):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(batch, 2, length, 16, generator=generator).bfloat16() for _ in range(3)]


def padding(sizes, length=150):
    seen = torch.arange(length) < torch.tensor(sizes)[:, None]
    return seen[:, None, None].expand(-1, 1, length, -1)


@pytest.mark.parametrize("sizes", [(150, 150, 150), (150, 149, 97)])
def test_rows_attend_as_the_kernel_does(sizes):
    query, key, value = states()
    mask = padding(sizes)
    wanted = scaled_dot_product_attention(query.float(), key.float(), value.float(), attn_mask=mask).transpose(1, 2)
    with torch.inference_mode():
        found, _ = rows(None, query, key, value, mask)
        whole, _ = rows(None, query, key, value, None, is_causal=False)
    for row, size in enumerate(sizes):
        assert (found[row, :size].float() - wanted[row, :size]).abs().max() < 0.02
        assert not found[row, size:].any()
    assert torch.equal(whole, found) == (min(sizes) == 150)


@pytest.mark.parametrize("kind", ["future", "gap", "additive", "short"])
def test_what_does_not_suit_goes_to_the_kernel(kind):
    length = 60 if kind == "short" else 150
    query, key, value = states(length)
    mask = padding([length] * 3, length).clone()
    if kind == "future":
        mask = mask & torch.ones(length, length, dtype=torch.bool).tril()
    elif kind == "gap":
        mask[:, :, :, 5] = False
    elif kind == "additive":
        mask = torch.zeros(mask.shape, dtype=torch.bfloat16).masked_fill(~mask, -1e4)
    with torch.inference_mode():
        found, _ = rows(torch.nn.Identity(), query, key, value, mask)
        wanted = scaled_dot_product_attention(query, key, value, attn_mask=mask).transpose(1, 2)
    assert torch.equal(found, wanted)


@pytest.mark.parametrize("more", [{}, {"is_causal": True}, {"is_causal": False, "position_bias": torch.ones(1)}])
def test_what_else_decides_goes_to_the_kernel(more, monkeypatch):
    called = []
    monkeypatch.setattr(attention, "sdpa_attention_forward", lambda *_, **__: called.append(1))
    decoder = torch.nn.Identity()
    decoder.is_causal = True
    with torch.inference_mode():
        rows(decoder, *states(), None, **more)
    assert called


def test_a_tagger_says_the_same_by_rows(tiny_tagger, sixty_sessions, tmp_path):
    tagger = Tagger.load(tiny_tagger)
    sessions = tokenise(Corpus.load(sixty_sessions).utterances[:200], tagger.tokenizer)
    full = tagger.logits(sessions, Hardware("cpu", "float32", "")).logits
    assert tagger.model.encoder.config._attn_implementation == "sdpa"
    half = tagger.logits(sessions, BFLOAT16).logits
    assert tagger.model.encoder.config._attn_implementation == NAME
    np.testing.assert_allclose(half, full, atol=0.02)
    tagger.save(tmp_path / "again")
    assert NAME not in json.dumps(json.loads((tmp_path / "again" / "config.json").read_text()))
    back = tagger.logits(sessions, Hardware("cpu", "float32", "")).logits
    np.testing.assert_array_equal(back, full)


def test_only_a_cpu_in_bfloat16_attends_by_rows(tiny_tagger):
    encoder = Tagger.load(tiny_tagger).model.encoder
    for hardware in (Hardware("cuda", "bfloat16", ""), Hardware("cpu", "float32", "")):
        suit(encoder, hardware)
        assert encoder.config._attn_implementation == "sdpa"
