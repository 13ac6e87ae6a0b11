"""The first part of the page: what was compared, the result in a few sentences, and a verdict per code."""

from __future__ import annotations

import numpy as np

from threers.agreement.bootstrap import too_few_groups
from threers.agreement.frame import CODERS, CODERS_ON_SHARED_UNITS, CONSENSUS, Frame
from threers.agreement.verdicts import AS_GOOD, GROUP, NOT, SCREENING, UNKNOWN
from threers.report.blocks import Block, Items, Row, Section, Table, Text
from threers.report.codes import where_codes_stand
from threers.report.comparison import Comparison, Estimate, count, listed, number, short

#: Verdicts from best to worst, as the summary counts them.
IN_ORDER = (AS_GOOD, GROUP, SCREENING, NOT, UNKNOWN)
#: Up to this many codes of one verdict are named in the summary.
MOST_NAMED = 6


def summary(c: Comparison) -> Section:
    """What was compared and what came out, for a reader who reads nothing else."""
    blocks: list[Block] = [Text(_compared(c))]
    if c.by_utterance:
        blocks += [Text(_about_kappa(c)), Items([_family_sentence(c, frame) for frame in c.frames])]
    else:
        blocks.append(Text(where_codes_stand(c)))
    blocks += [Text(_verdict_sentence(c, model)) for model in c.models]
    blocks += [Text(said) for model in c.models if (said := _floor_sentence(c, model))]
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
                given = c, row.model, row.verdict, frame.family.name, code
                why = f"{_minus(str(row.why))}{_few_groups(*given)}{_tags(*given)}{_undecided(*given)}"
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
        "that equals them. Numbers of groups and marks needed are extrapolated from the interval found: take them as "
        "the least. With many codes some verdicts are luck. None of them makes the tags fit for decisions "
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
            f"on utterances of at least {r.fewest_groups} {c.group}s that two or more coders judged, kappa of model "
            f"and coders is not more than {r.margin:g} below that of the coders with each other, at the lower end of "
            "the interval of the difference.",
        ),
        (
            GROUP,
            f"counts per session agree with the consensus: ICC(A,1) at least {r.group_icc:g}, its lower end at least "
            f"{r.group_icc_low:g}. Good for means over many sessions, not for a single utterance or session.",
        ),
        (
            SCREENING,
            "the model ranks utterances well enough to choose what a person reads: area under the ROC curve at least "
            f"{r.screening_auroc:g} at its lower end; without probabilities, recall at least {r.screening_recall:g}. "
            "Probabilities are judged here, not the tags, which may miss most; and of a rare code the area says little "
            "of how much must be read: see AUPRC.",
        ),
        (
            NOT,
            "none of these was shown. Where an interval reaches beyond a limit, it was not ruled out either: more data "
            "may show it.",
        ),
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
    for verdict in IN_ORDER:
        codes = list(own.loc[own["verdict"] == verdict, "code"])
        if codes:
            named = f" ({', '.join(c.label(code) for code in codes)})" if len(codes) <= MOST_NAMED else ""
            parts.append(f"“{verdict}” for {len(codes)}{named}")
    if not parts:
        return ""
    said = f"Of {count(len(own), 'code')}, the verdict on {short(model)} is {listed(parts)}."
    if (own["verdict"] == SCREENING).any() and model in c.probabilities:
        said += " Screening means that its probabilities rank utterances well; its tags may still miss most marks."
    return said


def _floor_sentence(c: Comparison, model: str) -> str:
    """For how many codes is a model no better than the best floor?"""
    known, behind = 0, []
    for frame in c.frames:
        for code in c.used(frame):
            key = "kappa", frame.family.name, code
            own = c.find(model, CONSENSUS, *key)
            floors = [one.estimate for floor in c.floors if (one := c.find(floor, CONSENSUS, *key)) is not None]
            if own is None or np.isnan([own.estimate, *floors]).all() or not floors:
                continue
            known += 1
            # An undefined kappa beats nothing.
            if not own.estimate > np.nanmax([*floors, -1.0]):
                behind.append(c.label(code))
    if not known:
        return ""
    named = f" ({', '.join(behind)})" if 0 < len(behind) <= MOST_NAMED else ""
    return (
        f"Kappa of {short(model)} with the consensus is no higher than that of a floor, as simple as single words, for "
        f"{len(behind)} of {count(known, 'code')}{named}; estimates are compared here, without the uncertainty of "
        "their difference."
    )


def _session_sentence(c: Comparison) -> str:
    figures = {}
    partner = CODERS if c.shares() else CONSENSUS
    for who, pair in [("coders", (CODERS, CODERS)), *((short(m), (m, partner)) for m in c.models)]:
        found = [c.find(*pair, "count_icc_a1", f.family.name, code, "session") for f in c.frames for code in f.codes]
        known = [one for one in found if one is not None and not np.isnan(one.estimate)]
        if known:
            icc, n = [one.estimate for one in known], int(max(one.n_units for one in known))
            spread = f"{number(min(icc))} to {number(max(icc))}, {count(n, 'session')}"
            figures[who] = f"{who} {number(float(np.median(icc)))} ({spread})"
    if not figures:
        return ""
    who = f"a model with {'the coders' if c.shares() else 'their consensus'}"
    who = f"coders with each other, {who}" if c.models else "coders with each other"
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
    if _shared_therapists(c):
        found.append(
            f"{count(c.corpus.sessions['therapist_id'].nunique(), 'therapist')} worked with these {groups} {c.group}s. "
            "Utterances of one therapist are alike too, above all in therapists' codes: intervals drawn over "
            f"{c.group}s do not allow for it, and a model may have learnt from other {c.group}s of the same therapist."
        )
    if c.corpus.manifest.get("grouped_by") == "session":
        found.append(
            "No column said who the patient is, so each session counts as a group of its own. If patients have "
            "several sessions, the intervals are too narrow, and a model may have learnt from other sessions of "
            "the same patient."
        )
    return found


def _shared_therapists(c: Comparison) -> bool:
    """Does any therapist appear in several groups?"""
    return bool((c.corpus.sessions.groupby("therapist_id")["group_id"].nunique() > 1).any())


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


def _tags(c: Comparison, model: str, verdict: str, family: str, code: str) -> str:
    """What the tags do, where the verdict rests on probabilities."""
    if verdict != SCREENING or c.find(model, CONSENSUS, "auroc", family, code) is None:
        return ""
    recall, precision = (c.find(model, CONSENSUS, name, family, code) for name in ("recall", "precision"))
    if recall is None or precision is None:
        return ""
    return f"; the tags: recall {number(recall.estimate)}, precision {number(precision.estimate)}"


def _undecided(c: Comparison, model: str, verdict: str, family: str, code: str) -> str:
    """A caution where screening was not shown, but not ruled out either."""
    for name, limit in (("auroc", c.rules.screening_auroc), ("recall", c.rules.screening_recall)):
        found = c.find(model, CONSENSUS, name, family, code)
        if verdict == NOT and found is not None:
            called = "AUROC" if name == "auroc" else name
            return f". {called} {limit:g} is neither shown nor ruled out" if found.low < limit <= found.high else ""
    return ""


def _minus(text: str) -> str:
    return text.replace("[-", "[\N{MINUS SIGN}").replace(" -", " \N{MINUS SIGN}")
