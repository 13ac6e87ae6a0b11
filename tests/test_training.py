import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from tests.conftest import DECODERS, local_backbone, make_backbone, make_corpus
from threers import finetuning
from threers import training as module
from threers.batches import EpochBatches, Examples
from threers.chunks import Chunker, SessionTokens, tokenise
from threers.codebook import Codebook
from threers.corpus import grouped_folds, grouped_split
from threers.decisions import family_columns
from threers.errors import InputError
from threers.hardware import choose
from threers.learner import Learner, code_weights, prior_logits
from threers.network import SpanTagger
from threers.scores import scores_to_codings
from threers.scoring import score_sessions
from threers.settings import Training
from threers.tagger import Tagger
from threers.targets import Targets, build_targets
from threers.thresholds import macro_f1
from threers.training import fit

CPU = choose("cpu", "float32")


def accuracy(tagger, corpus):
    scores = score_sessions(tagger, corpus.utterances, CPU)
    mine = scores_to_codings(scores, corpus.codebook, "model:tiny").set_index(["session_id", "unit_id"])["code"]
    gold = corpus.codings[corpus.codings["coder_id"] == "A"].set_index(["session_id", "unit_id"])["code"]
    return (mine.loc[gold.index].to_numpy() == gold.to_numpy()).mean()


def test_a_tagger_learns_what_can_be_learnt(tiny_folder):
    corpus = make_corpus(40)
    fold = grouped_folds(corpus, 4, 0)
    learn, test = corpus.select(fold.index[fold != 0]), corpus.select(fold.index[fold == 0])
    training = Training(
        epochs=10,
        batch_tokens=128,
        head_learning_rate=1e-2,
        lexical_share=0.0,  # words alone would do; this is about the network
        pretrained_share=0.0,
        validation_share=0.2,
        patience=10,
        device="cpu",
        precision="float32",
    )
    tagger = fit(learn, local_backbone(tiny_folder, learning_rate=2e-3), training)
    # One code in ten is random, so no tagger gets beyond 0.93; the most frequent code of each role gives 0.4.
    assert accuracy(tagger, test) > 0.55
    epochs = tagger.manifest["epochs"]
    assert epochs[-1]["loss"] < 0.75 * epochs[0]["loss"]


def test_words_alone_are_a_second_opinion(tiny_folder):
    corpus = make_corpus(20)
    fold = grouped_folds(corpus, 4, 0)
    learn, test = corpus.select(fold.index[fold != 0]), corpus.select(fold.index[fold == 0])
    plain = {"epochs": 1, "device": "cpu", "precision": "float32", "validation_share": 0.2, "pretrained_share": 0.0}
    without = fit(learn, local_backbone(tiny_folder), Training(lexical_share=0.0, **plain))
    beside = fit(learn, local_backbone(tiny_folder), Training(lexical_share=0.5, **plain))
    assert accuracy(beside, test) > accuracy(without, test) + 0.1


@pytest.mark.parametrize("kind", ["bert", "mpnet", "roberta", "deberta-v2", "modernbert", *DECODERS])
def test_every_kind_of_encoder_trains_a_step(kind, tmp_path, annomi_like):
    folder = make_backbone(tmp_path, kind)
    corpus = annomi_like.select([f"s{n:03}" for n in range(4)])
    training = Training(epochs=1, batch_tokens=4096, validation_share=0.3, device="cpu", precision="float32")
    before = Tagger.start(folder, local_backbone(folder), corpus.codebook, 0.1).model.state_dict()
    after = fit(corpus, local_backbone(folder), training).model.state_dict()
    moved = {name for name in after if name.startswith("encoder.") and not torch.equal(after[name], before[name])}
    assert any("layer" in name for name in moved)


def test_the_same_seed_gives_the_same_tagger(tiny_backbone, annomi_like, quick_training):
    corpus = annomi_like.select([f"s{n:03}" for n in range(8)])
    one, two = (fit(corpus, tiny_backbone, quick_training) for _ in range(2))
    for name, tensor in one.model.state_dict().items():
        assert torch.equal(tensor, two.model.state_dict()[name]), name
    assert one.decisions == two.decisions


CUTS = {
    "before the second epoch is measured": ("measure", 2),
    "after the first checkpoint, before our own files": ("write", 1),
    "after the second checkpoint, before our own files": ("write", 2),
}


