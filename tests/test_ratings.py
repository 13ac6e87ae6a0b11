"""Ratings of sessions and segments: the ordinal model against numbers known elsewhere, and from training to tables."""

import copy
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from tests.conftest import forget_hashes, local_backbone, make_corpus
from threers import runs
from threers.agreement import agree
from threers.codebook import Codebook
from threers.corpus import Corpus, conform
from threers.errors import InputError
from threers.floors import floor_ratings
from threers.jobs import EvaluateRun, ScoreRun, TrainRun
from threers.ordinal import fit_ordinal, step_probabilities
from threers.pretrained import Pretrained
from threers.ratings import Rating, Ratings, describe, fit_rating, rated, rated_sessions
from threers.score_checks import check_scores
from threers.scores import read_scores, scores_to_codings
from threers.settings import Engine, Training
from threers.summary import columns, summarise_segments, summarise_sessions
from threers.tagger import Tagger
from threers.training import _fit_ratings

TRAINING = Training(
    epochs=1, batch_tokens=256, validation_share=0.3, segment_minutes=0.5, device="cpu", precision="float32"
)


def book() -> Codebook:
    raw = copy.deepcopy(dict(Codebook.load("annomi").raw))
    raw["families"]["quality"] = {
        "kind": "rating",
        "unit": "session",
        "scale": [1, 5],
        "codes": {"calm": {}, "bond": {}},
    }
    raw["families"]["strain"] = {"kind": "rating", "unit": "segment", "scale": [1, 3], "codes": {"tension": {}}}
    return Codebook.from_dict(raw)


