"""The whole agreement table from resampled tables against resampling rows.

4 raters on 10,000 random utterances, 24 codes in 3 families, 2,000 resamples; rows are resampled a few times for one
statistic, and that time is multiplied.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import cohen_kappa_score

from threers.agreement import agree
from threers.codebook import Codebook

UTTERANCES, PATIENTS, RESAMPLES, ROWS = 10_000, 60, 2_000, 10


def compare(given: argparse.Namespace) -> dict[str, Any]:
    """Seconds for every statistic from resampled tables, and for one kappa per code and pair from resampled rows."""
    codebook = Codebook.load("3rs-2015")
    units, codings, groups = random_judgements(codebook, UTTERANCES, PATIENTS)
    start = time.monotonic()
    found = agree(codings, units, groups, codebook, resamples=RESAMPLES)
    ours = time.monotonic() - start
    rng = np.random.default_rng(0)
    a, b = rng.random((2, UTTERANCES)) < 0.1
    members = [np.flatnonzero(np.arange(UTTERANCES) % PATIENTS == patient) for patient in range(PATIENTS)]
    start = time.monotonic()
    for _ in range(ROWS):
        drawn = np.concatenate([members[patient] for patient in rng.integers(0, PATIENTS, PATIENTS)])
        cohen_kappa_score(a[drawn], b[drawn])
    one = (time.monotonic() - start) / ROWS
    statistics = int(found["estimate"].notna().sum())
    return {
        "seconds": ours,
        "statistics": statistics,
        "resamples": RESAMPLES,
        "one_from_rows": one,
        "patients": PATIENTS,
    }


def random_judgements(codebook: Codebook, n: int, patients: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series]:
    """Utterances of sessions of 100, marked at random by three coders and a model; and each session's patient."""
    rng = np.random.default_rng(1)
    number = np.arange(n)
    session = np.char.add("s", (number // 100).astype(str))
    start = (number % 100) * 20.0
    units = pd.DataFrame({"session_id": session, "utterance_id": number % 100, "start": start, "end": start + 15})
    units["role"] = np.where(number % 2, "patient", "therapist")
    parts = []
    for rater in ("A", "B", "C", "model:m"):
        given = units[["session_id", "utterance_id"]].rename(columns={"utterance_id": "unit_id"})
        given = given.assign(unit="utterance", coder_id=rater, code=None, value=np.nan)
        parts.append(given)
        for role in ("patient", "therapist"):
            codes = [code for code in codebook.tag_codes() if codebook.legal(code, role) and len(code) > 1]
            chosen = (units["role"] == role).to_numpy() & (rng.random(n) < 0.3)
            parts.append(given[chosen].assign(code=rng.choice(codes, chosen.sum()), value=1.0))
    sessions = pd.unique(session)
    groups = pd.Series([f"p{place % patients}" for place in range(len(sessions))], index=sessions)
    return units, pd.concat(parts, ignore_index=True), groups


def table(figures: dict[str, Any]) -> str:
    """Markdown."""
    naive = figures["one_from_rows"] * figures["statistics"] * figures["resamples"]
    return (
        f"| | resampled tables | resampled rows (computed from {figures['one_from_rows'] * 1000:.1f} ms each) | |\n"
        "|---|---|---|---|\n"
        f"| {figures['statistics']:,} statistics, {figures['resamples']:,} resamples of {figures['patients']} patients "
        f"| {figures['seconds']:.1f} s | {naive:,.0f} s | 1 : {naive / figures['seconds']:,.0f} |"
    )
