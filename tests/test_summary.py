"""Ruptures, repairs and the summaries of segments and sessions, on sessions small enough to count by hand."""

import numpy as np
import pandas as pd
import pytest

from threers.codebook import Codebook
from threers.episodes import definition, find_ruptures
from threers.errors import SettingsError
from threers.summary import columns, summarise_segments, summarise_sessions

BOOK = Codebook.load("3rs-2015")


def scores(*marks: tuple[float, str], session="s", book=BOOK):
    """A session with an utterance at each minute given, tagged with the code given, parents too; "" for none."""
    roles = ["therapist" if code.startswith("R") else "patient" for _, code in marks]
    table = pd.DataFrame({"session_id": session, "utterance_id": range(len(marks)), "role": roles})
    table["start"] = [minute * 60 for minute, _ in marks]
    table["end"] = table["start"] + 30
    table["tags"] = [[code, *book.ancestors(code)] if code else [] for _, code in marks]
    return table.assign(**{f"p_{code}": 0.25 for code in book.tag_codes()})


def found(*marks, within=2):
    return [(one.first, one.last, one.repaired) for one in find_ruptures(scores(*marks), BOOK, 5, within)]


def test_neighbouring_segments_with_marks_are_one_rupture():
    assert found((1, "W1"), (6, "C2"), (12, ""), (17, "W3")) == [(0, 1, None), (3, 3, None)]
    assert found((1, ""), (2, "R4")) == []


def test_a_repair_follows_the_last_mark_within_the_segments_allowed():
    assert found((1, "W1"), (2, "R4")) == [(0, 0, 1)], "in the same segment"
    assert found((1, "R4"), (2, "W1")) == [(0, 0, None)], "a strategy before the mark repairs nothing"
    assert found((1, "W1"), (14, "R4")) == [(0, 0, 1)]
    assert found((1, "W1"), (16, "R4")) == [(0, 0, None)], "three segments later is too late"
    assert found((1, "W1"), (6, "R4"), within=0) == [(0, 0, None)]


def test_a_further_rupture_within_these_segments_undoes_the_repair():
    assert found((1, "W1"), (2, "R4"), (11, "C1")) == [(0, 0, None), (2, 2, None)]
    assert found((1, "W1"), (2, "R4"), (11, "C1"), within=1) == [(0, 0, 1), (2, 2, None)]


def test_the_definition_names_its_two_settings_and_the_families():
    said = definition(BOOK, 2.5, 1)
    assert "segments of 2.5 minutes" in said and "withdrawal or confrontation" in said
    assert "resolution strategies" in said and "in its segment or the next segment" in said
    assert definition(Codebook.load("annomi"), 5, 2) == ""


def test_sessions_have_the_course_of_their_ruptures():
    table = summarise_sessions(scores((0, ""), (1, "W1"), (6, "C2"), (7, "R4"), (18, ""), (29, "W3")), BOOK)
    row = table.iloc[0]
    assert (row["ruptures"], row["episodes"], row["share_repaired"]) == (2, 1, 0.5)
    assert (row["longest_rupture"], row["first_rupture"], row["time_to_repair"]) == (10, 1, 6)
    assert (row["n_segments"], row["n_W"], row["segments_share_W"]) == (4, 2, 0.5)
    assert row["speaking_share_therapist"] == pytest.approx(1 / 6)
    assert row["expected_C"] == pytest.approx(6 * 0.25)
    calm = summarise_sessions(scores((0, ""), (5, "R1")), BOOK).iloc[0]
    assert (calm["ruptures"], calm["longest_rupture"], calm["episodes"]) == (0, 0, 0)
    assert np.isnan([calm["share_repaired"], calm["first_rupture"], calm["time_to_repair"]]).all()


def test_sessions_without_times_have_no_ruptures_rather_than_none():
    untimed = scores((0, "W1"), (1, "R4")).assign(start=np.nan, end=np.nan)
    row = summarise_sessions(untimed, BOOK).iloc[0]
    assert np.isnan([row["ruptures"], row["episodes"], row["longest_rupture"], row["segments_share_W"]]).all()
    assert (row["n_segments"], row["n_W1"]) == (0, 1)


def test_segments_have_rates_and_speaking_shares():
    table = summarise_segments(scores((0, "W1"), (1, "R4"), (2.5, "W2"), (3, "W3")), BOOK, 2.5)
    assert table["rate_W"].tolist() == [2, 4]
    assert table["speaking_share_therapist"].tolist() == [0.5, 0]


@pytest.mark.parametrize("name", ["3rs-2015", "annomi", "talkmoves", "wikitactics"])
def test_every_column_is_in_the_dictionary_and_in_its_order(name):
    book = Codebook.load(name)
    one = scores((0, ""), (7, ""), book=book).assign(role=book.roles[0])
    told = columns(book, 5, 2)
    assert told["column"][told["table"] == "sessions"].tolist() == summarise_sessions(one, book).columns.tolist()
    assert told["column"][told["table"] == "segments"].tolist() == summarise_segments(one, book, 5).columns.tolist()
    assert (told[["meaning", "unit"]] != "").all(axis=None)


def test_a_codebook_without_ruptures_has_no_columns_for_them():
    book = Codebook.load("annomi")
    table = summarise_sessions(scores((0, ""), (7, ""), book=book), book)
    assert not {"ruptures", "episodes", "time_to_repair"} & set(table.columns)


def test_what_a_family_says_of_the_course_is_checked_and_leaves_the_hash_alone():
    raw = {**BOOK.raw, "families": {name: dict(family) for name, family in BOOK.raw["families"].items()}}
    raw["families"]["withdrawal"].pop("course")
    other = Codebook.from_dict(raw)
    assert other.hash == BOOK.hash, "scores made before still belong to this codebook"
    assert other.course_codes("rupture") == {code for code in BOOK.tag_codes() if code.startswith("C")}
    raw["families"]["withdrawal"]["course"] = "strain"
    with pytest.raises(SettingsError, match=r"family withdrawal: course 'strain'; expected rupture or repair"):
        Codebook.from_dict(raw)
