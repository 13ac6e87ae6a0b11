"""What is promised when the tagger leaves utterances to humans, held against patients drawn anew."""

import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.conftest import local_backbone, make_corpus
from threers import runs
from threers.abstention import check, fewest_groups, fit_limits, left_open
from threers.calibration import Calibration, consensus_truth
from threers.codebook import Codebook
from threers.comparison import in_short
from threers.errors import InputError
from threers.jobs import EvaluateRun, ScoreRun, TrainRun
from threers.settings import Engine, Training
from threers.targets import Targets

ERROR = 0.1
ANNOMI = Codebook.load("annomi")
TWO = Codebook.from_dict(
    {
        "name": "two",
        "roles": ["patient"],
        "families": {
            "rupture": {
                "kind": "multilabel",
                "unit": "utterance",
                "codes": {"withdrawal": {}, "denial": {"parent": "withdrawal"}},
            }
        },
    }
)


def patients(rng, count, codebook=TWO, spread=2.0):
    """Coded utterances of `count` patients, each with a difficulty of their own: those whose marks are hard to see have
    few of them, as when a withdrawn patient says little.
    """
    parts = []
    for patient in range(count):
        hard = rng.normal()
        n = int(rng.integers(20, 40) * np.exp(-0.7 * hard)) + 8
        truth = rng.random((n, 1)) < 0.3
        score = np.where(truth, 1.5 - spread * hard, -1.5) + rng.normal(size=(n, 1))
        p = 1 / (1 + np.exp(-score))
        parts.append((p, truth, np.full(n, patient)))
    p, truth, group = (np.concatenate(part) for part in zip(*parts, strict=True))
    columns = len(codebook.tag_codes())
    p = np.repeat(p, columns, axis=1).astype(np.float32)
    truth = np.repeat(truth, columns, axis=1).astype(np.int8)
    return Calibration(p, p >= 0.5, truth, group, group % 5)


def realised(limits, tested):
    """Share of each patient's marked utterances that are neither tagged nor left open, mean over patients."""
    missed = ~left_open(tested.p, tested.tags, limits, TWO)[:, 0] & ~tested.tags[:, 0]
    marked = pd.DataFrame({"group": tested.group, "missed": missed})[tested.truth[:, 0] == 1]
    return marked.groupby("group")["missed"].mean().mean()


def simulate(count, *, grouped, draws=120):
    rng = np.random.default_rng(5)
    found = []
    for _ in range(draws):
        learnt = patients(rng, count)
        if not grouped:  # as if each utterance were a patient of its own
            learnt = replace(learnt, group=np.arange(len(learnt.group)))
        found.append(realised(fit_limits(learnt, ERROR, TWO), patients(rng, 60)))
    return float(np.mean(found)), float(np.std(found) / math.sqrt(draws))


@pytest.mark.parametrize("count", [9, 15, 40])
def test_new_patients_meet_at_most_the_promised_error_on_average(count):
    mean, standard_error = simulate(count, grouped=True)
    assert mean <= ERROR + 2 * standard_error
    assert mean > 0.01  # a promise kept by leaving everything to humans would be worth nothing


@pytest.mark.parametrize("count", [9, 15, 40])
def test_the_promise_is_broken_when_utterances_are_taken_for_patients(count):
    mean, standard_error = simulate(count, grouped=False)
    assert mean > 1.5 * ERROR + 2 * standard_error


def test_the_limit_is_the_largest_that_the_patients_allow():
    # Ten patients with four marked utterances each; one of each patient's is missed, with these probabilities.
    p = np.full((40, 1), 0.9)
    p[::4, 0] = np.linspace(0.05, 0.41, 10)
    p = np.repeat(p, 2, axis=1).astype(np.float32)
    held = Calibration(p, p >= 0.5, np.ones((40, 2), np.int8), np.repeat(np.arange(10), 4), np.zeros(40, int))
    # (sum of the losses + 1) / 11 <= 0.2: four patients may lose a quarter each (2 / 11), a fifth may not.
    limits = fit_limits(held, 0.2, TWO)
    assert limits.present[0] == p[4 * 4, 0]
    assert left_open(p, p >= 0.5, limits, TWO)[:, 0].sum() == 6
    assert limits.present_groups[0] == 10
    assert np.isnan(limits.absent[0])  # nobody left anything unmarked, so nothing is known of that
    # With two fifths all ten losses are affordable: (2.5 + 1) / 11.
    assert fit_limits(held, 0.4, TWO).present[0] == math.inf


