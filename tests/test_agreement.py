"""The agreement table on small corpora whose figures can be counted by hand, and on AnnoMI against scikit-learn."""

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from threers import agreement
from threers.agreement import bootstrap
from threers.codebook import Codebook
from threers.errors import InputError

TALK = Codebook.from_dict(
    {
        "name": "talk",
        "roles": ["patient", "therapist"],
        "families": {
            "mood": {"kind": "exclusive", "unit": "utterance", "roles": ["patient"], "codes": {"up": {}, "down": {}}},
            "rupture": {
                "kind": "multilabel",
                "unit": "utterance",
                "roles": ["patient"],
                "codes": {"W": {}, "W1": {"parent": "W"}, "W2": {"parent": "W"}},
            },
        },
    }
)


def utterances_of(sessions=4, length=6):
    rows = [(f"s{s}", u, "patient" if u % 2 else "therapist") for s in range(sessions) for u in range(length)]
    return pd.DataFrame(rows, columns=["session_id", "utterance_id", "role"])


def groups_of(utterances):
    sessions = utterances["session_id"].unique()
    return pd.Series([f"p{session}" for session in sessions], index=sessions)


def codings_of(rows):
    table = pd.DataFrame(rows, columns=["session_id", "unit_id", "coder_id", "code"])
    return table.assign(unit="utterance", value=1.0)


def random_codings(utterances, raters, seed=0, codes=("up", "down", "W1", "W2", None)):
    rng = np.random.default_rng(seed)
    rows = []
    for rater in raters:
        for session, utterance, role in utterances.itertuples(index=False):
            if role == "patient":
                rows.append((session, utterance, rater, codes[rng.integers(2)]))
                rows.append((session, utterance, rater, codes[2 + rng.integers(3)]))
            else:
                rows.append((session, utterance, rater, None))
    return codings_of(rows)


def run(codings, utterances=None, **options):
    utterances = utterances_of() if utterances is None else utterances
    return agreement.agree(codings, utterances, groups_of(utterances), TALK, **{"resamples": 200, **options})


