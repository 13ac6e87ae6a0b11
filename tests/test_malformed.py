"""Malformed inputs over all verbs, as `scripts/benchmark.py malformed` tries hundreds of them; and each cause found."""

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scripts.benchmarks import damage, malformed
from scripts.benchmarks.commands import COMMANDS
from scripts.benchmarks.shelf import SETTINGS
from tests.conftest import make_corpus
from tests.scored import make_scored
from threers.backbones import load_encoder, sha256
from threers.checkpoints import HASHES, is_damaged, last_checkpoint
from threers.codebook import Codebook
from threers.corpus import Corpus
from threers.crossvalidation import fold_floors
from threers.decisions import Decisions
from threers.errors import InputError, OutputExistsError, SettingsError
from threers.floors import FLOORS
from threers.folders import REPLACED, owned
from threers.formats import import_files
from threers.jobs import ReportRun
from threers.journal import Entry, Journal, Tally
from threers.scores import read_scores, scored_sessions, write_json, write_parquet
from threers.streams import Source
from threers.tagger import Tagger

BOOK = Codebook.load("3rs-2015")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    return malformed.Shelf.make(tmp_path_factory.mktemp("malformed"))


def test_malformed_inputs_end_in_one_line_or_a_reject_and_nothing_is_lost(shelf):
    found = list(malformed.runs(shelf, 88, len(COMMANDS)))  # every command once
    assert [f"seed {run.seed}: {run.verb}, {run.kind}, {run.what}: {run.fault}" for run in found if run.fault] == []
    assert {run.outcome for run in found} <= {"refused", "reject", "legal"}
    assert sum(run.outcome == "refused" for run in found) > len(found) / 4
    assert malformed.digest(shelf.root) == shelf.state


@pytest.mark.parametrize("name", ["scores-0.parquet", "floors-0.parquet", "tagger-0.json"])
def test_damage_to_a_finished_fold_is_found_before_the_others_are_trained(shelf, name):
    out = shelf.root / "half" / "evaluation"
    given = [f"corpus={shelf.root / 'corpus'}", "backbone=local", f"backbone.path={shelf.root / 'backbone'}", *SETTINGS]
    before = malformed.digest(shelf.root)
    (out / "folds" / name).write_bytes(b"x")
    status, said, _ = malformed.call(["evaluate", *given, "folds=2", "resamples=100", f"out={out}"])
    assert status == 2 and f"{name}: not" in said
    assert (out / "folds" / "training-1").is_dir()
    after = malformed.digest(shelf.root)
    shelf.restore({"half"})
    assert {path for path in before if before[path] != after.get(path)} == {f"half/evaluation/folds/{name}"}


def test_a_finished_fold_that_lacks_utterances_is_found_before_the_others_are_trained(shelf):
    out = shelf.root / "half" / "evaluation"
    file = out / "folds" / "scores-0.parquet"
    given = [f"corpus={shelf.root / 'corpus'}", "backbone=local", f"backbone.path={shelf.root / 'backbone'}", *SETTINGS]
    scores = pd.read_parquet(file)
    write_parquet(scores[1:].reset_index(drop=True), file)
    left = out / "folds" / "training-0"
    left.mkdir()
    status, said, _ = malformed.call(["evaluate", *given, "folds=2", "resamples=100", f"out={out}"])
    trained = not (out / "folds" / "training-1").is_dir()
    cleared = not left.is_dir()
    shelf.restore({"half"})
    assert status == 2
    assert cleared, "what a finished fold's training left"
    assert f"its {len(scores) - 1} utterances are not the {len(scores)} of this fold" in said
    assert not trained


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        *(("threads", odd, "0 to 1024") for odd in (-5, 10**9, "x", None)),
        *(("precision", odd, "one of auto, float32, bfloat16") for odd in ("nan", 0.5, None, [1])),
    ],
)
def test_a_run_that_goes_on_from_an_odd_note_is_refused(shelf, key, value, expected):
    out = shelf.root / "half" / "scores"
    write_json(json.loads((out / "run.json").read_text()) | {key: value}, out / "run.json")
    given = [f"tagger={shelf.root / 'tagger'}", f"source={shelf.root / 'later'}", f"out={out}"]
    status, said, _ = malformed.call(["score", *given])
    shelf.restore({"half"})
    assert status == 2
    assert f"run.json: {key} is" in said and f"expected {expected}; say overwrite=true" in said


