"""The command line as a user meets it: real processes, real files, one clean line for each mistake."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.conftest import make_corpus
from threers.corpus import Corpus

VERBS = (
    "import",
    "adapt",
    "train",
    "evaluate",
    "score",
    "export",
    "agree",
    "sample",
    "report",
    "purge",
    "doctor",
    "demo",
)
THREERS = [sys.executable, "-m", "threers.cli"]


def threers(*words, cwd=None):
    env = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([*THREERS, *map(str, words)], capture_output=True, text=True, cwd=cwd, env=env, check=False)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "coded.csv"
    path.write_text(
        "session,turn,speaker,text,patient,coder,code\n"
        "s1,1,T,how was the week,p1,A,question\ns1,2,C,fine I want to stop,p1,A,change\n"
        "s2,1,T,say more,p2,A,other\ns2,2,C,no,p2,A,sustain\n"
    )
    return path


@pytest.fixture(scope="module")
def corpus_folder(tmp_path_factory):
    return make_corpus(6).save(tmp_path_factory.mktemp("corpus") / "corpus")


def local(folder):
    return [
        "backbone=local",
        f"backbone.path={folder}",
        "backbone.chunk_tokens=64",
        "backbone.overlap_tokens=16",
        "training=quick",
        "training.device=cpu",
        "training.precision=float32",
        "training.epochs=1",
        "training.validation_share=0.3",
    ]


def refused(done, *words):
    """Status 2, one line on standard error, these words in it, no traceback."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    for word in words:
        assert word in done.stderr
    return True


