"""Several processes on one machine: real processes, killed for real; the bytes are those of one process."""

import os
import signal
import subprocess
import time
from functools import partial

import psutil
import pytest

from tests.conftest import parts, score_command, score_in_parts
from threers.errors import SettingsError
from threers.hardware import choose
from threers.settings import Engine
from threers.workers import score_with_workers, workers_on

# Two workers with a thread each are quick on two busy cores; two with two threads wait for each other.
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def _at_a_terminal():
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def begun(*given):
    """A run of two workers that has finished its first parts."""
    command = score_command(*given, "engine.workers=2")
    # Tests that a shell began in the background ignore Ctrl-C, and what they begin would do so, too.
    run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, preexec_fn=_at_a_terminal)
    while len(parts(given[2])) < 2:
        assert run.poll() is None, run.stderr.read()
        time.sleep(0.01)
    return run


def workers_of(run):
    return [child for child in psutil.Process(run.pid).children() if "spawn_main" in " ".join(child.cmdline())]


def test_two_workers_write_the_bytes_of_one(tiny_tagger, sixty_sessions, whole_run, tmp_path):
    way = partial(score_with_workers, tiny_tagger, 2)
    tally = score_in_parts(tiny_tagger, sixty_sessions, tmp_path, way=way)
    assert parts(tmp_path) == whole_run
    assert len(whole_run) == tally.sessions == 60


def test_a_killed_worker_ends_the_run_in_one_line_and_nothing_is_lost(tiny_tagger, sixty_sessions, whole_run, tmp_path):
    run = begun(tiny_tagger, sixty_sessions, tmp_path / "out")
    workers_of(run)[0].kill()
    _, said = run.communicate(timeout=120)
    assert run.returncode == 2
    assert "a worker died" in said
    assert "the same command goes on" in said
    assert len(said.strip().splitlines()) == 1
    assert 2 <= len(parts(tmp_path / "out")) < len(whole_run)
    assert score_in_parts(tiny_tagger, sixty_sessions, tmp_path / "out").resumed
    assert parts(tmp_path / "out") == whole_run


def test_a_killed_run_leaves_no_worker_and_goes_on_in_one_process(tiny_tagger, sixty_sessions, whole_run, tmp_path):
    given = tiny_tagger, sixty_sessions, tmp_path / "out"
    run = begun(*given)
    workers = workers_of(run)
    assert len(workers) == 2
    run.kill()
    run.communicate()
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive
    done = subprocess.run(score_command(*given), capture_output=True, text=True, check=False, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    assert "in an earlier run" in done.stdout
    assert parts(tmp_path / "out") == whole_run
    assert not [path for path in (tmp_path / "out").rglob("*") if path.suffix == ".tmp"]


@pytest.mark.parametrize(("asked", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_that_is_asked_to_stop_can_go_on(asked, status, tiny_tagger, sixty_sessions, whole_run, tmp_path):
    run = begun(tiny_tagger, sixty_sessions, tmp_path / "out")
    for process in [run, *workers_of(run)]:  # as a terminal or a scheduler asks
        process.send_signal(asked)
    _, said = run.communicate(timeout=120)
    assert run.returncode == status, said
    assert said.strip() == f"stopped{' as asked' * (asked == signal.SIGTERM)}; the same command goes on from here"
    found = parts(tmp_path / "out")
    assert len(found) < len(whole_run)
    if asked == signal.SIGTERM:
        journal = (tmp_path / "out" / "journal.jsonl").read_text().splitlines()
        assert len(journal) == len(found), "those at hand were finished and noted"
    score_in_parts(tiny_tagger, sixty_sessions, tmp_path / "out")
    assert parts(tmp_path / "out") == whole_run


def test_a_worker_that_is_still_loading_leaves_a_signal_to_the_run(tiny_tagger, sixty_sessions, whole_run, tmp_path):
    command = score_command(tiny_tagger, sixty_sessions, tmp_path / "out", "engine.workers=2")
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT)
    told = set()
    while len(told) < 2 and run.poll() is None:
        for worker in workers_of(run):
            if worker.pid not in told:
                worker.terminate()
                told.add(worker.pid)
        time.sleep(0.01)
    said, _ = run.communicate(timeout=120)
    assert run.returncode == 0, said
    assert parts(tmp_path / "out") == whole_run


def test_an_engine_that_is_not_there_is_named():
    with pytest.raises(SettingsError, match="one of local, ray"):
        Engine(kind="spark")
    with pytest.raises(SettingsError, match="0 or more"):
        Engine(workers=-1)
    assert workers_on(choose("cpu", "float32")) == 1