@pytest.mark.parametrize("column", ["coder_id", "session_id"])
def test_floors_of_nobody_are_refused(column, tmp_path):
    write_parquet(make_corpus(2).codings.assign(coder_id=FLOORS[0]), tmp_path / "floors-0.parquet")
    assert len(fold_floors(tmp_path, 0))
    change(tmp_path / "floors-0.parquet", **{column: None})
    with pytest.raises(InputError, match=r"floors-0\.parquet: a coding of no session, or by another than"):
        fold_floors(tmp_path, 0)


@pytest.fixture
def corpus(tmp_path):
    return make_corpus(2).save(tmp_path / "corpus")


def change(path: Path, **columns) -> None:
    frame = pd.read_parquet(path)
    pd.DataFrame({**dict(frame), **columns}).to_parquet(path, index=False)


@pytest.mark.parametrize(
    ("table", "column", "value", "message"),
    [
        ("utterances", "utterance_id", 0.5, "utterance_id holds values of type floating; expected whole numbers"),
        ("utterances", "text", 1.0, "text holds values of type floating; expected text"),
        ("utterances", "start", np.inf, "start or end is no time in seconds"),
        ("codings", "value", np.inf, "a code needs a value"),
        ("sessions", "group_id", None, "group_id is empty"),
    ],
)
def test_a_corpus_with_impossible_cells_says_where_and_what_to_do(corpus, table, column, value, message):
    change(corpus / f"{table}.parquet", **{column: value})
    with pytest.raises(InputError, match=rf"{message}.*import the corpus again"):
        Corpus.load(corpus)


def test_a_bit_that_flipped_in_the_texts_of_a_corpus_is_found(corpus):
    content = bytearray((corpus / "utterances.parquet").read_bytes())
    content[len(content) // 3] ^= 1
    (corpus / "utterances.parquet").write_bytes(content)
    with pytest.raises(InputError, match=r"utterances\.parquet: not a readable Parquet file"):
        Corpus.load(corpus)
    with pytest.raises(InputError, match=r"utterances\.parquet: not a readable Parquet file"):
        list(Source(corpus, Codebook.load("annomi")))


@pytest.mark.parametrize("text", ["[]", "null", '"x"'])
def test_a_manifest_that_is_no_mapping_is_refused(corpus, text):
    (corpus / "manifest.json").write_text(text)
    with pytest.raises(InputError, match=r"manifest\.json: found .* expected a mapping"):
        Corpus.load(corpus)


def test_rejects_that_are_no_table_are_refused(corpus):
    (corpus / "rejects.csv").write_text("file,row,reason\nx,first,y\n")
    with pytest.raises(InputError, match=r"rejects\.csv: not the table of rejects"):
        Corpus.load(corpus)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_the_demo_writes_nothing_where_its_backbone_is_damaged(name, shelf, tmp_path):
    shutil.copytree(shelf.root / "backbone", tmp_path / "backbone")
    (tmp_path / "backbone" / name).write_bytes(b"{")
    given = ["backbone=local", f"backbone.path={tmp_path / 'backbone'}", f"out={tmp_path / 'demo'}"]
    status, said, _ = malformed.call(["demo", *given])
    assert status == 2
    assert str(tmp_path / "backbone") in said
    assert {path.name for path in tmp_path.iterdir()} == {"backbone"}


def test_rejects_that_are_cut_off_are_refused(corpus):
    (corpus / "rejects.csv").write_text("file,row,reason\nx.csv,1,no text: dropped\nx.csv,2")
    with pytest.raises(InputError, match=r"rejects\.csv: a row without file or reason; is it cut off\?"):
        Corpus.load(corpus)


def test_groups_of_a_corpus_that_is_scored_are_checked_before_it_is(corpus):
    sessions = pd.read_parquet(corpus / "sessions.parquet")
    pd.concat([sessions, sessions.head(1)]).to_parquet(corpus / "sessions.parquet", index=False)
    with pytest.raises(InputError, match="a session stands twice"):
        Source(corpus, Codebook.load("annomi")).groups()
    sessions.head(1).to_parquet(corpus / "sessions.parquet", index=False)
    with pytest.raises(InputError, match=r"sessions\.parquet: lacks 3 of the sessions of utterances\.parquet; import"):
        Source(corpus, Codebook.load("annomi")).groups()


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("p_W", np.inf, "p_W is not between 0 and 1"),
        ("p_C1", -0.5, "p_C1 is not between 0 and 1"),
        ("role", "nobody", "role is not one of"),
        ("utterance_id", 3, "the key session_id, utterance_id stands twice"),
        ("end", -np.inf, "start or end is no time"),
        ("tags", "W", "tags holds no list of codes"),
    ],
)
def test_scores_with_impossible_cells_say_where_and_what_to_do(tmp_path, column, value, message):
    scores, _ = make_scored(tmp_path)
    part = scores / "utterances" / "part-00000.parquet"
    change(part, **{column: value})
    with pytest.raises(InputError, match=rf"part-00000\.parquet: {message}.*score again"):
        read_scores(scores, BOOK)
    with pytest.raises(InputError, match=message):
        list(scored_sessions([part], BOOK))


