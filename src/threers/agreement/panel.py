"""Any number of raters and a nominal code: Krippendorff's coincidences, with judgements missing where they are."""

from __future__ import annotations

import numpy as np


def coincidences(values: np.ndarray, group: np.ndarray, q: int, groups: int) -> np.ndarray:
    """Krippendorff's coincidence matrices, one per row of judgements and group.

    Each unit that m >= 2 raters judged adds each ordered pair of their values with weight 1 / (m - 1); a unit with
    fewer adds nothing (Krippendorff 2011).

    Args:
        values: (rows, raters, n_units) values 0 … q-1, negative = no judgement.
        group: (n_units,) number of each unit's group, 0 … groups-1.
        q: number of values.
        groups: number of groups.

    Returns:
        (groups, rows, q, q), symmetric.

    """
    found = np.zeros((groups, len(values), q, q))
    judged = (values >= 0).sum(axis=1)
    pairable = judged >= 2
    weight = np.where(pairable, 1 / np.maximum(judged - 1, 1), 0.0)
    used = [(values == value).sum(axis=1) for value in range(q)]
    for row in range(len(values)):
        for c in range(q):
            for k in range(q):
                pairs = used[c][row] * (used[k][row] - (c == k))
                found[:, row, c, k] = np.bincount(group, weights=pairs * weight[row], minlength=groups)
    return found
