"""Any number of raters and one code: tables that add up over groups, and the coefficients computed from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from threers.agreement import bootstrap
from threers.agreement.undefined import ratio


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
    used = _votes(values, q)
    judged = used.sum(axis=0)
    weight = np.where(judged >= 2, 1 / np.maximum(judged - 1, 1), 0.0)
    for row in range(len(values)):
        for c in range(q):
            for k in range(q):
                pairs = used[c][row] * (used[k][row] - (c == k))
                found[:, row, c, k] = np.bincount(group, weights=pairs * weight[row], minlength=groups)
    return found


@dataclass(frozen=True)
class Panel:
    """What Gwet's (2014, chapters 2 and 4) estimators for many raters with missing judgements need.

    Leading axes (...) are groups or resamples, then rows (codes). Sums over units, so they add up over groups.
    """

    agreement: np.ndarray
    """(...) sum over pairable units (two or more raters) of the share of their pairs that agree, weighted."""
    pairable: np.ndarray
    """(...) number of those units."""
    shares: np.ndarray
    """(..., q) sum over judged units of the share of its raters that gave each value."""
    judged: np.ndarray
    """(...) number of units with at least one rater."""
    by_rater: np.ndarray
    """(..., raters, q) how often each rater gave each value."""
    weights: np.ndarray
    """(q, q) disagreement."""

    def resample(self, weights: np.ndarray) -> Panel:
        """Panels of every resample: the groups axis becomes (n,). `weights`: (n, groups)."""
        return Panel(
            agreement=bootstrap.resample(self.agreement, weights),
            pairable=bootstrap.resample(self.pairable, weights),
            shares=bootstrap.resample(self.shares, weights),
            judged=bootstrap.resample(self.judged, weights),
            by_rater=bootstrap.resample(self.by_rater, weights),
            weights=self.weights,
        )


def panel_of(values: np.ndarray, group: np.ndarray, groups: int, weights: np.ndarray) -> Panel:
    """Tables of each group.

    Args:
        values: (rows, raters, n_units) values 0 … q-1, negative = no judgement.
        group: (n_units,) number of each unit's group.
        groups: number of groups.
        weights: (q, q) disagreement, see `threers.agreement.weights.disagreement`.

    Returns:
        A Panel whose leading axes are (groups, rows).

    """
    rows, raters, units = values.shape
    q = len(weights)
    votes = _votes(values, q)
    judged = votes.sum(axis=0)
    alike = np.einsum("kru,kl,lru->ru", votes, 1 - weights, votes) - judged
    share = np.where(judged >= 2, alike / np.maximum(judged * (judged - 1), 1), 0.0)

    def add_up(per_unit: np.ndarray) -> np.ndarray:
        return np.stack([np.bincount(group, weights=row, minlength=groups) for row in per_unit], axis=-1)

    shares = np.stack([add_up(votes[k] / np.maximum(judged, 1)) for k in range(q)], axis=-1)
    by_rater = np.stack([add_up((values == k).reshape(rows * raters, units)) for k in range(q)], axis=-1)
    return Panel(
        agreement=add_up(share),
        pairable=add_up(judged >= 2),
        shares=shares,
        judged=add_up(judged >= 1),
        by_rater=by_rater.reshape(groups, rows, raters, q),
        weights=weights,
    )


def percent_agreement(tables: Panel) -> np.ndarray:
    """Mean over pairable units of the share of rater pairs that agree, shape (...). Misleads when a value is common."""
    return ratio(tables.agreement, tables.pairable)


def fleiss_kappa(tables: Panel) -> np.ndarray:
    """Fleiss' kappa (Fleiss 1971), weighted and with missing judgements as in Gwet (2014), shape (...).

    (p_a - p_e) / (1 - p_e), p_e = sum of agreement weights * outer(p, p), p_k the mean share of value k over the judged
    units. Made for raters who change from unit to unit: it does not forgive that raters differ in how often they use a
    value. Undefined when one value was used throughout. Misleads as kappa does for rare codes.
    """
    p = ratio(tables.shares, tables.judged[..., None])
    by_chance = np.einsum("...k,kl,...l->...", p, tables.weights, p, optimize=True)
    return 1 - ratio(1 - percent_agreement(tables), by_chance)


def conger_kappa(tables: Panel) -> np.ndarray:
    """Conger's kappa (Conger 1980), weighted and with missing judgements as in Gwet (2014), shape (...).

    Cohen's kappa for many raters: chance is drawn from each pair of different raters' own margins. Raters without any
    judgement are left out. Undefined when all raters used one and the same value throughout.
    """
    given = tables.by_rater.sum(-1)
    p = np.nan_to_num(ratio(tables.by_rater, given[..., None]))
    raters = (given > 0).sum(-1)
    total = p.sum(-2)
    everyone = np.einsum("...k,kl,...l->...", total, tables.weights, total, optimize=True)
    same = np.einsum("...rk,kl,...rl->...", p, tables.weights, p, optimize=True)
    return 1 - ratio(1 - percent_agreement(tables), ratio(everyone - same, raters * (raters - 1)))


def gwet_ac(tables: Panel) -> np.ndarray:
    """Gwet's AC1, weighted AC2, of many raters (Gwet 2008; 2014, chapter 4), shape (...).

    (p_a - p_e) / (1 - p_e), p_e = (sum of agreement weights) / (q (q - 1)) * sum p_k (1 - p_k). See
    `threers.agreement.pairs.gwet_ac` for when it misleads.
    """
    q = len(tables.weights)
    p = ratio(tables.shares, tables.judged[..., None])
    by_chance = (q * q - tables.weights.sum()) / (q * (q - 1)) * (p * (1 - p)).sum(-1)
    return ratio(percent_agreement(tables) - by_chance, 1 - by_chance)


def _votes(values: np.ndarray, q: int) -> np.ndarray:
    """How many raters gave each value: (q, rows, n_units)."""
    return np.stack([(values == value).sum(axis=1) for value in range(q)])
