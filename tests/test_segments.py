"""Learning from codes on segments: what is known of each utterance follows from its segment."""

import itertools
import json
import logging
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from tests.conftest import local_backbone, make_corpus
from threers.calibration import from_evaluation
from threers.card import model_card
from threers.codebook import Codebook
from threers.corpus import coded_sessions, conform, grouped_folds
from threers.decisions import Decisions, of_family
from threers.errors import InputError
from threers.jobs import EvaluateRun
from threers.learner import spread
from threers.linear import _of_segments, fit_linear
from threers.membership import membership
from threers.pooling import posterior, surprise
from threers.runs import evaluate
from threers.segments import Segments
from threers.settings import Training
from threers.targets import build_targets
from threers.thresholds import fit_decisions, macro_f1
from threers.training import fit

BOOK = Codebook.load("annomi")
COLUMNS = ["session_id", "unit", "unit_id", "coder_id", "code", "value"]
#: Utterances of `make_corpus` begin every five seconds, so that 8 of them, 4 of each role, form such a segment.
MINUTES = 8 * 5 / 60


def segments_of(member, present=(), tally=()):
    """Segments of one code; `tally` NaN: nobody counted."""
    present = np.array(present or [float(count > 0) for count in tally], dtype=np.float32)[:, None]
    tally = np.array(tally or [np.nan] * len(present), dtype=np.float32)[:, None]
    return Segments(np.array(member), np.ones((len(member), 1), bool), present, tally, np.ones_like(present))


def in_segments(corpus, *, counted, coder="A"):
    """The corpus with what a coder said of its utterances as codes on segments, and nothing on utterances."""
    own = corpus.codings[corpus.codings["coder_id"] == coder]
    number = own["unit_id"] // 8
    rows = own.assign(unit="segment", unit_id=number).groupby(COLUMNS[:-1], as_index=False)["value"].sum()
    if not counted:
        rows["value"] = 1.0
    other = corpus.select(corpus.sessions["session_id"])
    other.codings = conform(rows, "codings")
    return other


def learnt_by_words(corpus, codings, minutes=MINUTES):
    """Logits of all utterances from single words, learnt from `codings`."""
    words = corpus.utterances["text"].str.get_dummies(" ").to_numpy(np.float32)
    targets = build_targets(corpus.utterances, codings, BOOK, minutes)
    weights, intercept = fit_linear(words, targets, targets.weight(0.5), BOOK, 1.0)
    return words @ weights + intercept


def right(logits, corpus):
    """Share of the utterances whose likeliest code is coder A's."""
    truth = build_targets(corpus.utterances, corpus.codings[corpus.codings["coder_id"] == "A"], BOOK)
    legal = BOOK.legal_mask(corpus.utterances["role"])
    found = np.where(legal, logits, -np.inf).argmax(axis=1)
    coded = truth.coders.any(axis=1)
    return float((truth.share[coded, found[coded]] == 1).mean())


def test_noisy_or_is_what_one_computes_by_hand():
    # 1 - 0.8 * 0.5 = 0.6; were it marked, the first is so with probability 0.2 / 0.6. Unmarked: 0.9.
    value, gradient = surprise(np.array([[0.2], [0.5], [0.1]]), segments_of([0, 0, 1], [1, 0]), np.array([0]))
    assert value == pytest.approx(-np.log(0.6) - np.log(0.9))
    found = posterior(np.array([[0.2], [0.5], [0.1]]), gradient)
    assert found[:, 0] == pytest.approx([0.2 / 0.6, 0.5 / 0.6, 0])


@pytest.mark.parametrize("tally", [0, 1, 3, 7, 10])
def test_a_tally_is_nearly_as_probable_as_counting_all_ways_says(tally):
    p = np.random.default_rng(tally).uniform(0.05, 0.7, 10)
    ways = np.array(list(itertools.product([0, 1], repeat=10)))
    chance = np.where(ways, p, 1 - p).prod(axis=1) * (ways.sum(axis=1) == tally)
    value, gradient = surprise(p[:, None], segments_of([0] * 10, tally=[tally]), np.array([0]))
    assert value == pytest.approx(-np.log(chance.sum()), abs=0.09)
    exact = chance @ ways / chance.sum()
    assert np.abs(posterior(p[:, None], gradient)[:, 0] - exact).max() < 0.02


def test_more_marks_than_utterances_mark_all_of_them():
    value, gradient = surprise(np.array([[0.2], [0.5]]), segments_of([0, 0], tally=[5]), np.array([0]))
    assert value == pytest.approx(-np.log(0.2 * 0.5))
    assert posterior(np.array([[0.2], [0.5]]), gradient)[:, 0] == pytest.approx([1, 1])


