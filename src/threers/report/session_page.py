"""The page of one session: a timeline, the utterances with their tags, and a place to correct them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from threers.agreement.frame import CONSENSUS_SHARE, by_people
from threers.agreement.segments import segment_numbers
from threers.codebook import EXTRA_ROLES, Codebook
from threers.corpus import table_hash
from threers.episodes import definition, find_ruptures
from threers.formats.spreadsheets import COLUMNS
from threers.report.html import environment, file_stem, inline, island, policy
from threers.report.lanes import Lane, lanes
from threers.report.scored import FACTS, ScoredSession

STYLES = ("style.css", "session.css")
SCRIPTS = ("page.js", "decisions.js", "timeline.js", "transcript.js", "panel.js", "session.js")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What holds for all pages of a batch. `thresholds`: of the tagger, by code, where they are known."""

    codebook: Codebook
    model: str
    synthetic: bool
    include_text: bool
    blind: bool
    minutes: float
    within: int
    thresholds: Mapping[str, float]


def session_page(session: ScoredSession, settings: Settings, before: str = "", after: str = "") -> str:
    """One HTML file. `before`, `after`: ids of the sessions next to it, empty at the ends."""
    style, script = assets()
    named = [(name.removesuffix("_id").replace("_", " "), session.facts.get(name)) for name in FACTS]
    return (
        environment()
        .get_template("session.html.j2")
        .render(
            session=session.session_id,
            facts=[(name, _plain(value)) for name, value in named if not pd.isna(value)],
            settings=settings,
            has_text=session.text is not None,
            timed=bool(session.scores["start"].notna().any()),
            definition=definition(settings.codebook, settings.minutes, settings.within),
            above=[lane.title for lane in lanes(settings.codebook) if not lane.below],
            below=[lane.title for lane in lanes(settings.codebook) if lane.below],
            before=(before, f"{file_stem(before)}.html") if before else None,
            after=(after, f"{file_stem(after)}.html") if after else None,
            style=style,
            script=script,
            policy=policy([style], [script]),
            data=island(payload(session, settings)),
        )
    )


@cache
def assets() -> tuple[str, str]:
    """The style and the script of a page, the same for all."""
    return inline(*STYLES), inline(*SCRIPTS)


def payload(session: ScoredSession, settings: Settings) -> dict[str, Any]:
    """All that the script of the page knows, as plain data.

    Codes, roles, coders and lanes are named by their place in their lists; probabilities are in thousandths, in the
    order of the codes that the utterance's role may have; a page never says more digits than it holds.
    """
    codebook, scores = settings.codebook, session.scores
    codes = list(codebook.tag_codes())
    place = {code: number for number, code in enumerate(codes)}
    own = lanes(codebook)
    by, of_segments = (_people(session.codings, codebook, unit) for unit in ("utterance", "segment"))
    coders = sorted({coder for unit in (by, of_segments) for marks in unit.values() for coder in marks})
    roles = sorted(scores["role"].unique(), key=lambda role: (*codebook.roles, *EXTRA_ROLES).index(role))
    legal = {role: [place[code] for code in codes if codebook.legal(code, role)] for role in roles}
    return {
        "session": session.session_id,
        "file": file_stem(session.session_id),
        "key": f"threers:{_hash(scores)}:{file_stem(session.session_id)}",
        "model": settings.model,
        "blind": settings.blind,
        "minutes": settings.minutes,
        "columns": list(COLUMNS),
        "roles": roles,
        "legal": [legal[role] for role in roles],
        "codes": [_code(codebook, code, place, own, settings.thresholds) for code in codes],
        "lanes": [asdict(lane) | {"codes": [place[code] for code in lane.codes]} for lane in own],
        "families": [
            {"title": family.title, "exclusive": family.kind == "exclusive"} for family in codebook.tag_families()
        ],
        "coders": coders,
        "utterances": _utterances(session, place, roles, legal, by, coders),
        "segments": [{"number": number, "by": _by(marks, place, coders)} for number, marks in of_segments.items()],
        "ruptures": _ruptures(session, settings, by, of_segments),
    }


