"""Rater by rater: every pair's agreement, and the model in a coder's place."""

from __future__ import annotations

import numpy as np
import pandas as pd

from threers.agreement import alternative_annotator_test
from threers.agreement.frame import CODERS, Frame
from threers.agreement.replacement import EPSILON
from threers.report.blocks import Block, Cell, Heading, Matrix, Row, Section, Table, Text
from threers.report.codes import by_family
from threers.report.comparison import ABSENT, Comparison, number, short, whole_number
from threers.report.marking import DARKEST


def pairs(c: Comparison) -> Section:
    """A matrix of kappa for each family: coders, then models."""
    raters = [*c.people, *c.models]
    if len(raters) < 2 or not c.by_utterance:
        return Section("pairs", "Pair by pair")
    blocks: list[Block] = [
        Text("Kappa of each pair on the utterances that both judged, with their number. A dash: none in common.")
    ]
    for frame in c.frames:
        code, statistic = c.whole(frame)
        rows = [(short(a), [_cell(c, a, b, statistic, frame.family.name, code) for b in raters]) for a in raters]
        if any(cell.below for _, cells in rows for cell in cells):
            caption = f"{frame.family.title}: {c.whole_in_words(frame)}, pair by pair."
            blocks.append(Matrix(caption, "", [short(rater) for rater in raters], rows))
    return Section("pairs", "Pair by pair", blocks)


def _cell(c: Comparison, a: str, b: str, statistic: str, family: str, code: str | None) -> Cell:
    if a == b:
        return Cell("")
    found = c.find(a, b, statistic, family, code) or c.find(b, a, statistic, family, code)
    if found is None or not found.n_units:
        return Cell(ABSENT)
    tint = 0.0 if np.isnan(found.estimate) else DARKEST * max(found.estimate, 0.0)
    return Cell(number(found.estimate), f"n {whole_number(found.n_units)}", tint)


def drop_in(c: Comparison) -> Section:
    """Alpha and ICC of the panel when a model takes a coder's place, and the alternative annotator test."""
    blocks: list[Block] = []
    for model in c.models:
        blocks += _of_model(c, model)
    return Section("drop-in", "The model in a coder's place", blocks)


def _of_model(c: Comparison, model: str) -> list[Block]:
    name = short(model)
    table = _mean_table(c, model)
    if not table.rows:
        return [Text(f"No unit was judged by two coders and {name}, so {name} cannot be put in a coder's place.")]
    blocks: list[Block] = [
        Text(
            f"One coder is left out and {name} put in the place: Krippendorff's alpha of the whole panel, and "
            "ICC(A,1) of counts per session with each other coder, on the same units before and after. Change: "
            "after minus before, mean over the coders replaced. An interval around or above 0 says that the panel "
            "loses nothing; a wide one, that nothing is known."
        ),
        table,
    ]
    return [*blocks, _table_by_coder(c, model), *_replacement_test(c, model)]


def _mean_table(c: Comparison, model: str) -> Table:
    def cells(frame: Frame, code: str | None) -> list[str] | None:
        after = c.find(model, CODERS, "drop_in_alpha", frame.family.name, code)
        change = c.find(model, CODERS, "drop_in_alpha_change", frame.family.name, code)
        if after is None or change is None:
            return None
        key = frame.family.name, code, "session"
        icc = c.find(model, CODERS, "drop_in_count_icc_a1", *key)
        icc_change = c.find(model, CODERS, "drop_in_count_icc_a1_change", *key)
        return [
            whole_number(after.n_units),
            number(after.estimate - change.estimate),
            number(after.estimate),
            c.said(model, CODERS, "drop_in_alpha_change", frame.family.name, code, signed=True),
            number(icc.estimate - icc_change.estimate) if icc and icc_change else ABSENT,
            number(icc.estimate) if icc else ABSENT,
            c.said(model, CODERS, "drop_in_count_icc_a1_change", *key, signed=True),
        ]

    head = ["Code", "Units", "Alpha, coders", f"with {short(model)}", "Change"]
    head += ["ICC, coders", f"with {short(model)}", "Change"]
    return Table(
        f"{short(model)} in a coder's place: mean over the coders. Units: the most of any coder replaced.",
        head,
        by_family(c, cells),
        running_text=(0,),
    )


