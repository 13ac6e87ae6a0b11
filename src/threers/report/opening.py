"""The first part of the page: what was compared, the result in a few sentences, and a verdict per code."""

from __future__ import annotations

import numpy as np

from threers.agreement.bootstrap import too_few_groups
from threers.agreement.frame import CODERS, CODERS_ON_SHARED_UNITS, CONSENSUS, Frame
from threers.agreement.verdicts import AS_GOOD, GROUP, NOT, SCREENING, UNKNOWN
from threers.report.blocks import Block, Items, Row, Section, Table, Text
from threers.report.codes import SEGMENTS_ONLY
from threers.report.comparison import Comparison, Estimate, count, listed, number, short

#: Verdicts from best to worst, as the summary says them of a number of codes.
IN_A_SENTENCE = {
    AS_GOOD: "as good as a coder's",
    GROUP: "usable for statistics over groups of sessions",
    SCREENING: "usable for screening only",
    NOT: "not to be automated with these data",
    UNKNOWN: "left without a verdict for want of evidence",
}
#: Up to this many codes of one verdict are named in the summary.
MOST_NAMED = 6


def summary(c: Comparison) -> Section:
    """What was compared and what came out, for a reader who reads nothing else."""
    blocks: list[Block] = [Text(_compared(c))]
    if c.by_utterance:
        blocks += [Text(_about_kappa(c)), Items([_family_sentence(c, frame) for frame in c.frames])]
    else:
        blocks.append(Text(SEGMENTS_ONLY))
    blocks += [Text(_verdict_sentence(c, model)) for model in c.models]
    if sessions := _session_sentence(c):
        blocks.append(Text(sessions))
    blocks += [Text(caution, "warning") for caution in _cautions(c)]
    return Section("summary", "Summary", blocks)


def verdicts(c: Comparison) -> Section:
    """A verdict per code and model, what it rests on, and what it means."""
    if not c.models:
        return Section("verdicts", "Verdicts")
    several = len(c.models) > 1
    rows: list[Row] = []
    for frame in c.frames:
        own = c.verdicts[c.verdicts["family"] == frame.family.name]
        rows += [Row([frame.family.title])] if len(own) else []
        for code in frame.codes:
            for row in own[own["code"] == code].itertuples():
                model = [short(row.model)] if several else []
                why = f"{_minus(str(row.why))}{_few_groups(c, row.model, row.verdict, frame.family.name, code)}"
                rows.append(Row([c.title(code), *model, str(row.verdict), why]))
    head = ["Code", *(["Model"] if several else []), "Verdict", "Figures that it rests on"]
    verdict = len(head) - 2
    table = Table("A verdict for each code.", head, rows, running_text=(0, verdict, verdict + 1), strong=verdict)
    groups = "" if c.group == "group" else f" Groups are {c.group}s."
    intro = Text(
        f"Figures in brackets are 95 % intervals.{groups} The rules are tried in this order; the first that holds "
        "counts."
    )
    limits = Text(
        "The limits are conventions, to be settled before the figures are seen, and can be set (verdict, in "
        "agree.yaml). A verdict holds for these coders, this codebook and sessions like these. “As good as a "
        "coder” says nothing of how good the coders are: where they agree poorly with each other, so does a model "
        "that equals them. With many codes some verdicts are luck. None of them makes the tags fit for decisions "
        "about a patient, a therapist or a treatment."
    )
    return Section("verdicts", "Verdicts", [table, intro, Items(meanings(c)), limits])


def meanings(c: Comparison) -> list[tuple[str, str]]:
    """Each verdict and its rule."""
    r = c.rules
    return [
        (
            UNKNOWN,
            f"fewer than {r.fewest_marks} marks by the consensus or {r.fewest_groups} {c.group}s, or an interval of "
            f"kappa wider than {r.widest:g}. Nothing follows from it, good or bad.",
        ),
        (
            AS_GOOD,
            f"on utterances that two or more coders judged, kappa of model and coders is not more than {r.margin:g} "
            "below that of the coders with each other, at the lower end of the interval of the difference.",
        ),
        (
            GROUP,
            f"counts per session agree with the consensus: ICC(A,1) at least {r.group_icc:g}, its lower end at least "
            f"{r.group_icc_low:g}. Good for means over many sessions, not for a single utterance or session.",
        ),
        (
            SCREENING,
            "the model ranks utterances well enough to choose what a person reads: area under the ROC curve at least "
            f"{r.screening_auroc:g} at its lower end; without probabilities, recall at least {r.screening_recall:g}.",
        ),
        (NOT, "none of these holds."),
    ]


def _compared(c: Comparison) -> str:
    sessions, utterances = len(c.corpus.sessions), len(c.corpus.utterances)
    groups = c.corpus.sessions["group_id"].nunique()
    said = (
        f"{count(len(c.people), 'coder')} judged {count(sessions, 'session')} of {count(groups, c.group)} "
        f"({count(utterances, 'utterance')}) with the codes of {c.codebook.title}."
    )
    if c.models:
        names = listed([short(model) for model in c.models])
        said += (
            f" {names} tagged the same utterances; threers compares a tagger only with the coders of {c.group}s "
            "that it did not learn from."
        )
    return said