def test_fewer_patients_than_the_error_needs_promise_nothing():
    assert [fewest_groups(error) for error in (0.2, 0.1, 0.05, 0.01)] == [4, 9, 19, 99]
    rng = np.random.default_rng(0)
    few, enough = (fit_limits(patients(rng, count), ERROR, TWO) for count in (8, 9))
    assert np.isnan(few.present).all()
    assert not np.isnan(enough.present).any()
    held = patients(rng, 8)
    assert not left_open(held.p, held.tags, few, TWO).any()


def test_codes_that_exclude_each_other_are_left_open_with_their_rivals():
    codes = ANNOMI.tag_codes()
    nothing = np.full(len(codes), np.nan)
    limits = fit_limits(_annomi(np.random.default_rng(1), 30), 0.1, ANNOMI)
    limits = replace(limits, present=np.where(np.array(codes) == "question", 0.3, nothing))
    therapist = [codes.index(code) for code in ANNOMI.families[0].codes]
    p = np.full((3, len(codes)), np.nan, dtype=np.float32)
    p[:, therapist] = 0.1
    question, reflection = codes.index("question"), codes.index("reflection")
    p[0, [question, reflection]] = 0.3, 0.5  # a question cannot be ruled out
    p[1, [question, reflection]] = 0.2, 0.6  # it can
    p[2, [question, reflection]] = 0.7, 0.1  # it is the tag
    tags = np.zeros(p.shape, dtype=bool)
    tags[[0, 1, 2], [reflection, reflection, question]] = True
    found = left_open(p, tags, limits, ANNOMI)
    assert [set(np.array(codes)[row]) for row in found] == [{"question", "reflection"}, set(), set()]


def test_what_humans_may_answer_never_contradicts_parent_or_child():
    rng = np.random.default_rng(3)
    limits = fit_limits(patients(rng, 40), 0.1, TWO)
    limits = replace(limits, present=np.array([0.9, 0.2]), absent=np.array([0.2, 0.9]))
    parent = rng.random(500)
    p = np.column_stack([parent, parent * rng.random(500)]).astype(np.float32)
    tags = p >= [0.5, 0.5]
    tags[:, 0] |= tags[:, 1]
    (above, below), (tagged, child) = left_open(p, tags, limits, TWO).T, tags.T
    assert not (above & tagged & child & ~below).any()  # the parent may be found absent, so the child may too
    assert not (below & ~child & ~tagged & ~above).any()  # the child may be found present, so the parent may too
    assert above.any()
    assert below.any()


def test_an_answer_that_a_fold_never_learnt_is_not_promised():
    held = patients(np.random.default_rng(2), 30)
    p = held.p.copy()
    p[held.fold == 0] = np.nan
    held = replace(held, p=p, tags=held.tags & ~np.isnan(p))
    assert np.isnan(fit_limits(held, 0.1, TWO).present).all()


def test_coders_who_are_divided_are_no_truth():
    share = np.array([[0.5, 0.5, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0]], dtype=np.float32)
    coders = np.array([[2] * 4 + [0] * 3, [1] * 4 + [0] * 3, [0] * 7], dtype=np.float32)
    truth = consensus_truth(Targets(share, coders, np.ones_like(share)), ANNOMI)
    assert (truth[0] == -1).all()
    assert truth[1].tolist() == [1, 0, 0, 0, -1, -1, -1]
    assert (truth[2] == -1).all()


def test_the_check_on_other_folds_uses_no_patient_of_the_fold():
    held = patients(np.random.default_rng(4), 40)
    rows = check(held, fit_limits(held, 0.1, TWO), TWO)
    assert [(row["code"], row["answer"]) for row in rows] == [
        (code, answer) for code in TWO.tag_codes() for answer in ("marked", "not marked")
    ]
    assert rows[0]["error_realised"] < rows[0]["error_before"]
    # One fold's scores are worthless: its own patients cannot have set its limits, so the error shows.
    p = held.p.copy()
    p[held.fold == 0] = 0.01
    spoilt = replace(held, p=p, tags=p >= 0.5)
    assert check(spoilt, fit_limits(spoilt, 0.1, TWO), TWO)[0]["error_realised"] > 0.15


def test_folds_with_too_few_patients_show_no_realised_error():
    held = patients(np.random.default_rng(6), 10)  # eight in the other folds: too few for 10 %, where ten are enough
    rows = check(held, fit_limits(held, 0.1, TWO), TWO)
    assert all(row["promised"] == 0.1 for row in rows)
    assert all(row["error_realised"] is None and row["kept_right"] is None for row in rows)


