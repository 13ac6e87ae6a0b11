"""Agreement code by code: the forest plot and its tables, of utterances and of segments."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from threers.agreement.frame import CODERS, CODERS_ON_SHARED_UNITS, CONSENSUS, FLOOR, Frame
from threers.agreement.timing import TOLERANCE
from threers.report import plots
from threers.report.blocks import Block, Figure, Key, Row, Section, Table, Text
from threers.report.comparison import ABSENT, Comparison, Estimate, number, short, whole_number

#: Cells of the row of a code, or of a family's codes together (None); None: no such row.
Cells = Callable[[Frame, str | None], list[str] | None]
OF_CODERS = (
    "Kappa and F1 are means over pairs of coders, each pair counting alike; Krippendorff's alpha is of all coders at "
    "once. Units: those that two or more coders judged."
)
OF_MODELS = (
    "All its codes: means over the codes without children that the reference used, but one kappa where the codes of a "
    "family exclude each other."
)
#: How the figures of codes are to be read.
READING = (
    "For a rare code kappa rests on a few marks, and it falls with rarity even where raters err no more often: compare "
    "raters on one code, not codes. An interval without width, as 1.00 [1.00, 1.00], says that no resample could show "
    "anything else, not that the figure is certain."
)
PARENTS = " A code with codes below it counts as marked wherever one of these is."


def where_codes_stand(c: Comparison) -> str:
    """What to read where nobody coded an utterance."""
    if c.by_segment:
        return "The coders coded segments, not utterances; agreement per code stands under Segments."
    return "The coders gave ratings and no codes; agreement on ratings stands under Sessions."


def agreement_per_code(c: Comparison) -> Section:
    """Forest plot and table of each code at the level of utterances."""
    if not c.by_utterance:
        return Section("codes", "Agreement per code", [Text(where_codes_stand(c))])
    parents = any(not frame.leaves.all() for frame in c.frames)
    blocks: list[Block] = [Text(_what_is_compared(c) + (PARENTS if parents else "")), Text(READING)]
    drawings = [plots.forest(f.family.title, entries) for f in c.frames if (entries := _entries(c, f))]
    if drawings:
        legend = [Key("●", "coders", "coders with each other")] if c.shares() else []
        partner = "the coders" if c.shares() else "the consensus"
        legend += [Key("◆", style_of(c, m), f"{short(m)} with {partner}") for m in c.models]
        if c.floors:
            legend.append(Key("|", "floor", f"floors with {partner}: {', '.join(short(f) for f in c.floors)}"))
        caption = "Kappa per code with 95 % intervals, codes that a coder used at least once."
        blocks.append(Figure(caption, drawings, legend))
    if c.shares():
        blocks.append(coder_table(c, "utterance", f"Coders with each other. {OF_CODERS}"))
    for model in c.models:
        blocks += model_tables(c, model, "utterance")
    blocks.append(_nearby_table(c))
    if c.models and c.floors:
        blocks.append(_floor_table(c))
    return Section("codes", "Agreement per code", blocks)


def _floor_table(c: Comparison) -> Table:
    machines = [*c.models, *c.floors]

    def cells(frame: Frame, code: str | None) -> list[str] | None:
        statistic = _statistics(frame, code)[0]
        figures = [c.said(machine, CONSENSUS, statistic, frame.family.name, code) for machine in machines]
        return None if set(figures) == {ABSENT} else figures

    exclusive = any(frame.values is not None for frame in c.frames)
    usual = (
        "gives everything the commonest code" if exclusive else "marks only what most utterances have, mostly nothing"
    )
    caption = (
        f"What a model must beat: kappa with the consensus, of models and of floors. The floor most-frequent {usual}; "
        "tf-idf knows single words and word pairs only."
    )
    return Table(caption, ["Code", *(short(machine) for machine in machines)], by_family(c, cells), running_text=(0,))


def _nearby_table(c: Comparison) -> Table:
    """F1 as it stands, and as it is where small shifts are forgiven, of the codes that are drawn."""
    raters = [("coders with each other", CODERS, CODERS)] if c.shares() else []
    raters += [(f"{short(machine)} with the consensus", machine, CONSENSUS) for machine in [*c.models, *c.floors]]
    statistics = ("f1", *(f"{name}_within_{TOLERANCE}" for name in ("f1", "precision", "recall")))
    rows = []
    for frame in c.frames:
        for code in c.used(frame):
            found = []
            for who, a, b in raters if code in c.drawn else []:
                said = [c.said(a, b, statistic, frame.family.name, code) for statistic in statistics]
                found += [Row([who, *said])] if set(said) != {ABSENT} else []
            rows += [Row([c.title(code)]), *found] if found else []
    caption = (
        f"F1 where small shifts are forgiven: a mark counts as met if the other rater has one at most {TOLERANCE} "
        "utterances away, whoever speaks them. Not corrected for chance, which grows with this: compare with the plain "
        "F1, the coders and the floors in the same column."
    )
    head = ["Code and raters", "F1", *(f"{name} within {TOLERANCE}" for name in ("F1", "Precision", "Recall"))]
    return Table(caption, head, rows, running_text=(0,))


def segments(c: Comparison) -> Section:
    """The same tables for segments."""
    minutes = float(c.table.attrs.get("segment_minutes", 5.0))
    if not (c.table["level"] == "segment").any():
        said = Text("No times are known, so there are no segments to compare.")
        return Section("segments", "Segments", [said])
    blocks: list[Block] = [
        Text(
            f"Does a segment of {minutes:g} minutes hold the code at all? An utterance belongs to the segment in "
            "which it starts. Coding sheets of the 3RS are filled in so; small shifts in time are forgiven, and "
            "chance agreement grows as segments get longer: most segments hold a common code, and F1 is high for "
            "whoever marks them all."
        )
    ]
    if c.shares("segment"):
        blocks.append(coder_table(c, "segment", "Segments: coders with each other."))
    blocks += [table for model in c.models for table in model_tables(c, model, "segment", "Segments: ")]
    return Section("segments", "Segments", blocks)


def style_of(c: Comparison, rater: str) -> str:
    """CSS class of a machine's colour."""
    return "floor" if rater.startswith(FLOOR) else f"model-{c.models.index(rater) % 3 + 1}"