def make_rated(groups: int = 20) -> Corpus:
    """Two coders rate how few clients' utterances are angry: `calm` of the session, `tension` of each half minute."""
    made = make_corpus(groups, sessions_per_group=1)
    angry = made.utterances.assign(angry=made.utterances["text"].str.contains("angry"))
    angry["unit_id"] = (angry["start"] // 30).astype(int)
    rows = []
    for session, share in angry.groupby("session_id")["angry"].mean().items():
        calm = float(np.clip(5 - np.round(share * 16), 1, 5))
        rows += [(session, "session", 0, "A", "calm", calm), (session, "session", 0, "B", "calm", max(1.0, calm - 1))]
    for (session, number), some in angry.groupby(["session_id", "unit_id"])["angry"].sum().items():
        rows.append((session, "segment", number, "A", "tension", 1.0 + min(some, 2)))
    ratings = conform(pd.DataFrame(rows, columns=list(made.codings.columns)), "codings")
    codings = pd.concat([made.codings, ratings], ignore_index=True)
    return Corpus(utterances=made.utterances, sessions=made.sessions, codings=codings, codebook=book())


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return make_rated()


@pytest.fixture(scope="module")
def places(corpus, tiny_folder, tmp_path_factory) -> tuple[Path, Path]:
    """The folders of the corpus and of a tagger trained on it."""
    folder = tmp_path_factory.mktemp("ratings")
    backbone, made = local_backbone(tiny_folder), corpus.save(folder / "corpus")
    runs.train(TrainRun(corpus=str(made), tagger=str(folder / "tagger"), backbone=backbone, training=TRAINING))
    return made, folder / "tagger"


@pytest.fixture(scope="module")
def tagger(places) -> Tagger:
    return Tagger.load(places[1])


@pytest.fixture
def untaught(tiny_folder) -> Tagger:
    """A tagger whose untrained backbone can be read, and that has learnt nothing."""
    own = Tagger.start(tiny_folder, local_backbone(tiny_folder), book(), 0.1)
    own.pretrained = Pretrained.start(copy.deepcopy(own.model.encoder), 0, lookahead=True)
    own.pretrained.center = np.zeros(64, np.float32)
    return own


def test_parameters_of_simulated_ratings_are_found_again():
    rng = np.random.default_rng(0)
    x, weights, thresholds = rng.normal(size=(20_000, 3)), np.array([1.0, -0.5, 0.0]), np.array([-2.0, -0.5, 0.5, 2.0])
    below = expit(thresholds - (x @ weights)[:, None])
    given = np.eye(5)[(rng.uniform(size=(len(x), 1)) > below).sum(axis=1)]
    found = fit_ordinal(x, given, np.ones(len(x)), np.inf)
    assert found[0] == pytest.approx(weights, abs=0.05)
    assert found[1] == pytest.approx(thresholds, abs=0.07)


def test_the_ordinal_model_is_that_of_statsmodels():
    """statsmodels 0.15.0, miscmodels.ordinal_model.OrderedModel(y, x, distr="logit").fit(method="bfgs")."""
    x = [(0.5, 1.2), (-1.1, 0.3), (0.8, -0.7), (1.9, 0.1), (-0.4, -1.5), (0.2, 0.9)]
    x += [(-2.0, 0.6), (1.1, 1.4), (-0.6, 0.2), (0.9, -0.1), (-1.4, -0.8), (0.3, 0.4)]
    given = np.eye(3)[[1, 0, 2, 2, 0, 1, 0, 1, 1, 0, 2, 1]]
    weights, thresholds = fit_ordinal(np.array(x), given, np.ones(12), np.inf)
    assert weights == pytest.approx([0.9771085, -0.4101191], abs=1e-6)
    assert thresholds == pytest.approx([-0.8726487, 1.2387991], abs=1e-6)
    p = step_probabilities(np.array(x) @ weights, thresholds)
    assert np.log((p * given).sum(axis=1)).sum() == pytest.approx(-11.5340282, abs=1e-6)


def test_a_penalty_draws_weights_to_zero_and_coders_who_differ_are_both_heard():
    x = np.linspace(-1, 1, 40)[:, None]
    given = np.eye(3)[np.repeat([0, 1, 2], [13, 14, 13])]
    free, tight = (fit_ordinal(x, given, np.ones(40), strength)[0][0] for strength in (100.0, 0.01))
    assert free > 5 * tight > 0
    divided = np.tile([0.25, 0.0, 0.75], (40, 1)) + np.array([0, 1e-9, 0])
    weights, thresholds = fit_ordinal(x, divided, np.ones(40), 1.0)
    assert step_probabilities(x @ weights, thresholds)[0] == pytest.approx([0.25, 0, 0.75], abs=1e-3)


def test_the_penalty_is_chosen_on_groups_kept_out():
    rng = np.random.default_rng(1)
    x, group = rng.normal(size=(80, 50)), np.repeat(np.arange(20), 4)
    signal = pd.DataFrame({"A": np.digitize(x[:, 0] * 3, [-2, 0, 2]) + 1.0})
    rating, found = fit_rating(x, signal, group, 0.5, 1)
    assert found["strength"] > 0 and found["loss"] < found["loss_of_frequencies"]
    mean, spread = rating.rate(x)
    assert np.corrcoef(mean, x[:, 0])[0, 1] > 0.8 and (spread > 0).all()
    noise = pd.DataFrame({"A": rng.integers(1, 5, 80).astype(float)})
    rating, found = fit_rating(x, noise, group, 0.5, 1)
    assert found["strength"] == 0, "chance must not look like something learnt"
    assert np.ptp(rating.rate(x)[0]) == 0


def test_what_groups_share_is_not_learnt_as_if_it_were_general():
    """Each group has its own vector and rating: within groups all is known, of another group nothing."""
    rng = np.random.default_rng(2)
    group = np.repeat(np.arange(20), 4)
    x = rng.normal(size=(20, 50))[group] + 0.01 * rng.normal(size=(80, 50))
    ratings = pd.DataFrame({"A": rng.integers(1, 4, 20)[group].astype(float)})
    assert fit_rating(x, ratings, group, 0.5, 1)[1]["strength"] == 0


def test_a_step_that_nobody_gave_is_never_probable():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(40, 2))
    ratings = pd.DataFrame({"A": np.where(x[:, 0] > 0, 5.0, 1.0)})
    rating, _ = fit_rating(x, ratings, np.arange(40), 0.5, 1)
    assert rating.steps.tolist() == [1, 5]
    assert ((rating.rate(x)[0] >= 1) & (rating.rate(x)[0] <= 5)).all()


def test_too_few_groups_and_ratings_all_alike_are_not_learnt_and_said(corpus, untaught, caplog):
    few = corpus.select(corpus.sessions["session_id"][:9])
    with caplog.at_level(logging.WARNING):
        found = _fit_ratings(untaught, few, TRAINING)
    assert untaught.ratings is None and found["calm"]["groups"] == 9 and "bond" not in found
    assert "the rating calm is not learnt: sessions of 9 groups are rated, and it takes 10 groups" in caplog.text
    alike = replace(corpus, codings=corpus.codings.assign(value=3.0))
    with caplog.at_level(logging.WARNING):
        _fit_ratings(untaught, alike, TRAINING)
    assert untaught.ratings is None and "the rating calm is not learnt: every rating is 3" in caplog.text


def test_without_the_untrained_backbone_no_rating_is_learnt_and_that_is_said(corpus, untaught, caplog):
    untaught.pretrained = None
    with caplog.at_level(logging.WARNING):
        assert _fit_ratings(untaught, corpus, TRAINING) == {}
    assert untaught.ratings is None and "training.pretrained_share=0" in caplog.text


