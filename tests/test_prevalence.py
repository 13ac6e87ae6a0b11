"""Counts corrected for the tagger's errors: against QuaPy, and against the truth in a simulation."""

import numpy as np
import pandas as pd
import pytest

from threers.calibration import Calibration
from threers.codebook import Codebook
from threers.prevalence import COLUMNS, prevalence

ONE = Codebook.from_dict(
    {
        "name": "one",
        "roles": ["patient"],
        "families": {"rupture": {"kind": "multilabel", "unit": "utterance", "codes": {"withdrawal": {}}}},
    }
)


def golden(n, shift):
    return (np.arange(n) * 0.618034 + shift) % 1


def calibration(p, truth, group):
    p = np.asarray(p, np.float32)[:, None]
    return Calibration(p, p >= 0.5, np.asarray(truth, np.int8)[:, None], np.asarray(group), np.zeros(len(p), int))


def summary(p):
    """One session."""
    p = np.asarray(p, np.float32)
    return pd.DataFrame(
        {
            "utterances_patient": [len(p)],
            "utterances_other": [0],
            "utterances_unknown": [0],
            "n_withdrawal": [int((p >= 0.5).sum())],
            "expected_withdrawal": [float(p.sum(dtype=float))],
        }
    )


def test_corrected_shares_are_those_of_quapy():
    """QuaPy 0.2.3, ACC and PACC with solver exact-raise, on these 400 and 150 numbers."""
    y = np.arange(400) % 5 == 0
    p = np.round(0.6 * golden(400, 0.0) + 0.4 * y * golden(400, 0.3), 3)
    new = np.round(0.7 * golden(150, 0.1) ** 1.2, 3)
    found = prevalence(summary(new), 1, calibration(p, y, np.arange(400) // 20), ONE).set_index("from")
    assert list(found.reset_index()[list(COLUMNS)].columns) == list(COLUMNS)
    assert found.loc["tags", "corrected"] / 150 == pytest.approx(0.19322033898305085, abs=1e-9)
    assert found.loc["probabilities", "corrected"] / 150 == pytest.approx(0.07892804583614872, abs=1e-6)
    assert found.loc["tags", ["sensitivity", "specificity"]].tolist() == pytest.approx([0.5375, 1 - 0.16875])
    assert found.loc["tags", "count"] == (new >= 0.5).sum()


def drawn(rng, patients, share):
    """Patients with rates of their own; the code is `share` of what they say on average."""
    parts = []
    for patient in range(patients):
        n = int(rng.integers(30, 90))
        truth = rng.random(n) < rng.beta(8 * share, 8 * (1 - share))
        score = np.where(truth, 0.8, -1.6) + rng.normal(scale=0.5) + rng.normal(size=n)
        parts.append((1 / (1 + np.exp(-score)), truth, np.full(n, patient)))
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


@pytest.mark.parametrize("patients", [8, 40])
def test_intervals_hold_the_true_count_of_new_patients_in_whom_the_code_is_rarer(patients):
    rng = np.random.default_rng(3)
    held, raw, corrected = [], [], []
    for seed in range(150):
        known = calibration(*drawn(rng, 40, 0.3))
        p, truth, _ = drawn(rng, patients, 0.1)
        row = prevalence(summary(p), patients, known, ONE, seed).set_index("from")
        held.append((row["low"] <= truth.sum()) & (truth.sum() <= row["high"]))
        raw.append(row["count"] / truth.sum())
        corrected.append(row["corrected"] / truth.sum())
    coverage = pd.DataFrame(held).mean()
    assert (coverage > 0.9).all(), coverage
    assert (coverage < 1).all()  # else they are too wide to be of use
    # The counts themselves carry the false alarms of a code that is rarer here than in the corpus.
    assert (pd.DataFrame(raw).mean() > 1.3).all()
    assert (abs(pd.DataFrame(corrected).mean() - 1) < 0.12).all()


def test_a_tagger_that_tells_nothing_apart_corrects_nothing():
    rng = np.random.default_rng(0)
    truth = np.arange(200) % 2 == 0
    found = prevalence(summary(rng.random(50)), 1, calibration(np.full(200, 0.7), truth, np.arange(200) // 10), ONE)
    assert found["corrected"].isna().all()
    assert found["low"].isna().all()


def test_counts_stay_between_nothing_and_everything():
    y = np.arange(200) % 4 == 0
    known = calibration(np.where(y, 0.8, 0.4) + 0.15 * golden(200, 0), y, np.arange(200) // 10)
    assert (prevalence(summary(np.zeros(30)), 1, known, ONE)["corrected"] == 0).all()
    assert (prevalence(summary(np.ones(30)), 1, known, ONE)["corrected"] == 30).all()