def _what_is_compared(c: Comparison) -> str:
    if c.shares() and c.models:
        return (
            "Coders with each other: mean over pairs of coders. A model with the coders: mean over coders, on "
            "units that two or more coders judged, so that both figures rest on the same units. Against the "
            "consensus: all units that any coder judged; where one coder judged a unit, the consensus is that "
            "coder's."
        )
    if c.shares():
        return "Coders with each other: mean over pairs of coders, on the units that both judged."
    return "No unit was judged by two coders, so a model is compared with each unit's coder, called the consensus here."


def _entries(c: Comparison, frame: Frame) -> list[plots.Entry]:
    entries = []
    for code in c.used(frame):
        lines = [_line(c, CODERS, CODERS, frame, code, "coders", "coders", "circle")]
        lines += [_line(c, m, c.reference, frame, code, short(m), style_of(c, m), "diamond") for m in c.models]
        floors = [_line(c, f, c.reference, frame, code, short(f), "floor", "tick") for f in c.floors]
        known = [line for line in lines if line is not None]
        if known:
            entries.append(plots.Entry(c.title(code), known, [line for line in floors if line is not None]))
    return entries


def _line(c: Comparison, a: str, b: str, frame: Frame, code: str, who: str, style: str, sign: str) -> plots.Line | None:
    found = c.find(a, b, "kappa", frame.family.name, code)
    return None if found is None else plots.Line(who, style, sign, found.estimate, found.low, found.high)


