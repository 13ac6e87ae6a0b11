"""Pin the figures of other implementations: writes computed.json beside this file.

The libraries are no dependencies of threers (krippendorff and pingouin are GPL, irrCAC pins old scipy and pandas). Run
it in a throw-away environment:

    python -m venv ../reference-environment
    ../reference-environment/bin/pip install krippendorff pingouin statsmodels scikit-learn
    ../reference-environment/bin/pip install --no-deps irrCAC
    ../reference-environment/bin/python tests/reference/regenerate.py
"""

import json
from importlib.metadata import version
from pathlib import Path

import krippendorff
import numpy as np
import pandas as pd
import pingouin
from irrCAC.raw import CAC
from scipy import stats
from sklearn import metrics
from statsmodels.stats import inter_rater

LIBRARIES = ("krippendorff", "irrCAC", "pingouin", "statsmodels", "scikit-learn", "scipy")
HERE = Path(__file__).parent


def ratings(rng: np.random.Generator, raters: int, units: int, missing: float) -> np.ndarray:
    """Draw correlated ratings 1 to 5, a share of them missing (NaN)."""
    true = rng.integers(1, 6, units)
    given = np.clip(true + rng.integers(-1, 2, (raters, units)), 1, 5).astype(float)
    given[rng.random(given.shape) < missing] = np.nan
    return given


def agreement_of_many(given: np.ndarray) -> dict:
    """Coefficients that allow missing judgements; irrCAC rounds unless told not to."""
    frame = pd.DataFrame(given.T)
    found: dict = {"alpha": {}, "fleiss": {}, "conger": {}, "gwet": {}}
    for metric in ("nominal", "ordinal", "interval", "ratio"):
        found["alpha"][metric] = krippendorff.alpha(given, level_of_measurement=metric)
    for kind, name in (("nominal", "identity"), ("linear", "linear"), ("quadratic", "quadratic")):
        cac = CAC(frame, weights=name, categories=[1, 2, 3, 4, 5], digits=15)
        found["fleiss"][kind] = cac.fleiss()["est"]["coefficient_value"]
        found["conger"][kind] = cac.conger()["est"]["coefficient_value"]
        found["gwet"][kind] = cac.gwet()["est"]["coefficient_value"]
    found["percent_agreement"] = CAC(frame, weights="identity", digits=15).fleiss()["est"]["pa"]
    return found


def icc(given: np.ndarray) -> dict:
    """Six forms with intervals, which pingouin rounds to two decimals unless told not to."""
    pingouin.options["round.column.CI95"] = 15
    long = pd.DataFrame(given).rename_axis("rater").reset_index().melt("rater", var_name="target", value_name="rating")
    table = pingouin.intraclass_corr(long, targets="target", raters="rater", ratings="rating")
    interval = next(column for column in table if column.startswith("CI95"))
    return {
        row["Type"]: {"estimate": row["ICC"], "interval": [float(limit) for limit in row[interval]]}
        for _, row in table.iterrows()
    }


def main() -> None:
    """Draw the data, run every library, write computed.json."""
    rng = np.random.default_rng(20260101)
    some, complete = ratings(rng, 4, 40, 0.25), ratings(rng, 3, 30, 0.0)
    y = rng.random(60) < 0.3
    p = np.round(np.clip(0.3 * y + rng.random(60) * 0.7, 0, 1), 2)
    counts = np.column_stack([complete[0] * 3, complete[1] * 3 + rng.integers(0, 4, 30)])
    document = {
        "versions": {name: version(name) for name in LIBRARIES},
        "missing": {"ratings": [[None if np.isnan(v) else int(v) for v in row] for row in some]}
        | agreement_of_many(some),
        "complete": {
            "ratings": complete.astype(int).tolist(),
            "fleiss_statsmodels": inter_rater.fleiss_kappa(inter_rater.aggregate_raters(complete.T)[0]),
            "icc": icc(complete),
            "kappa": {
                str(kind): metrics.cohen_kappa_score(complete[0], complete[1], weights=kind)
                for kind in (None, "linear", "quadratic")
            },
            "matthews": metrics.matthews_corrcoef(complete[0], complete[1]),
        }
        | agreement_of_many(complete),
        "probabilities": {
            "y": y.tolist(),
            "p": p.tolist(),
            "auroc": metrics.roc_auc_score(y, p),
            "average_precision": metrics.average_precision_score(y, p),
            "brier": metrics.brier_score_loss(y, p),
        },
        "counts": {"a": counts[:, 0].tolist(), "b": counts[:, 1].tolist(), "spearman": stats.spearmanr(*counts.T)[0]},
    }
    text = json.dumps(document, indent=1, default=float)
    (HERE / "computed.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
