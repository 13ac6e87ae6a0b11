"""Which codes are taken for which, and how often each is marked at all."""

from __future__ import annotations

import numpy as np

from threers.agreement.bias import Bias
from threers.agreement.frame import CONSENSUS, OTHER_CODERS, Frame
from threers.codebook import Codebook
from threers.report import plots
from threers.report.blocks import Block, Cell, Figure, Heading, Matrix, Section, Table, Text
from threers.report.codes import by_family
from threers.report.comparison import ABSENT, Comparison, count, number, share, short

NOTHING = "nothing"
#: The darkest tint of a cell, so that black type on it keeps its contrast.
DARKEST = 0.55


def confusion(c: Comparison) -> Section:
    """Tables of the consensus against each model, one per family."""
    blocks: list[Block] = []
    if not c.models:
        return Section("confusion", "Confusion", blocks)
    blocks.append(
        Text(
            "Rows: what the consensus of the coders says; columns: what the model says. Large: utterances; small: "
            "their share of the row. A row without utterances is left out."
        )
    )
    if any(frame.values is None for frame in c.frames):
        blocks.append(
            Text(
                "Where several codes can hold at once, an utterance counts in each pair of its codes with equal "
                "parts that sum to 1: two codes by the consensus and one by the model make two halves. So figures "
                "need not be whole. A code in parentheses is a parent marked without any of its children."
            )
        )
    for model in c.models:
        for frame in c.frames:
            names, table = confused(frame, frame.raters.index(model), frame.consensus, c.codebook)
            if table.sum():
                who = f"{short(model)} against the consensus: {frame.family.title}."
                blocks.append(_matrix(c, who, names, table))
    return Section("confusion", "Confusion", blocks)


def confused(frame: Frame, a: int, b: int, codebook: Codebook) -> tuple[list[str], np.ndarray]:
    """Names of the categories, and how many units b (rows) has in each that a (columns) has in each.

    Categories of codes that exclude each other are the codes; else the codes without children, parents marked without
    one in parentheses, and nothing.
    """
    if frame.values is not None:
        used = (frame.values[a] >= 0) & (frame.values[b] >= 0)
        table = np.zeros((len(frame.codes), len(frame.codes)))
        np.add.at(table, (frame.values[b, used], frame.values[a, used]), 1.0)
        return list(frame.codes), table
    names, shares = _shares(frame, [a, b], codebook)
    return names, shares[1].T @ shares[0]


def _shares(frame: Frame, raters: list[int], codebook: Codebook) -> tuple[list[str], np.ndarray]:
    """Categories, and each unit's parts in them by each rater: (raters, units, categories), units judged by both."""
    marks = frame.marks[:, raters]
    judged = (marks >= 0).all(axis=(0, 1))
    marked = marks[:, :, judged] == 1
    names, columns = [], []
    for n, code in enumerate(frame.codes):
        below = [i for i, other in enumerate(frame.codes) if code in codebook.ancestors(other)]
        own = marked[n] & ~marked[below].any(axis=0)
        if not below or own.any():
            names.append(f"({code})" if below else code)
            columns.append(own)
    columns.append(~np.any(columns, axis=0))
    parts = np.moveaxis(np.array(columns, dtype=float), 0, -1)
    return [*names, NOTHING], parts / parts.sum(axis=-1, keepdims=True)


def _matrix(c: Comparison, caption: str, names: list[str], table: np.ndarray) -> Matrix:
    used = (table.sum(axis=0) > 0) | (table.sum(axis=1) > 0)
    shown = [n for n in range(len(names)) if used[n]]
    rows = []
    for n in shown:
        whole = table[n].sum()
        if whole:
            rows.append((_name(c, names[n]), [_cell(float(table[n, m]), float(whole)) for m in shown]))
    return Matrix(caption, "consensus \N{RIGHTWARDS ARROW} model", [_name(c, names[n]) for n in shown], rows)


def _cell(part: float, whole: float) -> Cell:
    if not part:
        return Cell("0")
    written = f"{part:,.0f}" if abs(part - round(part)) < 1e-9 else f"{part:,.1f}"
    return Cell(written, share(part, whole, 0), DARKEST * part / whole)


