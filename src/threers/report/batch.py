"""A folder of pages: one per session, written as the sessions come, and their index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from threers.errors import InputError
from threers.jobs import ReportRun
from threers.report.html import file_stem, write_report
from threers.report.scored import Batch, ScoredSession
from threers.report.session_index import index_page, index_row
from threers.report.session_page import Settings, session_page


def batch_settings(batch: Batch, run: ReportRun) -> Settings:
    """What all pages of a run have in common."""
    decisions = batch.manifest.get("decisions") or {}
    return Settings(
        codebook=batch.codebook,
        model=str(batch.manifest.get("name", "model")),
        synthetic=batch.synthetic,
        include_text=run.include_text,
        blind=run.blind,
        minutes=run.segment_minutes,
        within=run.repair_segments,
        thresholds=decisions.get("threshold", {}),
    )


def write_pages(batch: Batch, run: ReportRun, out: Path) -> int:
    """Write the page of every session and `index.html` into `out`; returns the number of sessions.

    Raises:
        InputError: as `Batch`; or a session stands in two places of the scores.

    """
    settings = batch_settings(batch, run)
    rows, seen = [], set()
    for before, session, after in _neighbours(batch):
        if session.session_id in seen:
            raise InputError(f"scores {run.scores}: session {session.session_id!r} stands in two places; score again")
        seen.add(session.session_id)
        ids = ("" if before is None else before.session_id, "" if after is None else after.session_id)
        page = session_page(session, settings, *ids)
        write_report(page, out / f"{file_stem(session.session_id)}.html")
        rows.append(index_row(session, settings))
    write_report(index_page(rows, settings), out / "index.html")
    return len(rows)


def _neighbours(
    sessions: Iterable[ScoredSession],
) -> Iterator[tuple[ScoredSession | None, ScoredSession, ScoredSession | None]]:
    """Each session between the one before and the one after it; no more than three are held."""
    before: ScoredSession | None = None
    here: ScoredSession | None = None
    for after in sessions:
        if here is not None:
            yield before, here, after
        before, here = here, after
    if here is not None:
        yield before, here, None
