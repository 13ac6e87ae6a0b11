"""A scores folder is finished: its rejects, summaries and rates, and last its manifest. Layer 4, no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from threers.abstention import Limits, describe
from threers.codebook import Codebook
from threers.doctor import versions
from threers.jobs import ScoreRun
from threers.prevalence import prevalence
from threers.score_checks import check_scores
from threers.scores import PARTS, write_csv, write_json
from threers.shards import DELETE
from threers.stored import read_parquet
from threers.streams import Source
from threers.summary import write_summaries

if TYPE_CHECKING:
    from threers.tagger import Tagger


def finish_scores(
    run: ScoreRun,
    tagger: Tagger,
    source: Source,
    out: Path,
    found: dict[str, Any],
    limits: Limits | None,
    group_of: pd.Series,
) -> dict[str, Any]:
    """Write all that stands beside the scored utterances, the manifest last, and return it.

    Args:
        run: what was asked for.
        tagger: what scored.
        source: what was scored; it knows its rejects.
        out: the folder.
        found: what the manifest is to say of the run itself.
        limits: from which an utterance was left to humans; None: none was.
        group_of: session_id -> group_id, where the source says so.

    Raises:
        InputError: a part of the scores is damaged; names it.

    """
    rejects = source.rejects.frame()
    write_csv(rejects, out / "errors.csv")
    asked = (run.segment_minutes, run.repair_segments)
    sessions = write_summaries(lambda: _scored(out, tagger.codebook), tagger.codebook, out, *asked)
    if tagger.calibration is not None:
        # A session whose group nobody knows counts as one.
        groups = len({group_of.get(session, session) for session in sessions["session_id"]})
        rates = prevalence(sessions, groups, tagger.calibration, tagger.codebook)
        write_csv(rates, out / "prevalence.csv")
        if limits is not None:
            found = found | {"abstention": describe(tagger.calibration, limits, sessions, tagger.codebook)}
    manifest = found | {
        "name": tagger.manifest.get("name", Path(run.tagger).name),
        "codebook": tagger.codebook.name,
        "codebook_sha256": tagger.codebook.hash,
        "decisions": tagger.decisions.to_dict(),
        "tagger_learnt_from": tagger.manifest.get("learnt_from", []),
        "repair_segments": run.repair_segments,
        "engine": asdict(run.engine),
        "versions": versions(),
        "synthetic": bool(tagger.manifest.get("synthetic")),
        "rejected": len(rejects),
    }
    write_json(manifest, out / "manifest.json")
    return manifest


def _scored(out: Path, codebook: Codebook) -> Iterator[pd.DataFrame]:
    for part in sorted((out / PARTS).glob("part-*.parquet")):
        yield check_scores(read_parquet(part, DELETE), codebook, part, DELETE)