def test_sessions_that_were_rated_only_are_learnt_from_too(corpus, untaught):
    rated_only = replace(corpus, codings=corpus.codings[corpus.codings["code"] == "calm"])
    assert len(rated_sessions(rated_only.codings, corpus.codebook)) == 20
    assert _fit_ratings(untaught, rated_only, TRAINING)["calm"]["units"] == 20


def test_rated_segments_in_which_no_utterance_starts_are_not_dropped_in_silence(corpus, untaught, caplog):
    later = corpus.codings["unit_id"].mask(corpus.codings["code"] == "tension", corpus.codings["unit_id"] + 1000)
    with caplog.at_level(logging.WARNING):
        found = _fit_ratings(untaught, replace(corpus, codings=corpus.codings.assign(unit_id=later)), TRAINING)
    rated = corpus.codings[corpus.codings["code"] == "tension"].groupby(["session_id", "unit_id"]).ngroups
    assert "tension" not in found
    assert f"the rating tension: in {rated} of {rated} rated segments no utterance starts" in caplog.text


def test_a_unit_is_described_by_what_each_role_says_weighted_by_tokens():
    utterances = pd.DataFrame({"session_id": ["a", "a", "a", "b"], "role": ["client", "client", "therapist", "other"]})
    utterances["start"] = [0.0, 20.0, 40.0, np.nan]
    vectors, tokens = np.array([[1.0], [2.0], [5.0], [7.0]], np.float32), np.array([1, 3, 2, 2])
    x, units, member = describe(vectors, tokens, utterances, book(), "session", 0.5)
    assert x.tolist() == [[1.75, 5.0], [0.0, 0.0]] and list(units) == [("a", 0), ("b", 0)]
    assert member.tolist() == [0, 0, 0, 1]
    x, units, member = describe(vectors, tokens, utterances, book(), "segment", 0.5)
    assert x.tolist() == [[1.75, 0.0], [0.0, 5.0]] and list(units) == [("a", 0), ("a", 1)]
    assert member.tolist() == [0, 0, 1, -1], "no time, no segment"


def test_ratings_are_kept_on_disk_and_belong_to_the_tagger(tagger, tmp_path):
    assert set(tagger.ratings.of) == {"calm", "tension"}, "nobody rated bond"
    tagger.save(tmp_path / "t")
    again = Tagger.load(tmp_path / "t")
    assert again.ratings.minutes == 0.5
    for code, rating in tagger.ratings.of.items():
        for part, array in vars(rating).items():
            assert np.array_equal(array, getattr(again.ratings.of[code], part))
    (tmp_path / "t" / "ratings.safetensors").unlink()
    with pytest.raises(InputError, match=r"ratings\.safetensors is missing"):
        Tagger.load(tmp_path / "t")
    other = Rating(np.zeros(3), np.zeros(1), np.array([1.0, 2.0]))
    Ratings({"calm": other}, 5.0).save(tmp_path / "t" / "ratings.safetensors")
    forget_hashes(tmp_path / "t")
    with pytest.raises(InputError, match=r"ratings\.safetensors is damaged or not of this tagger"):
        Tagger.load(tmp_path / "t")
    assert again.hash


def test_a_tagger_that_rates_otherwise_is_another_tagger(tagger, tmp_path):
    tagger.save(tmp_path / "one")
    other = copy.copy(tagger)
    other.ratings = Ratings({"calm": tagger.ratings.of["calm"]}, 0.5)
    other.save(tmp_path / "two")
    assert Tagger.load(tmp_path / "one").hash != Tagger.load(tmp_path / "two").hash


def test_ratings_go_from_training_to_the_tables(corpus, places, tmp_path):
    folder, tagger = places
    card = (tagger / "README.md").read_text(encoding="utf-8")
    assert "| calm | 20 sessions | 20 |" in card and "bond" not in card
    out = tmp_path / "scores"
    runs.score(
        ScoreRun(
            tagger=str(tagger),
            source=str(folder),
            out=str(out),
            segment_minutes=0.5,
            device="cpu",
            precision="float32",
            engine=Engine(),
        )
    )
    sessions, segments = (pd.read_parquet(out / f"{name}.parquet") for name in ("sessions", "segments"))
    assert sessions["rating_calm"].between(1, 5).all() and (sessions["rating_sd_calm"] >= 0).all()
    assert segments["rating_tension"].between(1, 3).all() and "rating_tension" not in sessions
    told = pd.read_csv(out / "columns.csv")
    for name, table in (("sessions", sessions), ("segments", segments)):
        assert told.loc[told["table"] == name, "column"].tolist() == list(table.columns)
    scores, _ = read_scores(out, corpus.codebook)
    assert scores.groupby("session_id")["rating_calm"].nunique().eq(1).all()
    given = rated(corpus.codings, "tension", "segment")["A"]
    mine = segments.set_index(["session_id", "segment"])["rating_tension"].loc[list(given.index)]
    assert np.corrcoef(mine, given)[0, 1] > 0.3, "learnt from these very segments"


