"""Coders with thresholds of their own: what is learnt of them, and that the tagger speaks for the mean coder."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit

from tests.conftest import local_backbone, make_corpus
from threers.chunks import tokenise
from threers.coder_heads import FEWEST, CoderHeads, start_heads
from threers.corpus import Corpus
from threers.decisions import Decisions, probabilities
from threers.errors import InputError
from threers.hardware import choose
from threers.learner import Learner
from threers.network import SpanTagger
from threers.settings import Training
from threers.targets import build_targets
from threers.training import fit

KEEN, STRICT = "keen-coder-1234", "strict-coder-1234"


def coded_apart() -> tuple[Corpus, np.ndarray]:
    """A keen coder read four fifths of the patients, a strict one the others; and how often the mean of the two would
    mark change talk, by client utterance."""
    corpus, rng = make_corpus(30), np.random.default_rng(0)
    talk = corpus.utterances[["session_id", "utterance_id", "role", "text"]]
    level = np.where(talk["text"].str.contains("want"), 1.5, np.where(talk["text"].str.contains("angry"), 0.0, -1.5))
    keen = (talk["session_id"].str[1:].astype(int) < 48).to_numpy()
    marks = rng.random(len(talk)) < expit(level + np.where(keen, 1.5, -1.5))
    code = np.where(talk["role"] == "therapist", "other", np.where(marks, "change", "neutral"))
    corpus.codings = pd.DataFrame(
        {
            "session_id": talk["session_id"],
            "unit": "utterance",
            "unit_id": talk["utterance_id"],
            "coder_id": np.where(keen, KEEN, STRICT),
            "code": code,
            "value": 1.0,
        }
    ).astype(corpus.codings.dtypes.to_dict())
    corpus.check()
    return corpus, expit(level[(talk["role"] == "client").to_numpy()])


def test_the_mean_coders_rate_is_recovered_where_coders_read_different_patients(tiny_folder, tmp_path):
    corpus, mean_rate = coded_apart()
    alone = Training(
        epochs=6,
        batch_tokens=512,
        head_learning_rate=1e-2,
        lexical_share=0.0,
        pretrained_share=0.0,
        balance=0.0,
        patience=6,
        device="cpu",
        precision="float32",
    )
    missed = {}
    for heads in (False, True):
        tagger = fit(corpus, local_backbone(tiny_folder, learning_rate=2e-3), replace(alone, coder_heads=heads))
        logits = tagger.logits(tokenise(corpus.utterances, tagger.tokenizer), choose("cpu")).logits
        legal = corpus.codebook.legal_mask(corpus.utterances["role"])
        p = probabilities(logits, legal, corpus.codebook, Decisions.neutral(corpus.codebook))
        change = p[:, corpus.codebook.tag_codes().index("change")]
        missed[heads] = abs(np.nanmean(change) - mean_rate.mean())
    assert missed[False] > 0.1
    assert missed[True] < missed[False] / 3
    assert tagger.manifest["learnt_as"]["coders_with_heads"] == 2
    tagger.save(tmp_path / "tagger")
    for file in (tmp_path / "tagger").iterdir():
        held = file.read_bytes()
        assert KEEN.encode() not in held and STRICT.encode() not in held and b"heads.offset" not in held, file.name


class Fixed(SpanTagger):
    """A network that says the same, whatever it reads."""

    def __init__(self, logits: np.ndarray) -> None:
        torch.nn.Module.__init__(self)
        self.logits = torch.from_numpy(logits)

    def pool(self) -> torch.Tensor:
        return self.logits

    def classify(self, vectors: torch.Tensor) -> torch.Tensor:
        return vectors


def test_before_anything_is_learnt_the_loss_is_that_of_the_shares():
    corpus = make_corpus(6)
    targets = build_targets(corpus.utterances, corpus.codings, corpus.codebook)
    weight = targets.weight(0.5)
    tables, heads = start_heads(corpus, weight)
    model = Fixed(np.random.default_rng(0).normal(size=weight.shape).astype(np.float32))
    balance = np.linspace(1, 3, weight.shape[1])
    losses = []
    for given, own in (((targets.share, targets.given, weight), None), (tables, heads)):
        learner = Learner(model, torch.nn.Identity(), corpus.codebook, balance, own)
        losses.append(learner(*map(torch.from_numpy, given))["loss"].item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_offsets_sum_to_zero_over_coders_and_a_coder_of_few_utterances_has_none():
    weight = np.ones((FEWEST, 4, 3), dtype=np.float32)
    weight[1:, 3] = 0
    heads = CoderHeads(weight)
    with torch.no_grad():
        heads.offset.copy_(torch.arange(12.0).reshape(4, 3))
    assert heads.offsets().sum(dim=0).tolist() == pytest.approx([0, 0, 0])
    assert heads.offsets()[3].tolist() == [0, 0, 0]
    assert heads.offsets()[0].tolist() == [-3, -3, -3]
    assert heads.penalty() > 0


def test_one_coder_cannot_differ_from_the_others_and_that_is_said(caplog):
    CoderHeads(np.ones((FEWEST, 1, 3), dtype=np.float32))
    assert "1 of 1 coders" in caplog.text


def test_codes_on_segments_have_no_thresholds_of_coders(annomi_like, tiny_backbone, quick_training):
    corpus = annomi_like.select([f"s{n:03}" for n in range(8)])
    first = corpus.codings["session_id"] == "s000"
    of_segment = corpus.codings[first].drop_duplicates("session_id").assign(unit="segment", unit_id=0)
    corpus.codings = pd.concat([corpus.codings[~first], of_segment], ignore_index=True)
    with pytest.raises(InputError, match="coder_heads=true"):
        fit(corpus, tiny_backbone, replace(quick_training, coder_heads=True))
