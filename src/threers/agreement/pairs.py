"""Two raters and a nominal code: coefficients from their contingency table.

Shapes: `tables` is (..., q, q) counts; axis -2 is the value that rater a gave, axis -1 the value that rater b gave, who
is the reference. Every function works on all leading axes at once (codes, resamples) and returns shape (...).
A unit that one of the two did not judge is in no table. Undefined is NaN. Functions called `binary` below expect q = 2
with value 1 for "marked".
"""

from __future__ import annotations

import numpy as np

from threers.agreement.undefined import ratio


def contingency(a: np.ndarray, b: np.ndarray, group: np.ndarray, q: int, groups: int) -> np.ndarray:
    """One table per row of judgements and group.

    Args:
        a: (rows, n_units) values 0 … q-1 of rater a, negative = no judgement.
        b: the same of rater b; a unit counts where both have a judgement.
        group: (n_units,) number of each unit's group, 0 … groups-1.
        q: number of values.
        groups: number of groups.

    Returns:
        Counts (groups, rows, q, q).

    """
    both = (a >= 0) & (b >= 0)
    row, unit = np.nonzero(both)
    cell = ((group[unit] * len(a) + row) * q + a[both]) * q + b[both]
    return np.bincount(cell, minlength=groups * len(a) * q * q).reshape(groups, len(a), q, q)


def accuracy(tables: np.ndarray) -> np.ndarray:
    """Percent agreement, sum of the diagonal / n. Misleads when one value is common: chance alone agrees often then."""
    return ratio(_diagonal(tables), tables.sum((-2, -1)))


def cohen_kappa(tables: np.ndarray, disagreement: np.ndarray | None = None) -> np.ndarray:
    """Cohen's kappa (Cohen 1960; weighted 1968): 1 - n sum(w * t) / sum(w * outer(row sums, column sums)).

    Undefined (NaN) when both raters gave one and the same value throughout. Misleads when a code is rare or the raters
    use it at very different rates: kappa is low although they agree on nearly every unit (Feinstein & Cicchetti 1990).

    Args:
        tables: (..., q, q).
        disagreement: (q, q) weights, 0 on the diagonal; default 1 off the diagonal (unweighted).

    """
    w = _off_diagonal(tables.shape[-1]) if disagreement is None else disagreement
    by_chance = np.einsum("...i,ij,...j->...", tables.sum(-1), w, tables.sum(-2), optimize=True)
    observed = tables.sum((-2, -1)) * (tables * w).sum((-2, -1))
    return 1 - ratio(observed, by_chance)


def alpha_of_pair(tables: np.ndarray, disagreement: np.ndarray | None = None) -> np.ndarray:
    """Krippendorff's alpha of two raters; see `threers.agreement.panel.krippendorff_alpha`."""
    return krippendorff_alpha(tables + np.swapaxes(tables, -1, -2), disagreement)


def krippendorff_alpha(coincidences: np.ndarray, disagreement: np.ndarray | None = None) -> np.ndarray:
    """Krippendorff's alpha (Krippendorff 2011): 1 - (n - 1) sum(o * d) / sum(d * outer(n_c, n_k)).

    o is the coincidence matrix, n_c its row sums, n their sum: the number of pairable values. Units that fewer than two
    raters judged add nothing; missing judgements need no filling in. Undefined (NaN) when only one value occurs.
    Misleads as kappa does for rare codes.

    Args:
        coincidences: (..., q, q), symmetric.
        disagreement: (q, q) squared differences of the values, 0 on the diagonal; default 1 off it (nominal).

    """
    d = _off_diagonal(coincidences.shape[-1]) if disagreement is None else disagreement
    margin = coincidences.sum(-1)
    by_chance = np.einsum("...i,ij,...j->...", margin, d, margin, optimize=True)
    return 1 - ratio((margin.sum(-1) - 1) * (coincidences * d).sum((-2, -1)), by_chance)


def precision(tables: np.ndarray) -> np.ndarray:
    """Share of rater a's marks that the reference has too (binary). NaN when rater a marked nothing."""
    return ratio(tables[..., 1, 1], tables[..., 1, :].sum(-1))


def recall(tables: np.ndarray) -> np.ndarray:
    """Share of the reference's marks that rater a found (binary). NaN when the reference marked nothing."""
    return ratio(tables[..., 1, 1], tables[..., :, 1].sum(-1))


def f1(tables: np.ndarray) -> np.ndarray:
    """F1 = 2 tp / (2 tp + fp + fn) (binary): harmonic mean of precision and recall, and the positive agreement.

    NaN when neither marked anything; 0 when one did and they never met. Not corrected for chance: a common code has a
    high F1 without any skill, so read it beside the floors.
    """
    hits = 2 * tables[..., 1, 1]
    return ratio(hits, hits + tables[..., 0, 1] + tables[..., 1, 0])


def _diagonal(tables: np.ndarray) -> np.ndarray:
    return np.trace(tables, axis1=-2, axis2=-1)


def _off_diagonal(q: int) -> np.ndarray:
    return 1.0 - np.eye(q)
