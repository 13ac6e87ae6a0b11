"""Two raters and a nominal or ordered code: coefficients from their contingency table.

Shapes: `tables` is (..., q, q) counts; axis -2 is the value that rater a gave, axis -1 the value that rater b gave, who
is the reference. Every function works on all leading axes at once (codes, resamples) and returns shape (...).
A unit that one of the two did not judge is in no table. Undefined is NaN. Functions called `binary` below expect q = 2
with value 1 for "marked". `weights` is a (q, q) table of disagreement, see `threers.agreement.weights`; None means
unweighted.
"""

from __future__ import annotations

import numpy as np

from threers.agreement.undefined import ratio
from threers.agreement.weights import squared_difference


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
    """Percent agreement, sum of the diagonal / n.

    Misleads when one value is common: chance alone agrees often then.
    """
    return ratio(_diagonal(tables), _total(tables))


def cohen_kappa(tables: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Cohen's kappa (Cohen 1960; weighted 1968): 1 - n sum(w * t) / sum(w * outer(row sums, column sums)).

    Undefined when both raters gave one and the same value throughout. Misleads when a code is rare or the raters use it
    at very different rates: kappa is low although they agree on nearly every unit (Feinstein & Cicchetti 1990).
    """
    by_chance = _expected(tables.sum(-1), tables.sum(-2), _weights(tables, weights))
    return 1 - ratio(_total(tables) * _disagreeing(tables, weights), by_chance)


def scott_pi(tables: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Scott's pi (Scott 1955): as kappa, but chance is drawn from both raters' margins pooled.

    1 - 4 n sum(w * t) / sum(w * outer(m, m)), m = row sums + column sums. Fleiss' kappa for two raters. A difference of
    the raters' rates counts as disagreement twice: in the table and in what chance allows. Misleads as kappa does.
    """
    pooled = tables.sum(-1) + tables.sum(-2)
    return 1 - ratio(
        4 * _total(tables) * _disagreeing(tables, weights), _expected(pooled, pooled, _weights(tables, weights))
    )


def gwet_ac(tables: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Gwet's AC1, with weights AC2 (Gwet 2008; 2014, chapter 4): (p_a - p_e) / (1 - p_e).

    p_a = sum of agreement weights * t / n; p_e = (sum of agreement weights) / (q (q - 1)) * sum p_k (1 - p_k), p_k the
    mean of the two raters' shares of value k. Defined even for constant raters. Misleads the other way round than
    kappa: for a rare code it is high for a rater who never marks anything, so never report it alone.
    """
    q = tables.shape[-1]
    share = ratio(tables.sum(-1) + tables.sum(-2), 2 * _total(tables)[..., None])
    observed = 1 - ratio(_disagreeing(tables, weights), _total(tables))
    by_chance = (q * q - _weights(tables, weights).sum()) / (q * (q - 1)) * (share * (1 - share)).sum(-1)
    return ratio(observed - by_chance, 1 - by_chance)


def alpha_of_pair(tables: np.ndarray, metric: str = "nominal", values: np.ndarray | None = None) -> np.ndarray:
    """Krippendorff's alpha of two raters; see `krippendorff_alpha`."""
    return krippendorff_alpha(tables + np.swapaxes(tables, -1, -2), metric, values)


def krippendorff_alpha(
    coincidences: np.ndarray, metric: str = "nominal", values: np.ndarray | None = None
) -> np.ndarray:
    """Krippendorff's alpha (Krippendorff 2011): 1 - (n - 1) sum(o * d) / sum(d * outer(n_c, n_k)).

    o is the coincidence matrix, n_c its row sums, n their sum: the number of pairable values. Units that fewer than two
    raters judged add nothing; missing judgements need no filling in. Undefined when only one value occurs. Misleads as
    kappa does for rare codes.

    Args:
        coincidences: (..., q, q), symmetric; from `threers.agreement.panel.coincidences`.
        metric: nominal, ordinal, interval or ratio.
        values: (q,) the scale's values, for interval and ratio; default 0 … q-1.

    """
    margin = coincidences.sum(-1)
    d = squared_difference(metric, margin, values)
    return 1 - ratio((margin.sum(-1) - 1) * (coincidences * d).sum((-2, -1)), _expected(margin, margin, d))


def pabak(tables: np.ndarray) -> np.ndarray:
    """Prevalence-adjusted, bias-adjusted kappa (Byrt et al. 1993): (q p_o - 1) / (q - 1).

    For q = 2 it is 2 p_o - 1: percent agreement on another scale, and as misleading for rare codes.
    """
    q = tables.shape[-1]
    return (q * accuracy(tables) - 1) / (q - 1)


def prevalence_index(tables: np.ndarray) -> np.ndarray:
    """(both marked - neither marked) / n (binary; Byrt et al. 1993), -1 to 1: far from 0, kappa is held down."""
    return ratio(tables[..., 1, 1] - tables[..., 0, 0], _total(tables))


def bias_index(tables: np.ndarray) -> np.ndarray:
    """(only rater a marked - only rater b marked) / n (binary; Byrt et al. 1993): above 0, rater a marks more often."""
    return ratio(tables[..., 1, 0] - tables[..., 0, 1], _total(tables))


def precision(tables: np.ndarray) -> np.ndarray:
    """Share of rater a's marks that the reference has too (binary). NaN when rater a marked nothing."""
    return ratio(tables[..., 1, 1], tables[..., 1, :].sum(-1))


def recall(tables: np.ndarray) -> np.ndarray:
    """Share of the reference's marks that rater a found (binary): sensitivity. NaN when it marked nothing."""
    return ratio(tables[..., 1, 1], tables[..., :, 1].sum(-1))


def specificity(tables: np.ndarray) -> np.ndarray:
    """Share of the units unmarked by the reference that rater a left unmarked too (binary). NaN when there are none."""
    return ratio(tables[..., 0, 0], tables[..., :, 0].sum(-1))


def f1(tables: np.ndarray) -> np.ndarray:
    """F1 = 2 tp / (2 tp + fp + fn) (binary): harmonic mean of precision and recall, and the positive agreement.

    NaN when neither marked anything; 0 when one did and they never met. Not corrected for chance: a common code has a
    high F1 without any skill, so read it beside the floors.
    """
    hits = 2 * tables[..., 1, 1]
    return ratio(hits, hits + tables[..., 0, 1] + tables[..., 1, 0])


def negative_agreement(tables: np.ndarray) -> np.ndarray:
    """Agreement on "not marked", 2 tn / (2 tn + fp + fn) (binary; Cicchetti & Feinstein 1990).

    High for any rare code. NaN when both marked everything.
    """
    both = 2 * tables[..., 0, 0]
    return ratio(both, both + tables[..., 0, 1] + tables[..., 1, 0])


def balanced_accuracy(tables: np.ndarray) -> np.ndarray:
    """Mean over the values that the reference used of the share of them that rater a found; 0.5 is chance for q = 2.

    It weighs a rare value as much as a common one, so a few units can move it far.
    """
    used = tables.sum(-2)
    found = np.diagonal(tables, axis1=-2, axis2=-1)
    return ratio(np.where(used > 0, ratio(found, used), 0.0).sum(-1), (used > 0).sum(-1))


def matthews(tables: np.ndarray) -> np.ndarray:
    """Matthews correlation, for q > 2 in Gorodkin's (2004) form: the correlation of the two raters' values.

    (n sum(diagonal) - sum r_k c_k) / sqrt((n^2 - sum r_k^2)(n^2 - sum c_k^2)). NaN when one of them is constant.
    A rater who marks too often loses less here than in kappa.
    """
    n, r, c = _total(tables), tables.sum(-1), tables.sum(-2)
    spread = np.sqrt(n**2 - (r**2).sum(-1)) * np.sqrt(n**2 - (c**2).sum(-1))
    return ratio(n * _diagonal(tables) - (r * c).sum(-1), spread)


def _total(tables: np.ndarray) -> np.ndarray:
    return tables.sum((-2, -1))


def _diagonal(tables: np.ndarray) -> np.ndarray:
    return np.trace(tables, axis1=-2, axis2=-1)


def _weights(tables: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    return 1.0 - np.eye(tables.shape[-1]) if weights is None else weights


def _disagreeing(tables: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    return (tables * _weights(tables, weights)).sum((-2, -1))


def _expected(rows: np.ndarray, columns: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.einsum("...i,...ij,...j->...", rows, weights, columns, optimize=True)
