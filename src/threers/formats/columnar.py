"""Parquet files, and the Arrow files in a folder that Hugging Face's datasets wrote with `save_to_disk`."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from threers.errors import InputError

_PARQUET = b"PAR1"
#: What lies beside the Arrow files of a dataset, and is no table.
_ABOUT_A_DATASET = ("state.json", "dataset_info.json", "dataset_dict.json")


def is_parquet(content: bytes) -> bool:
    """Does the content begin as a Parquet file does?"""
    return content.startswith(_PARQUET)


def is_about_a_dataset(path: Path) -> bool:
    """Does this file only describe the Arrow files beside it, or in the folders beside it?"""
    return path.name in _ABOUT_A_DATASET and any(path.parent.glob("**/*.arrow"))


def read_parquet(content: bytes) -> pd.DataFrame:
    """A Parquet file's table.

    Raises:
        InputError: it is damaged.

    """
    try:
        return pd.read_parquet(io.BytesIO(content), page_checksum_verification=True)
    except Exception as error:
        raise InputError(f"not a readable Parquet file ({type(error).__name__})") from error


def read_arrow(content: bytes) -> pd.DataFrame:
    """The table of one Arrow file of a dataset; labels (`ClassLabel`) by their names.

    Raises:
        InputError: it is damaged.

    """
    import pyarrow
    from datasets import Features

    try:
        table = pyarrow.ipc.open_stream(pyarrow.py_buffer(content)).read_all()
        # Before anything else looks: offsets and lengths that point elsewhere would be followed.
        table.validate(full=True)
        frame = table.to_pandas()
        for column, feature in Features.from_arrow_schema(table.schema).items():
            if names := _names(feature):
                frame[column] = frame[column].map(lambda value, names=names: _named(value, names))
    except Exception as error:
        raise InputError(
            f"not a readable Arrow file of a dataset ({type(error).__name__}); expected one that the package datasets "
            "wrote with save_to_disk"
        ) from error
    return frame


def _names(feature: Any) -> list[str]:
    """The names of a label's numbers, or of a list's labels; of anything else none."""
    return list(getattr(getattr(feature, "feature", feature), "names", None) or [])


def _named(value: Any, names: Sequence[str]) -> str | None:
    if isinstance(value, np.ndarray):
        return "; ".join(names[int(one)] for one in value if one >= 0)
    return None if value is None or pd.isna(value) or value < 0 else names[int(value)]
