"""The comparisons of `scripts/benchmark.py` load with the package as it is, and take what the command line gives."""

import ast
import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from threers.codebook import Codebook
from threers.learner import Learner
from threers.settings import Training
from threers.training import fit

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


def test_a_rival_learns_each_family_by_itself_and_gives_no_code_to_a_role_that_may_not_have_it(annomi_like):
    from scripts.benchmarks.rivals import learn_and_tag

    given = []

    def rival(said, labels, n_labels, heard):
        given.append((len(said), labels.ndim, n_labels, len(heard)))
        return np.ones((len(heard), n_labels), dtype=bool), {"training_tokens": len(said)}

    ids = sorted(annomi_like.sessions["session_id"])
    learn, test = annomi_like.select(ids[:20]), annomi_like.select(ids[20:])
    table, read = learn_and_tag(learn, test, rival)
    assert sorted(given) == [(160, 1, 3, 32), (160, 1, 4, 32)]
    assert read == {"training_tokens": 320}
    tags = {role: set(part["tags"].explode()) for role, part in table.groupby("role")}
    assert tags["client"] == {"change", "neutral", "sustain"}
    assert tags["therapist"] == {"question", "reflection", "therapist_input", "other"}


def test_a_rival_that_gives_a_child_gives_its_parent(annomi_like):
    from scripts.benchmarks.rivals import learn_and_tag

    tables = {
        "utterances": annomi_like.utterances.replace({"role": {"client": "patient"}}),
        "codings": annomi_like.codings[annomi_like.codings["code"].isin(["change", "question"])].replace(
            {"code": {"change": "W3", "question": "R3"}}
        ),
    }
    corpus = replace(annomi_like, **tables, codebook=Codebook.load("3rs-2015"))

    def rival(said, labels, n_labels, heard):
        assert labels.shape == (len(said), n_labels)
        # The last code that occurs, if one does: the child.
        last = max(np.flatnonzero(labels.any(axis=0)), default=-1)
        return np.tile(np.arange(n_labels) == last, (len(heard), 1)), {}

    table, _ = learn_and_tag(corpus, corpus, rival)
    tags = {role: {frozenset(each) for each in part["tags"]} for role, part in table.groupby("role")}
    assert tags == {"patient": {frozenset({"W", "W3"})}, "therapist": {frozenset({"R", "R3"})}}


def test_as_many_texts_are_drawn_of_each_code_and_of_none():
    from scripts.benchmarks.few import _draw

    present = np.zeros((100, 2), dtype=bool)
    present[:40, 0], present[40:43, 1] = True, True
    rows = _draw(present, 8, seed=1)
    assert len(set(rows)) == len(rows)
    assert [int(((rows >= low) & (rows < high)).sum()) for low, high in ((0, 40), (40, 43), (43, 100))] == [8, 3, 8]


def test_the_plain_model_counts_what_it_reads(tiny_folder):
    from scripts.benchmarks.plain import EPOCHS, fine_tune

    said, labels = ["why why why"] * 24 + ["help me please"] * 24, np.repeat([0, 1], 24)
    found, read = fine_tune(said, labels, 2, ["why", "help"], folder=tiny_folder, seed=1)
    assert found.shape == (2, 2) and found.sum(axis=1).tolist() == [1, 1]
    assert read == {"training_tokens": EPOCHS * 48 * 5, "padded_tokens": EPOCHS * 48 * 5}


def test_the_padding_that_threers_reads_is_counted_and_changes_nothing(annomi_like, tiny_backbone):
    from scripts.benchmarks.accuracy import _counting

    training = Training(epochs=1, batch_tokens=256, validation_share=0.3, device="cpu", precision="float32")
    counting = _counting(Learner)
    counted, plain = (
        fit(annomi_like, tiny_backbone, training, learner_type=learner) for learner in (counting, Learner)
    )
    tokens = counted.manifest["tokens_per_epoch"]
    assert tokens < counting.padded_tokens < 2 * tokens
    assert counted.hash == plain.hash


def test_without_setfit_every_other_row_is_run(monkeypatch, caplog):
    from scripts.benchmarks import accuracy

    monkeypatch.setattr(accuracy, "find_spec", lambda _: None)
    assert accuracy._every_row() == [name for name in accuracy.ROWS if "SetFit" not in name]
    assert "SetFit is not installed" in caplog.text
    monkeypatch.setattr(accuracy, "find_spec", lambda name: name)
    assert accuracy._every_row() == list(accuracy.ROWS)
