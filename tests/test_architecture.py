"""The house holds its shape: a module imports only from lower layers, and torch stays where it belongs."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

SOURCE = Path(__file__).parents[1] / "src" / "threers"
LAYERS = [
    {"errors", "atomic", "shipped", "codebook", "codebook_checks", "settings", "jobs", "mapping", "configs"},
    {
        "formulas",
        "stored",
        "tables",
        "corpus",
        "splits",
        "score_checks",
        "scores",
        "folders",
        "journal",
        "streams",
        "shards",
        "formats",
        "export",
        "purge",
        "agreement",
    },
    {
        "fetching",
        "backbones",
        "ranks",
        "hardware",
        "chunks",
        "marks",
        "segments",
        "pooling",
        "targets",
        "decisions",
        "thresholds",
        "calibration",
        "abstention",
        "attention",
        "lowered",
        "encode",
        "linear",
        "lexicon",
        "pretrained",
        "network",
        "ordinal",
        "ratings",
        "tagger",
        "tagger_files",
    },
    {
        "coder_heads",
        "learner",
        "batches",
        "checkpoints",
        "freezing",
        "masking",
        "adaptation",
        "epochs",
        "precision",
        "membership",
        "adapters",
        "finetuning",
        "training",
        "crossvalidation",
        "processes",
        "scoring",
        "workers",
        "cluster",
        "engines",
        "floors",
        "doctor",
    },
    {"episodes", "summary", "labelled", "prevalence", "card", "report", "sampling", "finishing"},
    {"comparison", "runs", "screen", "demonstration", "verbs", "help"},
    {"cli"},
]
TOP_LEVEL = {
    *(
        ".ci",
        ".gitignore",
        ".pre-commit-config.yaml",
        "CHANGELOG.md",
        "LICENSE",
        "README.md",
        "SECURITY.md",
        "properdocs.yml",
        "pyproject.toml",
    ),
    *("configs", "data", "docs", "scripts", "src", "tests"),
}
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}
FILES = sorted(SOURCE.rglob("*.py"))


def plain(distribution):
    return re.sub(r"[-_.]+", "-", distribution).lower()


def home(path):
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(path):
    """Every module that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: imports are absolute"
            if node.module == "threers":
                yield from (f"threers.{alias.name}" for alias in node.names)
            else:
                yield node.module


def test_the_top_level_holds_nothing_that_a_run_left_behind():
    listed = subprocess.run(["git", "ls-files"], cwd=SOURCE.parents[1], capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a checkout of git")
    assert {line.split("/")[0] for line in listed.stdout.splitlines()} == TOP_LEVEL


def test_every_module_has_a_layer():
    assert {home(path) for path in FILES} - {"__init__"} == LAYER.keys() - {"configs"}


def test_the_readme_lists_every_module_once():
    tree = (SOURCE.parents[1] / "README.md").read_text(encoding="utf-8").partition("src/threers/\n")[2]
    listed = re.findall(r"^  (\w+)(?:\.py|/) ", tree.partition("\nscripts/")[0], re.M)
    assert sorted(listed) == sorted({home(path) for path in FILES} - {"__init__"})


def test_what_the_package_imports_by_itself_is_declared():
    project = tomllib.loads((SOURCE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    declared = {plain(Requirement(line).name) for line in lines}
    of = metadata.packages_distributions()
    roots = {module.partition(".")[0] for path in FILES for module in imported(path)} & of.keys()
    assert [root for root in roots if not {plain(name) for name in of[root]} & declared] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_modules_import_only_from_their_layer_and_below(path):
    if home(path) == "__init__":
        return
    for module in imported(path):
        if module.startswith("threers."):
            target = module.split(".")[1]
            assert LAYER[target] <= LAYER[home(path)], f"{path.name} (layer {LAYER[home(path)]}) imports {module}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_only_the_command_line_knows_hydra(path):
    known = {module.split(".")[0] for module in imported(path)}
    if home(path) != "cli":
        assert not known & {"hydra", "omegaconf"}


def test_no_config_names_a_python_path():
    for path in (SOURCE.parents[1] / "configs").rglob("*.yaml"):
        assert "_target_" not in path.read_text(encoding="utf-8"), path


def test_layers_0_1_and_4_run_without_torch():
    names = sorted(LAYERS[0] - {"configs"} | LAYERS[1] | LAYERS[4])
    code = (
        f"import importlib, sys\nfor name in {names!r}:\n    importlib.import_module('threers.' + name)\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules\nprint('free of torch')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=False)
    assert done.stdout.strip() == "free of torch", done.stderr


def test_nothing_asks_for_remote_code():
    for path in FILES:
        assert "trust_remote_code=True" not in path.read_text(encoding="utf-8"), path
