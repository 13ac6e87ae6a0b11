"""Marks to the codings table; a coding that cannot be used is listed, and why."""

from __future__ import annotations

import numpy as np
import pandas as pd

from threers.codebook import UNITS, Codebook, require_fit
from threers.corpus import conform
from threers.formats.by_time import place_by_time
from threers.formats.numbering import count_from_zero
from threers.formats.reader import Reader
from threers.formats.rejects import Rejects, quote
from threers.formats.times import clock
from threers.formats.utterances import read_numbers

_UNIT = ["session_id", "unit", "unit_id", "coder_id"]
_KEY = ["session", "order_number"]
#: Numbers of segments beyond are none: no table could hold them exactly.
_MOST_SEGMENTS = 2**53


def column_roles(marks: pd.DataFrame, rows: pd.DataFrame) -> pd.Series:
    """Give each row the role of the first code column that is filled for its utterance, empty where none is.

    `marks`: of `read_marks`; `rows`: usable rows. Returns a Series on the index of the rows.
    """
    filled = marks.loc[marks["said"] & (marks["column_role"] != ""), ["at", "column_role"]]
    filled = filled.join(rows[_KEY], on="at", how="inner").drop_duplicates(_KEY).set_index(_KEY)["column_role"]
    return filled.reindex(pd.MultiIndex.from_frame(rows[_KEY])).fillna("").set_axis(rows.index).astype("str")


def codings_table(
    marks: pd.DataFrame,
    rows: pd.DataFrame,
    utterances: pd.DataFrame,
    reader: Reader,
    codebook: Codebook,
    rejects: Rejects,
) -> pd.DataFrame:
    """Make the codings table.

    Args:
        marks: `read_marks` of all files.
        rows: usable rows of all files, on the index that `marks["at"]` names.
        utterances: the utterances table on the index of the rows that the utterances come from.
        reader: says what a coder has read, and who codes where no column says.
        codebook: legal codes, units and scales.
        rejects: takes every coding that is left out.

    Raises:
        InputError: the codebook knows none of the codes.

    """
    own = ["file", "row", *_KEY, "own_lines", "has_coder", "judged"]
    cells = rows[[*own, "coder", "unit", "unit_id", "value", "start", "end"]]
    names = ("coder", "unit", "unit_id", "value", "start", "end")
    cells = cells.rename(columns={name: f"{name}_cell" for name in names})
    marks = marks.join(cells, on="at", how="inner").reset_index(drop=True)
    if marks.empty:
        return conform(pd.DataFrame(columns=[*_UNIT, "code", "value"]), "codings")
    _require_some_fit(marks, codebook)
    marks = _add_coder(marks, reader)
    marks = _add_value(marks, codebook)
    placed = utterances.join(rows[["order_number", "has_order"]])
    marks = count_from_zero(marks, placed, codebook, rejects)
    marks, notes = place_by_time(marks, placed, reader, codebook)
    rejects.add_rows(notes, notes["reason"])
    marks = _add_unit(marks, placed, codebook)
    late = _late_segments(marks, placed, reader.segment_minutes)
    rejects.add_rows(late, late["reason"])
    marks = _refuse_illegal_roles(marks, codebook)
    marks = _refuse_repeated(marks, codebook)
    bad = marks["problem"] != ""
    rejects.add_rows(marks[bad], marks.loc[bad, "problem"] + "; coding dropped")
    return conform(_with_readings(marks, utterances, reader), "codings")


def _require_some_fit(marks: pd.DataFrame, codebook: Codebook) -> None:
    if marks["code"].isna().all():
        unknown = marks.loc[marks["problem"].str.startswith("unknown code"), "written"]
        # A wrong column may hold texts, which no message may quote.
        shown = unknown.where(unknown.str.len() <= 24, "a text of " + unknown.str.len().astype(str) + " characters")
        require_fit({cell: int(n) for cell, n in shown.value_counts().items()}, codebook, "codings")


def _add_coder(marks: pd.DataFrame, reader: Reader) -> pd.DataFrame:
    """Add `coder_id`: the code column's coder, else the row's, else the reader's; empty where the row's cell is."""
    coder = marks["column_coder"].where(marks["column_coder"] != "", marks["coder_cell"])
    nobody = (coder == "") & marks["has_coder"]
    marks = marks.assign(coder_id=coder.where((coder != "") | nobody, reader.coder))
    return _blame(marks, nobody, "no coder: the cell is empty")[~nobody | marks["said"]]