@pytest.mark.parametrize("cut", CUTS)
def test_training_that_was_cut_off_goes_on_to_the_same_end(
    cut, tiny_backbone, annomi_like, quick_training, tmp_path, monkeypatch
):
    corpus = annomi_like.select([f"s{n:03}" for n in range(8)])
    undisturbed = fit(corpus, tiny_backbone, quick_training)
    what, at = CUTS[cut]
    owner, name = {"measure": (finetuning.Validation, "measure"), "write": (finetuning.EpochEnd, "_write")}[what]
    real, calls = getattr(owner, name), []

    def cut_off(self, *words):
        calls.append(1)
        if len(calls) == at:
            raise KeyboardInterrupt
        return real(self, *words)

    monkeypatch.setattr(owner, name, cut_off)
    with pytest.raises(KeyboardInterrupt):
        fit(corpus, tiny_backbone, quick_training, work=tmp_path / "work")
    assert list((tmp_path / "work").glob("checkpoint-*"))
    resumed = fit(corpus, tiny_backbone, quick_training, work=tmp_path / "work")
    for key, tensor in undisturbed.model.state_dict().items():
        assert torch.allclose(tensor, resumed.model.state_dict()[key], atol=1e-6), key
    assert len(resumed.manifest["epochs"]) == 2


def test_training_that_had_stopped_early_is_not_trained_further(
    tiny_backbone, annomi_like, quick_training, tmp_path, monkeypatch
):
    corpus = annomi_like.select([f"s{n:03}" for n in range(8)])
    real, means = finetuning.Validation.measure, iter([0.9, 0.1, 0.8])
    monkeypatch.setattr(finetuning.Validation, "measure", lambda self: real(self) | {"mean": next(means)})
    given = corpus, tiny_backbone, replace(quick_training, epochs=5, patience=1)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, "check_precision", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        fit(*given, work=tmp_path)
    kept = load_file(str(tmp_path / "epoch-0.safetensors"))
    tagger = fit(*given, work=tmp_path)
    assert [epoch["mean"] for epoch in tagger.manifest["epochs"]] == [0.9, 0.1]
    assert all(torch.equal(tensor, kept[name]) for name, tensor in tagger.model.state_dict().items())


@pytest.fixture(scope="module")
def averaged(tiny_folder, tmp_path_factory):
    """Corpus, settings and result of a training of three runs that was never disturbed, and the weights of each run."""
    work = tmp_path_factory.mktemp("averaged")
    corpus, backbone = make_corpus(8), local_backbone(tiny_folder)
    training = Training(
        repeats=3, epochs=2, batch_tokens=256, validation_share=0.3, device="cpu", precision="float32", seed=4
    )
    tagger = fit(corpus, backbone, training, work=work)
    return (
        (corpus, backbone, training),
        tagger,
        [load_file(str(file)) for file in sorted(work.glob("run-*/*.safetens*"))],
    )


def test_the_mean_of_several_runs_is_kept_and_measured(averaged):
    (corpus, backbone, training), tagger, runs = averaged
    assert len(runs) == 3
    differ = [name for name in runs[0] if not torch.equal(runs[0][name], runs[1][name])]
    assert "head.weight" in differ
    for name, kept in tagger.model.state_dict().items():
        assert torch.allclose(kept, torch.stack([run[name] for run in runs]).mean(dim=0), atol=1e-6), name
    alone = fit(corpus, backbone, replace(training, repeats=1))
    assert all(torch.equal(tensor, runs[0][name]) for name, tensor in alone.model.state_dict().items())
    epochs = tagger.manifest["epochs"]
    assert [(epoch["run"], len(tagger.manifest["kept_epochs"])) for epoch in epochs[::2]] == [(1, 3), (2, 3), (3, 3)]
    held = corpus.select(grouped_split(corpus, training.validation_share, training.seed)[1])
    targets = build_targets(held.utterances, held.codings, corpus.codebook)
    validation = finetuning.Validation(tagger, held, targets, np.full(len(corpus.codebook.tag_codes()), 0.5), "cpu")
    logits = tagger.logits(validation.sessions, validation.hardware).logits
    figures = macro_f1(tagger.tags(logits, validation.roles)[1], targets, corpus.codebook)
    assert tagger.manifest["kept_aside"] == pytest.approx(figures)


