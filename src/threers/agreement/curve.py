"""The learning curve: agreement with the coders as a tagger learns from more groups, and what more coding would buy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from threers.agreement import bootstrap
from threers.agreement.comparisons import count_units
from threers.agreement.frame import MODEL
from threers.agreement.judgements import build_frames
from threers.agreement.samples import ALL, Label, labels_of, of_pair
from threers.codebook import Codebook

#: Rows of the table, in its column `statistic`.
POINT, GAIN, GUESS = "macro_f1", "gain_of_last_step", "macro_f1_guessed"
COLUMNS = ("family", "statistic", "share", "groups_learnt_from", "estimate", "low", "high", "n_groups")
#: Where the power law is read off: at this many times the groups there are.
FURTHER = 2.0


def learning_curve(
    codings: pd.DataFrame,
    machines: Mapping[float, pd.DataFrame],
    learnt_from: pd.Series,
    utterances: pd.DataFrame,
    groups: pd.Series,
    codebook: Codebook,
    resamples: int = 2000,
    seed: int = 1,
) -> pd.DataFrame:
    """Macro-F1 against the coders' consensus at each share of the training groups, all on the same tested groups.

    Rows, per family and for `all`:
        * `macro_f1`: at each share.
        * `gain_of_last_step`: the last point minus the one before, from the same resamples.
        * `macro_f1_guessed`: a power law, 1 - F1 = a * n^-b, fitted to the logarithms by least squares through all
          points and read off at twice the groups; a guess, and its interval is that of the fit in the resamples only.

    Intervals are over the tested groups. They do not hold the luck of which groups were learnt from, nor of training.

    Args:
        codings: of the coders.
        machines: share of the training groups -> codings of the taggers that learnt from it, see
            `scores.scores_to_codings`; the whole (1.0) among them.
        learnt_from: groups that were learnt from, by share.
        utterances: as for `agree`.
        groups: session_id -> group_id.
        codebook: its families.
        resamples: bootstrap resamples of the tested groups.
        seed: of the resamples.

    Returns:
        One row per figure with the columns `COLUMNS`; undefined is NaN.

    """
    shares = sorted(machines)
    named = [machines[share].assign(coder_id=f"{MODEL}{share}") for share in shares]
    frames = build_frames(pd.concat([codings, *named], ignore_index=True), utterances, groups, codebook)
    plan = bootstrap.plan(frames[0].groups, resamples, seed)
    raters, labels = frames[0].raters, labels_of(frames)
    found = [of_pair(frames, raters.index(f"{MODEL}{s}"), frames[0].consensus, plan.weights) for s in shares]
    sizes = learnt_from[shares].to_numpy(dtype=float)
    rows = []
    for family in (*(frame.family.name for frame in frames), ALL):
        points = np.stack([samples[labels.index(Label(family, None, "macro_f1"))] for samples in found])
        rows += [(family, POINT, share, n, line) for share, n, line in zip(shares, sizes, points, strict=True)]
        rows.append((family, GAIN, shares[-1], sizes[-1], points[-1] - points[-2]))
        rows.append((family, GUESS, FURTHER, FURTHER * sizes[-1], power_law(sizes, points, FURTHER * sizes[-1])))
    lines = np.stack([row[-1] for row in rows])
    counts = count_units(frames, [raters.index(f"{MODEL}{shares[-1]}")], [frames[0].consensus])
    judged = np.array([counts[row[0], None][2] for row in rows])
    low, high = plan.interval(lines, judged)
    table = pd.DataFrame([row[:-1] for row in rows], columns=list(COLUMNS[:4]))
    return table.assign(estimate=lines[:, 0], low=low, high=high, n_groups=judged)


def power_law(sizes: np.ndarray, figures: np.ndarray, at: float) -> np.ndarray:
    """Fit 1 - figure = a * size^-b by least squares on logarithms; its value at size `at`.

    Shapes: sizes (k,), figures (k, n) -> (n,). NaN where a figure is undefined, or all sizes are the same.
    """
    x = np.log(sizes)
    if np.ptp(x) == 0:
        return np.full(figures.shape[1], np.nan)
    y = np.log(np.clip(1 - figures, 1e-6, None))
    slope = (x - x.mean()) @ (y - y.mean(axis=0)) / ((x - x.mean()) ** 2).sum()
    return 1 - np.exp(y.mean(axis=0) + slope * (np.log(at) - x.mean()))