def _annomi(rng, count):
    """Any calibration with AnnoMI's codes."""
    n = count * 10
    truth = np.eye(len(ANNOMI.tag_codes()), dtype=np.int8)[rng.integers(4, size=n)]
    p = rng.dirichlet(np.ones(len(ANNOMI.tag_codes())), size=n).astype(np.float32)
    return Calibration(p, p == p.max(axis=1, keepdims=True), truth, np.repeat(np.arange(count), 10), np.arange(n) % 5)


@pytest.fixture(scope="module")
def calibrated(tiny_folder, tmp_path_factory):
    """A corpus, its evaluation, and a tagger that carries the out-of-fold scores."""
    home = tmp_path_factory.mktemp("calibrated")
    make_corpus(12).save(home / "corpus")
    make_corpus(3, seed=9).save(home / "new")
    settings = {
        "backbone": local_backbone(tiny_folder),
        "training": Training(
            epochs=1, batch_tokens=512, validation_share=0.3, pretrained_share=0.0, device="cpu", precision="float32"
        ),
    }
    corpus = str(home / "corpus")
    runs.evaluate(EvaluateRun(corpus=corpus, out=str(home / "evaluation"), folds=2, resamples=100, **settings))
    train = TrainRun(corpus=corpus, tagger=str(home / "tagger"), calibration=str(home / "evaluation"), **settings)
    runs.train(train)
    return home, train


def test_the_model_card_has_the_figures_of_the_evaluation(calibrated, tmp_path):
    home, _ = calibrated
    card = (home / "tagger" / "README.md").read_text(encoding="utf-8")
    table = pd.read_csv(home / "evaluation" / "agreement.csv")
    codebook = Codebook.load(home / "corpus" / "codebook.yaml")
    wanted = table.query("level == 'utterance' and comparison == 'model-consensus' and rater_a == 'model:tiny'")
    for code in ("question", "change"):
        figure = wanted.query("code == @code and statistic == 'f1'").iloc[0]
        cell = f"| {figure['estimate']:.2f} [{figure['low']:.2f}, {figure['high']:.2f}] |"
        (line,) = [line for line in card.splitlines() if line.startswith(f"| {codebook.codes[code].title} |")]
        assert cell in line
    for verdict in pd.read_csv(home / "evaluation" / "verdicts.csv").itertuples():
        assert f"| {verdict.code} | {verdict.verdict} | {verdict.why} |" in card
    error = wanted.query("family == 'client_talk' and code.isna() and statistic == 'ece_equal_mass'")["estimate"].item()
    assert f"{codebook.family('client_talk').title} {error:.3f} (without temperature" in card
    assert "2 folds over 12 groups" in card
    document = json.loads((home / "evaluation" / "agreement.json").read_text(encoding="utf-8"))
    fewer = [row for row in document["rows"] if row["statistic"] != "ece_equal_mass_before_temperature"]
    odd = ([{"level": "utterance"}], ["x"], fewer)
    for damage in (*({"rows": rows} for rows in odd), {"verdicts": [{}]}, {"method": {}}):
        (tmp_path / "agreement.json").write_text(json.dumps(document | damage))
        with pytest.raises(InputError, match=r"agreement\.json: not as it was written.*run threers evaluate again"):
            in_short(tmp_path, codebook)


def test_a_damaged_evaluation_stops_before_anything_is_trained(calibrated, tmp_path, monkeypatch):
    home, train = calibrated
    shutil.copytree(home / "evaluation", tmp_path / "evaluation")
    (tmp_path / "evaluation" / "agreement.json").write_text("{}")
    monkeypatch.setattr("threers.training.fit", lambda *_, **__: pytest.fail("trained before that was found"))
    with pytest.raises(InputError, match=r"agreement\.json"):
        runs.train(replace(train, tagger=str(tmp_path / "t"), calibration=str(tmp_path / "evaluation")))
    assert {path.name for path in tmp_path.iterdir()} == {"evaluation"}


