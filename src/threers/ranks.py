"""One training run in several processes, as `accelerate launch` starts them: who writes, and who is told. Layer 2."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def is_first() -> bool:
    """Is this the process that writes and speaks? The only one of a usual run is."""
    return int(os.environ.get("RANK", 0)) == 0


def count() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", 1))


def speak(mark: str = "") -> None:
    """Show on standard error what the program says of its work, `mark` before each line; one process speaks for all
    that train together.
    """
    logging.basicConfig(level=logging.WARNING, format=f"{mark}%(message)s", stream=sys.stderr, force=True)
    logging.getLogger("threers").setLevel(logging.INFO if is_first() else logging.ERROR)


def first_says(make: Callable[[], T]) -> T:
    """What `make` gives in the first process, in all of them: they must never disagree on when to stop."""
    if count() == 1:
        return make()
    from torch import distributed

    said = [make() if is_first() else None]
    distributed.broadcast_object_list(said)
    return said[0]  # type: ignore[return-value]
