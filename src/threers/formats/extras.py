"""Libraries that come with the extra `threers[formats]`, loaded when a file needs them."""

from __future__ import annotations

import importlib
from types import ModuleType

from threers.errors import InputError


def load(module: str, what: str) -> ModuleType:
    """Import a module; `what` begins the message where it is missing, as in `DOCX files`.

    Raises:
        InputError: it is not installed; says what to run.

    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(f"{what} need a library that is not installed; run: pip install 'threers[formats]'") from error
