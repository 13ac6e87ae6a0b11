"""A reader: how a lab's tables are laid out, as one small YAML file that is checked when loaded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from threers.codebook import EXTRA_ROLES, Codebook
from threers.corpus import TABLES
from threers.errors import SettingsError
from threers.formats.headers import compared, first_header, heading, template
from threers.formats.reader_checks import (
    check_choice,
    check_mapping,
    check_number,
    check_pairs,
    check_pattern,
    check_word,
    check_words,
)
from threers.formats.roles import Role, read_roles
from threers.formats.sheets import SHEET
from threers.shipped import read_yaml, shipped_names

#: What a column can mean: something about the row, or about its session.
ROW_FIELDS = ("session", "order", "speaker", "text", "start", "end", "coder", "unit", "unit_id", "value")
SESSION_FIELDS = ("group", "patient", "therapist", "session_number")
FIELDS = (*ROW_FIELDS, *SESSION_FIELDS)
#: Which rows may repeat an utterance: none, one per coder, one per coding.
LAYOUTS = ("wide", "rater_rows", "long")
#: What a coder has read: the units with a row, every utterance of a session that they coded, only what they marked.
READ = ("rows", "sessions", "marks")
#: How a stretch of time finds utterances: see `formats.by_time`.
TIME_MATCHES = ("half", "any", "start")


@dataclass(frozen=True, kw_only=True)
class CodeColumn:
    """One column (or a family of columns, by a template) whose cells hold codes.

    `headers`: alternatives; `{coder}` and `{code}` in a header stand for what names the coder or the code. `role`: who
    speaks there, for speakers without a mapping. `values`: cell -> code, for cells that mean something in this column.
    """

    headers: tuple[str, ...]
    family: str | None = None
    role: str | None = None
    coder: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Reader:
    """How to read a lab's tables; `configs/reader/long.yaml` explains each key where it uses it.

    `columns`: field of `FIELDS` -> alternative headers; what is not in `optional` must be in every file. `records`: in
    JSON, the key of the list of rows inside each record. `file_name`: template of a file's name, `{field}` standing for
    a field or a further column of the session. `further`: columns of the sessions table -> headers. `roles`: speaker as
    written, or a pattern with `*` -> role. `longest_hours`: see `formats.utterances.utterances_table`. See
    `formats.documents.Context` for `speaker_pattern`, `code_tiers` and `speech_tiers`, `formats.by_time` for
    `time_match` and `segment_minutes`.
    """

    name: str
    layout: str
    columns: Mapping[str, tuple[str, ...]]
    codes: tuple[CodeColumn, ...] = ()
    codebook: str | None = None
    records: str | None = None
    file_name: str | None = None
    optional: tuple[str, ...] = ()
    further: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    file_roles: tuple[Role, ...] = ()
    """Roles from a table, for some files or for all; they go before `roles`."""
    coder: str = "coder"
    missing: tuple[str, ...] = ()
    unmarked: tuple[str, ...] = ()
    separators: tuple[str, ...] = (";", "|", ",", "\n")
    read: str = "rows"
    longest_hours: float = 4.0
    speaker_pattern: re.Pattern[str] | None = None
    code_tiers: tuple[str, ...] = ()
    speech_tiers: tuple[str, ...] = ()
    time_match: str = "half"
    segment_minutes: float = 5.0

    @classmethod
    def load(cls, name_or_path: str | Path) -> Reader:
        """Load a shipped reader by name (`annomi`) or a YAML file by path.

        Raises:
            SettingsError: no such reader, or the first fault found in it, with the file's name.

        """
        raw, where = read_yaml("reader", name_or_path)
        return cls.from_dict(raw, where)

    @classmethod
    def from_dict(cls, raw: Any, where: str = "reader") -> Reader:
        """Build and check a reader from plain data; `where` names the file in errors.

        Raises:
            SettingsError: the first fault found.

        """
        where = f"reader {where}"
        raw = check_mapping(raw, where, tuple(key.name for key in fields(cls) if key.name != "file_roles"))
        for key in ("name", "layout", "columns"):
            if key not in raw:
                raise SettingsError(f"{where}: key {key!r} is missing")
        columns = _columns(raw["columns"], f"{where}: columns")
        optional = check_words(raw.get("optional", []), f"{where}: optional")
        for name in optional:
            check_choice(name, tuple(columns), f"{where}: optional")
        layout, read = str(raw["layout"]), str(raw.get("read", cls.read))
        check_choice(layout, LAYOUTS, f"{where}: layout")
        check_choice(read, READ, f"{where}: read")
        match = str(raw.get("time_match", cls.time_match))
        check_choice(match, TIME_MATCHES, f"{where}: time_match")
        return cls(
            name=str(raw["name"]),
            layout=layout,
            columns=columns,
            codes=_codes(raw.get("codes", []), f"{where}: codes"),
            codebook=check_word(raw, "codebook", where),
            records=check_word(raw, "records", where),
            file_name=_file_name(raw, where),
            optional=optional,
            further=_further(raw.get("further", []), f"{where}: further"),
            roles=check_pairs(raw.get("roles", {}), f"{where}: roles"),
            coder=check_word(raw, "coder", where) or cls.coder,
            missing=check_words(raw.get("missing", []), f"{where}: missing"),
            unmarked=check_words(raw.get("unmarked", []), f"{where}: unmarked"),
            separators=check_words(raw.get("separators", cls.separators), f"{where}: separators"),
            read=read,
            longest_hours=check_number(raw, "longest_hours", cls.longest_hours, where),
            speaker_pattern=check_pattern(raw.get("speaker_pattern"), f"{where}: speaker_pattern"),
            code_tiers=check_words(raw.get("code_tiers", []), f"{where}: code_tiers"),
            speech_tiers=check_words(raw.get("speech_tiers", []), f"{where}: speech_tiers"),
            time_match=match,
            segment_minutes=check_number(raw, "segment_minutes", cls.segment_minutes, where),
        )

    @property
    def by_sheet(self) -> bool:
        """Does a column's header mean the sheets of a workbook? Then all are read that are alike."""
        every = (*self.columns.values(), *self.further.values())
        return any(first_header(headers, [SHEET]) for headers in every)

    @property
    def every_role(self) -> tuple[Role, ...]:
        """Who is who, the most telling first."""
        return (*self.file_roles, *(Role(speaker, role) for speaker, role in self.roles.items()))

    def override(
        self, columns: Mapping[str, Any] | None = None, roles: Mapping[str, str] | str | Path | None = None
    ) -> Reader:
        """Return the reader with a caller's own columns and roles in front of its own.

        `columns` takes the fields of `FIELDS`, `code` (header or headers of the columns that hold codes, or header ->
        the coder whose column it is) and `further`. A header that holds codes by the caller's word is no field of the
        reader's own. `roles`: speaker -> role, or the path of a table (see `roles.read_roles`).

        Raises:
            SettingsError: an unknown field or a value of another shape.

        """
        given = dict(columns or {})
        codes, further, known = self.codes, self.further, self.columns
        if "code" in given:
            codes = _own_codes(given.pop("code"))
            known = _without(known, [header for column in codes for header in column.headers])
        if "further" in given:
            further = {**further, **_further(given.pop("further"), "columns: further")}
        own = _columns(given, "columns")
        told = read_roles(roles) if isinstance(roles, str | Path) and str(roles) else ()
        roles = {} if isinstance(roles, str | Path) else roles or {}
        mine = {compared(name) for name in roles}
        kept = {name: role for name, role in self.roles.items() if compared(name) not in mine}
        return replace(
            self,
            columns={**known, **own},
            optional=(*self.optional, *(name for name in own if name not in self.columns)),
            codes=codes,
            further=further,
            roles={**check_pairs(dict(roles), "roles"), **kept},
            file_roles=(*told, *self.file_roles),
        )

    def require_fit(self, codebook: Codebook) -> None:
        """Refuse a codebook that lacks a family, role or code which this reader's code columns name.

        Raises:
            SettingsError: the first such name.

        """
        roles = (*codebook.roles, *EXTRA_ROLES)
        families = tuple(family.name for family in codebook.families)
        for spec in self.codes:
            where = f"reader {self.name}: codes: {spec.headers[0]}"
            check_choice(spec.role or roles[0], roles, f"{where}: role in codebook {codebook.name}")
            check_choice(spec.family or families[0], families, f"{where}: family in codebook {codebook.name}")
            for code in spec.values.values():
                check_choice(
                    codebook.find(code) or code, tuple(codebook.codes), f"{where}: code in codebook {codebook.name}"
                )

    def fits(self, headers: Iterable[str]) -> bool:
        """Tell whether these headers hold all of the reader's code columns and all that are not optional."""
        headers = list(headers)
        if self.records is not None:
            return first_header((self.records,), headers) is not None
        needed = [names for name, names in self.columns.items() if name not in self.optional]
        needed += [spec.headers for spec in self.codes]
        return all(first_header(names, headers) is not None for names in needed)


