"""Scoring with Ray: a real cluster of this machine alone, whose worker is killed for real."""

import json
import os
import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.conftest import parts, score_command, score_in_parts
from threers.codebook import Codebook
from threers.errors import InputError
from threers.hardware import choose
from threers.scores import PARTS
from threers.scoring import Job
from threers.streams import Source, read_rows

pytestmark = pytest.mark.usefixtures("own_machine")  # Ray's processes talk to each other
TWO = ("engine=ray", "engine.workers=2")


def environment_with(**changes):
    # Looked up when a run begins: the guard against the network is loosened for these tests by the environment.
    return os.environ | {"OMP_NUM_THREADS": "1"} | changes


def score(*given, **environment):
    command = score_command(*given)
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment_with(**environment))


def refused(done, *words):
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return all(word in done.stderr for word in words)


def test_a_cluster_goes_on_with_the_run_of_one_process(tiny_tagger, sixty_sessions, whole_run, tmp_path):
    pytest.importorskip("ray")
    out = tmp_path / "out"
    assert score(tiny_tagger, sixty_sessions, out).returncode == 0
    for number in (3, 4, 9, 40):
        (out / PARTS / f"part-{number:05d}.parquet").unlink()
    with tempfile.TemporaryDirectory(prefix="t") as scratch:
        done = score(tiny_tagger, sixty_sessions, out, *TWO, TMPDIR=scratch)
        assert not list(Path(scratch).glob("ray*")), "nothing of Ray's is left behind"
    assert done.returncode == 0, done.stderr
    said = done.stderr.strip().splitlines()
    assert said[:2] == [f"going on with the run in {out}", "4 shards for 2 workers"]
    assert all("tokens per second" in line for line in said[2:]), "on a slow machine, how far it is"
    assert "in an earlier run" in done.stdout
    assert parts(out) == whole_run


def test_a_killed_worker_changes_nothing(tiny_tagger, sixty_sessions, whole_run, tmp_path):
    pytest.importorskip("ray")
    command = score_command(tiny_tagger, sixty_sessions, tmp_path / "out", *TWO)
    run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment_with())
    while len(parts(tmp_path / "out")) < 2:
        assert run.poll() is None, run.stderr.read()
        time.sleep(0.01)
    processes = psutil.Process(run.pid).children(recursive=True)
    next(process for process in processes if "Scorer" in " ".join(process.cmdline())).kill()
    _, said = run.communicate(timeout=60)
    assert run.returncode == 0, said
    assert parts(tmp_path / "out") == whole_run


def test_no_text_is_left_in_what_ray_writes(tiny_tagger, sixty_sessions, whole_run, tmp_path):
    ray = pytest.importorskip("ray")
    from threers.cluster import joined, score_on_cluster

    with tempfile.TemporaryDirectory(prefix="ray-") as scratch:
        ray.init("local", _temp_dir=scratch, num_cpus=2, include_dashboard=False, log_to_driver=False)
        try:
            with joined():
                way = partial(score_on_cluster, tiny_tagger, sixty_sessions / "utterances.parquet", 2)
                score_in_parts(tiny_tagger, sixty_sessions, tmp_path, include_text=True, way=way)
        finally:
            ray.shutdown()
        written = b"".join(path.read_bytes() for path in Path(scratch).rglob("*") if path.is_file())
    assert len(parts(tmp_path)) == len(whole_run)
    assert len(written) > 10_000
    sessions = Source(sixty_sessions, Codebook.load("annomi"))
    texts = [text for session in sessions for text in session.utterances["text"] if len(text) > 30]
    assert len(texts) > 100
    assert not [text for text in texts if text.encode() in written]


def test_transcripts_are_to_be_imported_first(tiny_tagger, tmp_path):
    (tmp_path / "new.csv").write_text("session,turn,speaker,text\nx,1,T,how is work\nx,2,C,angry\n")
    done = score(tiny_tagger, tmp_path / "new.csv", tmp_path / "out", "engine=ray", "reader=long")
    assert refused(done, "engine=ray scores a corpus", "import first")
    assert not (tmp_path / "out").exists()


def test_ray_that_is_not_installed_is_named(tiny_tagger, sixty_sessions, tmp_path):
    # As if it were not there: this folder comes first on the path.
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "__init__.py").write_text("raise ModuleNotFoundError('ray')")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    done = score(tiny_tagger, sixty_sessions, tmp_path / "out", "engine=ray", PYTHONPATH=path)
    assert refused(done, 'pip install "threers[ray]"')
    assert not (tmp_path / "out").exists()


def test_a_worker_reads_the_rows_it_is_told(tiny_tagger, sixty_sessions, whole_run, tmp_path):
    from threers.cluster import Scorer

    sessions = list(Source(sixty_sessions, Codebook.load("annomi")))
    table = sixty_sessions / "utterances.parquet"
    for chosen in ([0], [3, 4, 17], [59]):
        found = read_rows(table, [sessions[number].rows for number in chosen])
        assert [session.session_id for session in found] == [sessions[number].session_id for number in chosen]
        assert [session.content for session in found] == [sessions[number].content for number in chosen]
    scorer = Scorer(tiny_tagger, table, Job(tmp_path, choose("cpu", "float32"), 0, include_text=False))
    place = json.dumps([7, [sessions[7].rows]])
    assert json.loads(scorer({"place": np.array([place])})["entry"][0])["sessions"] == {"s007": sessions[7].content}
    assert (tmp_path / "part-00007.parquet").read_bytes() == whole_run["part-00007.parquet"]
    with pytest.raises(InputError, match="changed during the run"):
        read_rows(table, [(0, 10_000_000)])
