"""The alternative annotator test on data whose answer is known, and against its steps taken one by one."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from threers.agreement.replacement import REPLACEMENT_COLUMNS, alternative_annotator_test
from threers.codebook import Codebook
from threers.errors import InputError

MOOD = Codebook.from_dict(
    {
        "name": "mood",
        "roles": ["patient"],
        "families": {
            "mood": {"kind": "exclusive", "unit": "utterance", "roles": "anyone", "codes": {"up": {}, "down": {}}},
        },
    }
)
UTTERANCES = pd.DataFrame(
    [(f"s{s}", u, "patient") for s in range(12) for u in range(10)], columns=["session_id", "utterance_id", "role"]
)
GROUPS = pd.Series({f"s{s}": f"p{s}" for s in range(12)})


def codings_of(errors, seed=0):
    """Codings of raters who depart from one truth at the given rates."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, len(UTTERANCES))
    parts = []
    for rater, rate in errors.items():
        given = np.where(rng.random(len(truth)) < rate, 1 - truth, truth)
        table = UTTERANCES.rename(columns={"utterance_id": "unit_id"}).drop(columns="role")
        parts.append(table.assign(coder_id=rater, code=np.where(given == 1, "up", "down"), unit="utterance", value=1.0))
    return pd.concat(parts, ignore_index=True)


def run(errors, **options):
    return alternative_annotator_test(codings_of(errors), UTTERANCES, GROUPS, MOOD, "model:m", **options)


def whole(table):
    return table[(table["coder"] == "coders") & table["code"].isna()].iloc[0]


def test_a_model_as_good_as_the_coders_takes_their_place_and_a_guessing_one_does_not():
    coders = {"a": 0.15, "b": 0.15, "c": 0.15}
    assert whole(run(coders | {"model:m": 0.05}))["winning_rate"] == 1
    assert whole(run(coders | {"model:m": 0.5}))["winning_rate"] == 0


def test_the_test_equals_its_steps():
    errors = {"a": 0.1, "b": 0.2, "c": 0.2, "model:m": 0.2}
    table = run(errors, epsilon=0.15)
    assert tuple(table.columns) == REPLACEMENT_COLUMNS
    wide = codings_of(errors).pivot(index=["session_id", "unit_id"], columns="coder_id", values="code")
    ps = []
    for coder in "abc":
        others = wide[[other for other in "abc" if other != coder]]
        of_model, of_coder = (others.eq(wide[rater], axis=0).sum(axis=1) for rater in ("model:m", coder))
        row = table[(table["coder"] == coder) & table["code"].isna()].iloc[0]
        assert row["advantage"] == pytest.approx((of_model >= of_coder).mean())
        difference = (of_coder >= of_model).astype(float) - (of_model >= of_coder)
        by_group = difference.groupby(level="session_id").mean()
        ps.append(stats.ttest_1samp(by_group, 0.15, alternative="less").pvalue)
        assert row["p"] == pytest.approx(ps[-1], abs=1e-12)
    rate = (stats.false_discovery_control(ps, method="by") <= 0.05).mean()
    assert whole(table)["winning_rate"] == pytest.approx(rate)


def test_two_coders_cannot_be_tested_and_an_unknown_machine_is_named():
    assert run({"a": 0.1, "b": 0.1, "model:m": 0.1}).empty
    with pytest.raises(InputError, match="no rater 'model:m'"):
        run({"a": 0.1, "b": 0.1})
