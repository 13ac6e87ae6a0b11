"""Where the annotations of an ELAN file stand in time: time slots without a time, annotations that hang on others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from threers.formats.tiers import Tier, parents_first


@dataclass(frozen=True, slots=True)
class Annotation:
    """One annotation; it stands at time slots, or (`above` not empty) on another annotation, after a sibling."""

    row: int
    name: str
    text: str
    slots: tuple[str, str]
    above: str
    after: str


def slot_times(
    written: Mapping[str, float | None], tiers: Sequence[Tier], annotations: Sequence[list[Annotation]]
) -> dict[str, float]:
    """Milliseconds of each time slot; one without a time is put where ELAN shows it.

    That is evenly between its neighbours: in a chain of annotations below another tier those of the chain, else those
    of the whole file.
    """
    times = {name: time for name, time in written.items() if time is not None}
    everywhere = dict(zip(written, _spread(list(written.values())), strict=True))
    for n in parents_first(tiers) if len(times) < len(written) else []:
        for chain in _chains(annotations[n], written) if tiers[n].parent else []:
            known = [times.get(name) for name in chain]
            known[0], known[-1] = (times.get(name, everywhere.get(name)) for name in (chain[0], chain[-1]))
            times.update(zip(chain, _spread(known), strict=True))
    return {**everywhere, **times}


def _chains(annotations: Iterable[Annotation], known: Container[str]) -> Iterator[list[str]]:
    """The time slots of annotations each of which begins where the one before ends."""
    chain: list[str] = []
    for one in annotations:
        if one.above or one.slots[0] not in known or one.slots[1] not in known:
            continue
        if chain and chain[-1] != one.slots[0]:
            yield chain
            chain = []
        chain += [*(() if chain else one.slots[:1]), one.slots[1]]
    if chain:
        yield chain


def _spread(times: list[float | None]) -> list[float]:
    """Times with the missing ones laid evenly between those around them."""
    spread: list[float] = []
    for known, group in groupby(times, key=lambda time: time is not None):
        run = list(group)
        if known:
            spread += [time for time in run if time is not None]
            continue
        after = times[len(spread) + len(run)] if len(spread) + len(run) < len(times) else None
        before = spread[-1] if spread else after or 0.0
        step = ((before if after is None else after) - before) / (len(run) + 1)
        spread += [before + step * place for place in range(1, len(run) + 1)]
    return spread


def annotation_times(
    annotations: Iterable[list[Annotation]], slots: dict[str, float]
) -> dict[int, tuple[float, float]]:
    """Milliseconds of each annotation, by its row. Those on another one take its time, several in a tier share it."""
    times: dict[int, tuple[float, float]] = {}
    below: dict[str, list[list[Annotation]]] = defaultdict(list)
    placed: list[Annotation] = []
    for of_tier in annotations:
        siblings: dict[str, list[Annotation]] = defaultdict(list)
        for one in of_tier:
            if one.above:
                siblings[one.above].append(one)
            elif all(slot in slots for slot in one.slots):
                times[one.row] = slots[one.slots[0]], slots[one.slots[1]]
                placed.append(one)
        for above, family in siblings.items():
            below[above].append(_in_order(family))
    for one in placed:
        for family in below.pop(one.name, []):
            start, end = times[one.row]
            for place, child in enumerate(family):
                step = (end - start) / len(family)
                times[child.row] = start + step * place, start + step * (place + 1)
            placed += family
    return times


def _in_order(family: list[Annotation]) -> list[Annotation]:
    """Siblings as each names the one before it; those that the references do not reach come last."""
    following = {one.after: one for one in reversed(family)}
    names = {one.name for one in family}
    left = {one.row: one for one in family}
    chain = []
    one = next((one for one in family if one.after not in names), None)
    while one is not None and one.row in left:
        chain.append(left.pop(one.row))
        one = following.get(one.name)
    return chain + list(left.values())