def _name(c: Comparison, name: str) -> str:
    if name == NOTHING:
        return name
    code = name.strip("()")
    return name.replace(code, c.label(code))


def prevalence(c: Comparison) -> Section:
    """Who marks how often, and how far a model is off."""
    if not c.by_utterance:
        return Section("prevalence", "How often each code is marked")

    def cells(frame: Frame, code: str | None) -> list[str] | None:
        if code is None:
            return None
        marks = frame.marks[frame.codes.index(code)]
        each = [share_marked(marks[i]) for i in frame.people]
        known = [one for one in each if not np.isnan(one)]
        people = marks[frame.people]
        if not known:
            return None
        found = [
            share(int((people == 1).sum()), int((people >= 0).sum())),
            f"{100 * min(known):.1f} to {100 * max(known):.1f} %",
        ]
        for model in c.models:
            own, reference = marks[frame.raters.index(model)], marks[frame.consensus]
            both = (own >= 0) & (reference >= 0)
            found += [share(int((one[both] == 1).sum()), int(both.sum())) for one in (reference, own)]
            bias = c.find(model, CONSENSUS, "bias_index", frame.family.name, code)
            found.append(ABSENT if bias is None else _percent(bias.estimate, bias.low, bias.high))
        return found

    head = ["Code", "All coders", "Lowest to highest coder"]
    for model in c.models:
        head += ["Consensus", short(model), f"Bias of {short(model)}, points"]
    blocks: list[Block] = [
        Text(
            "Share of the utterances that may have the code (by role) and that were marked. All coders: marks over "
            "judgements; coders need not have judged the same utterances, so their shares may differ for that "
            "reason too."
            + (
                " Consensus and model: on the same utterances. Bias: model minus consensus, in percentage points "
                "with 95 % interval; above 0 the model marks more often than the consensus, which may itself mark "
                "more than the coders do on average: half of a unit's coders can suffice for it."
                if c.models
                else ""
            )
        ),
        Table("Share of utterances marked.", head, by_family(c, cells), running_text=(0,)),
    ]
    return Section("prevalence", "How often each code is marked", [*blocks, *_bias_of_coders(c)])


def _bias_of_coders(c: Comparison) -> list[Block]:
    """A drawing for each drawn code: how much more or less often each coder marks it than the others of its units."""
    found: dict[str, list[plots.Lean]] = {}
    units = groups = 0.0
    for frame in c.frames:
        for code in [code for code in c.used(frame) if code in c.drawn]:
            for coder in c.people:
                bias, ratio = (c.find(coder, OTHER_CODERS, name, frame.family.name, code) for name in Bias._fields)
                if bias and ratio:
                    lean = plots.Lean(coder, 100 * bias.estimate, 100 * bias.low, 100 * bias.high, ratio.estimate)
                    found.setdefault(code, []).append(lean)
                    units, groups = max(units, bias.n_units), max(groups, bias.n_groups)
    if not found:
        return []
    reach = plots.reach_of([lean for leans in found.values() for lean in leans])
    said = (
        "Does a coder mark a code more readily than the others? Each coder is held against the others on the "
        "utterances that they judged too: a dot at the right marks more often than they do, one at the left less "
        "often, and where the line crosses 0 it may be chance. Ratio: how many times as often, the figure to read for "
        "a rare code. Neither says who is right."
    )
    caption = (
        "Each coder's share of utterances marked minus that of the others, with 95 % interval; on at most "
        f"{count(int(units), 'utterance')} from {count(int(groups), c.group)}."
    )
    drawings = [plots.leanings(c.title(code), leans, reach) for code, leans in found.items()]
    return [Heading("Bias of the coders"), Text(said), Figure(caption, drawings)]


def share_marked(marks: np.ndarray) -> float:
    """Share of a rater's judgements (units,) that are marks; NaN without judgements."""
    judged = int((marks >= 0).sum())
    return float((marks == 1).sum() / judged) if judged else float("nan")


def _percent(estimate: float, low: float, high: float) -> str:
    said = number(100 * estimate, signed=True, digits=1)
    if np.isnan(low):
        return said
    return f"{said} [{number(100 * low, signed=True, digits=1)}, {number(100 * high, signed=True, digits=1)}]"