def shipped_readers() -> list[str]:
    """Return the names of the readers that ship with the package."""
    return shipped_names("reader")


def _codes(raw: Any, where: str) -> tuple[CodeColumn, ...]:
    if not isinstance(raw, list):
        raise SettingsError(f"{where}: expected a list of columns, found {type(raw).__name__}")
    found = []
    for number, entry in enumerate(raw, start=1):
        at = f"{where}: entry {number}"
        entry = check_mapping(entry, at, ("column", "family", "role", "coder", "values"))
        if "column" not in entry:
            raise SettingsError(f"{at}: key 'column' is missing")
        headers = check_words(entry["column"], f"{at}: column")
        for part in (part for header in headers for part in template(header).groupindex):
            check_choice(part, ("coder", "code"), f"{at}: column: part in braces")
        texts = {key: check_word(entry, key, at) for key in ("family", "role", "coder")}
        found.append(CodeColumn(headers=headers, **texts, values=check_pairs(entry.get("values", {}), f"{at}: values")))
    return tuple(found)


def _own_codes(raw: Any) -> tuple[CodeColumn, ...]:
    """Code columns as a caller names them: a header, a list of them, or each with its coder."""
    if isinstance(raw, Mapping):
        return tuple(CodeColumn(headers=(h,), coder=coder) for h, coder in check_pairs(raw, "columns: code").items())
    return tuple(CodeColumn(headers=(header,)) for header in check_words(raw, "columns: code"))


