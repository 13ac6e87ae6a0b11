"""Who has which role: speakers as written to roles, for every file or for some; never a guess."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import pandas as pd

from threers.codebook import EXTRA_ROLES, Codebook
from threers.errors import InputError, SettingsError
from threers.formats.files import File
from threers.formats.headers import compared
from threers.formats.rejects import list_headers
from threers.formats.tables import composed, read_table


@dataclass(frozen=True, slots=True)
class Role:
    """A speaker as written (or a pattern with `*`), the role, and the files that it holds for: a name or a pattern of
    `name`, `folder/name`, or the name by which a message tells the file from others.
    """

    speaker: str
    role: str
    files: str = "*"


class UnknownSpeakersError(InputError):
    """Speakers without a role. `speakers`: what `describe_speakers` says of everyone."""

    def __init__(self, message: str, speakers: pd.DataFrame) -> None:
        super().__init__(message)
        self.speakers = speakers


def read_roles(path: str | Path) -> tuple[Role, ...]:
    """Read a table with the columns `speaker`, `role` and perhaps `file`; an empty file means every file.

    Raises:
        SettingsError: it cannot be read, or lacks a column.

    """
    path = Path(path).expanduser()
    try:
        table = read_table(File(path))
    except InputError as error:
        raise SettingsError(f"roles={path}: {error}; expected a table with columns file, speaker, role") from error
    for row, reason in table.notes:
        if row is not None:
            raise SettingsError(f"roles={path}: row {row}: {reason.partition(';')[0]}; correct that row")
    frame = table.frame
    frame.columns = frame.columns.str.strip().str.casefold()
    times = frame.columns.value_counts()
    if times.get("speaker") != 1 or times.get("role") != 1 or times.get("file", 1) != 1:
        found = list_headers(frame.columns)
        raise SettingsError(f"roles={path}: found columns {found}; expected file, speaker, role")
    files = frame["file"].str.strip() if "file" in frame else pd.Series("", index=frame.index)
    rows = zip(frame["speaker"].str.strip(), frame["role"].str.strip(), files.replace("", "*"), strict=True)
    return tuple(Role(speaker, role, composed(file)) for speaker, role, file in rows if role)


def map_roles(rows: pd.DataFrame, roles: Iterable[Role], codebook: Codebook) -> pd.Series:
    """Give each row's speaker the role that is said for its file, else for all, else the one whose name it is.

    An exact name goes before a pattern with `*`, and a mere `*` comes last; else what is said for some files goes
    before what is said for all, and of patterns the first. Case and outer spaces of speakers do not count. Returns
    roles, the empty string where none is known.

    Args:
        rows: with `speaker`, `file` and `folder`.
        roles: who is who.
        codebook: which roles there are.

    Raises:
        SettingsError: a role that the codebook does not know.

    """
    known = (*codebook.roles, *EXTRA_ROLES)
    roles = list(roles)
    for one in roles:
        if one.role not in known:
            raise SettingsError(
                f"roles: {one.speaker}: found {one.role!r}; codebook {codebook.name} has {', '.join(known)}"
            )
    found = pd.Series("", index=rows.index, dtype="str")
    for (folder, file), part in rows.groupby(["folder", "file"], sort=False):
        whole = composed(str(file))
        name = whole.rpartition("/")[2]  # folders stand in front of a name that two files have
        names = (name, f"{composed(folder)}/{name}", whole)
        own = [one for one in roles if any(_means(one.files, each) for each in names)]
        role_of = _lookup(sorted(own, key=lambda one: one.files == "*"), known)
        found[part.index] = part["speaker"].map({name: role_of(name) for name in part["speaker"].unique()})
    return found


def _means(pattern: str, name: str) -> bool:
    """Does the pattern mean this file, or the workbook of which this is a sheet?"""
    return name == pattern or any(fnmatch(name, one) for one in (pattern, f"{pattern} [[]*]"))


def known_names(roles: Iterable[Role], codebook: Codebook) -> Callable[[str], bool]:
    """Tell of a name whether someone said, for any file, which role it has; a mere `*` names nobody."""
    role_of = _lookup([one for one in roles if one.speaker.strip("*")], codebook.roles)
    return lambda name: role_of(name) != ""


def describe_speakers(utterances: pd.DataFrame) -> pd.DataFrame:
    """What helps to say who is who: of each file and speaker the share of the words, and of lines with a question.

    `utterances`: with `file`, `speaker`, `role`, `text`. Returns `file`, `speaker`, `role`, `utterances`,
    `share_of_words` (of the file's words) and `share_with_question` (of the speaker's utterances).
    """
    counted = utterances.assign(
        words=utterances["text"].str.split().str.len(), question=utterances["text"].str.contains("?", regex=False)
    )
    table = counted.groupby(["file", "speaker"], sort=False, as_index=False).agg(
        role=("role", "first"), utterances=("text", "size"), words=("words", "sum"), asked=("question", "mean")
    )
    whole = table.groupby("file")["words"].transform("sum").clip(lower=1)
    table = table.assign(share_of_words=table["words"] / whole, share_with_question=table["asked"])
    return table.drop(columns=["words", "asked"])


def require_roles(utterances: pd.DataFrame, rows: pd.DataFrame, roles: Iterable[Role], codebook: Codebook) -> None:
    """Refuse speakers whose role nobody said, where the codebook has roles.

    `utterances`: the utterances table, on the index of the rows that it comes from.

    Raises:
        UnknownSpeakersError: with everyone's counts.

    """
    lost = (utterances["role"] == "unknown") & (utterances["speaker"] != "")
    if not codebook.roles or not lost.any():
        return
    said = map_roles(rows.loc[utterances.index[lost]], roles, codebook)
    if (said != "").all():  # that they are unknown is what was said
        return
    spoken = utterances.assign(file=rows["file"].reindex(utterances.index))
    names = utterances.loc[said.index[said == ""], "speaker"].nunique()
    example = ", ".join(f"{letter}: {role}" for letter, role in zip("AB", codebook.roles, strict=False))
    raise UnknownSpeakersError(
        f"{names} speakers have no role, so nothing was written. Say who is who for all files, as in "
        f"'roles={{{example}}}', or file by file in a table with columns file, speaker, role: roles=roles.csv. Who is "
        "to stay without a role: 'roles={*: unknown}'",
        describe_speakers(spoken),
    )


def _lookup(roles: list[Role], known: tuple[str, ...]) -> Callable[[str], str]:
    exact = {role.casefold(): role for role in known}
    exact |= {compared(one.speaker): one.role for one in reversed(roles) if "*" not in one.speaker}
    patterns = [
        (re.compile(".*".join(map(re.escape, compared(one.speaker).split("*"))), re.DOTALL), one.role)
        for one in sorted(roles, key=lambda one: not one.speaker.strip("*"))
        if "*" in one.speaker
    ]

    def role_of(speaker: str) -> str:
        name = compared(speaker)
        return exact.get(name) or next((role for pattern, role in patterns if pattern.fullmatch(name)), "")

    return role_of
