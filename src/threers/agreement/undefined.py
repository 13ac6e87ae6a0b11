"""Division and means in which "undefined" stays visible: NaN, never a silent 0."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> np.ndarray:
    """Divide elementwise; NaN wherever the denominator is 0. Shapes broadcast."""
    top, bottom = np.broadcast_arrays(np.asarray(numerator, float), np.asarray(denominator, float))
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom != 0)


def mean_defined(values: np.ndarray, where: np.ndarray | bool = True) -> np.ndarray:
    """Mean over the last axis of the values that are defined (not NaN) and chosen by `where`; NaN if there are none.

    Shape (..., n) -> (...).
    """
    chosen = ~np.isnan(values) & where
    return ratio(np.where(chosen, values, 0.0).sum(-1), chosen.sum(-1))