@pytest.mark.parametrize("damaged", ["", "model.safetensors", "tuned.json"])
def test_several_runs_that_were_cut_off_go_on_to_the_same_mean(averaged, damaged, tmp_path, monkeypatch, caplog):
    given, undisturbed, _ = averaged
    real, calls = finetuning.Validation.measure, []

    def cut_off(self):
        calls.append(1)
        if len(calls) == 6:  # in the last epoch of the third run
            raise KeyboardInterrupt
        return real(self)

    monkeypatch.setattr(finetuning.Validation, "measure", cut_off)
    with pytest.raises(KeyboardInterrupt):
        fit(*given, work=tmp_path)
    if damaged:
        first = tmp_path / "run-1" / damaged
        first.write_bytes(first.read_bytes()[:-4] + b"\0\0\0\0")
    calls.clear()
    monkeypatch.setattr(finetuning.Validation, "measure", lambda self: (calls.append(1), real(self))[1])
    resumed = fit(*given, work=tmp_path)
    assert ("is damaged; it is made again" in caplog.text) == bool(damaged)
    assert len(calls) == (4 if damaged else 2), "the last epoch and the mean; a damaged run's two epochs as well"
    for name, tensor in undisturbed.model.state_dict().items():
        assert torch.allclose(tensor, resumed.model.state_dict()[name], atol=1e-6), name
    assert resumed.manifest["kept_aside"] == undisturbed.manifest["kept_aside"]


def test_a_checkpoint_that_was_being_written_is_thrown_away(tiny_backbone, annomi_like, quick_training, tmp_path):
    (tmp_path / "checkpoint-99").mkdir()
    (tmp_path / "checkpoint-99" / "model.safetensors").write_bytes(b"half")
    tagger = fit(annomi_like.select([f"s{n:03}" for n in range(8)]), tiny_backbone, quick_training, work=tmp_path)
    assert len(tagger.manifest["epochs"]) == 2


def test_a_collapse_is_said(tiny_backbone, annomi_like, caplog):
    training = Training(
        epochs=3,
        lexical_share=0.0,
        pretrained_share=0.0,
        batch_tokens=128,
        head_learning_rate=0.9,
        validation_share=0.3,
        device="cpu",
        precision="float32",
    )
    backbone = local_backbone(tiny_backbone.path, learning_rate=0.9)
    with caplog.at_level(logging.WARNING, "threers"):
        fit(annomi_like, backbone, training)
    assert "Client talk: the tagger gives every utterance the same code" in caplog.text


def test_nothing_to_learn_from_is_said(tiny_backbone, annomi_like, quick_training):
    corpus = annomi_like.select(annomi_like.sessions["session_id"])
    corpus.utterances = corpus.utterances.assign(role="unknown")
    with pytest.raises(InputError, match="no coded utterance has a role that may speak a code of codebook annomi"):
        fit(corpus, tiny_backbone, quick_training)


def test_one_group_cannot_be_split(tiny_backbone, annomi_like, quick_training):
    with pytest.raises(InputError, match="a split needs at least 2 groups"):
        fit(annomi_like.select(["s000", "s001"]), tiny_backbone, quick_training)


def test_every_batch_has_something_and_an_epoch_reads_all(tiny_backbone, annomi_like):
    tagger = Tagger.start(Path(tiny_backbone.path), tiny_backbone, annomi_like.codebook, 0.1)
    targets = build_targets(annomi_like.utterances, annomi_like.codings, annomi_like.codebook)
    sessions = tokenise(annomi_like.utterances, tagger.tokenizer)
    examples = module._examples(sessions, targets.share, targets.given, targets.weight(0.5))
    for batch_tokens in (64, 500, 100_000):
        batches = EpochBatches(examples, tagger.chunker, batch_tokens, seed=3)
        for epoch in (0, 1):
            batches.begin(epoch)
            assert all(batches[number] for number in range(len(batches)))
            read = sorted((c.session, int(p)) for batch in batches.batches for c in batch for p in c.pieces[:, 0])
            assert len(set(read)) == len(annomi_like.utterances)


