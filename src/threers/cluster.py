"""Scoring a corpus with Ray: machines that share the folders, one worker per GPU. Layer 3.

No transcript text passes through Ray: a shard is handed out as places in the corpus's table, and the worker reads the
rows itself.
"""

from __future__ import annotations

import json
import logging
import math
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from threers import hardware
from threers.chunks import tokenise
from threers.errors import InputError, SettingsError, ThreersError, first_line
from threers.hardware import Hardware
from threers.journal import Entry
from threers.scoring import Finished, Job, score_shard
from threers.shards import Shard
from threers.streams import Rows, Source, read_rows
from threers.tagger import Tagger

logger = logging.getLogger(__name__)

#: Bytes for what workers exchange: places and counts, no text.
OBJECT_STORE = 200_000_000
#: Switches that workers on other machines need too.
SWITCHES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK")


def require_corpus(source: Source) -> None:
    """Refuse transcript files.

    Raises:
        SettingsError: the source is no corpus.

    """
    if not source.is_corpus:
        raise SettingsError(
            f"source={source.path}: engine=ray scores a corpus, from which every machine reads its own rows; import "
            "first, as in threers import source=… corpus=…"
        )


@contextmanager
def joined() -> Iterator[None]:
    """Join the Ray cluster that the environment's RAY_ADDRESS names, or start one on this machine, and leave it again.

    Raises:
        InputError: the cluster cannot be reached.
        SettingsError: Ray is not installed.

    """
    ray = _ray()
    if ray.is_initialized():
        yield
        return
    environment = {name: os.environ[name] for name in SWITCHES if name in os.environ}
    options: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": "error",
        "runtime_env": {"env_vars": environment},
    }
    address = os.environ.get("RAY_ADDRESS")
    with ExitStack() as stack:
        if not address:
            # Ray's logs, and what it writes when memory is short, go when the run does.
            scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True))
            options |= {"_temp_dir": scratch, "include_dashboard": False, "object_store_memory": OBJECT_STORE}
        try:
            with _hushed():
                ray.init(address or "local", **options)
        except (ConnectionError, RuntimeError, ValueError) as error:
            where = f"RAY_ADDRESS={address}" if address else "this machine"
            raise InputError(f"engine=ray: no Ray cluster at {where}: {first_line(error)}") from error
        stack.callback(ray.shutdown)
        yield


def choose(device: str, precision: str, *, reduced: bool) -> Hardware:
    """As `hardware.choose`, on a machine of the cluster, with a GPU when there is one.

    Raises:
        SettingsError: CUDA was asked for and is not there.

    """
    ray = _ray()
    has_gpu = ray.cluster_resources().get("GPU", 0) >= 1
    if device == "cuda" and not has_gpu:
        raise SettingsError("device=cuda: no machine of the Ray cluster has a GPU; use device=cpu or device=auto")
    there = ray.remote(hardware.choose).options(num_gpus=int(has_gpu and device != "cpu"))
    with _plain_errors():
        return ray.get(there.remote(device, precision, reduced=reduced))


def threads(count: int, hardware: Hardware) -> int:
    """Threads of each of `count` workers on the joined cluster; 0 on GPUs, where they do not matter."""
    return 0 if hardware.device == "cuda" else int(_shares(count, hardware)[1]["num_cpus"])


