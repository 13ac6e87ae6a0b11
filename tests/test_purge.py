"""Deleting: what threers made is known and goes; anything else stops it."""

import os
import subprocess
import sys

import pytest

from tests.conftest import make_corpus
from threers import runs
from threers.errors import InputError, OutputExistsError
from threers.folders import claim, owned
from threers.jobs import PurgeRun
from threers.scores import write_json


def purge(path, **options):
    return runs.purge(PurgeRun(path=str(path), **options))


@pytest.fixture
def corpus(tmp_path):
    return make_corpus(2).save(tmp_path / "corpus")


@pytest.fixture
def training(tmp_path):
    """As a training leaves it that was cut off."""
    folder = tmp_path / ".tagger.training"
    claim(folder, {"corpus": "0", "backbone": {}, "training": {}}, "work", overwrite=False)
    (folder / "checkpoints" / "checkpoint-3").mkdir(parents=True)
    (folder / "checkpoints" / "checkpoint-3" / "optimizer.pt").write_bytes(b"numbers")
    (folder / ".lock").touch()
    return folder


def test_without_confirm_it_only_says_what_there_is(corpus):
    (found,) = purge(corpus)
    assert (found.kind, found.folder, len(found.files)) == ("corpus", corpus, 6)
    assert found.size == sum(file.stat().st_size for file in corpus.iterdir())
    assert len(list(corpus.iterdir())) == 6


def test_with_confirm_it_is_gone(corpus, tmp_path, monkeypatch):
    (tmp_path / "diary.txt").touch()
    monkeypatch.chdir(corpus.parent)
    purge("corpus/", confirm=True)
    assert [path.name for path in tmp_path.iterdir()] == ["diary.txt"]


def test_a_training_that_was_cut_off_goes_with_its_tagger_which_need_not_be_there(training, tmp_path):
    (found,) = purge(tmp_path / "tagger", confirm=True)
    assert found.kind == "unfinished training"
    assert not list(tmp_path.iterdir())


def test_an_import_that_was_killed_goes_with_its_corpus(corpus, tmp_path):
    """Killed by a signal that no program can hear, in the middle of writing."""
    code = (
        "import os, signal, sys; from tests.conftest import make_corpus; from threers.codebook import Codebook; "
        "Codebook.save = lambda *_: os.kill(os.getpid(), signal.SIGKILL); make_corpus(2).save(sys.argv[1])"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "other"], check=False)
    (left,) = tmp_path.glob(".other.*")
    assert (left / "new" / "utterances.parquet").is_file(), "it holds the text"
    assert [one.kind for one in purge(tmp_path / "other", confirm=True)] == ["unfinished import"]
    assert not left.exists()
    assert corpus.exists()


def test_what_a_killed_run_was_writing_goes_too(tmp_path):
    scores = tmp_path / "scores"
    claim(scores, {"tagger": "", "source": "", "precision": "", "shard_sessions": 1}, "out", overwrite=False)
    (scores / "utterances").mkdir()
    for name in (".part-00000.parquet.0f.tmp", "part-00001.parquet"):
        (scores / "utterances" / name).touch()
    purge(scores, confirm=True)
    assert not scores.exists()


def test_a_tagger_of_a_chat_model_goes_with_its_template(tmp_path):
    tagger = tmp_path / "tagger"
    tagger.mkdir()
    (tagger / "manifest.json").write_text('{"codebook_sha256": "0", "chunks": {}, "lexical_share": 0.2}')
    (tagger / "chat_template.jinja").write_text("{{ messages }}")
    purge(tagger, confirm=True)
    assert not tagger.exists()


def test_a_folder_that_threers_did_not_make_is_refused(tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "manifest.json").write_text('{"name": "an app", "versions": {}}')
    with pytest.raises(InputError, match="says that threers made it"):
        purge(tmp_path / "notes", confirm=True)
    with pytest.raises(InputError, match="no such folder"):
        purge(tmp_path / "nowhere")
    for place in ("/", tmp_path, tmp_path / "notes" / ".."):
        with pytest.raises(InputError, match="says that threers made it"):
            purge(place, confirm=True)
    with pytest.raises(InputError, match="not a folder itself"):
        purge(tmp_path / "notes" / "manifest.json", confirm=True)
    assert (tmp_path / "notes" / "manifest.json").exists()


def test_something_else_in_it_stops_all(corpus):
    (corpus / "diary.txt").write_text("mine")
    with pytest.raises(InputError, match=r"diary\.txt in it is not of threers"):
        purge(corpus, confirm=True)
    assert len(list(corpus.iterdir())) == 7


@pytest.mark.parametrize("place", ["corpus.link", "corpus/link", ".tagger.training/checkpoints/link"])
def test_no_link_is_followed(place, corpus, training, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "precious").write_text("mine")
    os.symlink(corpus if place == "corpus.link" else tmp_path / "elsewhere", tmp_path / place)
    with pytest.raises(InputError, match=r"links are not followed|is not of threers"):
        purge(tmp_path / place.partition("/")[0], confirm=True)
    assert (tmp_path / "elsewhere" / "precious").exists()
    assert (corpus / "utterances.parquet").exists()
    assert (training / "run.json").exists()


def test_a_run_at_work_there_is_not_disturbed(training):
    write_json({}, training / "checkpoints" / "history.json")
    identity = {"corpus": "0", "backbone": {}, "training": {}}
    with owned(training, identity, "work", overwrite=False), pytest.raises(OutputExistsError, match="another run"):
        purge(training, confirm=True)
    assert (training / "checkpoints" / "history.json").exists()