def _without(columns: Mapping[str, tuple[str, ...]], headers: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Columns without the alternatives that are among the headers, and without a field that has no other."""
    taken = {heading(header) for header in headers}
    left = {name: tuple(n for n in names if heading(n) not in taken) for name, names in columns.items()}
    return {name: names for name, names in left.items() if names}


def _columns(raw: Any, where: str) -> dict[str, tuple[str, ...]]:
    return {key: check_words(value, f"{where}: {key}") for key, value in check_mapping(raw, where, FIELDS).items()}


def _further(raw: Any, where: str) -> dict[str, tuple[str, ...]]:
    if isinstance(raw, Mapping):
        found = {str(key): check_words(value, f"{where}: {key}") for key, value in raw.items()}
    else:
        found = {header: (header,) for header in check_words(raw, where)}
    _require_further(found, where)
    return found


def _file_name(raw: Mapping[str, Any], where: str) -> str | None:
    written = check_word(raw, "file_name", where)
    _require_further([name for name in template(written or "").groupindex if name not in FIELDS], f"{where}: file_name")
    return written


def _require_further(names: Iterable[str], where: str) -> None:
    """Refuse a further column that would stand in for one of the corpus, as `patient_id` for what `patient` gives."""
    for name in names:
        if name in TABLES["sessions"] or name in FIELDS:
            raise SettingsError(
                f"{where}: {name!r} is a column of every corpus; give it another name, or say the field that it means "
                f"({', '.join(SESSION_FIELDS)})"
            )