def test_tags_that_the_codebook_does_not_know_are_refused(tmp_path):
    scores, _ = make_scored(tmp_path)
    part = scores / "utterances" / "part-00000.parquet"
    tags = pd.read_parquet(part)["tags"].tolist()
    change(part, tags=[["no such code"], *tags[1:]])
    with pytest.raises(InputError, match=r"tags holds a code that is not in codebook 3rs-2015 \(row 0"):
        read_scores(scores, BOOK)


def test_a_session_in_two_parts_is_refused(tmp_path):
    scores, _ = make_scored(tmp_path)
    parts = scores / "utterances"
    (parts / "part-00007.parquet").write_bytes((parts / "part-00000.parquet").read_bytes())
    with pytest.raises(InputError, match="stands in two places"):
        read_scores(scores, BOOK)


@pytest.mark.parametrize(
    "changed", [{"temperature": 0}, {"temperature": np.nan}, {"threshold": np.inf}, {"threshold": 10**400}]
)
def test_decisions_that_decide_nothing_are_refused(changed):
    raw = Decisions.neutral(BOOK).to_dict()
    for key, value in changed.items():
        raw[key] = dict.fromkeys(raw[key], value)
    with pytest.raises(InputError, match=r"d\.json: no usable value .* restore the file"):
        Decisions.from_dict(raw, BOOK, "d.json")


@pytest.mark.parametrize("name", ["model.safetensors", "decisions.json", "tokenizer.json", "config.json"])
def test_a_tagger_with_a_bit_that_flipped_is_refused(tiny_tagger, tmp_path, name):
    folder = shutil.copytree(tiny_tagger, tmp_path / "tagger")
    damage.flip(folder / name, random.Random(0))
    with pytest.raises(InputError, match=f"{name} is not as it was saved"):
        Tagger.load(folder)


def test_a_tagger_whose_manifest_has_other_types_is_refused(tiny_tagger, tmp_path):
    folder = shutil.copytree(tiny_tagger, tmp_path / "tagger")
    manifest = json.loads((folder / "manifest.json").read_text())
    write_json(manifest | {"chunks": manifest["chunks"] | {"chunk_tokens": "x"}}, folder / "manifest.json")
    with pytest.raises(SettingsError, match=r"manifest\.json: chunk_tokens: found 'x'; expected int"):
        Tagger.load(folder)
    write_json(manifest | {"lexical_share": None}, folder / "manifest.json")
    with pytest.raises(InputError, match="lexical_share is None; expected a number"):
        Tagger.load(folder)
    for odd in (float("nan"), -0.1, 1.5, 10**400):
        (folder / "manifest.json").write_text(json.dumps(manifest | {"pretrained_share": odd}))
        with pytest.raises(
            InputError, match=r"manifest\.json: lexical_share is 0.0, pretrained_share .*; expected 0 or"
        ):
            Tagger.load(folder)


def test_a_backbone_that_lacks_weights_or_has_other_sizes_is_refused(tiny_folder, tmp_path):
    from safetensors.torch import load_file, save_file

    shutil.copytree(tiny_folder, tmp_path, dirs_exist_ok=True)
    weights = load_file(tmp_path / "model.safetensors")
    gone = next(name for name in weights if name.endswith("query.weight"))
    save_file({n: w for n, w in weights.items() if n != gone}, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=r"has no usable .*query\.weight"):
        load_encoder(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    write_json(config | {"num_hidden_layers": 10**30}, tmp_path / "config.json")
    with pytest.raises(InputError, match="num_hidden_layers is 1000"):
        load_encoder(tmp_path)
    write_json(config | {"hidden_size": [[]]}, tmp_path / "config.json")
    with pytest.raises(InputError, match=r"transformers cannot load it: .*hidden_size"):
        load_encoder(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        '{"part": "x", "sessions": {}, "tally": {}}',
        '{"part": 0, "sessions": [], "tally": {}}',
        "[]",
        '{"part": 0',
        "\0",
    ],
)
def test_a_damaged_line_of_the_journal_is_as_good_as_unwritten(tmp_path, line):
    write_parquet(pd.DataFrame({"a": [1]}), tmp_path / "parts" / "part-00000.parquet")
    Journal(tmp_path, tmp_path / "parts").add(Entry(0, {"s": "content"}, Tally().to_dict()))
    (tmp_path / "journal.jsonl").write_text(line + "\n")
    assert Journal(tmp_path, tmp_path / "parts").entries == {}


