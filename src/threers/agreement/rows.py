"""Rows of the agreement table from statistics and their resamples."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from threers.agreement.bootstrap import Plan

COLUMNS = (
    *("level", "family", "code", "comparison", "rater_a", "rater_b", "statistic"),
    *("estimate", "low", "high", "n_units", "n_positive", "n_groups"),
)


def rows(samples: np.ndarray, plan: Plan, named: Mapping[str, object]) -> pd.DataFrame:
    """One row per statistic; `samples` is (k, n), `named` gives the other columns, each one value or k values.

    Over one group there is no interval.
    """
    table = pd.DataFrame(dict(named) | {"estimate": samples[:, 0]})
    groups = table["n_groups"].to_numpy(dtype=float)
    low, high = plan.interval(samples, groups)
    few = groups < 2
    table = table.assign(low=np.where(few, np.nan, low), high=np.where(few, np.nan, high))
    counts = {name: table[name].astype("Int64") for name in ("n_units", "n_positive", "n_groups")}
    return table.assign(**counts)[list(COLUMNS)]
