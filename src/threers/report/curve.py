"""The learning curve: what more coding would buy."""

from __future__ import annotations

from threers.agreement.curve import GAIN, GUESS, POINT
from threers.agreement.output import title_of_family
from threers.report import plots
from threers.report.blocks import Block, Figure, Row, Section, Table, Text
from threers.report.comparison import Comparison, interval

#: What each kind of row says of the number of groups.
WORDS = {POINT: "{}", GAIN: "gain of the last step, to {}", GUESS: "a guess for {}"}


def learning_curve(c: Comparison) -> Section:
    """A drawing and a table per family, with the gain of the last step; nothing where no curve was asked for."""
    if c.curve is None:
        return Section("curve", "Learning curve")
    drawings, rows = [], []
    for family, part in c.curve.groupby("family", sort=False):
        title = title_of_family(str(family), c.codebook)
        rows.append(Row([title]))
        points = []
        for row in part.itertuples():
            groups = f"{row.groups_learnt_from:.0f} {c.group}s"
            said = interval(row.estimate, row.low, row.high, signed=row.statistic == GAIN)
            rows.append(Row([WORDS[row.statistic].format(groups), said]))
            if row.statistic == POINT:
                points.append(plots.Step(row.groups_learnt_from, row.estimate, row.low, row.high))
        drawings.append(plots.learning_curve(title, points, f"{c.group}s learnt from"))
    blocks: list[Block] = [
        Text(
            "What would more coding buy? Where the interval of the last step's gain reaches 0 or below, these data "
            "cannot tell. The guess follows a power law through the points (error = a / n^b, n being the "
            f"{c.group}s learnt from) to twice the {c.group}s; nothing vouches for it. Intervals are over the tested "
            f"{c.group}s; they leave out the luck of which {c.group}s were learnt from."
        ),
        Figure(
            f"Macro-F1 of taggers that learnt from a share of the {c.group}s, the smaller share part of the larger, "
            f"all tested on the same {c.group}s.",
            drawings,
        ),
        Table("The same in figures, with 95 % intervals.", ["Learnt from", "Macro-F1"], rows, running_text=(0,)),
    ]
    return Section("curve", "Learning curve", blocks)
