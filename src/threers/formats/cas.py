"""UIMA CAS as INCEpTION exports it: XMI and JSON.

Both are read here and not by dkpro-cassis: that needs the type system, which lies in another file for XMI and is often
lost, and lets lxml expand entities. Spans need no types: they are whatever has a begin and an end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from threers.errors import InputError
from threers.formats.documents import Context, Document, Format
from threers.formats.files import File
from threers.formats.inception import (
    Feature,
    annotated,
    annotator,
    coder_named,
    document_named,
    holds,
    layer_named,
    read_all,
)
from threers.formats.selections import clean, from_utf16

_SEGMENTATION = "de.tudarmstadt.ukp.dkpro.core.api.segmentation.type."
#: Who annotated which document, in INCEpTION's own words; and what all text has.
_METADATA = "de.tudarmstadt.ukp.clarin.webanno.api.type.CASMetadata"
_NO_LAYERS = (
    _SEGMENTATION,
    _METADATA,
    "de.tudarmstadt.ukp.dkpro.core.api.metadata.",
    "uima.",
    "org.dkpro.core.api.pdf.",
)
_NO_FEATURES = {"begin", "end", "sofa", "id"}


@dataclass(frozen=True, slots=True)
class _Structure:
    """A feature structure: the number of its element or object in the file, its type, its plain features."""

    row: int
    type: str
    features: dict[str, list[str]]

    def first(self, name: str) -> str:
        return next(iter(self.features.get(name, [])), "")


def _fits(file: File) -> bool:
    return holds(file, (".xmi", ".json"), _is_cas)


def _is_cas(file: File) -> bool:
    if file.root_name == "XMI":
        return "uima/cas.ecore" in file.head
    return '"%' in file.head and "%FEATURE_STRUCTURES" in file.record


def _read(file: File, context: Context) -> list[Document]:
    return read_all(file, context, _is_cas, _read_one)


def _read_one(file: File, path: PurePath, context: Context) -> Document:
    structures = list(_from_xmi(file) if file.root_name == "XMI" else _from_json(file))
    sofas = [one for one in structures if one.type == "uima.cas.Sofa" and one.first("sofaString")]
    if not sofas:
        raise InputError("a CAS without a text; expected one with a sofaString")
    sofa = next((one for one in sofas if one.first("sofaID") == "_InitialView"), sofas[0])
    spans = list(_spans(structures, sofa))
    text = sofa.first("sofaString")
    sentences = sorted((start, end) for one, start, end in spans if one.type == f"{_SEGMENTATION}Sentence")
    features = [
        Feature(row=one.row, layer=one.type, name=name, value=value, start=start, end=end)
        for one, start, end in spans
        if not one.type.startswith(_NO_LAYERS)
        for name, value in _values(one)
    ]
    return annotated(text, features, context, _who(structures, path), sentences)


def _values(one: _Structure) -> list[tuple[str, str]]:
    """Features and their values; an annotation without any has its layer's name for one."""
    given = one.features.items()
    values = [(name, value) for name, values in given if name not in _NO_FEATURES for value in values if value]
    return values or [("", layer_named(one.type))]


def _spans(structures: list[_Structure], sofa: _Structure) -> Iterator[tuple[_Structure, int, int]]:
    """What has a place in the text; a CAS counts as Java does."""
    place = from_utf16(sofa.first("sofaString"))
    for one in structures:
        start, end = one.first("begin"), one.first("end")
        plain = re.fullmatch(r"\d{1,9}", start) and re.fullmatch(r"\d{1,9}", end)
        if plain and one.first("sofa") in ("", sofa.first("id")):
            yield one, place(int(start)), place(int(end))


def _who(structures: list[_Structure], path: PurePath) -> tuple[str, str]:
    session, coder = annotator(path)
    said = next((one for one in structures if one.type == _METADATA), None)
    if said is None:
        return session, coder
    return session or document_named(said.first("sourceDocumentName")), coder_named(said.first("username")) or coder


def _from_xmi(file: File) -> Iterator[_Structure]:
    for row, element in enumerate(file.xml, start=1):
        if not isinstance(element.tag, str):
            continue
        space, _, name = element.tag.removeprefix("{").rpartition("}")
        package = space.removeprefix("http:///").removesuffix(".ecore").replace("/", ".")
        features = {key.rpartition("}")[2]: [value] for key, value in element.attrib.items()}
        for child in element:
            features.setdefault(str(child.tag), []).append((child.text or "").strip())
        yield _Structure(row, f"{package}.{name}", features)


def _from_json(file: File) -> Iterator[_Structure]:
    found = file.record.get("%FEATURE_STRUCTURES")
    objects = list(found.values()) if isinstance(found, dict) else found
    if not isinstance(objects, list):
        raise InputError("a CAS without feature structures; is the file damaged?")
    arrays = {
        one["%ID"]: one["%ELEMENTS"]
        for one in objects
        if isinstance(one, dict) and "%ELEMENTS" in one and isinstance(one.get("%ID"), (int, str))
    }
    for row, one in enumerate(objects, start=1):
        if not isinstance(one, dict):
            continue
        features = {name: _plain(value) for name, value in one.items() if not name.startswith(("@", "%"))}
        # A reference stands for the plain values of an array, else it is a link and no value.
        links = {name[1:]: to for name, to in one.items() if name.startswith("@") and isinstance(to, (int, str))}
        features |= {name: _plain(arrays[to]) for name, to in links.items() if to in arrays}
        features["sofa"] = _plain(one.get("@sofa"))
        features["id"] = _plain(one.get("%ID"))
        yield _Structure(row, str(one.get("%TYPE") or ""), features)


def _plain(value: Any) -> list[str]:
    if isinstance(value, list):
        return [text for one in value if not isinstance(one, (list, dict)) for text in _plain(one)]
    if value is None or isinstance(value, dict):
        return []
    return [clean(str(value))]


FORMAT = Format(
    name="cas", title="UIMA CAS, XMI or JSON (INCEpTION)", suffixes=(".xmi", ".json", ".zip"), fits=_fits, read=_read
)