def test_what_was_to_be_overwritten_is_put_back_when_the_new_run_fails(tmp_path):
    out = tmp_path / "out"
    with owned(out, {"a": 1}, "out", overwrite=False):
        write_parquet(pd.DataFrame({"a": [1]}), out / "parts" / "a.parquet")
    before = malformed.digest(out)
    with pytest.raises(InputError), owned(out, {"a": 2}, "out", overwrite=True):
        assert not (out / "parts").exists()
        write_parquet(pd.DataFrame({"a": [2]}), out / "parts" / "a.parquet")
        raise InputError("nothing came of it")
    assert malformed.digest(out) == before
    with owned(out, {"a": 2}, "out", overwrite=True):
        pass
    assert not (out / "parts").exists()
    assert not (out / REPLACED).exists()


@pytest.mark.parametrize("finished", [True, False])
def test_hidden_files_of_the_users_stay_when_a_run_fails_or_is_overwritten(finished, tmp_path):
    out = tmp_path / "project"
    (out / ".git").mkdir(parents=True)
    (out / ".git" / "HEAD").write_text("mine")
    if finished:
        with owned(out, {"a": 1}, "out", overwrite=False):
            write_parquet(pd.DataFrame({"a": [1]}), out / "a.parquet")
        with owned(out, {"a": 2}, "out", overwrite=True):
            assert not (out / "a.parquet").exists()
    with pytest.raises(InputError), owned(out, {"a": 3}, "out", overwrite=finished):
        raise InputError("nothing came of it")
    assert (out / ".git" / "HEAD").read_text() == "mine"
    assert (out / "run.json").exists() == finished


def test_a_folder_of_others_is_left_without_a_trace(tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "diary.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name, message in (("notes", "no run of threers wrote"), ("file", "is no folder"), ("link", "is no folder")):
        with (
            pytest.raises(OutputExistsError, match=message),
            owned(tmp_path / name, {"a": 1}, "out", overwrite=True),
        ):
            pass
    assert [path.name for path in (tmp_path / "notes").iterdir()] == ["diary.txt"]


def test_a_checkpoint_is_damaged_when_any_of_its_files_is_another(tmp_path):
    checkpoint = tmp_path / "checkpoint-3"
    checkpoint.mkdir()
    (tmp_path / "history.json").write_text("[]")
    assert not is_damaged(checkpoint), "nobody can say"
    write_json({"history.json": "0"}, checkpoint / HASHES)
    assert is_damaged(checkpoint)
    (checkpoint / HASHES).write_text("[")
    assert is_damaged(checkpoint)


def test_a_training_begins_anew_where_what_a_cut_off_one_left_is_damaged(tmp_path):
    checkpoint = tmp_path / "checkpoint-3"
    checkpoint.mkdir()
    for name in ("model.safetensors", "trainer_state.json"):
        (checkpoint / name).write_text("whole")
    (tmp_path / "history.json").write_text("[]")
    write_json({"history.json": sha256(tmp_path / "history.json")}, checkpoint / HASHES)
    assert last_checkpoint(tmp_path) == str(checkpoint)
    (tmp_path / "history.json").write_text("[0]")
    assert last_checkpoint(tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_a_first_row_of_speech_is_not_shown_as_headers(tmp_path):
    table = tmp_path / "a.csv"
    table.write_text("s0,0,T,I will not say that again,R4\n")
    with pytest.raises(InputError) as refused:
        import_files(str(table), codebook="3rs-2015")
    assert "a text of 25 characters" in str(refused.value)
    assert "not say" not in str(refused.value)


def test_a_segment_without_end_is_refused():
    for minutes in (float("inf"), float("nan"), 0.0):
        with pytest.raises(SettingsError, match=r"segment_minutes: found .*; expected above 0, and finite"):
            ReportRun(scores="s", out="o", segment_minutes=minutes)
