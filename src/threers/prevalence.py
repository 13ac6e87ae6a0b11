"""How often a code occurs in scored sessions, corrected for the errors on patients kept out. Layer 4, no torch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from threers.agreement.bootstrap import expanded_interval
from threers.agreement.undefined import ratio
from threers.calibration import Calibration
from threers.codebook import EXTRA_ROLES, Codebook

RESAMPLES = 2000
COLUMNS = (
    *("code", "from", "n_utterances", "count", "corrected", "low", "high"),
    *("sensitivity", "specificity", "groups", "groups_scored"),
)


def prevalence(
    sessions: pd.DataFrame, groups: int, calibration: Calibration, codebook: Codebook, seed: int = 1
) -> pd.DataFrame:
    """Correct the counts of all scored sessions together for what the tagger misses and what it marks falsely.

    Rogan & Gladen (1978): with sensitivity se, specificity sp and a share q of tagged utterances, the share that the
    coders would mark is (q + sp - 1) / (se + sp - 1); the same with mean probabilities in the place of tags (Forman
    2008, adjusted count; Bella et al. 2010, its probabilistic form). It holds where the tagger errs on these patients
    as on those of the corpus, however common the code is here. Clipped to what is possible.

    The 95 % interval is of the count that coders would find in these very sessions. Rates are known from G patients and
    differ from patient to patient, so those of `groups` new ones stray from their estimates about as much as a mean
    over G * groups / (G + groups) patients does: so many are drawn in each resample, and the percentiles widened as
    `agreement.bootstrap.expanded_interval` does.

    Args:
        sessions: the summary of the scored sessions, see `summary.summarise_sessions`.
        groups: how many patients, or other groups, they come from.
        calibration: the tagger's out-of-fold scores.
        codebook: the codes.
        seed: of the resamples.

    Returns:
        Per code one row from `tags` and one from `probabilities` with the columns `COLUMNS`: `count` (tags, or the sum
        of probabilities), `corrected`, its interval, the rates, and the patients that they rest on and apply to.
        Undefined (no more tags among the marked than among the others, or a code that nobody marked) is null.

    """
    known = calibration.groups
    size = max(1, round(known * groups / (known + groups)))
    draws = np.random.default_rng(seed).multinomial(size, np.full(known, 1 / known), size=RESAMPLES)
    weights = np.vstack([np.ones(known), draws])
    rows = []
    for c, code in enumerate(codebook.tag_codes()):
        roles = [role for role in (*codebook.roles, *EXTRA_ROLES) if codebook.legal(code, role)]
        utterances = int(sessions[[f"utterances_{role}" for role in roles]].to_numpy().sum())
        counts = {"tags": sessions[f"n_{code}"].sum(), "probabilities": sessions[f"expected_{code}"].sum()}
        for (source, count), (se, false, judged) in zip(counts.items(), _rates(calibration, c, weights), strict=True):
            share = np.clip(ratio(count / max(utterances, 1) - false, np.where(se > false, se - false, 0)), 0, 1)
            low, high = expanded_interval(share[None], np.array([size]))
            corrected = utterances * np.array([share[0], low[0], high[0]])
            rows.append((code, source, utterances, count, *corrected, se[0], 1 - false[0], judged, groups))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _rates(calibration: Calibration, c: int, weights: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """From tags, then from probabilities: (n,) mean among the marked, (n,) among the others, patients that have both
    kinds or either; `weights` (n, groups).
    """
    judged = (calibration.truth[:, c] >= 0) & ~np.isnan(calibration.p[:, c])
    number = np.unique(calibration.group, return_inverse=True)[1][judged]
    marked = calibration.truth[judged, c] == 1

    def total(values: np.ndarray) -> np.ndarray:
        return weights @ np.bincount(number, weights=values, minlength=weights.shape[1])

    for said in (calibration.tags[judged, c].astype(float), calibration.p[judged, c].astype(float)):
        yield (
            ratio(total(said * marked), total(marked.astype(float))),
            ratio(total(said * ~marked), total((~marked).astype(float))),
            len(np.unique(number)),
        )
