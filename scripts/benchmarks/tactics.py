"""WikiTactics on its own test split: 18 labels and three families collapsed from them, floors, a plain fine-tune;
differences are paired, on the same resamples of the disputes.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from threers.agreement import agree, macro_f1_difference
from threers.codebook import Codebook
from threers.corpus import Corpus
from threers.floors import FLOORS
from threers.scores import scores_to_codings

from .accuracy import DEFAULT, PLAIN, folder_of, rows_named, run_row

#: What a collapsed code stands for; withdrawal-, confrontation- and repair-like tactics.
COLLAPSED = {
    "withdraw": ("bailing_out", "derailing"),
    "confront": ("name_calling", "ad_hominem", "policing"),
    "repair": ("compromise", "conceding"),
}
#: How far above these a side is.
RIVALS = ("floor:tf-idf", f"model:{PLAIN}")
TITLES = {DEFAULT: "threers", "mpnet_lower": "threers, mpnet_lower"}


def compare(given: argparse.Namespace) -> dict[str, Any]:
    """Learn from the sessions whose column `split` is not `test`, and judge on the others; `rows` as of `accuracy`."""
    corpus, out = Corpus.load(given.corpus), Path(given.out)
    fold_of = (corpus.sessions.set_index("session_id")["split"] != "test").astype(int)
    sides = list(dict.fromkeys([DEFAULT, *rows_named(given.rows or PLAIN)]))
    for side in sides:
        run_row(corpus, fold_of, side, 0, given, folder_of(out, side))
    test = corpus.select(list(fold_of.index[fold_of == 0]))
    machines = [pd.read_parquet(folder_of(out, DEFAULT) / "floors-0.parquet")]
    for side in sides:
        scores = pd.read_parquet(folder_of(out, side) / "scores-0.parquet")
        machines.append(scores_to_codings(scores, corpus.codebook, f"model:{TITLES.get(side, side)}"))
    codings = pd.concat([test.codings, *machines], ignore_index=True)
    judged = (test.utterances, test.group_of)
    figures = _figures("18 labels, macro-F1", codings, *judged, corpus.codebook, given.resamples)
    for code in COLLAPSED:
        collapsed = _collapse(codings, code), *judged, _codebook_of(code)
        figures |= _figures(f"{code}, F1", *collapsed, given.resamples)
    return figures


def _figures(
    title: str, codings: pd.DataFrame, utterances: pd.DataFrame, groups: pd.Series, codebook: Codebook, resamples: int
) -> dict[str, dict[str, list[float]]]:
    """Macro-F1 of all codes (of one code, its F1) of each side, and how far it is above each of `RIVALS` there."""
    judged = codings, utterances, groups, codebook
    rows = agree(*judged, resamples=resamples)
    rows = rows[(rows["level"] == "utterance") & (rows["statistic"] == "macro_f1") & (rows["rater_b"] == "consensus")]
    rows = rows[rows["family"] == "all"].set_index("rater_a")[["estimate", "low", "high"]]
    figures = {title: {side: row.tolist() for side, row in rows.iterrows()}}
    for rival in RIVALS:
        if rival in rows.index:
            figures[f"{title}, less {rival}"] = {
                side: list(macro_f1_difference(*judged, side, rival, resamples=resamples))
                for side in rows.index
                if side not in (rival, *FLOORS)
            }
    return figures


def _collapse(codings: pd.DataFrame, code: str) -> pd.DataFrame:
    keys = ["session_id", "unit", "unit_id", "coder_id"]
    to = dict.fromkeys(COLLAPSED[code], code)
    marked = codings.assign(code=codings["code"].map(to)).drop_duplicates([*keys, "code"])
    # Whoever marked other tactics only has read the unit, and marked nothing.
    alone = marked["code"].notna() | ~marked.groupby(keys)["code"].transform(lambda own: own.notna().any())
    return marked[alone].assign(value=marked["code"].notna().astype(float)).reset_index(drop=True)


def _codebook_of(code: str) -> Codebook:
    codes = {code: {"title": code, "definition": ", ".join(COLLAPSED[code])}}
    family = {"title": "Tactics", "kind": "multilabel", "unit": "utterance", "roles": "anyone", "codes": codes}
    return Codebook.from_dict(
        {"name": "collapsed", "title": "Collapsed tactics", "roles": ["participant"], "families": {"tactics": family}}
    )


def table(figures: dict[str, Any]) -> str:
    """Markdown: a row per judgement, a column per side."""
    sides = list(next(iter(figures.values())))
    lines = ["| | " + " | ".join(sides) + " |", "|---|" + "---|" * len(sides)]
    for name, own in figures.items():
        form = "{:+.3f} [{:+.3f}, {:+.3f}]" if ", less " in name else "{:.3f} [{:.3f}, {:.3f}]"
        lines.append("| " + " | ".join([name, *(form.format(*own[s]) if s in own else "" for s in sides)]) + " |")
    return "\n".join(lines)
