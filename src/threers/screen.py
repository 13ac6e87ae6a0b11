"""What the verbs show on the screen: plain tables that a clinician reads. Layer 5, no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from threers import agreement
from threers.codebook import Codebook
from threers.corpus import Corpus
from threers.formats import privacy
from threers.formats.rejects import list_headers
from threers.purge import Found

#: Rows of the table of speakers that fit a screen.
SPEAKERS_SHOWN = 30
#: Words of a speaker's label.
LONGEST_NAME = 5
#: One code in so many on a speaker who may not have it: coders slip, but not so often.
MANY = 10
SYNTHETIC = "SYNTHETIC data: these figures say nothing about real therapy."


def say(text: str) -> None:
    """Print a line, unbroken however long it is, so that it can be copied."""
    Console(soft_wrap=True, highlight=False, markup=False).print(text)


def show_import(corpus: Corpus, folder: str) -> None:
    """Counts, roles, rejects by kind, and where the corpus lies."""
    counts = corpus.describe()["counts"]
    say(
        f"{counts['sessions']} sessions of {counts['groups']} groups, {counts['utterances']} utterances, "
        f"{counts['codings']} codings by {counts['coders']} coders"
    )
    say("roles: " + ", ".join(f"{role} {number}" for role, number in counts["roles"].items()))
    if counts["rejects"]:
        say(f"{sum(counts['rejects'].values())} rows listed in rejects.csv (the reason says whether the row was kept):")
        for reason, number in counts["rejects"].items():
            say(f"  {number:>6}  {reason}")
    else:
        say("no row rejected")
    files = corpus.manifest.get("files", {})
    if files and files["imported"] < files["found"]:
        lost = files["found"] - files["imported"]
        say(
            f"note: nothing was taken from {lost} of {files['found']} files{_first(corpus, 'wrong columns')}; "
            "rejects.csv says from which, and why"
        )
    if sheet := _first(corpus, "sheet not read:.*headers are the same"):
        say(f"note: a workbook holds more than was read{sheet}")
    coded = int(corpus.codings["code"].notna().sum())
    if counts["rejects"].get("illegal role", 0) * MANY > coded:
        say(
            "note: many codes stand on speakers who may not have them, and were dropped. Are roles swapped, or do the "
            "numbers of a sheet mean other utterances than the transcript's? docs/guides/own-data.md#common-surprises"
        )
    if unread := corpus.manifest.get("columns_not_imported"):
        say(f"note: columns that mean nothing to reader {corpus.manifest['reader']}: {list_headers(unread)}")
    if corpus.identifiers is not None and len(corpus.identifiers):
        say("texts may identify persons (identifiers.csv says where, without the text):")
        for line in privacy.summarise(corpus.identifiers):
            say(f"        {line}")
    if corpus.manifest.get("grouped_by") == "session":
        what = "column"
        how = "name that column: 'columns={patient: …}', or add a table with the columns session and patient"
        if corpus.manifest.get("reader") == "transcript":
            own = 'file_name: "{patient}_{session_number}"'
            what, how = (
                "file",
                f"let the files' names say it: {own} in a copy of configs/reader/transcript.yaml, reader=…",
            )
        say(
            f"note: no {what} says who the patient is, so every session counts as a group of its own. If patients have "
            f"several sessions, {how}"
        )
    say(f"corpus: {Path(folder)}")


def _first(corpus: Corpus, reason: str) -> str:
    """The first file with such a reason, which says what to do; empty: none."""
    found = corpus.rejects[corpus.rejects["reason"].str.match(reason)]
    return "" if found.empty else f", as in {found['file'].iloc[0]}: {found['reason'].iloc[0]}"


def show_speakers(speakers: pd.DataFrame) -> None:
    """Everyone who speaks in files where a role is missing, with what helps to say who is who; of many the first."""
    lacking = speakers.loc[speakers["role"] == "unknown", "file"]
    speakers = speakers[speakers["file"].isin(lacking)]
    shown = speakers.head(SPEAKERS_SHOWN)
    show_rows(
        [
            {
                "file": row.file,
                "speaker": _speaker(row.speaker),
                "role": row.role if row.role != "unknown" else "?",
                "utterances": str(row.utterances),
                "share of words": f"{row.share_of_words:.0%}",
                "with a question": f"{row.share_with_question:.0%}",
            }
            for row in shown.itertuples()
        ]
    )
    if len(speakers) > len(shown):
        say(f"and {len(speakers) - len(shown)} more")


def _speaker(label: str) -> str:
    """A speaker's label, unless it is so long that it is rather an utterance in the wrong column."""
    words = len(label.split())
    return label if words <= LONGEST_NAME else f"({words} words, not shown)"


def show_agreement(table: pd.DataFrame, codebook: Codebook) -> None:
    """One row per family and code: people with people, each machine with the people's consensus."""
    rows = agreement.table_for_screen(table, codebook)
    if table.attrs.get("synthetic"):
        say(SYNTHETIC)
    if rows and "utterance" not in set(table["level"]):
        say("no utterance was coded: codes are compared on segments")
    for found in (rows, agreement.ratings_for_screen(table, codebook)):
        if found:
            show_rows(found)
    for note in agreement.notes(table):
        say(f"note: {note}")
    say(
        f"95 % intervals: bootstrap over {table.attrs['groups']} groups. F1 and kappa against the consensus of the "
        "coders; of a family, the mean over its codes. Every comparison is in agreement.csv."
    )


