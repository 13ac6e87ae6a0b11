import copy

import numpy as np
import pytest
import torch

from tests.conftest import forget_hashes, local_backbone, make_backbone, make_corpus
from threers.backbones import load_encoder
from threers.chunks import tokenise
from threers.corpus import grouped_folds
from threers.errors import InputError
from threers.hardware import Hardware
from threers.pretrained import Pretrained
from threers.settings import Training
from threers.tagger import Tagger
from threers.tagger_files import PRETRAINED
from threers.targets import build_targets
from threers.training import fit

CPU = Hardware("cpu", "float32", "")


@pytest.fixture(scope="module")
def learnt(tiny_folder):
    """A tagger with nothing trained, and an opinion fitted on 20 groups of made-up sessions."""
    return opinion(tiny_folder, lookahead=True)


def opinion(folder, *, lookahead):
    corpus = make_corpus(20)
    tagger = Tagger.start(folder, local_backbone(folder, lookahead=lookahead), corpus.codebook, 0.1)
    targets = build_targets(corpus.utterances, corpus.codings, corpus.codebook)
    sessions = tokenise(corpus.utterances, tagger.tokenizer)
    encoder = copy.deepcopy(tagger.model.encoder)
    reading = tagger.reading(CPU, 512)
    return tagger, Pretrained.fit(encoder, 0, sessions, targets, targets.weight(0.5), corpus.codebook, reading)[0]


def judge(learnt, *sessions):
    """Logits of sessions that are given as lists of texts."""
    tagger, pretrained = learnt
    table = make_corpus(1, len(sessions), 1).utterances
    table = table.loc[np.repeat(table.index, [len(texts) for texts in sessions])].reset_index(drop=True)
    table["text"] = [text for texts in sessions for text in texts]
    tokens = tokenise(table, tagger.tokenizer)
    return pretrained.logits(pretrained.encode(tokens, tagger.reading(CPU, 64)), tokens)


def test_it_helps_an_encoder_that_has_learnt_nothing(tiny_folder):
    corpus = make_corpus(40)
    fold = grouped_folds(corpus, 4, 0)
    learn, test = corpus.select(fold.index[fold != 0]), corpus.select(fold.index[fold == 0])
    right = {}
    for share in (0.0, 0.9):
        training = Training(
            epochs=1, lexical_share=0.0, pretrained_share=share, validation_share=0.2, device="cpu", precision="float32"
        )
        tagger = fit(learn, local_backbone(tiny_folder, learning_rate=1e-6), training)
        logits = tagger.logits(tokenise(test.utterances, tagger.tokenizer), CPU, 1024).logits
        _, tags = tagger.tags(logits, test.utterances["role"].tolist())
        truth = build_targets(test.utterances, test.codings, test.codebook).share >= 0.5
        right[share] = (tags & truth).any(axis=1).mean()
    assert right[0.9] > right[0.0] + 0.1


def test_only_the_lower_layers_are_kept(tmp_path):
    for kind in ("bert", "mpnet", "roberta", "deberta-v2", "modernbert"):
        encoder, _ = load_encoder(make_backbone(tmp_path / kind, kind))
        before = sum(1 for name in encoder.state_dict() if "layer" in name and ".1." in name)
        _, kept = opinion(tmp_path / kind, lookahead=True)
        after = sum(1 for name in kept.encoder.state_dict() if "layer" in name and ".1." in name)
        assert before > 0
        assert after == 0, kind


def test_neighbours_count_within_a_session_only(learnt):
    alone = judge(learnt, ["want help"])
    followed = judge(learnt, ["want help", "angry"])
    apart = judge(learnt, ["want help"], ["angry"])
    assert not np.allclose(alone[0], followed[0], atol=1e-3)
    assert np.allclose(alone[0], apart[0], atol=1e-5)


def test_without_lookahead_what_follows_changes_nothing(tiny_folder):
    learnt = opinion(tiny_folder, lookahead=False)
    alone = judge(learnt, ["why", "want help"])
    followed = judge(learnt, ["why", "want help", "angry", "say"])
    assert np.allclose(alone, followed[:2], atol=1e-5)
    assert not np.allclose(judge(learnt, ["say", "want help"])[1], alone[1], atol=1e-3)


def test_one_utterance_an_empty_text_and_a_long_one_have_finite_logits(learnt):
    logits = judge(learnt, [""], ["want"], ["angry " * 500], [""] * 12)
    assert logits.shape[0] == 15
    assert np.isfinite(logits).all()


def test_a_saved_opinion_says_the_same(learnt, tmp_path):
    tagger, pretrained = learnt
    pretrained.save(tmp_path / "it.safetensors")
    blank = copy.deepcopy(tagger.model.encoder)
    for parameter in blank.parameters():
        parameter.data.zero_()
    again = Pretrained.load(tmp_path / "it.safetensors", blank, lookahead=True)
    texts = ["want help", "why", "angry you never say"]
    assert np.array_equal(judge((tagger, again), texts), judge(learnt, texts))
    assert all(parameter.dtype == torch.float32 for parameter in again.encoder.parameters())


def test_a_damaged_or_missing_opinion_is_named(tiny_backbone, quick_training, annomi_like, tmp_path):
    fit(annomi_like, tiny_backbone, quick_training).save(tmp_path)
    assert Tagger.load(tmp_path).pretrained is not None
    whole = (tmp_path / PRETRAINED).read_bytes()
    (tmp_path / PRETRAINED).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"pretrained\.safetensors is not as it was saved"):
        Tagger.load(tmp_path)
    forget_hashes(tmp_path)
    with pytest.raises(InputError, match=r"pretrained\.safetensors is damaged"):
        Tagger.load(tmp_path)
    (tmp_path / PRETRAINED).unlink()
    with pytest.raises(InputError, match=r"pretrained\.safetensors is missing"):
        Tagger.load(tmp_path)
