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
    """One row per statistic; `samples` is (k, n), `named` gives the other columns, each one value or k values."""
    table = pd.DataFrame(dict(named) | {"estimate": samples[:, 0]})
    low, high = plan.interval(samples, table["n_groups"].to_numpy(dtype=float))
    counts = {name: table[name].astype("Int64") for name in ("n_units", "n_positive", "n_groups")}
    return table.assign(low=low, high=high, **counts)[list(COLUMNS)]
