"""The utterances on which model and consensus disagree, with their text: only where it is asked for."""

from __future__ import annotations

import numpy as np

from threers.agreement.frame import Frame
from threers.report.blocks import Block, Heading, Row, Section, Table, Text
from threers.report.comparison import ABSENT, Comparison, number, short

#: Utterances shown per code and model.
MOST_SHOWN = 20


def disagreements(c: Comparison) -> Section:
    """At most `MOST_SHOWN` utterances per code and model, those first of which the model was most sure."""
    if not c.include_text or not c.models:
        return Section("disagreements", "Disagreements")
    blocks: list[Block] = [
        Text(
            "This part holds text of transcripts: keep this file under the same protection as the transcripts.",
            "warning",
        ),
        Text(
            f"Per code at most {MOST_SHOWN} utterances on which model and consensus disagree, those first of which "
            "the model was most sure. Some of them are mistakes of the coders."
        ),
    ]
    for model in c.models:
        for frame in c.frames:
            tables = [table for code in frame.codes if (table := _table(c, frame, model, code)).rows]
            blocks += [Heading(frame.family.title), *tables] if tables else []
    return Section("disagreements", "Disagreements", blocks)


def _table(c: Comparison, frame: Frame, model: str, code: str) -> Table:
    marks = frame.marks[frame.codes.index(code)]
    own, reference, people = marks[frame.raters.index(model)], marks[frame.consensus], marks[frame.people]
    known = c.probability(frame, model, code)
    p = np.full(len(frame.units), np.nan) if known is None else known
    units = np.flatnonzero((own >= 0) & (reference >= 0) & (own != reference))
    sure = np.nan_to_num(np.where(own == 1, p, 1 - p))
    units = units[np.argsort(-sure[units], kind="stable")][:MOST_SHOWN]
    table = c.corpus.utterances.set_index(["session_id", "utterance_id"]).reindex(frame.units[units])
    rows = []
    for unit, (session, utterance), role, text in zip(units, table.index, table["role"], table["text"], strict=True):
        given = f"{(people[:, unit] == 1).sum()} of {(people[:, unit] >= 0).sum()}"
        said = ABSENT if np.isnan(p[unit]) else number(p[unit])
        where = f"session {c.number_of[session]}, utterance {utterance}"
        rows.append(Row([where, str(text), role, "tagged" if own[unit] == 1 else "not tagged", said, given]))
    head = ["Where", "Text", "Role", short(model), "Probability", "Marked by coders"]
    return Table(
        f"{c.title(code)}: disagreements of {short(model)} and the consensus.", head, rows, running_text=(0, 1)
    )
