"""Coders and taggers held against each other, and what must hold before they are. Layer 5."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from threers import agreement
from threers.agreement.frame import CONSENSUS, MODEL
from threers.backbones import adapted, locate
from threers.codebook import Codebook
from threers.corpus import Corpus, session_hashes
from threers.errors import InputError, LeakError
from threers.jobs import AgreeRun
from threers.report import agreement_report, write_report
from threers.settings import Backbone
from threers.stored import read_mapping

#: Columns of the table of agreement that hold numbers.
FIGURES, COUNTS = ("estimate", "low", "high"), ("n_units", "n_positive", "n_groups")
#: Calibration error of the mean code of a family, with temperature and without.
ERRORS = ("ece_equal_mass", "ece_equal_mass_before_temperature")


def require_unseen(corpus: Corpus, scores: pd.DataFrame, manifest: Mapping[str, Any], where: str) -> None:
    """Raise LeakError where a tagger would be compared on sessions of groups that it learnt from."""
    group = corpus.group_of
    learnt = set(group.reindex(manifest.get("learnt_from", [])).dropna())
    learnt |= groups_with(corpus, manifest.get("tagger_learnt_from", []))  # sessions that were not scored, too
    seen = [session for session in scores["session_id"].unique() if group[session] in learnt]
    if seen:
        sessions = scores["session_id"].nunique()
        raise LeakError(
            f"scores {where}: {len(seen)} of {sessions} sessions belong to groups that the tagger learnt from, "
            "so the agreement would be too good; score other patients, or use threers evaluate"
        )


def require_unread(corpus: Corpus, coded: Corpus, backbone: Backbone) -> None:
    """Raise LeakError where the backbone of a cross-validation was adapted to sessions of groups to be tested."""
    read = adapted(locate(backbone))
    if read is None:
        return
    known = coded.sessions["group_id"].isin(groups_with(corpus, read["session_hashes"]))
    if known.any():
        raise LeakError(
            f"backbone {backbone.name}: it was adapted to sessions of groups to which {known.sum()} of {len(known)} "
            "coded sessions belong, so the agreement would be too good; take the backbone that it was made of, and "
            f"training.adapt_epochs={len(read['loss']) - 1}, which adapts it in each fold without the groups tested"
        )


def groups_with(corpus: Corpus, hashes: Collection[str]) -> set[str]:
    """The groups of a corpus that have a session with one of these hashes, see `corpus.session_hashes`."""
    if not hashes:
        return set()
    wanted = set(hashes)
    sessions = [session for session, own in session_hashes(corpus.utterances).items() if own in wanted]
    return set(corpus.sessions["group_id"][corpus.sessions["session_id"].isin(sessions)])


def compare(
    corpus: Corpus,
    machines: Sequence[pd.DataFrame],
    probabilities: Mapping[str, pd.DataFrame],
    out: Path,
    run: AgreeRun,
    folds: int = 0,
    curve: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Write the agreement of a corpus's coders and of machines into the folder `out`; returns the table.

    Args:
        corpus: its codings are the coders'.
        machines: the codings of each tagger or floor, like a coder's.
        probabilities: by tagger, its scores.
        out: the folder.
        run: how to compare.
        folds: of a cross-validation; 0: there was none.
        curve: a learning curve for the page.

    """
    table = agreement.agree(
        pd.concat([corpus.codings, *machines], ignore_index=True),
        corpus.utterances,
        corpus.group_of,
        corpus.codebook,
        probabilities=probabilities,
        resamples=run.resamples,
        seed=run.seed,
        segment_minutes=run.segment_minutes,
        consensus_share=run.consensus_share,
    )
    table.attrs["synthetic"] = bool(corpus.manifest.get("synthetic"))
    if folds:
        table.attrs["folds"] = folds
    verdicts = agreement.verdicts(table, run.verdict)
    agreement.write(table, out, verdicts)
    page = agreement_report(
        corpus, machines, probabilities, table, verdicts, run.verdict, curve=curve, include_text=run.include_text
    )
    write_report(page, out / "agreement.html")
    return table


def in_short(folder: Path, codebook: Codebook) -> dict[str, Any]:
    """What `threers evaluate` found, in short, for a model card.

    Returns `rows` as on the screen, `verdicts`, `calibration_error` (family -> mean over its codes, bins of equal mass,
    without and with temperature), and the numbers of `groups` and `folds`.

    Raises:
        InputError: agreement.json is not there, or damaged.

    """
    file, remedy = folder / "agreement.json", "run threers evaluate again"
    document = read_mapping(file, {"method": dict, "verdicts": list, "rows": list}, remedy)
    try:
        table = pd.DataFrame(document["rows"])[list(agreement.COLUMNS)]
        table = table.astype(dict.fromkeys(FIGURES, "float64") | dict.fromkeys(COUNTS, "Int64"))
        rows = agreement.table_for_screen(table, codebook)
        whole = table[table["code"].isna() & (table["level"] == "utterance")]
        errors = {
            family: [float(part.loc[part["statistic"] == name, "estimate"].iloc[0]) for name in ERRORS]
            for family, part in whole[whole["statistic"].isin(ERRORS)].groupby("family", sort=False)
        }
        verdicts = [{key: str(own[key]) for key in ("code", "verdict", "why")} for own in document["verdicts"]]
        method = {key: int(document["method"][key]) for key in ("groups", "folds")}
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{file}: not as it was written ({type(error).__name__}); {remedy}") from error
    return {"rows": rows, "verdicts": verdicts, "calibration_error": errors, **method}


def overall(table: pd.DataFrame, tagger: str) -> float:
    """Macro-F1 of a tagger with the consensus of the coders, the mean over the codes of all families on utterances."""
    rows = table[(table["level"] == "utterance") & (table["statistic"] == "macro_f1") & (table["family"] == "all")]
    (figure,) = rows.loc[(rows["rater_a"] == f"{MODEL}{tagger}") & (rows["rater_b"] == CONSENSUS), "estimate"]
    return float(figure)
