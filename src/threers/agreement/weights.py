"""How much two values of a scale disagree: weights for kappa, AC2 and alpha."""

from __future__ import annotations

import numpy as np

#: Weights of `disagreement`; unweighted (nominal) is the first.
KINDS = ("nominal", "linear", "quadratic")
#: Metrics of Krippendorff's alpha.
METRICS = ("nominal", "ordinal", "interval", "ratio")


def disagreement(kind: str, values: np.ndarray) -> np.ndarray:
    """Disagreement of each pair of values, 0 on the diagonal and 1 at most.

    nominal: 1 for any difference; linear: |v - w| / range; quadratic: its square (Cohen 1968; Gwet 2014, chapter 3).

    Args:
        kind: one of `KINDS`.
        values: (q,) the scale's values in order, such as 1 … 5; at least two.

    Returns:
        (q, q).

    """
    if kind not in KINDS:
        raise ValueError(f"weights {kind!r}; expected one of {', '.join(KINDS)}")
    values = np.asarray(values, float)
    if kind == "nominal":
        return 1.0 - np.eye(len(values))
    distance = np.abs(values[:, None] - values) / (values.max() - values.min())
    return distance if kind == "linear" else distance**2


def squared_difference(metric: str, margin: np.ndarray, values: np.ndarray | None = None) -> np.ndarray:
    """Squared difference of each pair of values in the metrics of Krippendorff (2011).

    nominal: 1 for any difference. ordinal: (values that lie between, the two themselves counted half) squared, so it
    depends on how often each value occurs. interval: (v - w)^2. ratio: ((v - w) / (v + w))^2, 0 for two zeros; it means
    something for values of one sign only.

    Args:
        metric: one of `METRICS`.
        margin: (..., q) how often each value occurs, in the scale's order.
        values: (q,) the values in order; default 0 … q-1.

    Returns:
        (q, q), or (..., q, q) for ordinal.

    """
    if metric not in METRICS:
        raise ValueError(f"metric {metric!r}; expected one of {', '.join(METRICS)}")
    q = margin.shape[-1]
    values = np.arange(q, dtype=float) if values is None else np.asarray(values, float)
    if metric == "nominal":
        return 1.0 - np.eye(q)
    if metric == "ordinal":
        rank = np.cumsum(margin, axis=-1) - margin / 2
        return (rank[..., :, None] - rank[..., None, :]) ** 2
    difference = values[:, None] - values
    if metric == "ratio":
        total = values[:, None] + values
        difference = np.divide(difference, total, out=np.zeros_like(difference), where=total != 0)
    return difference**2