def show_scores(manifest: dict[str, Any], folder: str) -> None:
    """What a scoring run did."""
    if manifest["synthetic"]:
        say(SYNTHETIC)
    rate = manifest["tokens_per_second"]
    speed = f", {rate:,.0f} tokens per second, {manifest['padding']:.0%} padding" if rate else ""
    again = "; some or all of it in an earlier run" if manifest["resumed"] else ""
    say(f"{manifest['sessions']} sessions, {manifest['utterances']} utterances scored{speed}{again}")
    say(f"{manifest['hardware']['device']}, {manifest['precision']} ({manifest['hardware']['reason']})")
    if manifest["unknown_role"]:
        say(
            f"{manifest['unknown_role']} utterances have a speaker without a role; they get no code that needs one. "
            "Say who is who, and score again: 'roles={A: patient, B: therapist}'; threers import shows who speaks"
        )
    if manifest["rejected"]:
        say(f"{manifest['rejected']} rows, sessions or files have a fault: {Path(folder) / 'errors.csv'}")
    if "abstention" in manifest:
        show_abstention(manifest["abstention"])
    say(f"scores: {Path(folder)}")


def show_sample(manifest: dict[str, Any], folder: str) -> None:
    """What was chosen, what may be concluded from it, and how the sheets come back."""
    out = Path(folder)
    n, total = manifest["n"], manifest["sessions"]
    say(f"{n} of {total} uncoded sessions, how={manifest['how']}: {out / 'sampling.csv'}")
    if manifest["how"] == "uncertain":
        say("chosen, not drawn: good to learn from; no share or count of all sessions follows from them")
    else:
        say(f"drawn at random, each with probability {n / total:.3f}: they stand for all {total}")
    say(f"sheets: {out / 'sheets'}: THEY HOLD THE TRANSCRIPT TEXT; handle them like the transcripts")
    say(
        "coders fill the columns coder and code (several codes: W1; R3), a row at least per session: none where there "
        f"is nothing to mark. Then: threers import source='{out / 'sheets'}/*' corpus=…"
    )


def show_abstention(found: dict[str, Any]) -> None:
    """What was left to humans, what that promises of each code, and where nothing can be promised."""
    promised = [row for row in found["codes"] if row["promised"] is not None]
    if promised:
        show_rows(
            [
                {
                    "code": row["code"] if row["answer"] == "marked" else f"{row['code']} (not marked)",
                    "patients": str(row["groups"]),
                    "promised error": f"{row['promised']:.1%}",
                    "error on other folds": _percent(row["error_realised"]),
                    "without abstaining": _percent(row["error_before"]),
                    "left to humans": str(row["left_to_humans"]),
                }
                for row in promised
            ]
        )
        say(f"{found['left_to_humans']:.1%} of the utterances have a code that is left to humans")
        say(found["promise"])
    few = [row for row in found["codes"] if row["groups"] < found["fewest_groups"]]
    if few:
        names = ", ".join(f"{row['code']} {row['answer']} ({row['groups']})" for row in few)
        say(
            f"nothing can be promised of {names}: an error of {found['error']:.1%} needs {found['fewest_groups']} "
            "coded patients that have it; it is tagged as without abstain"
        )
    lost = [row["code"] for row in found["codes"] if row["promised"] is None and row not in few]
    if lost:
        say(f"nothing can be promised of {', '.join(lost)}: too rare in some folds to be learnt there")


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"  # noqa: RUF001 an en dash, as tables have it


def show_adaptation(manifest: Mapping[str, Any], out: str) -> None:
    """What an adapted backbone has read, whether that helped it on other groups, and how it is used."""
    loss = manifest["loss"]
    say(f"{manifest['sessions']['read']} sessions read, epochs {len(loss) - 1}: {out}")
    aside = f"{manifest['sessions']['kept_aside']} sessions of other groups"
    say(f"loss per masked token on {aside}: {loss[0]:.3f} before, {loss[-1]:.3f} afterwards")
    say(f"to train from it: {manifest['use'].replace('FOLDER', out)}")


def show_purge(found: Sequence[Found], deleted: bool) -> None:
    """What was deleted or would be, and what deleting does not do."""
    for one in found:
        say(f"{one.kind}: {one.folder}: {len(one.files)} files, {one.size / 1e6:,.1f} MB")
    if not deleted:
        say("nothing was deleted; to delete all of it, the same command with confirm=true")
        return
    say(
        "deleted. The disk's blocks were not overwritten: until the system uses them again, and in backups, snapshots "
        "and synchronised copies, the data may still be there"
    )


def show_findings(findings: Sequence[tuple[str, str]]) -> None:
    """Findings of `doctor`, a line each."""
    width = max(len(what) for what, _ in findings)
    for what, finding in findings:
        say(f"{what:{width}}  {finding}")


def show_rows(rows: Sequence[dict[str, str]]) -> None:
    """Rows with the same keys as a table."""
    table = Table()
    for number, name in enumerate(rows[0]):
        table.add_column(name, justify="left" if number == 0 else "right")
    for row in rows:
        table.add_row(*row.values())
    console = Console(markup=False)
    # A file or a pipe has no width of its own; a table cut at 80 columns would lose its figures.
    Console(markup=False, width=None if console.is_terminal else 160).print(table)
