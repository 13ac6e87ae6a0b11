"""One plain verdict per code: what may the model's tags of it be used for, and on which figures that rests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from threers.agreement.frame import CODERS_ON_SHARED_UNITS, CONSENSUS, MODEL
from threers.agreement.output import in_words
from threers.jobs import VerdictRules

AS_GOOD = "as good as a coder"
GROUP = "usable for group statistics"
SCREENING = "screening only"
NOT = "not automatable with these data"
UNKNOWN = "not enough evidence"
VERDICT_COLUMNS = ("family", "code", "model", "verdict", "why")

Figures = Mapping[str, tuple[float, float, float]]


class Evidence(NamedTuple):
    """What the table says of one model and one code: statistic -> estimate, low, high."""

    consensus: Figures
    shared: Figures
    sessions: Figures
    positives: int
    groups: int
    shared_groups: int


def verdicts(table: pd.DataFrame, rules: VerdictRules | None = None) -> pd.DataFrame:
    """One row per model and code with the columns `VERDICT_COLUMNS`; `why` names the figures in words.

    The first that holds is given:
        not enough evidence: fewer marks or groups than the rules ask for, or an interval of kappa wider than they
            allow; with the numbers needed, as widths shrink with the square root of the number of groups.
        as good as a coder: on units that two or more coders judged, kappa of model and coders is at most
            `margin` below that of the coders with each other, at the lower end of its interval (non-inferiority); those
            units come from at least `fewest_groups`.
        usable for group statistics: the counts per session agree with the consensus, ICC(A,1) at least `group_icc`
            and its lower end at least `group_icc_low`.
        screening only: the area under the ROC curve is at least `screening_auroc` at its lower end; for tags without
            probabilities, recall is at least `screening_recall`.
        not automatable with these data: none of these.

    Codes with children are judged as any other. The limits are conventions, not laws: see `VerdictRules`.
    """
    rules = rules or VerdictRules()
    coded = table[table["code"].notna()]
    models = coded.loc[(coded["comparison"] == "model-consensus") & coded["rater_a"].str.startswith(MODEL), "rater_a"]
    rows = []
    for model in models.unique():
        own = coded[coded["rater_a"] == model]
        for (family, code), part in own.groupby(["family", "code"], sort=False):
            verdict, why = _judge(_evidence(part), rules)
            rows.append((family, code, model, verdict, why))
    return pd.DataFrame(rows, columns=list(VERDICT_COLUMNS))


def _evidence(part: pd.DataFrame) -> Evidence:
    utterances = part["level"] == "utterance"
    # By name alone it could be a coder.
    with_consensus = (part["comparison"] == "model-consensus") & (part["rater_b"] == CONSENSUS)
    consensus, sessions = part[utterances & with_consensus], part[(part["level"] == "session") & with_consensus]
    positives = int(consensus["n_positive"].max()) if len(consensus) else 0
    groups = int(consensus["n_groups"].max()) if len(consensus) else 0
    shared = part[utterances & (part["rater_b"] == CODERS_ON_SHARED_UNITS)]
    shared_groups = int(shared["n_groups"].max()) if len(shared) else 0
    return Evidence(_figures(consensus), _figures(shared), _figures(sessions), positives, groups, shared_groups)


def _figures(part: pd.DataFrame) -> Figures:
    return {
        row.statistic: (row.estimate, row.low, row.high)
        for row in part[["statistic", "estimate", "low", "high"]].itertuples(index=False)
    }


def _judge(found: Evidence, rules: VerdictRules) -> tuple[str, str]:
    kappa, low, high = found.consensus.get("kappa", (np.nan,) * 3)
    seen = f"{found.positives} marks in {found.groups} groups"
    if found.positives < rules.fewest_marks or found.groups < rules.fewest_groups:
        return UNKNOWN, f"{seen}; at least {rules.fewest_marks} marks in {rules.fewest_groups} groups are needed"
    if not high - low <= rules.widest:
        lack = "it has no interval" if np.isnan(high - low) else f"its interval is wider than {rules.widest}"
        return UNKNOWN, f"{seen}; kappa {in_words(kappa, low, high)}: {lack}; {_needed(found, high - low, rules)}"
    difference = found.shared.get("kappa_minus_coders")
    if difference is not None and difference[1] >= -rules.margin and found.shared_groups >= rules.fewest_groups:
        return AS_GOOD, f"kappa minus the coders' own {in_words(*difference)}: not more than {rules.margin} below them"
    icc = found.sessions.get("count_icc_a1")
    if icc is not None and icc[0] >= rules.group_icc and icc[1] >= rules.group_icc_low:
        return GROUP, f"counts per session: ICC(A,1) {in_words(*icc)}; kappa {in_words(kappa, low, high)}"
    scored = "auroc" in found.consensus
    name, limit = ("AUROC", rules.screening_auroc) if scored else ("recall", rules.screening_recall)
    ranking = found.consensus.get(name.lower(), (np.nan,) * 3)
    others = f"{name} {in_words(*ranking)}; kappa {in_words(kappa, low, high)}"
    return (SCREENING if ranking[1] >= limit else NOT), others


def _needed(found: Evidence, width: float, rules: VerdictRules) -> str:
    if np.isnan(width):
        return "more groups with this code are needed"
    groups, marks = (int(np.ceil(n * (width / rules.widest) ** 2)) for n in (found.groups, found.positives))
    return f"at least {groups} groups with {marks} marks are needed"
