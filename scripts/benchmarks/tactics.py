"""WikiTactics on its own test split: 18 labels and three families collapsed from them, floors, a plain fine-tune."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from threers.agreement import agree
from threers.codebook import Codebook
from threers.corpus import Corpus
from threers.scores import scores_to_codings

from .accuracy import DEFAULT, PLAIN, folder_of, run_row

#: What a collapsed code stands for; withdrawal-, confrontation- and repair-like tactics.
COLLAPSED = {
    "withdraw": ("bailing_out", "derailing"),
    "confront": ("name_calling", "ad_hominem", "policing"),
    "repair": ("compromise", "conceding"),
}
TITLES = {DEFAULT: "threers", "mpnet_lower": "threers, mpnet_lower"}


def compare(given: argparse.Namespace) -> dict[str, Any]:
    """Learn from the sessions whose column `split` is not `test`, and judge on the others; `rows` as of `accuracy`."""
    corpus, out = Corpus.load(given.corpus), Path(given.out)
    fold_of = (corpus.sessions.set_index("session_id")["split"] != "test").astype(int)
    sides = list(dict.fromkeys([DEFAULT, *(given.rows or PLAIN).split(",")]))
    for side in sides:
        run_row(corpus, fold_of, side, 0, given, folder_of(out, side))
    test = corpus.select(list(fold_of.index[fold_of == 0]))
    machines = [pd.read_parquet(folder_of(out, DEFAULT) / "floors-0.parquet")]
    for side in sides:
        scores = pd.read_parquet(folder_of(out, side) / "scores-0.parquet")
        machines.append(scores_to_codings(scores, corpus.codebook, f"model:{TITLES.get(side, side)}"))
    codings = pd.concat([test.codings, *machines], ignore_index=True)
    groups = test.sessions.set_index("session_id")["group_id"]
    whole = agree(codings, test.utterances, groups, corpus.codebook, resamples=given.resamples)
    few = agree(_collapse(codings), test.utterances, groups, _collapsed_codebook(), resamples=given.resamples)
    return {"18 labels, macro-F1": _figures(whole, "macro_f1", None)} | {
        f"{code}, F1": _figures(few, "f1", code) for code in COLLAPSED
    }


def _figures(rows: pd.DataFrame, statistic: str, code: str | None) -> dict[str, list[float]]:
    rows = rows[(rows["level"] == "utterance") & (rows["statistic"] == statistic) & (rows["rater_b"] == "consensus")]
    rows = rows[rows["code"] == code] if code else rows[rows["family"] == "all"]
    return {row["rater_a"]: [row["estimate"], row["low"], row["high"]] for _, row in rows.iterrows()}


def _collapse(codings: pd.DataFrame) -> pd.DataFrame:
    to = {code: family for family, codes in COLLAPSED.items() for code in codes}
    keys = ["session_id", "unit", "unit_id", "coder_id"]
    marked = codings.assign(code=codings["code"].map(to)).drop_duplicates([*keys, "code"])
    # Whoever marked other tactics only has read the unit, and marked nothing.
    alone = marked["code"].notna() | ~marked.groupby(keys)["code"].transform(lambda own: own.notna().any())
    return marked[alone].assign(value=marked["code"].notna().astype(float)).reset_index(drop=True)


def _collapsed_codebook() -> Codebook:
    codes = {code: {"title": code, "definition": ", ".join(parts)} for code, parts in COLLAPSED.items()}
    family = {"title": "Tactics", "kind": "multilabel", "unit": "utterance", "roles": "anyone", "codes": codes}
    return Codebook.from_dict(
        {"name": "collapsed", "title": "Collapsed tactics", "roles": ["participant"], "families": {"tactics": family}}
    )


def table(figures: dict[str, Any]) -> str:
    """Markdown: a row per judgement, a column per side."""
    sides = list(next(iter(figures.values())))
    lines = ["| | " + " | ".join(sides) + " |", "|---|" + "---|" * len(sides)]
    for name, own in figures.items():
        lines.append("| " + " | ".join([name, *("{:.3f} [{:.3f}, {:.3f}]".format(*own[s]) for s in sides)]) + " |")
    return "\n".join(lines)
