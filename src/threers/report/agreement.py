"""The report of agreement: all its parts in their order, on one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from threers.agreement.judgements import build_frames
from threers.corpus import Corpus
from threers.jobs import VerdictRules
from threers.report import audit, coders, codes, curve, disagreements, marking, method, opening, probabilities, sessions
from threers.report.blocks import numbered
from threers.report.comparison import Comparison
from threers.report.html import environment
from threers.report.stratified import stratified

#: The parts of the page; one without anything to say is left out.
PARTS = (
    opening.summary,
    opening.verdicts,
    audit.audit,
    codes.agreement_per_code,
    marking.confusion,
    marking.prevalence,
    probabilities.probabilities,
    curve.learning_curve,
    sessions.sessions,
    codes.segments,
    coders.pairs,
    stratified,
    coders.drop_in,
    disagreements.disagreements,
    method.method,
)


def agreement_report(
    corpus: Corpus,
    machines: Sequence[pd.DataFrame],
    probabilities: Mapping[str, pd.DataFrame],
    table: pd.DataFrame,
    verdicts: pd.DataFrame,
    rules: VerdictRules | None = None,
    *,
    curve: pd.DataFrame | None = None,
    include_text: bool = False,
) -> str:
    """One HTML file that shows and explains an agreement table; needs no network and no script.

    Holds no text, names of files, speakers, sessions or groups: sessions appear as numbers, in the order of their ids.
    Coders and codes appear by name.

    Args:
        corpus: the coders' codings and what they are of.
        machines: codings of models and floors, as given to `agreement.agree`.
        probabilities: model -> its scores.
        table: from `agreement.agree`.
        verdicts: from `agreement.verdicts`.
        rules: that made the verdicts.
        curve: from `agreement.curve.learning_curve`.
        include_text: list utterances on which models and coders disagree, with their text.

    """
    codings = pd.concat([corpus.codings, *machines], ignore_index=True)
    group = corpus.group_of
    share = float(table.attrs["consensus_share"])
    frames = build_frames(codings, corpus.utterances, group, corpus.codebook, share)
    names = sorted(frames[0].units.get_level_values(0).unique())
    comparison = Comparison(
        corpus=corpus.select(names),
        codings=codings,
        table=table,
        verdicts=verdicts,
        rules=rules or VerdictRules(),
        probabilities=probabilities,
        frames=frames,
        number_of={name: number for number, name in enumerate(names, 1)},
        uncoded=len(corpus.sessions) - len(names),
        curve=curve,
        include_text=include_text,
    )
    parts = [part for make in PARTS if (part := make(comparison)).blocks]
    return (
        environment()
        .get_template("agreement.html.j2")
        .render(
            title="Agreement of coders and models" if comparison.models else "Agreement of coders",
            codebook=corpus.codebook.title,
            synthetic=bool(corpus.manifest.get("synthetic")),
            include_text=include_text,
            sections=numbered(parts),
        )
    )
