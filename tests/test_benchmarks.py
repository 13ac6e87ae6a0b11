"""The comparisons of `scripts/benchmark.py` load with the package as it is, and take what the command line gives."""

import ast
import importlib
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"
FILES = sorted(path.stem for path in (SCRIPTS / "benchmarks").glob("*.py") if path.stem != "__init__")


def test_every_comparison_can_be_called_and_no_other_name():
    loaded = {name: importlib.import_module(f"scripts.benchmarks.{name}") for name in FILES}
    comparisons = {name for name, module in loaded.items() if hasattr(module, "compare") and hasattr(module, "table")}
    tree = ast.parse((SCRIPTS / "benchmark.py").read_text(encoding="utf-8"))
    needs = next(node.value for node in tree.body if ast.unparse(node).startswith("NEEDS"))
    assert set(ast.literal_eval(needs)) == comparisons


def test_rows_are_named_with_commas_and_may_hold_some():
    from scripts.benchmarks.accuracy import ROWS, rows_named

    assert rows_named(",".join(ROWS)) == list(ROWS)
    assert rows_named("default, encoder alone") == ["default", "encoder alone"]
    with pytest.raises(SystemExit, match="no row is called 'defualt,seed 2'; expected some of: default"):
        rows_named("default,defualt,seed 2")


def test_the_plain_model_gives_one_code_of_a_family_where_two_logits_are_equal():
    from scripts.benchmarks.plain import decide

    logits = np.array([[0.5, 0.5, -1.0], [-1.0, -2.0, -0.5]])
    assert decide(logits, exclusive=True).tolist() == [[True, False, False], [False, False, True]]
    assert decide(logits, exclusive=False).tolist() == [[True, True, False], [False, False, False]]
