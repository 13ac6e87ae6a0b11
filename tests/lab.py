"""`threers` many times over, as in a lab of its own: a home, a cache and a temporary folder that nobody else uses.

The libraries that take seconds to import are imported once; each command then runs in a process forked from there. None
of these reads the switches that threers sets, which those of SWITCHED do.
"""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

HOMES = {"HOME": "home", "TMPDIR": "tmp", "XDG_CACHE_HOME": "cache"}
SWITCHED = ("transformers", "datasets", "huggingface_hub", "accelerate")
SWITCHES = (
    "HF_HUB_OFFLINE",
    "TRANSFORMERS_OFFLINE",
    "HF_DATASETS_OFFLINE",
    "HF_HUB_DISABLE_TELEMETRY",
    "DO_NOT_TRACK",
    "TORCH_FORCE_WEIGHTS_ONLY_LOAD",
)


@dataclass
class Said:
    """What a command said; `early`: what it imported before the switches were set."""

    status: int
    out: str
    err: str
    early: str


@dataclass
class Lab:
    """Commands run in `folder`, with no switch set and no right withheld (umask 0)."""

    folder: Path
    said: list[Said] = field(default_factory=list)

    def __post_init__(self):
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "TRANSFORMERS_"))}
        for name, place in HOMES.items():
            (self.folder.parent / place).mkdir()
            environment[name] = str(self.folder.parent / place)
        self.folder.mkdir()
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen([sys.executable, __file__], text=True, env=environment, **pipes)

    def threers(self, *words, before="", kill_when=""):
        """Run a command; `before`: Python to run first; `kill_when`: a pattern of files at which it is killed."""
        streams = [str(self.folder.parent / name) for name in ("out", "err", "early")]
        asked = {"words": [str(word) for word in words], "cwd": str(self.folder), "streams": streams}
        self.process.stdin.write(json.dumps(asked | {"before": before, "kill_when": kill_when}) + "\n")
        self.process.stdin.flush()
        status = int(self.process.stdout.readline())
        self.said.append(Said(status, *(Path(stream).read_text(encoding="utf-8") for stream in streams)))
        return self.said[-1]

    def close(self):
        """End the process that forks."""
        self.process.stdin.close()
        self.process.wait()


def serve():
    """Fork a process for each line of standard input, and say how it ended."""
    import hydra  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import scipy.stats  # noqa: F401
    import sklearn.linear_model  # noqa: F401
    import torch  # noqa: F401

    import threers.runs
    import threers.screen  # noqa: F401

    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if not child:
            return become_threers(asked)
        while not (ended := os.waitpid(child, os.WNOHANG))[0]:
            if asked["kill_when"] and list(Path(asked["cwd"]).glob(asked["kill_when"])):
                os.kill(child, signal.SIGKILL)
            time.sleep(0.01)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(ended[1])}\n")
        sys.stdout.flush()


def become_threers(asked):
    """What the command `threers` does in a new process."""
    for number, stream in enumerate(asked["streams"][:2], start=1):
        os.dup2(os.open(stream, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    early = open(asked["streams"][2], "w", buffering=1, encoding="utf-8")

    def watch(event, arguments):
        if event == "import" and arguments[0] in SWITCHED and not all(os.environ.get(name) == "1" for name in SWITCHES):
            early.write(f"{arguments[0]}\n")

    sys.addaudithook(watch)
    os.chdir(asked["cwd"])
    os.umask(0)
    sys.argv = ["threers", *asked["words"]]
    exec(asked["before"], {})
    from threers.cli import main

    main()


if __name__ == "__main__":
    serve()
