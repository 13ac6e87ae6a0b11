import json

import numpy as np
import pytest
import torch

from tests.conftest import DECODERS, local_backbone, make_backbone
from threers.chunks import tokenise
from threers.errors import InputError
from threers.hardware import Hardware, choose
from threers.tagger import Tagger

KINDS = ["bert", "mpnet", "xlm-roberta", "deberta-v2", "modernbert", *DECODERS]
CPU = choose("cpu", "float32")


@pytest.fixture(scope="module", params=KINDS)
def kind_folder(request, tmp_path_factory):
    return make_backbone(tmp_path_factory.mktemp(request.param), request.param)


def start(folder, book, **changes):
    torch.manual_seed(1)
    return Tagger.start(folder, local_backbone(folder, **changes), book, dropout=0.1)


def is_a(folder, *kinds):
    return folder.name[:-1] in kinds  # pytest numbers its folders


def logits(tagger, utterances, batch_tokens=512):
    return tagger.logits(tokenise(utterances, tagger.tokenizer), CPU, batch_tokens).logits


def test_every_kind_of_encoder_loads_and_survives_a_round_trip(kind_folder, annomi_like, tmp_path):
    tagger = start(kind_folder, annomi_like.codebook)
    tagger.save(tmp_path / "tagger")
    again = Tagger.load(tmp_path / "tagger")
    utterances = annomi_like.utterances.head(64)
    assert np.array_equal(logits(tagger, utterances), logits(again, utterances))
    assert again.decisions == tagger.decisions
    assert again.codebook == tagger.codebook


def test_without_lookahead_the_future_changes_nothing(kind_folder, annomi_like):
    if is_a(kind_folder, "deberta-v2"):
        with pytest.raises(InputError, match="cannot hide later utterances"):
            start(kind_folder, annomi_like.codebook, lookahead=False)
        return
    tagger = start(kind_folder, annomi_like.codebook, lookahead=False)
    utterances = annomi_like.utterances[annomi_like.utterances["session_id"] == "s000"].reset_index(drop=True)
    changed = utterances.copy()
    changed.loc[changed.index >= 8, "text"] = "angry angry mother nothing help"
    before, after = logits(tagger, utterances), logits(tagger, changed)
    assert np.allclose(before[:8], after[:8], atol=1e-5)
    assert not np.allclose(before[8:], after[8:], atol=1e-3)


def test_with_lookahead_both_neighbours_count(kind_folder, annomi_like):
    twice = {"read_twice": True, "chunk_tokens": 128} if is_a(kind_folder, *DECODERS) else {}
    tagger = start(kind_folder, annomi_like.codebook, **twice)
    assert tagger.chunker.lookahead
    utterances = annomi_like.utterances[annomi_like.utterances["session_id"] == "s000"].reset_index(drop=True)
    plain = logits(tagger, utterances)
    for changed_row, judged_row in ((7, 6), (7, 8)):
        changed = utterances.copy()
        changed.loc[changed_row, "text"] = "angry angry mother nothing help"
        assert not np.allclose(plain[judged_row], logits(tagger, changed)[judged_row], atol=1e-6)


def test_a_decoder_that_reads_once_says_that_it_reads_the_past_only(kind_folder, annomi_like, tmp_path, caplog):
    caplog.set_level("INFO")
    tagger = start(kind_folder, annomi_like.codebook, lookahead=True)
    decoder = is_a(kind_folder, *DECODERS)
    assert tagger.backbone.lookahead == tagger.model.lookahead == tagger.chunker.lookahead == (not decoder)
    assert ("reads the past only" in caplog.text) == decoder
    tagger.save(tmp_path / "t")
    assert json.loads((tmp_path / "t" / "manifest.json").read_text())["chunks"]["lookahead"] == (not decoder)
    utterances = annomi_like.utterances.head(16)
    changed = utterances.assign(text=[*utterances["text"][:8], *["angry angry mother nothing help"] * 8])
    same = np.allclose(logits(tagger, utterances)[:8], logits(tagger, changed)[:8], atol=1e-6)
    assert same == decoder


def test_a_tagger_that_reads_twice_still_does_when_loaded(kind_folder, annomi_like, tmp_path):
    if not is_a(kind_folder, *DECODERS):
        with pytest.raises(InputError, match=r"read_twice=true is for decoders; .* set backbone.read_twice=false"):
            start(kind_folder, annomi_like.codebook, read_twice=True)
        return
    tagger = start(kind_folder, annomi_like.codebook, read_twice=True)
    tagger.save(tmp_path / "t")
    again = Tagger.load(tmp_path / "t")
    utterances = annomi_like.utterances.head(64)
    assert np.array_equal(logits(tagger, utterances), logits(again, utterances))
    once = start(kind_folder, annomi_like.codebook)
    assert not np.allclose(logits(tagger, utterances), logits(once, utterances), atol=1e-4)


