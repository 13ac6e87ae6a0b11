"""What a model's probabilities are worth: calibration, ranking, precision against recall."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from threers.agreement import bootstrap
from threers.agreement.frame import CONSENSUS, Frame
from threers.agreement.probabilities import BINS, bins_of
from threers.agreement.samples import BEFORE_TEMPERATURE
from threers.agreement.undefined import ratio
from threers.report import plots
from threers.report.blocks import Block, Figure, Key, Row, Section, Table, Text
from threers.report.codes import by_family, style_of
from threers.report.comparison import ABSENT, Comparison, number, share, short

#: Utterances below which a bin's frequency says little and is drawn hollow.
FEWEST_IN_A_BIN = 20
#: Points that a curve is drawn with at most.
MOST_POINTS = 200
STATISTICS = ("auroc", "auprc", "brier", "ece")


class Scored(NamedTuple):
    """Units of one code with a probability and a consensus, each (n,)."""

    p: np.ndarray
    marked: np.ndarray
    tagged: np.ndarray
    group: np.ndarray


def probabilities(c: Comparison) -> Section:
    """Tables and curves of each model that gives probabilities."""
    blocks: list[Block] = []
    for model in c.models:
        if model not in c.probabilities:
            blocks.append(Text(f"{short(model)} gave tags without probabilities."))
            continue
        blocks += _of_model(c, model)
    return Section("probabilities", "Probabilities", blocks)


def _of_model(c: Comparison, model: str) -> list[Block]:
    frame_of = {code: frame for frame in c.frames for code in frame.codes}
    calibration, curves, left_out = [], [], []
    for code in c.drawn:
        found = scored(c, frame_of[code], model, code)
        if found is None or not found.marked.any() or found.marked.all():
            left_out.append(code)
            continue
        style = style_of(c, model)
        calibration.append(plots.reliability(c.title(code), _bins(c, found), style, FEWEST_IN_A_BIN))
        area = c.find(model, CONSENSUS, "auprc", frame_of[code].family.name, code)
        curve, chosen = curve_of(found.p, found.marked), _chosen(found)
        chance, figure = float(found.marked.mean()), area.estimate if area else float("nan")
        curves.append(plots.precision_recall(c.title(code), curve, chance, chosen, figure, style))
    blocks: list[Block] = [_table(c, model), _families(c, model)]
    if calibration:
        style = style_of(c, model)
        legend = [Key("●", style, f"bin of at least {FEWEST_IN_A_BIN} utterances"), Key("○", style, "smaller bin")]
        caption = (
            f"Calibration of {short(model)}: {BINS} bins of equal width, 95 % intervals. On the diagonal a probability "
            "means what it says; below it the model is too sure that the code is there, above it not sure enough."
        )
        blocks.append(Figure(caption, calibration, legend))
        legend = [Key("—", style, "all thresholds"), Key("◆", style, "the tags"), Key("- -", "floor", "chance")]
        blocks.append(Figure(f"Precision and recall of {short(model)} against the consensus.", curves, legend))
    if left_out:
        names = ", ".join(c.label(code) for code in left_out)
        blocks.append(Text(f"Not drawn, because no or all utterances with a probability are marked: {names}.", "small"))
    if len(c.drawn) < len(c.codebook.tag_codes()):
        blocks.append(Text("Drawn are the codes without a parent; the table has all.", "small"))
    return blocks


def scored(c: Comparison, frame: Frame, model: str, code: str) -> Scored | None:
    """Units with a probability, a tag and a consensus; None: no probabilities of this code."""
    p = c.probability(frame, model, code)
    if p is None:
        return None
    marks = frame.marks[frame.codes.index(code)]
    own, reference = marks[frame.raters.index(model)], marks[frame.consensus]
    used = (own >= 0) & (reference >= 0) & ~np.isnan(p)
    return Scored(p[used], reference[used] == 1, own[used] == 1, frame.group[used])


def _bins(c: Comparison, found: Scored) -> list[plots.Bin]:
    groups = c.frames[0].groups
    cell = bins_of(found.p) + BINS * found.group
    units, marked, p = (
        np.bincount(cell, weights=w, minlength=BINS * groups).reshape(groups, BINS)
        for w in (np.ones(len(cell)), found.marked.astype(float), found.p)
    )
    frequency = ratio(bootstrap.resample(marked, c.plan.weights), bootstrap.resample(units, c.plan.weights)).T
    low, high = c.plan.interval(frequency, (units > 0).sum(axis=0))
    n, mean = units.sum(axis=0), ratio(p.sum(axis=0), units.sum(axis=0))
    return [
        plots.Bin(float(mean[b]), float(frequency[b, 0]), float(low[b]), float(high[b]), int(n[b]))
        for b in range(BINS)
        if n[b]
    ]


def curve_of(p: np.ndarray, marked: np.ndarray) -> np.ndarray:
    """Recall and precision at falling thresholds, (n, 2); units of equal probability enter together."""
    order = np.argsort(-p, kind="stable")
    last = np.flatnonzero(np.append(np.diff(p[order]) != 0, True))
    hits = np.cumsum(marked[order])[last]
    curve = np.column_stack([hits / marked.sum(), hits / (last + 1)])
    if len(curve) > MOST_POINTS:
        curve = curve[np.unique(np.linspace(0, len(curve) - 1, MOST_POINTS).astype(int))]
    return curve


def _chosen(found: Scored) -> tuple[float, float] | None:
    hits = int((found.tagged & found.marked).sum())
    tags = int(found.tagged.sum())
    return (hits / int(found.marked.sum()), hits / tags) if tags else None


def _families(c: Comparison, model: str) -> Table:
    """Calibration error of each family, before and after temperature."""
    rows = []
    for frame in c.frames:
        name = frame.family.name
        after = c.find(model, CONSENSUS, "ece_equal_mass", name, None)
        if after is not None:
            before = c.said(model, CONSENSUS, BEFORE_TEMPERATURE, name, None)
            rows.append(Row([frame.family.title, before, str(after)]))
    caption = (
        f"Calibration error of {short(model)} per family: mean over its codes, each in {BINS} bins of equally many "
        "utterances. The temperature was fitted on sessions kept aside within training, never on those shown here."
    )
    return Table(caption, ["Family", "Before temperature", "After"], rows, running_text=(0,))


def _brier_without_skill(found: Scored | None) -> str:
    if found is None or not len(found.marked):
        return ABSENT
    chance = float(found.marked.mean())
    return number(chance * (1 - chance))


def _table(c: Comparison, model: str) -> Table:
    def cells(frame: Frame, code: str | None) -> list[str] | None:
        known = [c.find(model, CONSENSUS, s, frame.family.name, code) for s in STATISTICS]
        if code is None or not any(known):
            return None
        found = scored(c, frame, model, code)
        chance = ABSENT if found is None else share(int(found.marked.sum()), len(found.marked))
        figures = [ABSENT if one is None else str(one) for one in known]
        return [chance, *figures[:3], _brier_without_skill(found), *figures[3:]]

    caption = (
        f"Probabilities of {short(model)} against the consensus. AUROC: chance that a marked utterance gets the "
        "higher probability (0.5: none). AUPRC: area under precision and recall; chance level is the share marked. "
        "Brier score and expected calibration error (ECE): lower is better, but for a rare code both are low whatever "
        "the model does. No skill: the Brier score of whoever always gives the share marked. Intervals of the ECE lie "
        "too high, as chance adds to it."
    )
    return Table(
        caption,
        ["Code", "Marked", "AUROC", "AUPRC", "Brier", "No skill", "ECE"],
        by_family(c, cells),
        running_text=(0,),
    )
