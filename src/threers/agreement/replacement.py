"""May a model take a coder's place? The alternative annotator test (Calderon, Reichart & Dror 2025, ACL)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from threers.agreement.frame import CODERS, Frame
from threers.agreement.judgements import build_frames
from threers.codebook import Codebook
from threers.errors import InputError

#: How much more often a coder may win and the model still count as good enough: the costlier the coders, the more.
EPSILON = {"expert": 0.2, "skilled": 0.15, "crowd": 0.1}
REPLACEMENT_COLUMNS = ("family", "code", "machine", "coder", "advantage", "winning_rate", "p", "n_units", "n_groups")


def alternative_annotator_test(
    codings: pd.DataFrame,
    utterances: pd.DataFrame,
    groups: pd.Series,
    codebook: Codebook,
    machine: str,
    *,
    epsilon: float = EPSILON["expert"],
    level: float = 0.05,
) -> pd.DataFrame:
    """Test for each coder whether the machine stands in at least as well, per code and per exclusive family.

    On each unit that a coder, the machine and at least two other people judged, the machine and the coder are each
    scored by the share of the others who say the same. The machine wins where its score is at least the coder's, the
    coder where it is at least the machine's; a tie is a win for both. The advantage is the share of units that the
    machine wins. Tested is whether the coder's wins exceed the machine's by less than `epsilon`: a one-sided t-test
    over the groups' mean differences (the paper takes units as independent; within a patient they are not), corrected
    over coders by Benjamini & Yekutieli. The winning rate is the share of coders for whom it holds; from 0.5 on, the
    paper says, the machine may take a coder's place.

    Misleads for a rare code, where nearly every unit is a tie of "not marked" and any silent model passes: read it
    beside recall and kappa. Coders with fewer than two groups cannot be tested and count as not won.

    Args:
        codings: as for `agree`.
        utterances: as for `agree`.
        groups: as for `agree`.
        codebook: as for `agree`.
        machine: the rater to test, such as model:NAME.
        epsilon: how much better the coder may be, see `EPSILON`.
        level: false discovery rate of the correction.

    Returns:
        `REPLACEMENT_COLUMNS`; one row per coder, and one for `coders` with the mean advantage and the winning rate.
        Empty when no unit was judged by three people.

    Raises:
        InputError: no such machine, or what `agree` raises.

    """
    frames = build_frames(codings, utterances, groups, codebook)
    if machine not in frames[0].raters[:-1]:
        raise InputError(f"agreement: no rater {machine!r}; the codings have {', '.join(frames[0].raters[:-1])}")
    rows = []
    for frame in frames:
        for code, values in frame.judgements():
            tested = [row for person in frame.people if (row := _against(frame, values, machine, person, epsilon))]
            for row in _summarise(tested, machine, level) if tested else []:
                rows.append({"family": frame.family.name, "code": code, **row})
    return pd.DataFrame(rows, columns=list(REPLACEMENT_COLUMNS))


def _against(frame: Frame, values: np.ndarray, machine: str, person: int, epsilon: float) -> dict | None:
    others = values[[i for i in frame.people if i != person]]
    model, coder = values[frame.raters.index(machine)], values[person]
    judged = (model >= 0) & (coder >= 0) & ((others >= 0).sum(axis=0) >= 2)
    if not judged.any():
        return None
    model, coder, others, group = model[judged], coder[judged], others[:, judged], frame.group[judged]
    machine_score, coder_score = (others == model).sum(axis=0), (others == coder).sum(axis=0)
    machine_wins, coder_wins = machine_score >= coder_score, coder_score >= machine_score
    difference = pd.Series(coder_wins.astype(float) - machine_wins).groupby(group).mean().to_numpy()
    return {
        "coder": frame.raters[person],
        "advantage": float(machine_wins.mean()),
        "p": _p_value(difference, epsilon),
        "n_units": int(judged.sum()),
        "n_groups": len(difference),
    }


def _p_value(difference: np.ndarray, epsilon: float) -> float:
    """One-sided p that the mean difference over groups is below epsilon; NaN for one group."""
    if len(difference) < 2:
        return float("nan")
    if np.ptp(difference) == 0:
        return 0.0 if difference[0] < epsilon else 1.0
    return float(stats.ttest_1samp(difference, epsilon, alternative="less").pvalue)


def _summarise(tested: list[dict], machine: str, level: float) -> list[dict]:
    p = np.array([row["p"] for row in tested])
    # A coder who could not be tested is one of those the machine did not beat.
    won = stats.false_discovery_control(np.nan_to_num(p, nan=1.0), method="by") <= level
    coders = [row | {"machine": machine, "winning_rate": float(w)} for row, w in zip(tested, won, strict=True)]
    whole = {
        "machine": machine,
        "coder": CODERS,
        "advantage": float(np.mean([row["advantage"] for row in tested])),
        "winning_rate": float(won.mean()),
        "p": float("nan"),
        "n_units": max(row["n_units"] for row in tested),
        "n_groups": max(row["n_groups"] for row in tested),
    }
    return [*coders, whole]