def test_evaluation_compares_ratings_with_coders_and_the_most_frequent_one(corpus, tiny_folder, tmp_path):
    folder = corpus.save(tmp_path / "corpus")
    run = EvaluateRun(
        corpus=str(folder),
        out=str(tmp_path / "out"),
        folds=2,
        backbone=local_backbone(tiny_folder),
        training=TRAINING,
        resamples=100,
    )
    table = runs.evaluate(run)
    table = table[table["statistic"] == "rating_kappa_quadratic"].set_index(["level", "code", "rater_a", "rater_b"])
    assert ("session", "calm", "coders", "coders") in table.index
    assert ("session", "calm", "model:tiny", "consensus") in table.index
    assert ("segment", "tension", "model:tiny", "A") in table.index
    assert table.loc[("session", "calm", "floor:most-frequent", "consensus"), "estimate"] == pytest.approx(0, abs=0.1)
    page = (tmp_path / "out" / "agreement.html").read_text(encoding="utf-8")
    assert "Ratings of sessions" in page and "most frequent" in page.lower()


def test_a_machine_between_two_steps_counts_as_the_nearer_one():
    made = make_rated(4)
    people = made.codings[made.codings["code"] == "calm"]
    machine = people[people["coder_id"] == "A"].assign(coder_id="model:m")
    codings = pd.concat([made.codings, machine.assign(value=machine["value"] + 0.4)], ignore_index=True)
    groups = made.group_of
    table = agree(codings, made.utterances, groups, made.codebook, resamples=20)
    row = table[(table["rater_a"] == "model:m") & (table["rater_b"] == "A") & (table["level"] == "session")]
    found = row.set_index("statistic")["estimate"]
    assert found["rating_kappa_quadratic"] == pytest.approx(1)
    assert found["rating_bias"] == pytest.approx(0.4)


def test_a_rated_segment_without_marks_is_not_one_without_codes(corpus):
    """A machine that rates segments has still said of their utterances what its tags say."""
    groups = corpus.group_of
    of_utterances = corpus.codings[corpus.codings["unit"] == "utterance"]
    plain = agree(of_utterances, corpus.utterances, groups, corpus.codebook, resamples=20, segment_minutes=0.5)
    both = agree(corpus.codings, corpus.utterances, groups, corpus.codebook, resamples=20, segment_minutes=0.5)
    marks = [table[(table["level"] == "segment") & ~table["code"].isin(["tension"])] for table in (plain, both)]
    pd.testing.assert_frame_equal(*(own.reset_index(drop=True) for own in marks))


def test_the_floor_gives_the_rating_that_is_most_frequent_where_coders_rated(corpus):
    test = corpus.select(corpus.sessions["session_id"][:3])
    floor = floor_ratings(corpus, test)
    calm = floor[floor["code"] == "calm"]
    usual = corpus.codings.loc[corpus.codings["code"] == "calm", "value"].mode()[0]
    assert calm["session_id"].tolist() == test.sessions["session_id"].tolist() and calm["value"].eq(usual).all()


def test_summaries_hold_ratings_only_where_the_scores_do(tagger, corpus):
    from threers.hardware import choose
    from threers.scoring import score_sessions

    some = corpus.select(corpus.sessions["session_id"][:2])
    scores = score_sessions(tagger, some.utterances, choose("cpu", "float32"))
    codings = scores_to_codings(scores, corpus.codebook, "model:m", 0.5)
    assert codings.groupby("unit").size()[["session", "segment"]].tolist() == [2, 6]
    untimed = scores.assign(rating_tension=np.float32(np.nan))
    assert summarise_segments(untimed, corpus.codebook, 0.5)["rating_tension"].isna().all()
    plain = scores.drop(columns=[name for name in scores if name.startswith("rating_")])
    for table in (summarise_sessions(plain, corpus.codebook), summarise_segments(plain, corpus.codebook)):
        assert not [name for name in table if name.startswith("rating_")]
    assert "rating_calm" in columns(corpus.codebook, rated=["calm"])["column"].tolist()
    with pytest.raises(InputError, match="rating_calm is not between 1 and 5"):
        check_scores(scores.assign(rating_calm=np.float32(9)), corpus.codebook, "scores")