def _about_kappa(c: Comparison) -> str:
    meaning = "Kappa is 1 where two raters always agree and 0 where they agree no more often than by chance."
    if not c.shares():
        return (
            "No utterance was judged by two coders. How well coders agree with each other is not known here, and "
            f"without that no figure of a model can be called good or bad. {meaning} Kappa with the coder of each "
            "utterance was, with 95 % intervals in brackets:"
        )
    who = "of the coders with each other and of model and coders" if c.models else "of the coders with each other"
    return (
        f"{meaning} On the utterances that two or more coders judged, kappa {who} was, with 95 % intervals in brackets:"
    )


def _family_sentence(c: Comparison, frame: Frame) -> tuple[str, str]:
    code, statistic = c.whole(frame)
    parts = []
    if c.shares():
        parts.append(f"coders {c.said(CODERS, CODERS, statistic, frame.family.name, code)}")
    for model in c.models:
        parts.append(f"{short(model)} {c.said(model, c.reference, statistic, frame.family.name, code)}")
        change = c.find(model, c.reference, f"{statistic}_minus_coders", frame.family.name, code)
        if change is not None and not np.isnan(change.low):
            parts[-1] += f" ({_against_coders(change.low, change.high)})"
    what = ", any code" if code else "" if statistic == "kappa" else ", mean over its codes"
    return f"{frame.family.title}{what}", "; ".join(parts)


def _against_coders(low: float, high: float) -> str:
    if high < 0:
        return "below the coders"
    return "above the coders" if low > 0 else "no difference from the coders shown"


def _verdict_sentence(c: Comparison, model: str) -> str:
    own = c.verdicts[c.verdicts["model"] == model]
    parts = []
    for verdict, words in IN_A_SENTENCE.items():
        codes = list(own.loc[own["verdict"] == verdict, "code"])
        if codes:
            named = f" ({', '.join(c.label(code) for code in codes)})" if len(codes) <= MOST_NAMED else ""
            parts.append(f"{words} for {len(codes)}{named}")
    return f"Of {count(len(own), 'code')}, the tags of {short(model)} are {listed(parts)}." if parts else ""


def _session_sentence(c: Comparison) -> str:
    figures = {}
    for who, pair in [("coders", (CODERS, CODERS)), *((short(m), (m, CONSENSUS)) for m in c.models)]:
        found = [c.find(*pair, "count_icc_a1", f.family.name, code, "session") for f in c.frames for code in f.codes]
        known = [one for one in found if one is not None and not np.isnan(one.estimate)]
        if known:
            icc, n = [one.estimate for one in known], int(max(one.n_units for one in known))
            spread = f"{number(min(icc))} to {number(max(icc))}, {count(n, 'session')}"
            figures[who] = f"{who} {number(float(np.median(icc)))} ({spread})"
    if not figures:
        return ""
    who = "coders with each other, a model with their consensus" if c.models else "coders with each other"
    return (
        "Counts of a code per session agree as follows (intraclass correlation ICC(A,1), median over the codes; "
        f"{who}): {'; '.join(figures.values())}. Counts can agree where the "
        "utterances that are counted do not."
    )


def _cautions(c: Comparison) -> list[str]:
    found = []
    groups = c.corpus.sessions["group_id"].nunique()
    if groups < 2:
        found.append(
            "All sessions belong to one group: there are no intervals, and nothing can be said of other patients."
        )
    elif too_few_groups(groups):
        found.append(
            f"Only {count(groups, c.group)}: the intervals are too narrow; take them as a lower bound of the "
            "uncertainty."
        )
    ceiling = _ceiling(c)
    if ceiling is not None and ceiling.n_groups < groups and too_few_groups(int(ceiling.n_groups)):
        found.append(
            f"Coders share units in {int(ceiling.n_groups)} of {groups} {c.group}s only: figures of coders with each "
            "other, and of a model beside them, rest on those few, and their intervals are too narrow."
        )
    if c.corpus.manifest.get("grouped_by") == "session":
        found.append(
            "No column said who the patient is, so each session counts as a group of its own. If patients have "
            "several sessions, the intervals are too narrow, and a model may have learnt from other sessions of "
            "the same patient."
        )
    return found


def _ceiling(c: Comparison) -> Estimate | None:
    for frame in c.frames:
        code, statistic = c.whole(frame)
        found = c.find(CODERS, CODERS, statistic, frame.family.name, code)
        if found is not None:
            return found
    return None


def _few_groups(c: Comparison, model: str, verdict: str, family: str, code: str) -> str:
    """A caution where the comparison with the coders rests on a few groups only."""
    found = c.find(model, CODERS_ON_SHARED_UNITS, "kappa_minus_coders", family, code)
    if verdict != AS_GOOD or found is None or not too_few_groups(int(found.n_groups)):
        return ""
    return f". From units of {count(int(found.n_groups), c.group)} only: the interval is too narrow to rely on"


def _minus(text: str) -> str:
    return text.replace("[-", "[\N{MINUS SIGN}").replace(" -", " \N{MINUS SIGN}")
