"""ELAN annotation files (EAF 2.7 to 3.0): speech and codes in tiers, read, written, and added to a lab's own file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from xml.etree.ElementTree import Element, SubElement, fromstring, indent, tostring

from threers.errors import InputError
from threers.formats.documents import Context, Document, Format, Output
from threers.formats.elan_times import Annotation, annotation_times, slot_times
from threers.formats.files import File, local, parse_xml
from threers.formats.new_tiers import new_tiers, own_tiers
from threers.formats.tiers import Interval, Notes, Tier, document_of, milliseconds

# Not read with pympi-ling, which hands the file to Python's own XML parser: that expands entities.

#: The linguistic types of the tiers that are written.
_SPEECH, _CODES = "threers speech", "threers codes"
# The date is required. It is always the same, so that the same session gives the same bytes.
_BLANK = """<ANNOTATION_DOCUMENT AUTHOR="threers" DATE="2000-01-01T00:00:00+00:00" FORMAT="3.0" VERSION="3.0"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
 xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">
<HEADER MEDIA_FILE="" TIME_UNITS="milliseconds"/><TIME_ORDER/></ANNOTATION_DOCUMENT>"""


def _fits(file: File) -> bool:
    return file.root_name == "ANNOTATION_DOCUMENT"


def _read(file: File, context: Context) -> list[Document]:
    tiers, notes = _tiers(file.xml)
    return [document_of(tiers, context, notes)]


def _tiers(root: Element) -> tuple[list[Tier], Notes]:
    """The tiers with their annotations in time, and what was left out or repaired."""
    if local(root) != "ANNOTATION_DOCUMENT":
        raise InputError(f"the XML holds {local(root)[:40] or 'something'}; expected ANNOTATION_DOCUMENT, an ELAN file")
    header = next(_named(root, "HEADER"), None)
    units = "milliseconds" if header is None else header.get("TIME_UNITS", "milliseconds")
    if units != "milliseconds":
        raise InputError("the file does not count time in milliseconds; open it in ELAN, save it again and read that")
    tiers, annotations = [], []
    row = 0
    for element in _named(root, "TIER"):
        tiers.append(
            Tier(
                name=element.get("TIER_ID", ""),
                participant=element.get("PARTICIPANT", "").strip(),
                annotator=element.get("ANNOTATOR", "").strip(),
                parent=element.get("PARENT_REF", ""),
            )
        )
        annotations.append(list(_annotations(element, row)))
        row += len(annotations[-1])
    notes: Notes = []
    slots = _slots(root)
    if missing := sum(time is None for time in slots.values()):
        notes.append((None, f"no time: {missing} time slots have none; placed evenly between their neighbours"))
    times = annotation_times(annotations, slot_times(slots, tiers, annotations))
    for tier, of_tier in zip(tiers, annotations, strict=True):
        for one in of_tier:
            if one.row not in times:
                notes.append(
                    (one.row, "damaged reference: it names a time slot or annotation that is not there; left out")
                )
                continue
            start, end = times[one.row]
            if start > end:
                notes.append(
                    (one.row, "time goes backwards: the annotation ends before it begins; the two were exchanged")
                )
            tier.intervals.append(Interval(one.row, min(start, end) / 1000, max(start, end) / 1000, one.text))
    return tiers, notes


def _slots(root: Element) -> dict[str, float | None]:
    """Milliseconds of the time slots, in the order of the file."""
    slots = [slot for order in _named(root, "TIME_ORDER") for slot in _named(order, "TIME_SLOT")]
    return {slot.get("TIME_SLOT_ID", ""): _slot_time(slot) for slot in slots}


def _slot_time(slot: Element) -> float | None:
    value = slot.get("TIME_VALUE", "").strip()
    return float(value) if re.fullmatch(r"[0-9]{1,12}", value) else None


def _named(element: Element, *names: str) -> Iterator[Element]:
    return (child for child in element if local(child) in names)


def _annotations(tier: Element, before: int) -> Iterator[Annotation]:
    found = (
        one for outer in _named(tier, "ANNOTATION") for one in _named(outer, "ALIGNABLE_ANNOTATION", "REF_ANNOTATION")
    )
    for row, one in enumerate(found, start=before + 1):
        value = next(_named(one, "ANNOTATION_VALUE"), None)
        yield Annotation(
            row=row,
            name=one.get("ANNOTATION_ID", ""),
            text=(value.text or "") if value is not None else "",
            slots=(one.get("TIME_SLOT_REF1", ""), one.get("TIME_SLOT_REF2", "")),
            above=one.get("ANNOTATION_REF", "") if local(one) == "REF_ANNOTATION" else "",
            after=one.get("PREVIOUS_ANNOTATION", ""),
        )


def _write(documents: Sequence[Document], output: Output) -> bytes:
    (document,) = documents
    original = output.original if output.original is not None and _fits(output.original) else None
    if original is None:
        root = fromstring(_BLANK)
        _add(root, new_tiers(document, output.titles))
        indent(root)
    else:
        root = parse_xml(original.content)
        tiers, _ = _tiers(root)
        own = {tier.name for tier in own_tiers(tiers, document)}
        _fix_slots(root, tiers)
        _remove(root, own)
        _add(root, new_tiers(document, output.titles, [tier for tier in tiers if tier.name not in own]))
    try:
        return tostring(root, encoding="UTF-8", xml_declaration=True)
    except RecursionError as error:
        raise InputError("the XML of the original file is nested too deeply; is it an ELAN file?") from error


def _remove(root: Element, names: set[str]) -> None:
    """Take out tiers, and the time slots that only they used."""
    if any(tier.get("PARENT_REF") in names for tier in _named(root, "TIER")):
        raise InputError("a tier hangs below one that threers wrote and would write anew; move or rename one in ELAN")
    gone = [tier for tier in _named(root, "TIER") if tier.get("TIER_ID") in names]
    for tier in gone:
        root.remove(tier)
    unused = _used_slots(gone) - _used_slots([root])
    for order in _named(root, "TIME_ORDER"):
        order[:] = [slot for slot in order if slot.get("TIME_SLOT_ID") not in unused]


def _fix_slots(root: Element, tiers: Sequence[Tier]) -> None:
    """Write out the times of those slots that would move when others come between them and their neighbours.

    These are the ones without a time on tiers that hang below no other.
    """
    annotations = [list(_annotations(element, 0)) for element in _named(root, "TIER")]
    times = slot_times(_slots(root), tiers, annotations)
    free = [of_tier for tier, of_tier in zip(tiers, annotations, strict=True) if not tier.parent]
    moving = {slot for of_tier in free for one in of_tier for slot in one.slots}
    for order in _named(root, "TIME_ORDER"):
        for slot in _named(order, "TIME_SLOT"):
            if _slot_time(slot) is None and slot.get("TIME_SLOT_ID") in moving:
                slot.set("TIME_VALUE", str(round(times[slot.get("TIME_SLOT_ID", "")])))


def _used_slots(elements: Iterable[Element]) -> set[str]:
    annotations = (one for element in elements for one in element.iter("ALIGNABLE_ANNOTATION"))
    return {one.get(name, "") for one in annotations for name in ("TIME_SLOT_REF1", "TIME_SLOT_REF2")}


def _add(root: Element, tiers: Sequence[Tier]) -> None:
    """Add tiers with their types and time slots, each in its place by the schema."""
    slot = _last_number(one.get("TIME_SLOT_ID") for one in root.iter("TIME_SLOT"))
    annotation = _last_number(one.get("ANNOTATION_ID") for one in root.iter() if one.get("ANNOTATION_ID"))
    slots = []
    for tier in tiers:
        kind = _CODES if tier.name.startswith("threers ") else _SPEECH
        named = {"PARTICIPANT": tier.participant, "ANNOTATOR": tier.annotator, "TIER_ID": tier.name}
        element = Element("TIER", {"LINGUISTIC_TYPE_REF": _type(root, kind), **{k: v for k, v in named.items() if v}})
        root.insert(_after(root, "TIER", "TIME_ORDER", "HEADER", "LICENSE"), element)
        for one in tier.intervals:
            times = {f"ts{slot + 1}": milliseconds(one.start), f"ts{slot + 2}": milliseconds(one.end)}
            slot, annotation = slot + 2, annotation + 1
            slots += [Element("TIME_SLOT", TIME_SLOT_ID=name, TIME_VALUE=str(time)) for name, time in times.items()]
            first, last = times
            attributes = {"ANNOTATION_ID": f"a{annotation}", "TIME_SLOT_REF1": first, "TIME_SLOT_REF2": last}
            aligned = SubElement(SubElement(element, "ANNOTATION"), "ALIGNABLE_ANNOTATION", attributes)
            SubElement(aligned, "ANNOTATION_VALUE").text = one.text
    _merge_slots(root, slots)
    _count(root, annotation)


def _type(root: Element, kind: str) -> str:
    """The name of a linguistic type for tiers that stand in time by themselves, added where it is missing."""
    attributes = {"GRAPHIC_REFERENCES": "false", "LINGUISTIC_TYPE_ID": kind, "TIME_ALIGNABLE": "true"}
    known = {one.get("LINGUISTIC_TYPE_ID") for one in _named(root, "LINGUISTIC_TYPE")}
    if kind not in known:
        root.insert(
            _after(root, "LINGUISTIC_TYPE", "TIER", "TIME_ORDER", "HEADER", "LICENSE"),
            Element("LINGUISTIC_TYPE", attributes),
        )
    return kind


def _after(root: Element, *names: str) -> int:
    """Where to insert: after the last child that has one of the names."""
    return max((place for place, child in enumerate(root, start=1) if local(child) in names), default=0)


def _last_number(names: Iterable[str | None]) -> int:
    found = (re.fullmatch(r"[a-z]+([0-9]{1,12})", name or "") for name in names)
    return max((int(one[1]) for one in found if one), default=0)


def _merge_slots(root: Element, slots: list[Element]) -> None:
    """Put new time slots among the others, which the schema wants in the order of their times."""
    order = next(_named(root, "TIME_ORDER"), None)
    if order is None:
        order = Element("TIME_ORDER")
        root.insert(_after(root, "HEADER", "LICENSE"), order)
    slots = sorted(slots, key=lambda slot: _slot_time(slot) or 0)[::-1]
    merged: list[Element] = []
    for slot in order:
        time = _slot_time(slot)
        while slots and time is not None and (_slot_time(slots[-1]) or 0) < time:
            merged.append(slots.pop())
        merged.append(slot)
    order[:] = merged + slots[::-1]


def _count(root: Element, last: int) -> None:
    """Tell ELAN the highest number of an annotation, from which it counts on."""
    for header in _named(root, "HEADER"):
        named = [one for one in _named(header, "PROPERTY") if one.get("NAME") == "lastUsedAnnotationId"]
        for one in named or [SubElement(header, "PROPERTY", NAME="lastUsedAnnotationId")]:
            one.text = str(last)


FORMAT = Format(name="elan", title="ELAN annotation file", suffixes=(".eaf",), fits=_fits, read=_read, write=_write)
