"""Sweeps over settings, with each launcher that ships a config: real runs, with a tiny backbone."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.conftest import make_corpus
from tests.test_cli import local, refused
from threers.comparison import overall

LAUNCHERS = ["local", "joblib", "submitit_local"]


@pytest.fixture(scope="module")
def corpus_folder(tmp_path_factory):
    return make_corpus(6).save(tmp_path_factory.mktemp("corpus") / "corpus")


def sweep(launcher, corpus, backbone, folder, *words):
    command = [sys.executable, "-m", "threers.cli", "train", "--multirun", f"hydra={launcher}", f"corpus={corpus}"]
    command += [*local(backbone), "training.seed=1,2", "tagger=taggers/${training.seed}", *words]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)


def weights(tagger: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(tagger.rglob("*.safetensors")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def need(launcher):
    """Skip where the launcher's package is not installed."""
    if launcher != "local":
        pytest.importorskip(f"hydra_plugins.hydra_{launcher.removesuffix('_local')}_launcher")


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_sweep_trains_a_tagger_for_each_seed(launcher, corpus_folder, tiny_folder, tmp_path):
    need(launcher)
    done = sweep(launcher, corpus_folder, tiny_folder, tmp_path)
    assert done.returncode == 0, done.stderr
    made = sorted((tmp_path / "taggers").iterdir())
    assert [tagger.name for tagger in made] == ["1", "2"]
    seeds = [json.loads((tagger / "manifest.json").read_text())["training"]["seed"] for tagger in made]
    assert seeds == [1, 2]
    assert weights(made[0]) != weights(made[1])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs", "taggers"]
    (runs,) = (tmp_path / "runs" / "train").iterdir()
    assert {path.name for path in runs.iterdir()} == {"0", "1", "multirun.yaml"} | (
        {"submitit"} if launcher == "submitit_local" else set()
    )
    said = "".join(path.read_text() for path in runs.glob("submitit/*/*_log.*")) + done.stdout + done.stderr
    for number, seed in enumerate((1, 2)):
        assert f"tagger: taggers/{seed}" in said
        assert f"run {number}: epoch 1: loss" in said, "lines of runs side by side can be told apart"


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_mistake_in_a_sweep_is_one_clear_line(launcher, tiny_folder, tmp_path):
    need(launcher)
    refused(sweep(launcher, "nowhere", tiny_folder, tmp_path), "nowhere", "corpus")
    assert not (tmp_path / "taggers").exists()


def test_a_launcher_that_is_not_installed_is_named(tiny_folder, tmp_path):
    try:
        import hydra_plugins.hydra_joblib_launcher  # noqa: F401
    except ImportError:
        done = sweep("joblib", "nowhere", tiny_folder, tmp_path)
        refused(done, "launcher joblib is not installed", 'pip install "threers[sweep]"')
        assert not list(tmp_path.iterdir())
    else:
        pytest.skip("it is installed")


def test_optuna_looks_for_the_settings_with_the_best_agreement(corpus_folder, tiny_folder, tmp_path):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    command = [sys.executable, "-m", "threers.cli", "evaluate", "--multirun", "hydra=optuna", f"corpus={corpus_folder}"]
    command += [*local(tiny_folder), "training.epochs=1,2", "folds=2", "resamples=100", "out=tries/${hydra:job.num}"]
    command += ["hydra.sweeper.n_trials=3"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    (found,) = tmp_path.glob("runs/evaluate/*/optimization_results.yaml")
    best = yaml.safe_load(found.read_text())
    tables = [pd.read_csv(tmp_path / "tries" / str(number) / "agreement.csv") for number in range(3)]
    figures = [overall(table, "local") for table in tables]
    assert best["best_value"] == pytest.approx(max(figures))
    told = json.loads((tmp_path / "tries" / str(figures.index(max(figures))) / "run.json").read_text())
    assert told["training"]["dropout"] == best["best_params"]["training.dropout"]