def _add_value(marks: pd.DataFrame, codebook: Codebook) -> pd.DataFrame:
    """Judge the `value` of each mark; 0 for a code that is no rating turns the mark into one that marks nothing."""
    families = {code.name: codebook.family(code.family) for code in codebook.codes.values()}
    low = marks["code"].map({name: f.scale[0] for name, f in families.items() if f.scale}).astype("float64")
    high = marks["code"].map({name: f.scale[1] for name, f in families.items() if f.scale}).astype("float64")
    coded, rating = marks["code"].notna(), low.notna()
    cell = marks["value_cell"].where(coded & marks["value"].isna(), "")
    value = read_numbers(cell).where(cell != "", marks["value"])
    value = value.where((cell != "") | value.notna() | rating | ~coded, 1.0)
    # Of no marks at all, pandas would keep the type that they had before they were written out.
    low_written, high_written, found = (numbers.map("{:g}".format).astype("str") for numbers in (low, high, value))
    scale = "code " + marks["code"].fillna("").astype("str") + " is rated from " + low_written + " to " + high_written
    marks = _blame(
        marks, (cell != "") & value.isna(), "value not readable: " + cell.map(quote).astype("str") + " is not a number"
    )
    marks = _blame(marks, rating & value.isna(), "value missing: " + scale)
    marks = _blame(marks, rating & ~value.between(low, high), "value off scale: " + scale + ", found " + found)
    # In a segment a code may be counted; an utterance has it or not.
    unit = marks["unit_cell"].where(
        marks["unit_cell"] != "", marks["code"].map({n: f.unit for n, f in families.items()})
    )
    counted = unit == "segment"
    odd = coded & ~rating & ~counted & ~value.isin([0.0, 1.0])
    marks = _blame(
        marks, odd, "value off scale: code " + marks["code"] + " is present (1) or absent (0), found " + found
    )
    odd = coded & ~rating & counted & ~((value >= 0) & (value % 1 == 0))
    marks = _blame(marks, odd, "value off scale: code " + marks["code"] + " is counted (0, 1, 2, …), found " + found)
    absent = coded & ~rating & (value == 0)
    return marks.assign(value=value.mask(absent), code=marks["code"].mask(absent))


def _add_unit(marks: pd.DataFrame, utterances: pd.DataFrame, codebook: Codebook) -> pd.DataFrame:
    """Add `session_id`, `unit`, `unit_id` (null where nothing was imported for it) and the `role` of an utterance."""
    own = marks["code"].map({code.name: codebook.family(code.family).unit for code in codebook.codes.values()})
    own = own.astype("str")
    unit = marks["unit_cell"].where(marks["unit_cell"] != "", own.fillna("utterance")).astype("str")
    place = pd.MultiIndex.from_frame(utterances[["session_id", "order_number"]])
    place = place.get_indexer(pd.MultiIndex.from_frame(marks[_KEY]))
    place[unit != "utterance"] = -1
    segment = read_numbers(marks["unit_id_cell"])
    segment = segment.where((segment >= 0) & (segment < _MOST_SEGMENTS) & (segment % 1 == 0))
    exists = marks["session"].isin(utterances["session_id"].unique())
    utterance_id = pd.Series(np.append(utterances["utterance_id"], np.nan)[place], index=marks.index)
    unit_id = utterance_id.where(unit == "utterance", segment.where(unit == "segment", 0.0).where(exists))
    marks = marks.assign(session_id=marks["session"], unit=unit, unit_id=unit_id, session_exists=exists)
    marks["role"] = np.append(utterances["role"].astype(object), "")[place]

    marks = _blame(marks, ~unit.isin(UNITS), "unknown unit: " + unit.map(quote) + f"; expected {', '.join(UNITS)}")
    # A code of utterances may be given to a segment of them; a rating belongs to its unit.
    ratings = [code for family in codebook.families if family.kind == "rating" for code in family.codes]
    of_utterances = (own == "utterance") & (unit == "segment") & ~marks["code"].isin(ratings)
    wrong = own.notna() & (own != unit) & ~of_utterances
    marks = _blame(marks, wrong, "wrong unit: code " + marks["code"] + " is coded on a " + own + ", found " + unit)
    # A row without order and code says that its coder read the session.
    lost = marks["said"] & unit_id.isna() & ~(marks["code"].isna() & marks["order_number"].isna())
    nowhere = lost & ~exists & (marks["session"] != "")
    marks = _blame(
        marks, nowhere, "no such session: no transcript is called " + marks["session"].map(quote).astype("str")
    )
    return _blame(marks, lost, "no such " + unit + ": nothing was imported that this coding could belong to")


def _late_segments(marks: pd.DataFrame, utterances: pd.DataFrame, minutes: float) -> pd.DataFrame:
    """Of each session the first coding of a segment, given by its number, in which nobody speaks any more.

    Sheets often count segments from 1, and then every coding stands in the segment after its own. Returns `file`,
    `row`, `reason`.
    """
    spoken = utterances.groupby("session_id")[["start", "end"]].max().max(axis=1)
    number = read_numbers(marks["unit_id_cell"])
    begins, ends = number * minutes * 60, marks["session"].map(spoken).astype("float64")
    late = (marks["unit"] == "segment") & (marks["start_cell"] == "") & (begins >= ends)
    late &= marks["unit_id"].notna() & (marks["problem"] == "")
    marks = marks.assign(number=number, begins=begins, ends=ends)[late].drop_duplicates("session")
    reasons = [
        f"segment after the end: number {row.number:g} begins at {clock(row.begins)}, the last word is at "
        f"{clock(row.ends)}; kept. Segments count from 0 and last {minutes:g} minutes"
        for row in marks.itertuples()
    ]
    return marks[["file", "row"]].assign(reason=reasons)


