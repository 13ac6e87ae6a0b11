"""Agreement on whole sessions: counts of each code, and the ratings that coders give a session."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from threers.agreement.frame import CODERS, CONSENSUS, Frame
from threers.agreement.sessions import codes_rated
from threers.report import plots
from threers.report.blocks import Block, Figure, Heading, Key, Row, Section, Table, Text
from threers.report.codes import by_family, style_of
from threers.report.comparison import ABSENT, Comparison, short, whole_number

QUANTITY = {"count": "Counts", "rate": "Rates per 5 minutes", "segments": "Share of segments"}
RATING_FIGURES = {
    "rating_icc_a1": "ICC(A,1)",
    "rating_icc_ak": "ICC(A,k)",
    "rating_kappa_quadratic": "Quadratic kappa",
    "rating_alpha_ordinal": "Ordinal alpha",
}
LIMITS = {"bias": "bias", "lower_limit": "lower limit", "upper_limit": "upper limit"}


def sessions(c: Comparison) -> Section:
    """Scatter and Bland-Altman plots of counts, ICC of counts, rates and segments, and session ratings."""
    blocks: list[Block] = [
        Text(
            "ICC(A,1): how far the figures of one rater can stand for those of another, level included; 1 is "
            "perfect. Coders with each other: mean over pairs; a model with the coders: mean over coders. Where coders "
            "share only some of the sessions, the columns rest on different ones: see their numbers. Counts can agree "
            "where the utterances that are counted do not."
        )
    ]
    for model in c.models:
        blocks += _drawings(c, model)
    models: list[str | None] = [*c.models] or [None]
    for quantity, name in QUANTITY.items():
        tables = [_icc_table(c, quantity, model) for model in models]
        if any(table.rows for table in tables):
            blocks += tables
        elif quantity != "count" and c.corpus.utterances["start"].isna().all():
            blocks.append(Text(f"{name}: unknown, because no times are known.", "small"))
    blocks += [_limits_table(c, model) for model in c.models]
    blocks += _ratings(c)
    return Section("sessions", "Sessions", blocks)


def _drawings(c: Comparison, model: str) -> list[Block]:
    scatters, differences, style, who = [], [], style_of(c, model), short(model)
    for frame in c.frames:
        for code in frame.codes:
            if code not in c.drawn:
                continue
            reference, own = counts(frame, code, frame.consensus, frame.raters.index(model))
            if not len(own) or not (reference.any() or own.any()):
                continue
            scatters.append(plots.scatter(c.title(code), who, reference, own, style))
            key = frame.family.name, code, "session"
            found = [(name, c.find(model, CONSENSUS, f"count_{key_}", *key)) for key_, name in LIMITS.items()]
            limits = [plots.Limit(name, one.estimate, one.low, one.high) for name, one in found if one is not None]
            differences.append(plots.bland_altman(c.title(code), who, reference, own, limits, style))
    if not scatters:
        return []
    legend = [Key("●", style, "a session; larger: several at one place"), Key("—", "grey", "equal counts")]
    blocks: list[Block] = [Figure(f"Utterances marked per session, {who} and the consensus.", scatters, legend)]
    legend = [Key("●", style, "a session"), Key("—", "ink", "bias"), Key("- -", "ink", "95 % limits of agreement")]
    caption = (
        f"Differences of the counts per session, {who} minus consensus, against their mean, with bias and limits of "
        "agreement; grey bands are 95 % intervals of these lines."
    )
    return [*blocks, Figure(caption, differences, legend)]


def counts(frame: Frame, code: str, a: int, b: int) -> tuple[np.ndarray, np.ndarray]:
    """Marks per session by raters a and b, on the units that both judged, each (n_sessions,)."""
    marks = frame.marks[frame.codes.index(code)]
    judged = (marks[a] >= 0) & (marks[b] >= 0)
    session, names = pd.factorize(frame.units.get_level_values(0)[judged])
    of_a, of_b = (np.bincount(session, weights=marks[i, judged] == 1, minlength=len(names)) for i in (a, b))
    return of_a, of_b


def _icc_table(c: Comparison, quantity: str, model: str | None) -> Table:
    statistic = f"{quantity}_icc_a1"
    pairs = [("Coders with each other", CODERS, CODERS)] if c.shares() else []
    if model:
        pairs += [(f"{short(model)} with coders", model, CODERS)] if c.shares() else []
        pairs.append((f"{short(model)} with the consensus", model, CONSENSUS))

    def cells(frame: Frame, code: str | None) -> list[str] | None:
        found = [c.find(a, b, statistic, frame.family.name, code, "session") for _, a, b in pairs]
        if code is None or not any(found):
            return None
        # The number beside each figure: coders may share a few of the sessions that a model is compared on.
        each = [(ABSENT, ABSENT) if one is None else (whole_number(one.n_units), str(one)) for one in found]
        return [cell for pair in each for cell in pair]

    head = ["Code", *(cell for name, *_ in pairs for cell in ("Sessions", name))]
    caption = f"{QUANTITY[quantity]}: ICC(A,1) with 95 % intervals. Sessions: the most that a pair of raters shares."
    return Table(caption, head, by_family(c, cells), running_text=(0,))


def _limits_table(c: Comparison, model: str) -> Table:
    def cells(frame: Frame, code: str | None) -> list[str] | None:
        name = frame.family.name
        if code is None or c.find(model, CONSENSUS, "count_bias", name, code, "session") is None:
            return None
        said = [c.said(model, CONSENSUS, f"count_{s}", name, code, "session", signed=True) for s in LIMITS]
        return [*said, c.said(model, CONSENSUS, "count_spearman", name, code, "session")]

    head = ["Code", "Bias", "Lower limit", "Upper limit", "Spearman"]
    caption = (
        f"Counts per session, {short(model)} minus consensus: bias, 95 % limits of agreement, and rank correlation "
        "of the two counts. The limits take the differences to spread alike at all counts; where codes are rare "
        "they do not: see the figure."
    )
    return Table(caption, head, by_family(c, cells), running_text=(0,))


def _ratings(c: Comparison) -> list[Block]:
    codes = [(c.codebook.codes[code].family, code, unit) for code, unit in codes_rated(c.codebook)]
    if not codes:
        return []
    coders = Table(
        "Ratings of whole sessions or segments, coders with each other; ICC(A,k) is that of the mean of two coders.",
        ["Rating", "Units", *RATING_FIGURES.values()],
        [
            _rating_row(c, CODERS, CODERS, *code, RATING_FIGURES)
            for code in codes
            if _is_rated(c, CODERS, CODERS, *code)
        ],
        running_text=(0,),
    )
    figures = {name: title for name, title in RATING_FIGURES.items() if name != "rating_icc_ak"} | {
        "rating_bias": "Bias"
    }
    compared = [
        (code, rater) for code in codes for rater in (*c.models, *c.floors) if _is_rated(c, rater, CONSENSUS, *code)
    ]
    machines = Table(
        "Ratings, tagger and floor with the mean of the coders; the floor gives the most frequent rating to all.",
        ["Rating", "Rater", "Units", *figures.values()],
        [_rating_row(c, rater, CONSENSUS, *code, figures, rater) for code, rater in compared],
        running_text=(0, 1),
    )
    if not coders.rows and not machines.rows:
        return [Heading("Ratings of sessions"), Text("No session was rated by two coders, or by a coder and a tagger.")]
    silent = bool(c.models) and not any(rater in c.models for _, rater in compared)
    said = [Text("The tagger rates no sessions.", "small")] if silent else []
    return [Heading("Ratings of sessions"), *(table for table in (coders, machines) if table.rows), *said]


def _is_rated(c: Comparison, a: str, b: str, family: str, code: str, unit: str) -> bool:
    return c.find(a, b, "rating_icc_a1", family, code, unit) is not None


def _rating_row(
    c: Comparison, a: str, b: str, family: str, code: str, unit: str, figures: Mapping[str, str], rater: str = ""
) -> Row:
    units = max(one.n_units for name in figures if (one := c.find(a, b, name, family, code, unit)) is not None)
    title = c.codebook.codes[code].title + (" (segments)" if unit == "segment" else "")
    said = [c.said(a, b, name, family, code, unit, signed=name == "rating_bias") for name in figures]
    return Row([title, *([short(rater)] if rater else []), whole_number(units), *said])