def _table_by_coder(c: Comparison, model: str) -> Table:
    """A row for each coder under each drawn code, or under a family whose codes exclude each other."""
    rows = []
    for frame in c.frames:
        for code in [None] if frame.values is not None else [code for code in frame.codes if code in c.drawn]:
            found = []
            for coder in c.people:
                alpha = c.said(model, coder, "drop_in_alpha_change", frame.family.name, code, signed=True)
                key = frame.family.name, code, "session"
                icc = c.said(model, coder, "drop_in_count_icc_a1_change", *key, signed=True)
                if (alpha, icc) != (ABSENT, ABSENT):
                    found.append(Row([coder, alpha, icc]))
            rows += [Row([frame.family.title if code is None else c.title(code)]), *found] if found else []
    head = ["In place of", "Change of alpha", "Change of ICC"]
    if all(row.cells[-1] == ABSENT for row in rows if len(row.cells) > 1):
        # Of codes that exclude each other there is no count as a whole.
        head, rows = head[:-1], [Row(row.cells[:2]) for row in rows]
    return Table(f"{short(model)} in the place of each coder.", head, rows)


def _replacement_test(c: Comparison, model: str) -> list[Block]:
    group = c.corpus.group_of
    found = alternative_annotator_test(c.codings, c.corpus.utterances, group, c.codebook, model)
    blocks: list[Block] = [Heading(f"Alternative annotator test, {short(model)}")]
    if found.empty:
        return [*blocks, Text("No unit was judged by three coders, so the alternative annotator test cannot be made.")]
    silent = _winning_rates(c, group, silent_floor) if (silent_floor := _silent_floor(c)) else None
    tested = found[found["coder"] != CODERS].groupby(["family", "code"], dropna=False).size()
    whole = found[found["coder"] == CODERS].set_index(["family", "code"])

    def cells(frame: Frame, code: str | None) -> list[str] | None:
        key = (frame.family.name, np.nan if code is None else code)
        if key not in whole.index:
            return None
        row = whole.loc[[key]].iloc[0]
        sizes = [whole_number(row["n_units"]), whole_number(row["n_groups"]), str(tested.loc[[key]].iloc[0])]
        beside = [] if silent is None else [number(float(silent.get(key, np.nan)))]
        return [*sizes, number(row["advantage"]), number(row["winning_rate"]), *beside]

    head = ["Code", "Units", f"{c.group.capitalize()}s", "Coders tested", "Advantage probability", "Winning rate"]
    head += [] if silent is None else ["Winning rate of silence"]
    epsilon = EPSILON["expert"]
    said = (
        "Does the model agree with the other coders at least as often as the coder whose place it takes? Advantage "
        "probability: share of units on which it does at least as well. Winning rate: share of coders for whom "
        f"that holds (coder better by less than {epsilon:g}, one-sided t-test over {c.group}s, corrected over "
        "coders at 5 %); from 0.5 on, the test's authors accept the model. For a rare code nearly every unit is "
        "unmarked by all, and any silent model passes: read it beside kappa and recall."
    )
    if silent is not None:
        said += " Silence is the floor that marks nothing: where it wins as often, the test says nothing of the model."
    return [*blocks, Text(said), Table("Alternative annotator test.", head, by_family(c, cells), running_text=(0,))]


def _silent_floor(c: Comparison) -> str | None:
    """A floor that marks nothing at all."""
    for floor in c.floors:
        if all(
            frame.values is None and not (frame.marks[:, frame.raters.index(floor)] == 1).any() for frame in c.frames
        ):
            return floor
    return None


def _winning_rates(c: Comparison, group: pd.Series, rater: str) -> pd.Series:
    found = alternative_annotator_test(c.codings, c.corpus.utterances, group, c.codebook, rater)
    return found[found["coder"] == CODERS].set_index(["family", "code"])["winning_rate"]