@pytest.mark.parametrize("chunk_tokens", [32, 64])
def test_steps_smaller_than_a_chunk_do_not_repeat_one_chunk_over_and_over(chunk_tokens):
    words, marker = np.arange(10, dtype=np.int32), np.array([1], dtype=np.int32)
    session = SessionTokens("s", [words] * 200, [marker] * 200)
    tables = [[np.ones((200, 1), dtype=np.float32)]] * 3
    chunker = Chunker(chunk_tokens=chunk_tokens, overlap_tokens=0, lookahead=True, before=(2,), after=(3,))
    batches = EpochBatches(Examples([session], *tables), chunker, batch_tokens=16, seed=1)
    for epoch in range(5):
        batches.begin(epoch)
        read = [tuple(chunk.pieces[0]) for batch in batches.batches for chunk in batch]
        assert all(batches[number] for number in range(len(batches)))
        assert len(read) <= len(set(read)) + 1


def test_soft_targets_count_every_coder(annomi_like):
    targets = build_targets(annomi_like.utterances, annomi_like.codings, annomi_like.codebook)
    two = (annomi_like.utterances["session_id"].str[1:].astype(int) % 2).to_numpy() == 1
    assert targets.coders.max(axis=1)[two].min() == 2
    assert targets.coders.max(axis=1)[~two].max() == 1
    for _, columns in family_columns(annomi_like.codebook):
        coded = targets.coders[:, columns].any(axis=1)
        assert np.allclose(targets.share[coded][:, columns].sum(axis=1), 1)
    assert targets.weight(0.5).max() == pytest.approx(2 / 1.5)
    assert targets.weight(1.0).max() == 1


def test_children_mark_parents_and_a_coder_of_parents_says_nothing_of_children():
    book = Codebook.load("3rs-2015")
    utterances = pd.DataFrame({"session_id": "s", "utterance_id": [0, 1], "role": "patient", "text": "x"})
    rows = [("A", 0, "W2"), ("A", 1, None), ("B", 0, "W"), ("B", 1, None)]
    codings = pd.DataFrame(
        [("s", "utterance", unit, coder, code, float(code is not None)) for coder, unit, code in rows],
        columns=["session_id", "unit", "unit_id", "coder_id", "code", "value"],
    )
    targets = build_targets(utterances, codings, book)
    place = {code: number for number, code in enumerate(book.tag_codes())}
    assert targets.share[0, place["W"]] == 1
    assert targets.coders[0, place["W"]] == 2
    assert targets.share[0, place["W2"]] == 1
    assert targets.coders[0, place["W2"]] == 1
    assert targets.coders[:, place["R"]].max() == 0
    assert (targets.given >= targets.share).all(), "a child is never more present than its parent among the same coders"


def test_the_loss_is_least_at_the_coders_shares():
    """With balance 1 in the loss, the network's own logits still estimate the plain frequencies."""
    book = Codebook.load("annomi")
    rng = np.random.default_rng(0)
    share = np.zeros((3000, 7), dtype=np.float32)
    share[np.arange(3000), 4 + rng.choice(3, 3000, p=[0.2, 0.7, 0.1])] = 1
    weight = np.zeros_like(share)
    weight[:, 4:] = 1

    class Nothing(SpanTagger):
        def __init__(self):
            torch.nn.Module.__init__(self)
            self.bias = torch.nn.Parameter(torch.zeros(7))

        def pool(self):
            return torch.zeros(len(share), 1)

        def classify(self, vectors):
            return self.bias.expand(len(vectors), 7)

    model = Nothing()
    targets = Targets(share, weight, np.ones_like(share))
    learner = Learner(model, torch.nn.Identity(), book, code_weights(targets, weight, book, 1.0))
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=200)

    def closure():
        optimizer.zero_grad()
        given = torch.ones(share.shape)
        loss = learner(torch.from_numpy(share), given, torch.from_numpy(weight))["loss"]
        loss.backward()
        return loss

    optimizer.step(closure)
    assert torch.softmax(model.bias[4:], 0).tolist() == pytest.approx(share[:, 4:].mean(axis=0).tolist(), abs=1e-3)
    prior = prior_logits(targets, weight, book)[4:]
    assert (np.exp(prior) / np.exp(prior).sum()).tolist() == pytest.approx(share[:, 4:].mean(axis=0).tolist(), abs=1e-2)


def test_the_manifest_is_plain_data(tiny_backbone, quick_training):
    tagger = fit(make_corpus(4), tiny_backbone, quick_training)
    assert json.loads(json.dumps(tagger.manifest)) == tagger.manifest
    assert "angry" not in json.dumps(tagger.manifest)