@pytest.mark.parametrize("book", ["annomi", "3rs-2015"])
def test_the_gradient_by_logits_is_that_of_the_loss(book):
    book = Codebook.load(book)
    rng = np.random.default_rng(0)
    n, k = 9, len(book.tag_codes())
    family, columns = book.tag_families()[0], np.arange(len(book.tag_families()[0].codes))
    tally = np.where(rng.random((3, k)) < 0.5, rng.integers(0, 4, (3, k)), np.nan).astype(np.float32)
    segments = Segments(
        np.arange(n) // 3, np.ones((n, k), bool), rng.random((3, k)).astype(np.float32), tally, np.ones((3, k))
    )
    logits = rng.normal(size=(n, len(columns)))
    _, gradient = _of_segments(logits, segments, family, columns, book)
    for place in np.ndindex(logits.shape):
        step = np.zeros_like(logits)
        step[place] = 1e-5
        after, before = (
            surprise(of_family(logits + sign * step, family, book), segments, columns)[0] for sign in (1, -1)
        )
        assert gradient[place] == pytest.approx((after - before) / 2e-5, abs=1e-4)


@pytest.mark.parametrize(("counted", "share"), [(True, 0.95), (False, 0.8)])
def test_codes_of_utterances_are_learnt_from_segments(counted, share):
    """Nearly as well as from the utterances themselves, on sessions that took no part."""
    corpus = make_corpus(40)
    fold = grouped_folds(corpus, 4, 0)
    learn, test = corpus.select(fold.index[fold != 0]), corpus.select(fold.index[fold == 0])
    words = pd.concat([learn.utterances, test.utterances])["text"].str.get_dummies(" ").to_numpy(np.float32)
    accuracy = {}
    for way in ("utterances", "segments"):
        codings = in_segments(learn, counted=counted).codings if way == "segments" else learn.codings
        targets = build_targets(learn.utterances, codings, BOOK, MINUTES)
        weights, intercept = fit_linear(words[: len(learn.utterances)], targets, targets.weight(0.5), BOOK, 1.0)
        accuracy[way] = right(words[len(learn.utterances) :] @ weights + intercept, test)
    # The most frequent code of each role gives 0.3.
    assert accuracy["utterances"] > 0.85
    assert accuracy["segments"] - 0.3 > share * (accuracy["utterances"] - 0.3)


def test_coded_utterances_and_coded_segments_are_learnt_from_together():
    corpus = make_corpus(24)
    few = corpus.sessions["session_id"][:6]
    alone = corpus.codings[corpus.codings["session_id"].isin(few)]
    rest = in_segments(corpus, counted=True).codings
    both = pd.concat([alone, rest[~rest["session_id"].isin(few)]], ignore_index=True)
    assert right(learnt_by_words(corpus, both), corpus) > right(learnt_by_words(corpus, alone), corpus) + 0.05


def test_a_segment_says_nothing_more_of_utterances_that_are_coded_themselves():
    corpus = make_corpus(2)
    own = corpus.codings[corpus.codings["coder_id"] == "A"]
    both = pd.concat([own, in_segments(corpus, counted=True).codings], ignore_index=True)
    targets = build_targets(corpus.utterances, both, BOOK, MINUTES)
    assert targets.coders.max() == 1
    assert not targets.segments.legal.any()


def test_a_coder_who_never_gives_more_than_one_notes_what_occurs_and_a_parent_counts_its_children():
    book = Codebook.load("3rs-2015")
    utterances = pd.DataFrame(
        {"session_id": "s", "utterance_id": range(6), "role": "patient", "start": np.arange(6) * 60.0, "text": "x"}
    )
    rows = [("A", 0, "W1", 2), ("A", 0, "W2", 1), ("A", 1, None, np.nan), ("B", 0, "W1", 1), ("B", 1, "W1", 1)]
    codings = pd.DataFrame([("s", "segment", unit, coder, code, v) for coder, unit, code, v in rows], columns=COLUMNS)
    segments = build_targets(utterances, codings, book).segments
    place = {code: number for number, code in enumerate(book.tag_codes())}
    assert segments.member.tolist() == [0] * 5 + [1]
    assert segments.present[:, place["W1"]].tolist() == [1, 0.5]
    assert segments.tally[:, place["W1"]].tolist() == [2, 0]
    assert segments.tally[:, place["W"]].tolist() == [3, 0]
    assert segments.coders[:, place["W"]].tolist() == [2, 2]
    assert not segments.legal[:, place["R"]].any(), "a patient has no resolution"