def test_a_tagger_carries_the_out_of_fold_scores_and_abstains_by_them(calibrated):
    home, _ = calibrated
    score = ScoreRun(tagger=str(home / "tagger"), source=str(home / "new"), out=str(home / "all"), engine=Engine())
    plain = runs.score(score)
    assert "abstention" not in plain
    assert "of 12 groups" in (home / "tagger" / "README.md").read_text(encoding="utf-8")
    every = pd.read_parquet(home / "all" / "utterances")
    rates = pd.read_csv(home / "all" / "prevalence.csv")
    assert rates[rates["from"] == "tags"]["count"].sum() == every["tags"].map(len).sum()
    assert set(rates["groups_scored"]) == {3}
    assert (rates["corrected"].dropna() <= rates["n_utterances"]).all()
    assert "abstained" not in every
    manifest = runs.score(replace(score, out=str(home / "left"), abstain=0.2))["abstention"]
    left = pd.read_parquet(home / "left" / "utterances")
    named = pd.read_csv(home / "left" / "columns.csv").query("table == 'sessions'")["column"].tolist()
    assert named == pd.read_parquet(home / "left" / "sessions.parquet").columns.tolist()
    pd.testing.assert_frame_equal(left.drop(columns="abstained"), every)  # the tags stay what they are
    doubtful = left["abstained"].map(len) > 0
    assert manifest["left_to_humans"] == pytest.approx(doubtful.mean())
    assert 0 < doubtful.mean()
    sessions = pd.read_parquet(home / "left" / "sessions.parquet")
    assert sessions["n_abstained"].sum() == doubtful.sum()
    for row in manifest["codes"]:
        named = left["abstained"].map(lambda codes, code=row["code"]: code in codes)
        assert row["left_to_humans"] == named.sum() == sessions[f"abstained_{row['code']}"].sum()
        assert row["groups"] <= manifest["groups"] == 12


def test_too_few_patients_are_said_to_promise_nothing(calibrated, capsys):
    from threers.screen import show_abstention

    home, _ = calibrated
    score = ScoreRun(tagger=str(home / "tagger"), source=str(home / "new"), out=str(home / "strict"), engine=Engine())
    manifest = runs.score(replace(score, abstain=0.05))["abstention"]
    assert manifest["fewest_groups"] == 19
    assert all(row["promised"] is None for row in manifest["codes"])
    assert manifest["left_to_humans"] == 0
    show_abstention(manifest)
    assert "needs 19 coded patients" in capsys.readouterr().out


def test_the_calibration_holds_no_names_and_no_texts(calibrated):
    home, _ = calibrated
    content = (home / "tagger" / "calibration.safetensors").read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert set(header) == {"p", "tags", "truth", "group", "fold"}
    assert {entry["dtype"] for entry in header.values()} == {"F32", "BOOL", "I8", "I64"}


def test_an_evaluation_of_something_else_is_refused(calibrated, tmp_path):
    home, train = calibrated
    other = make_corpus(4, seed=3).save(tmp_path / "other")
    with pytest.raises(InputError, match="another corpus"):
        runs.train(replace(train, corpus=str(other), tagger=str(tmp_path / "t")))
    longer = replace(train.training, epochs=2)
    with pytest.raises(InputError, match=r"training.epochs=1, this run has 2"):
        runs.train(replace(train, training=longer, tagger=str(tmp_path / "t")))
    with pytest.raises(InputError, match="threers evaluate"):
        runs.train(replace(train, calibration=str(home / "corpus"), tagger=str(tmp_path / "t")))


def test_a_tagger_without_out_of_fold_scores_cannot_abstain(tiny_tagger, calibrated, tmp_path):
    home, _ = calibrated
    score = ScoreRun(tagger=str(tiny_tagger), source=str(home / "new"), out=str(tmp_path / "s"), engine=Engine())
    with pytest.raises(InputError, match="calibration=FOLDER"):
        runs.score(replace(score, abstain=0.1))


def test_calibration_is_reported_per_family_before_and_after_temperature(calibrated):
    home, _ = calibrated
    table = pd.read_csv(home / "evaluation" / "agreement.csv")
    model = table[(table["rater_a"] == "model:tiny") & (table["rater_b"] == "consensus")]
    for statistic in ("ece_equal_mass", "ece_equal_mass_before_temperature"):
        own = model[(model["statistic"] == statistic) & (model["level"] == "utterance")]
        whole = own[own["code"].isna()].set_index("family")["estimate"]
        assert set(whole.index) == {family.name for family in ANNOMI.families}
        codes = own[own["code"].notna()].groupby("family")["estimate"].mean()
        pd.testing.assert_series_equal(whole.sort_index(), codes.sort_index())
        assert (own["low"] < own["high"]).all()
    assert "Before temperature" in (home / "evaluation" / "agreement.html").read_text(encoding="utf-8")