def _code(
    codebook: Codebook, name: str, place: Mapping[str, int], own: list[Lane], thresholds: Mapping[str, float]
) -> dict[str, Any]:
    code = codebook.codes[name]
    families = [family.name for family in codebook.tag_families()]
    exclusive = codebook.family(code.family).kind == "exclusive"
    return {
        "name": name,
        "title": code.title,
        "definition": code.definition,
        "family": families.index(code.family),
        "parent": None if code.parent is None else place[code.parent],
        "lane": next(number for number, lane in enumerate(own) if name in lane.codes),
        # Of codes that exclude each other the tagger keeps offsets, which are no probabilities.
        "threshold": None if exclusive or name not in thresholds else round(1000 * thresholds[name]),
    }


def _utterances(
    session: ScoredSession,
    place: Mapping[str, int],
    roles: list[str],
    legal: Mapping[str, list[int]],
    by: Mapping[int, Mapping[str, set[str]]],
    coders: list[str],
) -> list[dict[str, Any]]:
    codes = list(place)
    p = session.scores[[f"p_{code}" for code in codes]].to_numpy(dtype="float64")
    found: list[dict[str, Any]] = []
    for number, row in enumerate(session.scores[["utterance_id", "role", "start", "end", "tags"]].itertuples()):
        marks = by.get(int(row.utterance_id), {})
        found.append(
            {
                "id": int(row.utterance_id),
                "role": roles.index(row.role),
                "start": None if pd.isna(row.start) else round(float(row.start), 2),
                "end": None if pd.isna(row.end) else round(float(row.end), 2),
                "p": [None if np.isnan(p[number, code]) else round(1000 * p[number, code]) for code in legal[row.role]],
                "tags": [place[code] for code in row.tags],
                "by": _by(marks, place, coders),
            }
        )
        if session.text is not None:
            found[-1]["text"] = session.text[number]
    return found


def _by(marks: Mapping[str, set[str]], place: Mapping[str, int], coders: list[str]) -> list[list[Any]]:
    return [[coders.index(coder), sorted(place[code] for code in own)] for coder, own in marks.items()]


def _people(codings: pd.DataFrame, codebook: Codebook, unit: str) -> dict[int, dict[str, set[str]]]:
    """By utterance or segment, and coder, the codes that a person marked, parents too; empty where the coder marked
    nothing.
    """
    own = codings[(codings["unit"] == unit) & by_people(codings)]
    taggable = set(codebook.tag_codes())
    found: dict[int, dict[str, set[str]]] = {}
    for row in own.itertuples():
        marks = found.setdefault(int(row.unit_id), {}).setdefault(str(row.coder_id), set())
        if isinstance(row.code, str) and row.code in taggable and row.value != 0:
            marks |= {row.code, *codebook.ancestors(row.code)}
    return found


def _ruptures(
    session: ScoredSession,
    settings: Settings,
    by: Mapping[int, Mapping[str, set[str]]],
    of_segments: Mapping[int, Mapping[str, set[str]]],
) -> list[dict[str, Any]]:
    """The ruptures that the model's tags make, and those of the coders' consensus; where they coded segments, each
    utterance whose speaker may have a code of its segment stands for it.
    """
    asked = (settings.codebook, settings.minutes, settings.within)
    own = [asdict(one) | {"who": "model"} for one in find_ruptures(session.scores, *asked)]
    if not by and not of_segments:
        return own
    lies_in = segment_numbers(session.scores["start"].to_numpy(dtype="float64"), settings.minutes)
    whole = {number: _consensus(marks) for number, marks in of_segments.items()}
    together = [
        _consensus(by[number])
        if number in by
        else [code for code in whole.get(segment, ()) if settings.codebook.legal(code, role)]
        for number, role, segment in zip(session.scores["utterance_id"], session.scores["role"], lies_in, strict=True)
    ]
    people = find_ruptures(session.scores.assign(tags=together), *asked)
    return own + [asdict(one) | {"who": "coders"} for one in people]


def _consensus(marks: Mapping[str, set[str]]) -> list[str]:
    every = [code for own in marks.values() for code in own]
    return [code for code in dict.fromkeys(every) if every.count(code) >= CONSENSUS_SHARE * len(marks)]


def _hash(scores: pd.DataFrame) -> str:
    """What a coder's unsaved work belongs to: these very scores of the session."""
    lists = {name: scores[name].map(";".join) for name in ("tags", "abstained") if name in scores}
    return table_hash(scores.drop(columns="text", errors="ignore").assign(**lists))[:16]


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float | int) else str(value)