def test_what_follows_for_utterances_fits_what_was_counted():
    corpus = make_corpus(4)
    targets = build_targets(corpus.utterances, in_segments(corpus, counted=True).codings, BOOK, MINUTES)
    taught = spread(np.random.default_rng(0).normal(size=targets.share.shape), targets, BOOK)
    known = targets.segments.legal
    assert np.allclose(taught.share[:, :4].sum(axis=1)[known[:, 0]], 1)
    held = np.zeros_like(targets.segments.tally)
    np.add.at(held, targets.segments.member, np.where(known, taught.share, 0))
    expected = np.nan_to_num(targets.segments.tally)
    assert np.abs(held - expected)[targets.segments.known].mean() < 0.25
    assert np.array_equal(taught.coders > 0, known)
    assert taught.segments is None


def test_temperature_and_thresholds_come_from_segments_where_nothing_else_is_known():
    corpus = make_corpus(40)
    side = in_segments(corpus, counted=True)
    targets = build_targets(corpus.utterances, side.codings, BOOK, MINUTES)
    logits, legal = learnt_by_words(corpus, side.codings), BOOK.legal_mask(corpus.utterances["role"])
    frequency = np.full(7, 0.25)
    plain = fit_decisions(logits, targets, legal, BOOK, frequency)
    sharp = fit_decisions(logits * 3, targets, legal, BOOK, frequency)
    for name, temperature in plain.temperature.items():
        assert sharp.temperature[name] == pytest.approx(3 * temperature, rel=0.01)
    assert plain.threshold["question"] == pytest.approx(-0.5 * np.log(0.25))
    tags = np.zeros(legal.shape, dtype=bool)
    assert macro_f1(tags, targets, BOOK) == {"therapist_behaviour": 0.0, "client_talk": 0.0}
    # Every code is somewhere in every segment: right where it is known to be, and nowhere else.
    present = (targets.segments.present >= 0.5)[targets.segments.known]
    assert min(macro_f1(legal, targets, BOOK).values()) > 2 * present.mean() / (1 + present.mean()) - 0.1
    assert Decisions.neutral(BOOK).temperature.keys() == plain.temperature.keys()


def test_a_tagger_is_trained_and_evaluated_on_codes_of_segments_alone(tiny_folder, tmp_path, caplog):
    corpus = in_segments(make_corpus(6), counted=True)
    training = Training(
        epochs=1, batch_tokens=512, validation_share=0.3, device="cpu", precision="float32", segment_minutes=MINUTES
    )
    with caplog.at_level(logging.INFO, logger="threers"):
        tagger = fit(corpus, local_backbone(tiny_folder), training)
    assert (
        "learning from 0 coded utterances and from codes on 24 segments of 0.666667 minutes (24 of them" in caplog.text
    )
    assert tagger.manifest["learnt_as"]["segments"] == 24
    assert json.loads(json.dumps(tagger.manifest)) == tagger.manifest
    found = {"backbone": asdict(local_backbone(tiny_folder)), "corpus": "0", "versions": {}}
    found["membership"] = membership(tagger, corpus, training)
    assert found["membership"]["utterance"]["auroc"] is not None
    card = model_card("t", tagger.manifest | found, corpus.codebook, corpus)
    assert "coders coded no utterance and 24 segments of 0.666667 minutes" in card
    folder = corpus.save(tmp_path / "corpus")
    run = EvaluateRun(
        corpus=str(folder),
        out=str(tmp_path / "out"),
        backbone=local_backbone(tiny_folder),
        training=training,
        folds=2,
        resamples=100,
    )
    table = evaluate(run)
    with pytest.raises(InputError, match="only segments of this corpus are coded"):
        from_evaluation(run.out, corpus, run.backbone, training)
    rows = table[(table["level"] == "segment") & (table["rater_a"] == "model:tiny") & (table["statistic"] == "f1")]
    assert rows["n_units"].min() == 24


def test_segments_that_hold_no_utterance_are_refused_and_the_length_is_named(tiny_folder):
    corpus = in_segments(make_corpus(2), counted=True)
    corpus.utterances["start"] = np.nan
    with pytest.raises(InputError, match=r"none holds an utterance .* 0 of 64 utterances have a start time.*minutes=5"):
        build_targets(corpus.utterances, corpus.codings, BOOK)
    training = Training(lexical_share=0.0, pretrained_share=0.0, segment_minutes=MINUTES)
    with pytest.raises(InputError, match="codes on segments are learnt by these two; set one"):
        fit(in_segments(make_corpus(2), counted=True), local_backbone(tiny_folder), training)


def test_ratings_of_segments_are_not_taken_for_codes_of_utterances():
    corpus = make_corpus(2)
    rated = corpus.codings.iloc[:4].assign(unit="segment", unit_id=0, coder_id="rater", code=None, value=np.nan)
    corpus.codings = rated.drop_duplicates(["session_id", "unit_id", "coder_id"])
    with pytest.raises(InputError, match="no codings of utterances"):
        coded_sessions(corpus)
