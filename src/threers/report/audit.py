"""The data behind the figures: who judged what, what is missing, what the figures cannot carry."""

from __future__ import annotations

from collections import Counter

from threers import agreement
from threers.agreement.frame import MODEL, Frame
from threers.report.blocks import Block, Heading, Items, Row, Section, Table
from threers.report.comparison import Comparison, count, share, whole_number


def audit(c: Comparison) -> Section:
    """Counts of the data, coders, overlap, gaps and notes."""
    blocks: list[Block] = [Items(_counts(c)), _overlap_table(c), *_coder_tables(c)]
    blocks += [Heading("Gaps"), Items(_gaps(c))]
    notes = agreement.notes(c.table)
    if notes:
        blocks += [Heading("Notes on the figures"), Items([note.replace(MODEL, "") for note in notes])]
    return Section("data", "The data", blocks)


def _counts(c: Comparison) -> list[tuple[str, str]]:
    sessions = c.corpus.sessions
    per_group = sessions.groupby("group_id").size()
    spread = f"{per_group.min()} to {per_group.max()}" if per_group.min() < per_group.max() else f"{per_group.max()}"
    roles = c.corpus.utterances["role"].value_counts()
    found = [
        (
            "Sessions",
            f"{len(sessions):,}" + (f"; {c.uncoded} more that nobody coded are left out" if c.uncoded else ""),
        ),
        (f"{c.group.capitalize()}s", f"{len(per_group):,}, with {spread} sessions each; intervals are drawn over them"),
    ]
    therapists = sessions["therapist_id"].nunique()
    found += [("Therapists", f"{therapists:,}")] if therapists else []
    found += [
        ("Utterances", f"{len(c.corpus.utterances):,}: " + ", ".join(f"{role} {n:,}" for role, n in roles.items())),
        ("Coders", f"{len(c.people)}{_design(c)}"),
    ]
    return found


def _design(c: Comparison) -> str:
    """Were the coders crossed with the utterances?"""
    several = [frame.read_by(frame.people) for frame in c.frames]
    judged, shared = sum(int((n > 0).sum()) for n in several), sum(int((n > 1).sum()) for n in several)
    if not judged:
        return ", who judged segments, not utterances" if c.by_segment else ", who rated and gave no codes"
    if all(((n == 0) | (n == len(c.people))).all() for n in several):
        return ", fully crossed: all of them judged every utterance that anybody judged" if len(c.people) > 1 else ""
    how = "partly" if shared else "not"
    return f", {how} crossed: two or more judged {share(shared, judged)} of the utterances judged"


def _overlap_table(c: Comparison) -> Table:
    rows = []
    for frame in c.frames:
        readers = frame.read_by(frame.people)
        may_have = c.codebook.legal_mask(c.corpus.utterances["role"], frame.codes).any(axis=1)
        legal = int(may_have.sum())
        numbers = [
            legal - int((readers > 0).sum()),
            *(int((readers == n).sum()) for n in (1, 2)),
            int((readers > 2).sum()),
        ]
        rows.append(Row([frame.family.title, whole_number(legal), *(f"{n:,} ({share(n, legal, 0)})" for n in numbers)]))
    caption = "Utterances whose role may have the family's codes, by the number of coders who judged them."
    return Table(caption, ["Family", "Utterances", "None", "One", "Two", "Three or more"], rows, running_text=(0,))


def _coder_tables(c: Comparison) -> list[Block]:
    rows = []
    for coder in c.people:
        own = c.corpus.codings[c.corpus.codings["coder_id"] == coder]
        judged = own[own["unit"] == "utterance"]
        units = judged.drop_duplicates(["session_id", "unit_id"])
        marked = judged[judged["code"].notna() & judged["value"].ne(0)].drop_duplicates(["session_id", "unit_id"])
        others = own[own["unit"] != "utterance"].drop_duplicates(["session_id", "unit", "unit_id"])
        kinds = Counter(others["unit"])
        rows.append(
            Row(
                [
                    coder,
                    whole_number(own["session_id"].nunique()),
                    whole_number(len(units)),
                    share(len(marked), len(units)),
                    whole_number(kinds["segment"]),
                    whole_number(kinds["session"]),
                ]
            )
        )
    head = ["Coder", "Sessions", "Utterances read", "with a code", "Segments coded", "Sessions rated"]
    return [Table("What each coder judged.", head, rows)]


def _gaps(c: Comparison) -> list[str]:
    utterances, found = c.corpus.utterances, []
    for frame in c.frames:
        unused = [code for code in frame.codes if code not in c.used(frame)]
        if unused:
            names = ", ".join(c.label(code) for code in unused)
            found.append(f"{frame.family.title}: never used by a coder: {names}.")
        if c.by_utterance:
            found.append(f"{frame.family.title}: {_unmarked(frame)}")
    untimed = int(utterances["start"].isna().sum())
    if untimed == len(utterances):
        found.append("No utterance has a time: there are no rates, no segments.")
    elif untimed:
        found.append(f"{untimed:,} of {len(utterances):,} utterances have no time and belong to no segment.")
    else:
        found.append("Every utterance has a time.")
    unknown = int((utterances["role"] == "unknown").sum())
    if unknown:
        found.append(f"{count(unknown, 'utterance')} of speakers without a role have no code that needs one.")
    rejected = c.corpus.describe()["counts"]["rejects"]
    if rejected:
        kinds = "; ".join(f"{kind} ({n:,})" for kind, n in rejected.items())
        found.append(f"Rows listed in rejects.csv at import, of the whole corpus: {kinds}.")
    else:
        found.append("No row was rejected at import.")
    return found


def _unmarked(frame: Frame) -> str:
    reference = frame.marks[:, frame.consensus]
    judged = (reference >= 0).any(axis=0)
    none = int((judged & ~(reference == 1).any(axis=0)).sum())
    if frame.values is not None:
        ties = int(((frame.marks[:, frame.people] >= 0).any(axis=(0, 1)) & ~judged).sum())
        return f"{count(ties, 'utterance')} left out of the consensus, because the coders were tied."
    return f"by the consensus {none:,} of {int(judged.sum()):,} utterances have none of its codes{_split(frame)}."


def _split(frame: Frame) -> str:
    """How many utterances have a code by the consensus though no more than half of their coders gave it."""
    marks = frame.marks[:, frame.people]
    agreed = frame.marks[:, frame.consensus] == 1
    more_than_half = 2 * (marks == 1).sum(axis=1) > (marks >= 0).sum(axis=1)
    split = int((agreed & ~more_than_half).any(axis=0).sum())
    if not split:
        return ""
    return f"; {split:,} have one that no more than half of their coders gave, such as one of two"