def one(table, **keys):
    for key, value in {"level": "utterance", **keys}.items():
        table = table[table[key].isna()] if value is None else table[table[key] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_columns_and_types_are_those_of_the_design():
    table = run(random_codings(utterances_of(), ["a", "b", "model:m"]))
    assert tuple(table.columns) == agreement.COLUMNS
    assert set(table["comparison"]) == {"coder-coder", "model-coder", "model-consensus"}
    assert set(table["level"]) == {"utterance", "session"}
    assert table["n_positive"].isna().equals(table["code"].isna())


def test_read_and_unmarked_units_count_and_unread_ones_do_not():
    rows = [("s0", 1, "a", "W1"), ("s0", 3, "a", None), ("s0", 5, "a", None)]
    rows += [("s0", 1, "b", "W1"), ("s0", 3, "b", "W1")]
    row = one(run(codings_of(rows)), code="W1", statistic="f1", rater_a="a", rater_b="b")
    assert (row["n_units"], row["n_positive"], row["estimate"]) == (2, 2, pytest.approx(2 / 3))


def test_a_unit_whose_role_may_not_speak_the_code_is_in_no_frame():
    rows = [("s0", u, rater, "W1" if u == 1 else None) for u in range(6) for rater in ("a", "b")]
    assert one(run(codings_of(rows)), code="W1", statistic="kappa", rater_a="a", rater_b="b")["n_units"] == 3


def test_a_marked_child_marks_its_parent():
    rows = [("s0", 1, "a", "W1"), ("s0", 1, "b", "W2"), ("s0", 3, "a", None), ("s0", 3, "b", None)]
    table = run(codings_of(rows))
    assert one(table, code="W", statistic="kappa", rater_a="a", rater_b="b")["estimate"] == 1
    assert one(table, code="W1", statistic="f1", rater_a="a", rater_b="b")["estimate"] == 0


def test_macro_is_over_leaf_codes_that_the_reference_used():
    rows = [("s0", 1, "model:m", "W1"), ("s0", 3, "model:m", "W2"), ("s0", 5, "model:m", None)]
    rows += [("s0", 1, "a", "W1"), ("s0", 3, "a", None), ("s0", 5, "a", "W1")]
    row = one(run(codings_of(rows)), family="rupture", code=None, statistic="macro_f1", rater_b="consensus")
    assert row["estimate"] == pytest.approx(2 / 3)


def test_the_consensus_is_the_plurality_or_half_of_the_coders():
    rows = [("s0", 1, rater, code) for rater, code in zip("abc", ("up", "up", "down"), strict=True)]
    rows += [("s0", 3, rater, code) for rater, code in zip("ab", ("up", "down"), strict=True)]
    rows += [("s0", 5, "a", "W1"), ("s0", 5, "b", None), ("s0", 1, "a", "W2")]
    rows += [("s0", u, "model:m", code) for u, code in ((1, "up"), (3, "up"), (5, "W1"))]
    table = run(codings_of(rows))
    mood = one(table, family="mood", code="up", statistic="f1", rater_b="consensus")
    assert (mood["n_units"], mood["estimate"]) == (1, 1)
    half = one(table, code="W1", statistic="f1", rater_b="consensus")
    assert (half["n_positive"], half["estimate"]) == (1, 1)
    assert one(table, code="W2", statistic="f1", rater_b="consensus").isna()["estimate"]


def test_a_coder_called_consensus_is_a_coder():
    codings = random_codings(utterances_of(), ["consensus", "model:m"])
    table = run(codings)
    kappa = {"code": "up", "statistic": "kappa", "rater_a": "model:m", "rater_b": "consensus"}
    person = one(table, comparison="model-coder", **kappa)
    assert person["estimate"] == one(table, comparison="model-consensus", **kappa)["estimate"]
    assert person["n_units"] == 12


def test_coders_row_is_the_mean_over_pairs_and_alpha_over_all():
    table = run(random_codings(utterances_of(), ["a", "b", "c"]))
    kappas = table[(table["code"] == "W1") & (table["statistic"] == "kappa")]
    kappas = kappas[kappas["rater_b"] != "consensus of the others"]
    pairwise = kappas[kappas["rater_a"] != "coders"]["estimate"]
    assert one(kappas, rater_a="coders")["estimate"] == pytest.approx(pairwise.mean(), abs=1e-12)
    assert len(pairwise) == 3


def test_a_coder_is_held_against_the_consensus_of_the_others():
    codings = random_codings(utterances_of(), ["a", "b", "c", "d", "model:m"])
    table = run(codings)
    row = one(table, code="W1", statistic="f1", rater_a="a", rater_b="consensus of the others")
    expected = run(codings[codings["coder_id"] != "a"])
    marks = (
        codings.assign(marked=codings["code"].eq("W1")).groupby(["coder_id", "session_id", "unit_id"])["marked"].max()
    )
    wide = marks.unstack("coder_id")
    wide = wide[wide.index.get_level_values("unit_id") % 2 == 1]
    reference = wide[["b", "c", "d"]].sum(axis=1) * 2 >= 3
    assert row["estimate"] == pytest.approx(metrics.f1_score(reference, wide["a"]), abs=1e-12)
    model = one(expected, code="W1", statistic="f1", rater_a="model:m", rater_b="consensus")
    assert model["estimate"] == pytest.approx(metrics.f1_score(reference, wide["model:m"]), abs=1e-12)
    of_model = table[(table["rater_a"] == "model:m") & (table["rater_b"] == "consensus of the others")]
    figures = []
    for left_out in "abcd":
        others = [coder for coder in "abcd" if coder != left_out]
        figures.append(metrics.f1_score(wide[others].sum(axis=1) * 2 >= 3, wide["model:m"]))
    assert one(of_model, code="W1", statistic="f1")["estimate"] == pytest.approx(np.mean(figures), abs=1e-12)


def test_a_coders_bias_is_against_the_share_of_the_others_on_the_same_units():
    rows = [("s0", u, "a", "W1") for u in (1, 3, 5)] + [("s1", 1, "a", "W1")]
    rows += [("s0", 1, "b", "W1"), ("s0", 3, "b", "W1"), ("s0", 1, "c", "W1"), ("s0", 3, "c", None)]
    table = run(codings_of(rows))
    against_others = {"code": "W1", "rater_a": "a", "rater_b": "other coders"}
    bias = one(table, statistic="bias_index", **against_others)
    # On two units that others judged, a marked 2 where they marked 1 and 1/2.
    assert (bias["estimate"], bias["n_units"], bias["n_positive"]) == (pytest.approx((2 - 1.5) / 2), 2, 2)
    assert one(table, statistic="rate_ratio", **against_others)["estimate"] == pytest.approx(2 / 1.5)


def test_with_one_other_coder_the_bias_is_that_of_the_pair_and_its_interval_too():
    table = run(random_codings(utterances_of(), ["a", "b", "model:m"]))
    keys = {"code": "W1", "statistic": "bias_index", "rater_a": "a"}
    pair, others = one(table, rater_b="b", **keys), one(table, rater_b="other coders", **keys)
    assert list(others[["estimate", "low", "high"]]) == pytest.approx(list(pair[["estimate", "low", "high"]]))
    assert (table.loc[table["rater_b"] == "other coders", "rater_a"] != "model:m").all()


def test_two_coders_have_no_consensus_of_others():
    table = run(random_codings(utterances_of(), ["a", "b", "model:m"]))
    assert not table["rater_b"].eq("consensus of the others").any()


def test_machines_meet_coders_on_all_units_and_on_shared_ones():
    utterances = utterances_of()
    both = random_codings(utterances, ["a", "b", "model:m"])
    codings = both[(both["coder_id"] != "b") | (both["session_id"] == "s0")]
    table = run(codings)
    kappa = {"code": "up", "statistic": "kappa", "rater_a": "model:m"}
    assert one(table, rater_b="coders", **kappa)["n_units"] == 12
    assert one(table, rater_b="coders on shared units", **kappa)["n_units"] == 3
    assert one(table, code="up", statistic="kappa", rater_a="coders", rater_b="coders")["n_units"] == 3
    expected = [one(table, rater_b=rater, **kappa)["estimate"] for rater in ("a", "b")]
    assert one(table, rater_b="coders", **kappa)["estimate"] == pytest.approx(np.mean(expected))


def test_difference_to_the_coders_is_on_identical_units():
    both = random_codings(utterances_of(), ["a", "b", "model:m"])
    codings = both[(both["coder_id"] != "model:m") | (both["session_id"] != "s0")]
    row = one(run(codings), code="up", statistic="kappa_minus_coders")
    only = run(codings[codings["session_id"] != "s0"])
    kappa = {"code": "up", "statistic": "kappa"}
    model = one(only, rater_a="model:m", rater_b="coders", **kappa)["estimate"]
    people = one(only, rater_a="coders", rater_b="coders", **kappa)["estimate"]
    assert row["n_units"] == 9
    assert row["estimate"] == pytest.approx(model - people, abs=1e-12)
    assert row["low"] <= row["estimate"] <= row["high"]


def test_a_coder_in_a_machines_place_differs_from_the_others_by_nothing():
    codings = random_codings(utterances_of(), ["a", "b"])
    twin = codings[codings["coder_id"] == "b"].assign(coder_id="model:twin")
    table = run(pd.concat([codings[codings["coder_id"] != "b"], twin, codings[codings["coder_id"] == "b"]]))
    row = one(table, code="up", statistic="kappa", rater_a="model:twin", rater_b="a")
    assert row["estimate"] == one(table, code="up", statistic="kappa", rater_a="a", rater_b="b")["estimate"]


def test_probabilities_add_ranking_and_calibration_against_the_consensus():
    utterances = utterances_of()
    codings = random_codings(utterances, ["a", "model:m"])
    rng = np.random.default_rng(1)
    p = rng.random(len(utterances))
    p[utterances["role"] == "therapist"] = np.nan
    scores = utterances.assign(p_W1=p)
    table = run(codings, probabilities={"model:m": scores.sample(frac=1, random_state=1)})
    row = one(table, code="W1", statistic="auroc")
    marked = codings[(codings["coder_id"] == "a") & (codings["code"] == "W1")]
    marked = marked.set_index(["session_id", "unit_id"]).index
    patients = scores[scores["role"] == "patient"]
    y = patients.set_index(["session_id", "utterance_id"]).index.isin(marked)
    assert row["estimate"] == pytest.approx(metrics.roc_auc_score(y, patients["p_W1"]), abs=1e-9)
    assert (row["rater_b"], row["n_units"]) == ("consensus", 12)
    assert not (table[table["code"] == "W2"]["statistic"] == "auroc").any()


def test_notes_say_what_the_figures_cannot_carry():
    rows = [("s0", u, rater, "W1" if u == 3 else None) for u in (1, 3) for rater in ("a", "b")]
    rows += [("s1", u, rater, None) for u in (1, 3) for rater in ("a", "b")]
    rows += [("s1", u, "model:m", None) for u in (1, 3)]
    text = " ".join(agreement.notes(run(codings_of(rows))))
    assert "coder-coder: the units come from 2 groups" in text
    assert "Never used by a person, so that nothing can be said of it: W2." in text
    assert "W1, model:m and consensus: " in text


def test_constant_raters_are_undefined_and_one_group_has_no_interval():
    rows = [("s0", u, rater, None) for u in (1, 3, 5) for rater in ("a", "b")]
    rows += [("s1", u, rater, "up") for u in (1, 3) for rater in ("a", "b")] + [("s1", 5, "a", "up")]
    rows += [("s1", 5, "b", "down")]
    table = run(codings_of(rows))
    assert np.isnan(one(table, code="W1", statistic="kappa", rater_a="a")["estimate"])
    accuracy = one(table, family="mood", code=None, statistic="accuracy", rater_a="a")
    assert accuracy["estimate"] == pytest.approx(2 / 3)
    assert accuracy[["low", "high"]].isna().all()


def test_same_seed_same_table_and_another_seed_other_intervals():
    codings = random_codings(utterances_of(20), ["a", "b", "model:m"])
    first, again, other = (run(codings, utterances_of(20), seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    pd.testing.assert_series_equal(first["estimate"], other["estimate"])
    assert not first["low"].equals(other["low"])


def test_intervals_equal_those_of_resampled_rows():
    utterances = utterances_of(20)
    codings = random_codings(utterances, ["a", "model:m"])
    row = one(run(codings, utterances, seed=3, interval="percentile"), code="up", statistic="kappa", rater_b="a")
    wide = codings[codings["code"].isin(["up", "down"])].pivot(
        index=["session_id", "unit_id"], columns="coder_id", values="code"
    )
    sessions = [part for _, part in wide.groupby(level="session_id")]
    draws = bootstrap.draw(20, 200, 3)
    names = sorted(f"ps{s}" for s in range(20))
    order = [names.index(f"p{part.index[0][0]}") for part in sessions]
    kappas = []
    for counts in draws:
        rows = pd.concat([part for part, g in zip(sessions, order, strict=True) for _ in range(counts[g])])
        kappas.append(metrics.cohen_kappa_score(rows["model:m"], rows["a"]))
    assert (row["low"], row["high"]) == pytest.approx(tuple(np.percentile(kappas, [2.5, 97.5])), abs=1e-9)


def test_difference_is_zero_for_equal_raters_and_equals_the_two_figures():
    utterances = utterances_of(20)
    codings = random_codings(utterances, ["a", "model:m", "floor:f"])
    twin = codings[codings["coder_id"] == "model:m"].assign(coder_id="model:twin")
    codings = pd.concat([codings, twin], ignore_index=True)
    args = (codings, utterances, groups_of(utterances), TALK)
    assert agreement.macro_f1_difference(*args, "model:m", "model:twin", "mood", 100) == (0, 0, 0)
    table = run(codings, utterances)
    figures = [
        one(table, family="all", statistic="macro_f1", rater_a=r, rater_b="consensus") for r in ("model:m", "floor:f")
    ]
    found = agreement.macro_f1_difference(*args, "model:m", "floor:f", resamples=100)
    assert found.estimate == pytest.approx(figures[0]["estimate"] - figures[1]["estimate"], abs=1e-12)
    assert found.low <= found.estimate <= found.high


def test_a_difference_over_one_group_has_no_interval():
    utterances = utterances_of(1)
    args = (random_codings(utterances, ["a", "model:m", "floor:f"]), utterances, groups_of(utterances), TALK)
    found = agreement.macro_f1_difference(*args, "model:m", "floor:f", resamples=10)
    assert not np.isnan(found.estimate) and np.isnan([found.low, found.high]).all()


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([("s0", 1, "a", "up")], "only one rater"),
        ([("s0", 1, "a", "up"), ("s0", 3, "b", "up")], "no two raters"),
        ([("s0", 1, "model:m", "up"), ("s0", 1, "floor:f", "up")], "name a corpus that at least one person coded"),
        ([("s0", 1, "a", "up"), ("s0", 1, "a", "down"), ("s0", 1, "b", "up")], "only one code of family mood"),
        ([("s0", 99, "a", "up"), ("s0", 1, "b", "up")], "utterance 99"),
        ([("s0", 1, "coders", "up"), ("s0", 1, "b", "up")], "a coder is called 'coders'"),
        ([("s0", 1, "other coders", "up"), ("s0", 1, "b", "up")], "a coder is called 'other coders'"),
        ([("s0", 1, "a", "sideways"), ("s0", 1, "b", "up")], "'sideways' is not in codebook talk"),
    ],
)
def test_bad_input_is_one_clear_line(rows, words):
    with pytest.raises(InputError, match=words):
        run(codings_of(rows))


def test_an_unknown_code_of_a_segment_is_refused_as_well():
    codings = random_codings(utterances_of(), ["a", "b"])
    own = codings_of([("s0", 0, "b", "sideways")]).assign(unit="segment")
    with pytest.raises(InputError, match="'sideways' is not in codebook talk"):
        run(pd.concat([codings, own], ignore_index=True))


def test_a_session_without_a_group_and_an_unknown_rater_are_refused():
    utterances, codings = utterances_of(), random_codings(utterances_of(), ["a", "b"])
    with pytest.raises(InputError, match="4 coded sessions have no group"):
        agreement.agree(codings, utterances, pd.Series(dtype=object), TALK)
    with pytest.raises(InputError, match="no rater 'model:x'"):
        agreement.macro_f1_difference(codings, utterances, groups_of(utterances), TALK, "a", "model:x")


def test_few_groups_are_said(caplog):
    run(random_codings(utterances_of(), ["a", "b"]))
    assert "4 groups" in caplog.text


def test_write_keeps_every_digit_and_says_null(tmp_path):
    rows = [("s0", u, rater, None if u == 1 else "W1") for u in (1, 3) for rater in ("a", "b")]
    table = run(codings_of(rows))
    agreement.write(table, tmp_path / "out")
    document = json.loads((tmp_path / "out" / "agreement.json").read_text(encoding="utf-8"))
    assert document["method"]["resamples"] == 200
    assert [row["estimate"] for row in document["rows"]] == [None if pd.isna(e) else e for e in table["estimate"]]
    back = pd.read_csv(tmp_path / "out" / "agreement.csv", keep_default_na=False, na_values=[""])
    np.testing.assert_array_equal(back["estimate"], table["estimate"])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["agreement.csv", "agreement.json"]


def test_screen_shows_family_then_codes_beside_the_human_figure():
    rows = agreement.table_for_screen(run(random_codings(utterances_of(), ["a", "b", "model:m", "floor:f"])), TALK)
    names = ["mood", "up", "down", "rupture", "W", "W1", "W2", "All codes together"]
    assert [row["code"].strip() for row in rows] == names
    assert list(rows[0]) == ["code", "n", "coder-coder kappa", "model:m F1", "model:m kappa", "floor:f F1"]
    assert "[" in rows[0]["model:m F1"]


ANNOMI = Path(__file__).parents[2] / "shared" / "data" / "annomi" / "annomi.csv"


@pytest.mark.skipif(not ANNOMI.is_file(), reason="needs the AnnoMI table, which is not part of the repository")
def test_annomi_agreement_equals_an_independent_computation():
    raw = pd.read_csv(ANNOMI, keep_default_na=False)
    crossed = raw[raw["transcript_id"].isin([7, 55, 56, 66])].astype({"transcript_id": str, "annotator_id": str})
    code = np.where(
        crossed["interlocutor"] == "therapist", crossed["main_therapist_behaviour"], crossed["client_talk_type"]
    )
    codings = pd.DataFrame(
        {
            "session_id": crossed["transcript_id"],
            "unit": "utterance",
            "unit_id": crossed["utterance_id"],
            "coder_id": crossed["annotator_id"],
            "code": code,
            "value": 1.0,
        }
    )
    utterances = crossed.drop_duplicates(["transcript_id", "utterance_id"])[
        ["transcript_id", "utterance_id", "interlocutor"]
    ]
    utterances.columns = ["session_id", "utterance_id", "role"]
    groups = crossed.drop_duplicates("transcript_id").set_index("transcript_id")["video_url"]
    table = agreement.agree(codings, utterances, groups, Codebook.load("annomi"), resamples=100)
    for family, role in (("therapist_behaviour", "therapist"), ("client_talk", "client")):
        wide = codings.assign(code=code)[(crossed["interlocutor"] == role).to_numpy()]
        wide = wide.pivot(index=["session_id", "unit_id"], columns="coder_id", values="code")
        kappas = [metrics.cohen_kappa_score(wide[a], wide[b]) for a, b in combinations(wide, 2)]
        rows = {"family": family, "code": None, "rater_a": "coders", "rater_b": "coders"}
        assert one(table, statistic="kappa", **rows)["estimate"] == pytest.approx(np.mean(kappas), abs=1e-9)
        assert one(table, statistic="alpha", **rows)["estimate"] == pytest.approx(plain_alpha(wide), abs=1e-9)


def plain_alpha(wide):
    """Nominal alpha of complete data from its definition: disagreeing pairs within units over those in the whole."""
    within = sum((row[:, None] != row[None, :]).sum() / (len(row) - 1) for row in wide.to_numpy())
    everything = wide.to_numpy().ravel()
    among = (everything[:, None] != everything[None, :]).sum() / (everything.size - 1)
    return 1 - within / among