def test_batches_and_their_padding_change_nothing(kind_folder, annomi_like):
    tagger = start(kind_folder, annomi_like.codebook)
    utterances = annomi_like.utterances.head(64)
    assert np.allclose(logits(tagger, utterances, 64), logits(tagger, utterances, 4096), atol=1e-5)


def test_reduced_precision_is_close_for_every_kind(kind_folder, annomi_like):
    tagger = start(kind_folder, annomi_like.codebook, chunk_tokens=128)
    sessions = tokenise(annomi_like.utterances.head(128), tagger.tokenizer)
    full = tagger.logits(sessions, CPU).logits
    half = Hardware("cpu", "bfloat16", "")
    rows = tagger.logits(sessions, half).logits
    tagger.lower(half)
    for found in (rows, tagger.logits(sessions, half).logits):
        np.testing.assert_allclose(found, full, atol=0.02)


@pytest.mark.parametrize("words", [1, 64, 5000])
def test_an_utterance_of_any_length_is_scored_once(tiny_folder, annomi_like, words):
    tagger = start(tiny_folder, annomi_like.codebook)
    utterances = annomi_like.utterances.head(5).copy()
    utterances.loc[2, "text"] = " ".join(["angry"] * words)
    result = logits(tagger, utterances)
    assert result.shape == (5, 7)
    assert np.isfinite(result).all()


def test_the_end_of_a_long_utterance_counts(tiny_folder, annomi_like):
    tagger = start(tiny_folder, annomi_like.codebook)
    utterances = annomi_like.utterances.head(3).copy()
    utterances.loc[1, "text"] = " ".join(["week"] * 400)
    plain = logits(tagger, utterances)
    utterances.loc[1, "text"] = " ".join(["week"] * 399 + ["angry"])
    assert not np.array_equal(plain[1], logits(tagger, utterances)[1])


def test_probabilities_and_tags_follow_the_roles(tiny_folder, annomi_like):
    tagger = start(tiny_folder, annomi_like.codebook)
    utterances = annomi_like.utterances.head(6).copy()
    utterances.loc[3, "role"] = "unknown"
    p, tags = tagger.tags(logits(tagger, utterances), utterances["role"].tolist())
    assert np.isnan(p[3]).all()
    assert not tags[3].any()
    assert tags.sum(axis=1).tolist() == [1, 1, 1, 0, 1, 1]


def test_chunks_longer_than_the_backbone_reads_are_refused(tiny_folder, annomi_like):
    with pytest.raises(InputError, match=r"chunk_tokens is 512, but it reads at most 160"):
        start(tiny_folder, annomi_like.codebook, chunk_tokens=512)


@pytest.fixture
def saved(tiny_folder, annomi_like, tmp_path):
    start(tiny_folder, annomi_like.codebook).save(tmp_path / "tagger")
    return tmp_path / "tagger"


def test_a_tagger_without_weights_is_refused(saved):
    (saved / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"model\.safetensors is missing"):
        Tagger.load(saved)


def test_a_tagger_with_another_codebook_is_refused(saved):
    text = (saved / "codebook.yaml").read_text()
    (saved / "codebook.yaml").write_text(text.replace("change", "shift"))
    with pytest.raises(InputError, match="not the one it was trained with"):
        Tagger.load(saved)


def test_damaged_weights_are_refused(saved):
    data = (saved / "model.safetensors").read_bytes()
    (saved / "model.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"model\.safetensors is not as it was saved"):
        Tagger.load(saved)


def test_damaged_json_is_named(saved):
    manifest = json.loads((saved / "manifest.json").read_text())
    (saved / "manifest.json").write_text("{")
    with pytest.raises(InputError, match=r"manifest\.json: not valid JSON"):
        Tagger.load(saved)
    (saved / "manifest.json").write_text(json.dumps(manifest | {"codebook_sha256": "0"}))
    with pytest.raises(InputError, match="not the one it was trained with"):
        Tagger.load(saved)


def test_a_folder_that_is_no_tagger_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"config\.json is missing; expected a folder that `threers train` wrote"):
        Tagger.load(tmp_path)


def test_a_lowered_tagger_says_the_same_up_to_bfloat16(tiny_folder, annomi_like):
    tagger = Tagger.start(tiny_folder, local_backbone(tiny_folder), annomi_like.codebook, 0.1)
    half = Hardware("cpu", "bfloat16", "")
    sessions = tokenise(annomi_like.utterances, tagger.tokenizer)
    exact, before = tagger.logits(sessions, CPU).logits, tagger.logits(sessions, half).logits
    tagger.lower(half)
    lowered = tagger.logits(sessions, half).logits
    assert 0 < np.abs(lowered - exact).max() < 1.5 * np.abs(before - exact).max()
