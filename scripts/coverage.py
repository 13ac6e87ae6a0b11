"""Do the intervals keep their promise? A simulation with known kappa, utterances nested in patients.

    .venv/bin/python scripts/coverage.py [--runs 1000] [--resamples 1000]

Patients differ in how often a code is there (beta(1.5, 6)) and in how sure its signs are (beta(12, 2)): each of two
coders sees the truth of an utterance with that probability, and else marks it as often as the patient's rate says. The
true kappa is that of 400,000 patients. Each run draws 20 or 60 patients of 40 utterances and asks whether the 95 %
interval of kappa holds the true one: resampling patients, as `threers agree` does, or single utterances, as most tools
do.
"""

from __future__ import annotations

import argparse

import numpy as np

from threers.agreement import bootstrap, pairs

UTTERANCES = 40
PATIENTS = (20, 60)
WAYS = ("patients, expanded percentile", "patients, percentile", "patients, BCa", "single utterances, percentile")


def main() -> None:
    """Run the simulation and print a row per number of patients."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=1000)
    given = parser.parse_args()
    true = float(pairs.cohen_kappa(draw(400_000, np.random.default_rng(0)).sum(axis=0).astype(float)))
    print(f"true kappa {true:.3f}; {given.runs} runs of {given.resamples} resamples\n")
    print(f"| patients | {' | '.join(WAYS)} |")
    print(f"|{'---|' * (len(WAYS) + 1)}")
    for patients in PATIENTS:
        rng = np.random.default_rng(patients)
        held = np.zeros(len(WAYS))
        for run in range(given.runs):
            tables = draw(patients, rng)
            held += [low <= true <= high for low, high in intervals(tables, given.resamples, run)]
        print(f"| {patients} | " + " | ".join(f"{share:.1%}" for share in held / given.runs) + " |")


def draw(patients: int, rng: np.random.Generator) -> np.ndarray:
    """Contingency tables of two coders, one per patient: (patients, 2, 2)."""
    rate = rng.beta(1.5, 6, (patients, 1))
    sure = rng.beta(12, 2, (patients, 1))
    there = rng.random((patients, UTTERANCES)) < rate

    def code() -> np.ndarray:
        guess = rng.random(there.shape) < rate
        return np.where(rng.random(there.shape) < sure, there, guess).astype(int)

    cell = 2 * code() + code()
    return np.stack([(cell == number).sum(axis=1) for number in range(4)], axis=1).reshape(patients, 2, 2)


def intervals(tables: np.ndarray, resamples: int, seed: int) -> list[tuple[float, float]]:
    """The interval of kappa in each of `WAYS`."""
    found = []
    for method in bootstrap.METHODS:
        plan = bootstrap.plan(len(tables), resamples, seed, method)
        kappa = pairs.cohen_kappa(bootstrap.resample(tables, plan.weights))
        low, high = plan.interval(kappa[None], np.array([len(tables)]))
        found.append((low[0], high[0]))
    cells = tables.sum(axis=0).ravel()
    drawn = np.random.default_rng(seed).multinomial(cells.sum(), cells / cells.sum(), size=resamples)
    kappa = pairs.cohen_kappa(drawn.reshape(-1, 2, 2).astype(float))
    found.append(tuple(np.percentile(kappa, [2.5, 97.5])))
    return found


if __name__ == "__main__":
    main()