def _refuse_illegal_roles(marks: pd.DataFrame, codebook: Codebook) -> pd.DataFrame:
    spoken = marks.loc[marks["code"].notna() & (marks["role"] != ""), ["code", "role"]]
    legal = {pair: codebook.legal(*pair) for pair in spoken.drop_duplicates().itertuples(index=False, name=None)}
    illegal = pd.Series([not legal[pair] for pair in spoken.itertuples(index=False, name=None)], spoken.index, bool)
    reason = "illegal role: code " + marks["code"] + " is not for a speaker with role " + marks["role"]
    return _blame(marks, illegal, reason)


def _refuse_repeated(marks: pd.DataFrame, codebook: Codebook) -> pd.DataFrame:
    """Refuse a code that a coder gave twice, and a second code of an exclusive family, unless to a segment of the
    utterances that it is coded on.

    What stands twice in one row, or with the same value for a session or segment, says nothing new and goes silently.
    """
    good = marks[(marks["problem"] == "") & marks["code"].notna()]
    first = good.groupby([*_UNIT, "code"])[["at", "value"]].transform("first")
    twice = good.duplicated([*_UNIT, "code"])
    echo = twice & ((good["at"] == first["at"]) | ((good["unit"] != "utterance") & (good["value"] == first["value"])))
    marks = _blame(marks, twice & ~echo, "duplicate key: this coder gave code " + marks["code"] + " here already")
    marks = marks.drop(index=echo.index[echo])

    families = {code.name: codebook.family(code.family) for code in codebook.codes.values()}
    exclusive = {name: family for name, family in families.items() if family.kind == "exclusive"}
    family = marks["code"].map({name: family.name for name, family in exclusive.items()}).astype("str")
    family = family.where(marks["unit"] == marks["code"].map({name: family.unit for name, family in exclusive.items()}))
    good = marks.assign(family=family)[(marks["problem"] == "") & family.notna()]
    return _blame(marks, good.duplicated([*_UNIT, "family"]), "second code: " + family + " takes one per coder")


def _with_readings(marks: pd.DataFrame, utterances: pd.DataFrame, reader: Reader) -> pd.DataFrame:
    """Return the good codings, and a row with a null code where a coder read a unit and marked nothing.

    A unit with a refused coding is neither: it counts as not coded by that coder, rather than as unmarked.
    """
    # A filled coder cell says that this coder was here; a blank cell of a coder's own column does not.
    named = (marks["column_coder"] == "") & (marks["coder_cell"] != "")
    marks = marks.assign(here=marks["said"] | named | marks["judged"])
    good = marks["problem"] == ""
    coded = marks[good & marks["code"].notna()]
    read = marks[good & marks["code"].isna()]
    if reader.read == "marks":
        read = read[:0]
    elif reader.read == "sessions":
        # Where a tool keeps an answer for each utterance, nobody read more than they answered.
        whole = marks["here"] & ~marks["judged"] & marks["session_exists"] & (marks["unit"] == "utterance")
        seen = marks[whole & (marks["coder_id"] != "")]
        every = utterances[["session_id", "utterance_id"]].rename(columns={"utterance_id": "unit_id"})
        every = seen[["session_id", "coder_id"]].drop_duplicates().merge(every, on="session_id")
        read = pd.concat([read[read["here"]], every.assign(unit="utterance", code=np.nan, value=np.nan)])
    read = read[read["unit_id"].notna()].drop_duplicates(_UNIT)
    taken = marks.loc[~good | marks["code"].notna(), _UNIT]
    read = read[~pd.MultiIndex.from_frame(read[_UNIT]).isin(pd.MultiIndex.from_frame(taken))]
    table = pd.concat([coded, read])[[*_UNIT, "code", "value"]]
    place = table["session_id"].map({session: n for n, session in enumerate(utterances["session_id"].unique())})
    return table.assign(place=place).sort_values(["place", *_UNIT, "code"]).drop(columns="place")


def _blame(marks: pd.DataFrame, bad: pd.Series, problem: str | pd.Series) -> pd.DataFrame:
    """Give each bad mark that has no problem yet this one; `bad` may cover a part of the index."""
    bad = bad.reindex(marks.index, fill_value=False) & (marks["problem"] == "")
    return marks.assign(problem=marks["problem"].mask(bad, problem)) if bad.any() else marks
