"""A file is there whole or not at all. Layer 0."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path` to write to; what was written is synced to disk, then renamed.

    The file is for its owner only. Folders that are missing are made, for their owner only as well.
    """
    # With `parents=True` those above would be open to others.
    for folder in reversed([path.parent, *path.parent.parents]):
        if not folder.is_dir():
            folder.mkdir(exist_ok=True, mode=0o700)
    # A name of its own: on a cluster, a worker that was given up may still be writing the part that another repeats.
    scratch = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        yield scratch
        scratch.chmod(0o600)
        with scratch.open("rb") as file:
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