def test_help_loads_nothing_that_takes_time():
    code = (
        "import sys; sys.argv = ['threers', '--help']; from threers.cli import main; main(); "
        "print([name for name in ('torch', 'hydra', 'pandas', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
    for verb in VERBS:
        assert f"\n  {verb} " in done.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_its_keys(verb):
    done = threers(verb, "--help")
    assert done.returncode == 0
    config = yaml.safe_load((Path(__file__).parents[1] / "configs" / f"{verb}.yaml").read_text())
    for key in config:
        if key != "defaults":
            assert f"{key}:" in done.stdout


def test_the_whole_way_with_a_tiny_backbone(table, tiny_folder, tmp_path):
    corpus = make_corpus(6).save(tmp_path / "corpus")
    other = make_corpus(4, seed=7).save(tmp_path / "other")
    out = tmp_path / "evaluation"
    done = threers(
        "evaluate", f"corpus={corpus}", f"out={out}", "folds=2", "resamples=100", *local(tiny_folder), cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "Client talk" in done.stdout
    agreement = pd.read_csv(out / "agreement.csv")
    assert {"model:local", "floor:tf-idf", "floor:most-frequent"} <= set(agreement["rater_a"])
    assert {"coder-coder", "model-coder", "model-consensus"} == set(agreement["comparison"])
    assert "divided into 2 parts" in (out / "agreement.html").read_text(encoding="utf-8")
    scores = pd.read_parquet(out / "scores" / "utterances")
    assert not scores.duplicated(["session_id", "utterance_id"]).any()
    assert len(scores) == len(Corpus.load(corpus).utterances)

    tagger = tmp_path / "tagger"
    done = threers("train", f"corpus={corpus}", f"tagger={tagger}", *local(tiny_folder), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert refused(threers("train", f"corpus={corpus}", f"tagger={tagger}", *local(tiny_folder)), "exists already")
    assert "Research on groups of sessions" in (tagger / "README.md").read_text()

    scored = tmp_path / "scores"
    words = ["score", f"tagger={tagger}", f"source={other}", f"out={scored}"]
    done = threers(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "text" not in pd.read_parquet(scored / "utterances").columns
    told = pd.read_csv(scored / "columns.csv")
    for table in ("sessions", "segments"):
        names = pd.read_parquet(scored / f"{table}.parquet").columns.tolist()
        assert told["column"][told["table"] == table].tolist() == names
    assert len(pd.read_csv(scored / "sessions.csv")) == 8
    assert {p.name for p in scored.glob("*.parquet")} == {"segments.parquet", "sessions.parquet"}
    before = (scored / "utterances" / "part-00000.parquet").stat().st_mtime_ns
    again = threers(*words, cwd=tmp_path)
    assert "in an earlier run" in again.stdout
    assert (scored / "utterances" / "part-00000.parquet").stat().st_mtime_ns == before
    assert refused(threers(*words, "include_text=true"), "another run")
    # As on a machine that measured otherwise when the run began.
    begun = json.loads((scored / "run.json").read_text(encoding="utf-8")) | {"precision": "bfloat16"}
    (scored / "run.json").write_text(json.dumps(begun), encoding="utf-8")
    assert threers(*words, cwd=tmp_path).returncode == 0

    done = threers(
        "agree", f"corpus={other}", f"scores={scored}", f"out={tmp_path / 'a'}", "resamples=100", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "model:tagger" in set(pd.read_csv(tmp_path / "a" / "agreement.csv")["rater_a"])
    # Scores of cross-validation make pages, too, and of a corpus without ruptures.
    for name, of in ((scored, other), (out / "scores", corpus)):
        done = threers("report", f"scores={name}", f"corpus={of}", f"out={tmp_path / 'p'}", "overwrite=true")
        assert done.returncode == 0, done.stderr
        assert len(list((tmp_path / "p").glob("*.html"))) == len(Corpus.load(of).sessions) + 1
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"coded.csv", "corpus", "other", "evaluation", "tagger", "scores", "a", "p"}, (
        "nothing else is left behind"
    )
    for folder in (tagger, scored, out):
        assert folder.stat().st_mode & 0o077 == 0, f"{folder.name} is for its owner only"

    seen = tmp_path / "seen"
    assert threers("score", f"tagger={tagger}", f"source={corpus}", f"out={seen}").returncode == 0
    done = threers("agree", f"corpus={corpus}", f"scores={seen}", f"out={tmp_path / 'b'}", "resamples=100")
    assert refused(done, "12 of 12 sessions belong to groups that the tagger learnt from")
    assert not (tmp_path / "b").exists()


def test_transcripts_are_scored_without_codes(tiny_folder, tmp_path):
    corpus = make_corpus(4).save(tmp_path / "corpus")
    assert threers("train", f"corpus={corpus}", f"tagger={tmp_path / 't'}", *local(tiny_folder)).returncode == 0
    (tmp_path / "new.csv").write_text("session,turn,speaker,text\nx,1,T,how is work\nx,2,C,angry\nx,3,Z,hm\n")
    out = tmp_path / "scores"
    roles = "roles={T: therapist, C: client}"
    done = threers(
        "score", f"tagger={tmp_path / 't'}", f"source={tmp_path / 'new.csv'}", f"out={out}", "reader=long", roles
    )
    assert done.returncode == 0, done.stderr
    scores = pd.read_parquet(out / "utterances")
    assert scores["role"].tolist() == ["therapist", "client", "unknown"]
    assert scores["tags"].map(len).tolist() == [1, 1, 0]


def test_import_says_what_it_did(table, tmp_path):
    roles = "roles={T: therapist, C: client}"
    done = threers("import", f"source={table}", f"corpus={tmp_path / 'c'}", "reader=long", "codebook=annomi", roles)
    assert done.returncode == 0, done.stderr
    assert "2 sessions of 2 groups, 4 utterances" in done.stdout


def test_names_in_braces_may_have_quotes_and_letters_of_any_language(table, tmp_path):
    table.write_text(table.read_text().replace("text", "Äußerung").replace(",T,", ",Jörg,"))
    columns, roles = "columns={text: Äußerung}", """roles={Jörg: therapist, "C*": client}"""
    words = [f"source={table}", f"corpus={tmp_path / 'c'}", "reader=long", "codebook=annomi"]
    done = threers("import", *words, columns, roles)
    assert done.returncode == 0, done.stderr
    assert "roles: therapist 2, client 2" in done.stdout


def test_headers_and_cells_that_yaml_takes_for_yes_or_no_stay_words(table, tmp_path):
    table.write_text(table.read_text().replace("turn", "No").replace("text", "Äußerung"))
    words = [f"source={table}", f"corpus={tmp_path / 'c'}", "reader=long", "codebook=annomi"]
    done = threers("import", *words, "columns={order: No, text: Äußerung}", "roles={T: therapist, C: client}")
    assert done.returncode == 0, done.stderr


MISTAKES = {
    "a date for a folder": (["purge", "path=2024_11_28"], ["2024_11_28: no such folder"]),
    "no name of a reader": (["import", "source={table}", "corpus=c", """reader='{{x: ['"""], ["reader '{x: ['"]),
    "a seed below zero": (["sample", "corpus=c", "out=o", "seed=-1"], ["seed: found -1; expected 0 or more"]),
    "verb": (["imprt"], ["no verb 'imprt'", "did you mean import?"]),
    "missing file": (["import", "source=none.csv", "corpus=c"], ["none.csv", "no such file"]),
    "nothing given": (["import", "corpus=c"], ["source: found ''"]),
    "typo in a key": (["import", "sorce=x", "corpus=c"], ["sorce: unknown key", "did you mean 'source'"]),
    "typo in a nested key": (["train", "training.epohcs=3"], ["training.epohcs: unknown key", "did you mean 'epochs'"]),
    "wrong type": (
        ["train", "corpus=a", "tagger=b", "training.epochs=x"],
        ["training.epochs: found 'x'; expected int"],
    ),
    "runs without end": (
        ["train", "corpus=a", "tagger=b", "training.repeats=99999999999999999999"],
        ["training.repeats: found 99999999999999999999; expected from 1 to 100"],
    ),
    "an adaptation without end": (
        ["adapt", "corpus=a", "out=b", "epochs=99999999999999999999"],
        ["epochs: found 99999999999999999999; expected from 1 to 1000"],
    ),
    "out of range": (
        ["train", "corpus=a", "tagger=b", "training.epochs=0"],
        ["training.epochs: found 0; expected at least 1"],
    ),
    "unknown choice": (["train", "corpus=a", "tagger=b", "training=fast"], ["training=fast", "default, demo, quick"]),
    "number for a choice": (["train", "corpus=a", "tagger=b", "backbone=inf"], ["backbone=inf: no name", "mpnet"]),
    "quotes for a choice": (["doctor", "hydra=[["], ["hydra=[[: cannot be read as key=value"]),
    "reference for a choice": (["doctor", "hydra=${{x}}"], ["hydra=${x}: no name", "joblib"]),
    "list for a choice": (["score", "tagger=a", "source=b", "out=c", "engine=[ray,x]"], ["engine=[ray,x]: no name"]),
    "mapping for a choice": (["train", "corpus=a", "tagger=b", "training={{a: 1}}"], ["training={a: 1}: no name"]),
    "mapping for a list": (
        ["agree", "corpus=a", "out=b", "scores={{}}"],
        ["scores={}: a mapping", "a list in brackets"],
    ),
    "no corpus": (["train", "corpus=nowhere", "tagger=b"], ["corpus nowhere", "no such folder"]),
    "no tagger": (["score", "tagger=nowhere", "source=x", "out=o"], ["tagger nowhere", "config.json is missing"]),
    "no codebook": (
        ["import", "source={table}", "corpus=c", "reader=long", "codebook=3rs"],
        ["codebook '3rs'", "shipped:"],
    ),
    "wrong codebook": (
        ["import", "source={table}", "corpus=c", "reader=long", "codebook=3rs-2015"],
        ["none of its codes", "3rs-2015"],
    ),
    "wrong columns": (
        ["import", "source={table}", "corpus=c", "reader=annomi"],
        ["coded.csv", "turn", "transcript_id"],
    ),
    "no reader": (["import", "source={table}", "corpus=c", "reader=mine"], ["reader 'mine'", "shipped:"]),
    "grammar": (["import", "source=[", "corpus=c"], ["import:"]),
    "an umlaut": (["import", "source=Fälle", "corpus=c"], ["import: source=Fälle: ", """'source="Fälle"'"""]),
    "braces": (["import", "roles={{Jörg: x", "source={table}", "corpus=c"], ["roles: not readable; expected names in"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_clear_line(mistake, table, tmp_path):
    words, expected = MISTAKES[mistake]
    done = threers(*[word.format(table=table) for word in words], cwd=tmp_path)
    assert refused(done, *expected)
    assert {path.name for path in tmp_path.iterdir()} == {"coded.csv"}


def test_a_typo_in_a_yaml_file_names_the_file(tmp_path, corpus_folder):
    (tmp_path / "mine" / "training").mkdir(parents=True)
    (tmp_path / "mine" / "training" / "long.yaml").write_text("epohcs: 9\n")
    done = threers("train", f"--config-dir={tmp_path / 'mine'}", f"corpus={corpus_folder}", "tagger=t", "training=long")
    assert refused(done, "training.epohcs in training/long.yaml: unknown key", "did you mean 'epochs'")


def test_too_few_groups_for_the_folds_are_refused(corpus_folder, tiny_folder, tmp_path):
    done = threers("evaluate", f"corpus={corpus_folder}", f"out={tmp_path / 'o'}", "folds=9", *local(tiny_folder))
    assert refused(done, "9 folds from 6 groups")
    assert not (tmp_path / "o").exists()


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "empty.csv").write_text("")
    done = threers(
        "import", f"source={tmp_path / 'empty.csv'}", f"corpus={tmp_path / 'c'}", "reader=long", "codebook=annomi"
    )
    assert refused(done, "empty.csv")
    assert not (tmp_path / "c").exists()


def test_an_output_that_is_there_is_not_written_over(table, corpus_folder, tiny_folder, tmp_path):
    before = (corpus_folder / "utterances.parquet").read_bytes()
    words = [f"source={table}", f"corpus={corpus_folder}", "reader=long", "codebook=annomi"]
    assert refused(threers("import", *words), "exists already", "overwrite=true")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "diary.txt").write_text("mine")
    done = threers(
        "evaluate",
        f"corpus={corpus_folder}",
        f"out={tmp_path / 'notes'}",
        "folds=2",
        "overwrite=true",
        *local(tiny_folder),
    )
    assert refused(done, "no run of threers wrote")
    assert (tmp_path / "notes" / "diary.txt").read_text() == "mine"
    assert (corpus_folder / "utterances.parquet").read_bytes() == before


def test_codes_that_no_speaker_may_have_are_refused(table, tiny_folder, tmp_path):
    words = ["import", f"source={table}", f"corpus={tmp_path / 'c'}", "reader=long", "codebook=annomi"]
    done = threers(*words)
    assert refused(done, "2 speakers have no role, so nothing was written", "roles=roles.csv")
    assert "share of words" in done.stdout
    assert not (tmp_path / "c").exists()
    assert threers(*words, "roles={*: unknown}").returncode == 0
    before = {path.name for path in tmp_path.iterdir()}
    done = threers("train", f"corpus={tmp_path / 'c'}", f"tagger={tmp_path / 't'}", *local(tiny_folder))
    assert refused(done, "no codings of utterances", "roles found: unknown", "roles={")
    assert {path.name for path in tmp_path.iterdir()} == before


def test_a_backbone_whose_hash_differs_is_refused(corpus_folder, tiny_folder, tmp_path):
    words = [f"corpus={corpus_folder}", f"tagger={tmp_path / 't'}", *local(tiny_folder), f"backbone.sha256={'0' * 64}"]
    assert refused(threers("train", *words), "has SHA-256")
    assert not list(tmp_path.iterdir())


def test_transcripts_without_any_known_role_are_not_scored(tiny_folder, tmp_path):
    corpus = make_corpus(4).save(tmp_path / "corpus")
    assert threers("train", f"corpus={corpus}", f"tagger={tmp_path / 't'}", *local(tiny_folder)).returncode == 0
    (tmp_path / "new.csv").write_text("session,turn,speaker,text\nx,1,T,how is work\nx,2,C,angry\n")
    done = threers(
        "score", f"tagger={tmp_path / 't'}", f"source={tmp_path / 'new.csv'}", f"out={tmp_path / 's'}", "reader=long"
    )
    assert refused(done, "no utterance has a role", "found unknown", "roles={")
    done = threers("score", f"tagger={tmp_path / 't'}", f"source={corpus}", f"out={tmp_path / 's'}", "reader=long")
    assert refused(done, "is a corpus")
    assert not (tmp_path / "s").exists()


def test_overwriting_a_tagger_leaves_other_folders_alone(corpus_folder, tiny_folder, tmp_path):
    (tmp_path / "diary.txt").write_text("mine")
    done = threers("train", f"corpus={corpus_folder}", f"tagger={tmp_path}", "overwrite=true", *local(tiny_folder))
    assert refused(done, "something else than a tagger")
    assert (tmp_path / "diary.txt").exists()
