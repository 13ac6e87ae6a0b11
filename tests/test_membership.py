"""The attack by loss: its figure is that of another implementation, and what memorises is told from what does not."""

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from tests.conftest import make_corpus
from threers.card import model_card
from threers.decisions import probabilities
from threers.membership import attack, membership, utterance_losses
from threers.settings import Training
from threers.tagger import Tagger
from threers.targets import Targets
from threers.training import fit


@pytest.fixture
def losses():
    rng = np.random.default_rng(3)
    group = np.repeat(np.arange(30), 20)
    learnt = group < 20
    return rng.gamma(2.0, 1.0, 600) + 0.4 * ~learnt + rng.normal(0, 0.3, 30)[group], learnt, group


def test_the_area_is_that_of_scikit_learn(losses):
    loss, learnt, group = losses
    found = attack(loss, learnt, group, seed=1)
    assert found["utterance"]["auroc"] == pytest.approx(roc_auc_score(learnt, -loss), abs=1e-4)
    means = [loss[group == number].mean() for number in range(30)]
    assert found["group"]["auroc"] == pytest.approx(roc_auc_score(np.arange(30) < 20, -np.array(means)), abs=1e-4)
    assert (found["groups_learnt"], found["groups_kept_aside"]) == (20, 10)
    for figure in (found["utterance"], found["group"]):
        assert figure["low"] < figure["auroc"] <= figure["high"]


def test_what_nobody_coded_counts_for_nothing(losses):
    loss, learnt, group = losses
    more = np.append(loss, np.nan), np.append(learnt, True), np.append(group, 99)
    assert attack(*more, seed=1) == attack(loss, learnt, group, seed=1)


def test_a_loss_is_that_of_scikit_learn(tiny_tagger):
    tagger = Tagger.load(tiny_tagger)
    legal = tagger.codebook.legal_mask(["client"] * 40)
    p = probabilities(np.random.default_rng(0).normal(size=legal.shape), legal, tagger.codebook, tagger.decisions)
    share = np.zeros(legal.shape, np.float32)
    truth = np.random.default_rng(1).integers(3, size=40)
    share[np.arange(40), np.flatnonzero(legal[0])[truth]] = 1
    targets = Targets(share, (legal & (np.arange(40) < 39)[:, None]).astype(np.float32), np.ones_like(share))
    found = utterance_losses(p, targets, tagger.codebook)
    assert np.isnan(found[39])
    own = p[:39][:, legal[0]].astype(float)
    assert found[:39].mean() == pytest.approx(log_loss(truth[:39], own / own.sum(axis=1, keepdims=True)), abs=1e-5)


def test_a_tagger_that_learnt_by_heart_is_found_out(tiny_backbone):
    """Codes drawn at random: what it knows of them, it can only remember."""
    corpus = make_corpus(24, utterances=8)
    code = corpus.codings["code"].sample(frac=1, random_state=0).to_numpy()
    legal = {"therapist": ("question", "reflection", "therapist_input", "other")}
    client = ~np.isin(corpus.codings["code"], legal["therapist"])
    drawn = np.isin(code, legal["therapist"])
    corpus.codings.loc[client, "code"] = code[~drawn]
    corpus.codings.loc[~client, "code"] = code[drawn]
    training = Training(
        epochs=1, lexical_share=0.3, pretrained_share=0.65, validation_share=0.4, device="cpu", precision="float32"
    )
    tagger = fit(corpus, tiny_backbone, training)
    found = membership(tagger, corpus, training)
    assert found["utterance"]["low"] > 0.5
    card = model_card("t", tagger.manifest | {"membership": found} | IDENTITY, corpus.codebook, corpus)
    assert f"from one utterance (AUROC {found['utterance']['auroc']:.2f}, 95 % interval" in card


IDENTITY = {
    "backbone": {"name": "tiny", "chunk_tokens": 64, "lookahead": True, "read_twice": False, "lora_rank": 0},
    "corpus": "0",
    "versions": {"threers": "0"},
}