def _statistics(frame: Frame, code: str | None, level: str = "utterance") -> tuple[str, str, str]:
    """Kappa, alpha and F1 of a code, or what stands for them over a family's codes."""
    if code is not None:
        return "kappa", "alpha", "f1"
    # A segment may hold several codes, even of those that exclude each other on an utterance.
    nominal = frame.values is not None and level == "utterance"
    return ("kappa", "alpha", "macro_f1") if nominal else ("macro_kappa", "macro_alpha", "macro_f1")


def coder_table(c: Comparison, level: str, caption: str) -> Table:
    """Coders with each other, code by code."""

    def cells(frame: Frame, code: str | None) -> list[str] | None:
        found = c.find(CODERS, CODERS, _statistics(frame, code, level)[0], frame.family.name, code, level)
        if found is None:
            return None
        figures = [c.said(CODERS, CODERS, s, frame.family.name, code, level) for s in _statistics(frame, code, level)]
        return [*map(whole_number, (found.n_units, found.n_positive, found.n_groups)), *figures]

    head = ["Code", "Units", "Marked by any coder", f"{c.group.capitalize()}s", "Kappa", "Alpha", "F1"]
    return Table(caption, head, by_family(c, cells), running_text=(0,))


def model_tables(c: Comparison, model: str, level: str, what: str = "") -> list[Table]:
    """Kappa of a model with the coders and with their consensus, code by code; and F1, precision and recall."""

    def kappas(frame: Frame, code: str | None) -> list[str] | None:
        name, kappa = frame.family.name, _statistics(frame, code, level)[0]
        found = c.find(model, CONSENSUS, kappa, name, code, level)
        if found is None:
            return None
        figures = []
        if c.shares(level):
            shared = c.find(model, CODERS_ON_SHARED_UNITS, kappa, name, code, level)
            figures = [whole_number(shared.n_units), str(shared)] if shared else [ABSENT, ABSENT]
            change = f"{kappa}_minus_coders"
            figures.append(c.said(model, CODERS_ON_SHARED_UNITS, change, name, code, level, signed=True))
        sizes = [whole_number(found.n_units), whole_number(found.n_positive)]
        return [*figures, *sizes, str(found)]

    def hits(frame: Frame, code: str | None) -> list[str] | None:
        name, f1 = frame.family.name, _statistics(frame, code, level)[2]
        said = [c.said(model, CONSENSUS, s, name, code, level) for s in (f1, "precision", "recall")]
        if set(said) == {ABSENT}:
            return None
        bias = c.find(model, CONSENSUS, "bias_index", name, code, level)
        return [*(["", ""] if bias is None or code is None else marks_and_f1_of_all(bias)), *said]

    who = f"{what}{short(model)}"
    shared = ["Shared units", "Kappa with the coders on them", "Minus the coders' own"] if c.shares(level) else []
    head = ["Code", *shared, "Units", "Marks by the consensus", "Kappa with the consensus"]
    return [
        Table(f"{who} with the coders: kappa. {OF_MODELS}", head, by_family(c, kappas), running_text=(0,)),
        Table(
            f"{who} with the consensus: F1, precision and recall. All marked: the F1 of whoever marks every unit.",
            ["Code", "Marks by the model", "All marked", "F1", "Precision", "Recall"],
            by_family(c, hits),
            running_text=(0,),
        ),
    ]


def marks_and_f1_of_all(bias: Estimate) -> list[str]:
    """How often the model marked a code, from its bias, and the F1 that marking everything would have."""
    if np.isnan(bias.estimate):
        return [ABSENT, ABSENT]
    marks = round(bias.n_positive + bias.estimate * bias.n_units)
    return [whole_number(marks), number(2 * bias.n_positive / (bias.n_units + bias.n_positive))]


def by_family(c: Comparison, cells: Cells) -> list[Row]:
    """Rows of each family: its title, its codes together, each code."""
    rows = []
    for frame in c.frames:
        own = [Row([c.title(code), *found]) for code in frame.codes if (found := cells(frame, code))]
        if own:
            whole = cells(frame, None)
            rows += [Row([frame.family.title]), *([Row(["All its codes", *whole])] if whole else []), *own]
    return rows
