"""Tags to segments and sessions. Layer 4, no torch."""

from __future__ import annotations

import numpy as np
import pandas as pd

from threers.codebook import EXTRA_ROLES, Codebook


def summarise_segments(scores: pd.DataFrame, codebook: Codebook, minutes: float) -> pd.DataFrame:
    """One row per session and segment of `minutes`; an utterance belongs to the segment in which it starts.

    Returns session_id, segment (0, 1, …), start and end in seconds, n_utterances, and per code `n_CODE` (tags) and
    `expected_CODE` (sum of probabilities); where utterances were left to humans, how many (`n_abstained`), and for the
    sake of which code (`abstained_CODE`). Utterances without a start time belong to no segment.
    """
    timed = scores[scores["start"].notna()]
    segment = (timed["start"] // (minutes * 60)).astype("int64").rename("segment")
    table = _counts(timed, [timed["session_id"], segment], codebook)
    table.insert(2, "start", table["segment"] * minutes * 60)
    table.insert(3, "end", (table["segment"] + 1) * minutes * 60)
    return table


def summarise_sessions(scores: pd.DataFrame, codebook: Codebook) -> pd.DataFrame:
    """One row per session.

    Returns session_id, minutes (from the first start to the last known time, null without times), n_utterances,
    `utterances_ROLE`, per code `n_CODE` (tags), `expected_CODE` (sum of probabilities) and `rate_CODE` (tags per 5
    minutes), and what was left to humans as in segments.
    """
    table = _counts(scores, [scores["session_id"]], codebook)
    times = scores.assign(last=scores["end"].fillna(scores["start"])).groupby("session_id", sort=True)
    minutes = ((times["last"].max() - times["start"].min()) / 60).reindex(table["session_id"]).to_numpy()
    # Every role, present or not, so that all summaries have the same columns.
    roles = (*codebook.roles, *EXTRA_ROLES)
    spoken = pd.crosstab(scores["session_id"], scores["role"]).reindex(table["session_id"]).reindex(columns=roles)
    table.insert(1, "minutes", minutes)
    for place, role in enumerate(roles):
        table.insert(3 + place, f"utterances_{role}", spoken[role].fillna(0).to_numpy(dtype="int64"))
    rates = {
        f"rate_{code}": table[f"n_{code}"] / table["minutes"].replace(0, np.nan) * 5 for code in codebook.tag_codes()
    }
    return pd.concat([table, pd.DataFrame(rates)], axis=1)


def _counts(scores: pd.DataFrame, keys: list[pd.Series], codebook: Codebook) -> pd.DataFrame:
    codes = codebook.tag_codes()
    columns = {"n_utterances": pd.Series(1, index=scores.index)}
    columns |= {f"n_{code}": scores["tags"].map(lambda tags, code=code: code in tags).astype("int64") for code in codes}
    columns |= {f"expected_{code}": scores[f"p_{code}"].astype("float64") for code in codes}
    if "abstained" in scores:  # left to humans
        columns["n_abstained"] = scores["abstained"].map(len).gt(0).astype("int64")
        columns |= {
            f"abstained_{code}": scores["abstained"].map(lambda left, code=code: code in left).astype("int64")
            for code in codes
        }
    return pd.DataFrame(columns, index=scores.index).groupby(keys, sort=True).sum(min_count=1).reset_index()
