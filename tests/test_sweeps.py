"""Sweeps over settings, with each launcher that ships a config: real runs, with a tiny backbone."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import make_corpus
from tests.test_cli import local, refused

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