def score_on_cluster(
    folder: Path, table: Path, count: int, shards: Iterator[Shard], job: Job, stop: threading.Event
) -> Finished:
    """Score shards of the corpus in `table` with the tagger in `folder`, in `count` workers of the joined cluster.

    The corpus is read once before anything is scored, to know what is to be done; no text is kept of that. When a
    worker dies, Ray starts another one, which scores the shard again.

    Raises:
        InputError: Ray gave up, or the corpus was changed during the run.

    """
    ray = _ray()
    drawn = takewhile(lambda _: not stop.is_set(), shards)
    waiting = {shard.part: replace(shard, utterances=pd.DataFrame()) for shard in drawn}
    if not waiting or stop.is_set():
        return
    job.parts.mkdir(exist_ok=True)
    places = [{"place": json.dumps([shard.part, shard.rows])} for shard in waiting.values()]
    count, resources = _shares(count, job.hardware)
    logger.info("%d shards for %d workers", len(waiting), count)
    scored = ray.data.from_items(places, override_num_blocks=len(places)).map_batches(
        Scorer,
        fn_constructor_args=(folder, table, job),
        batch_size=1,
        batch_format="numpy",
        compute=ray.data.ActorPoolStrategy(size=count, max_tasks_in_flight_per_actor=2),
        **resources,
    )
    with _plain_errors():
        for batch in scored.iter_batches(batch_size=None, batch_format="numpy"):
            for line in batch["entry"]:
                entry = Entry(**json.loads(line))
                shard = waiting.pop(entry.part)
                if not entry.sessions.items() <= shard.contents.items():
                    raise InputError(f"{table}: was changed during the run; the same command takes up what is new")
                yield shard, entry
            if stop.is_set():
                return


class Scorer:
    """A worker of the cluster: it loads the tagger once, and scores one shard after the other."""

    def __init__(self, folder: Path, table: Path, job: Job) -> None:
        self.tagger, self.table, self.job = Tagger.load(folder), table, job
        self.tagger.lower(job.hardware)
        job.hardware.use_threads()

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list[str]]:
        """From places (JSON: part, ranges of rows) to the entries of the shards that lie there."""
        return {"entry": [json.dumps(asdict(self._score(*json.loads(place)))) for place in batch["place"]]}

    def _score(self, part: int, rows: list[Rows]) -> Entry:
        sessions = read_rows(self.table, rows)
        utterances = pd.concat([session.utterances for session in sessions], ignore_index=True)
        contents = {session.session_id: session.content for session in sessions}
        tokens = tokenise(utterances, self.tagger.tokenizer)
        return score_shard(self.tagger, Shard(part, utterances, contents, 1.0, rows), tokens, self.job)


def _shares(count: int, hardware: Hardware) -> tuple[int, dict[str, float]]:
    """Number of workers, and what each takes of a machine; `count` 0: one per GPU, else one per machine."""
    machines = [node["Resources"] for node in _ray().nodes() if node["Alive"]]
    if hardware.device == "cuda":
        gpus = int(sum(machine.get("GPU", 0) for machine in machines))
        count = count or gpus
        return count, {"num_gpus": 1 / math.ceil(count / gpus), "num_cpus": 1}
    cores = [int(machine["CPU"]) for machine in machines if machine.get("CPU", 0) >= 1]
    count = count or sum(own // min(cores) for own in cores)
    return count, {"num_cpus": max(1, min(cores) // math.ceil(count / len(cores)))}


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Errors of a worker as if they had happened here; one of Ray's own in a line."""
    from ray.exceptions import RayError, RayTaskError

    try:
        yield
    except RayTaskError as error:
        cause = error.cause
        if isinstance(cause, ThreersError | OSError):
            raise cause from None
        raise
    except RayError as error:
        raise InputError(
            f"Ray gave up ({type(error).__name__}), perhaps because workers died again and again; what was finished is "
            "kept, and the same command goes on from there"
        ) from error


@contextmanager
def _hushed() -> Iterator[None]:
    """Nothing on standard error: Ray begins with a line that says how quiet it will be."""
    shown = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(shown, 2)
        os.close(shown)


def _ray() -> Any:
    # Before the import, or Ray would report its use, and tell of its inner life on standard error.
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
    try:
        import ray.data
    except ImportError:
        raise SettingsError('engine=ray: Ray is not installed; pip install "threers[ray]"') from None
    # The progress is ours to show, and an error is raised here, not told twice.
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.raise_original_map_exception = True
    return ray
