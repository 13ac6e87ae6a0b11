"""Sheets of codes that say by time which utterance they mean, as labs type them."""

import datetime

import openpyxl
import pytest

from threers.formats import import_files
from threers.formats.times import clock

COLUMNS = {"session": ["Recording", "session"], "start": "From", "end": "To"}
ROLES = {"Dr. *": "therapist", "*": "patient"}


def recording(folder, spoken):
    """A VTT file as Zoom writes it; `spoken`: begin and end of each utterance, of therapist and patient by turns."""
    cues = [
        f"{number}\n{clock(begin)} --> {clock(end)}\n{('Dr. Lind', 'Iris')[number % 2]}: words {number}\n"
        for number, (begin, end) in enumerate(spoken)
    ]
    (folder / "P21_03.vtt").write_text("\n".join(["WEBVTT\n", *cues]))


def sheet(folder, *rows, name="P21_03"):
    book = openpyxl.Workbook()
    for row in [("Recording", "From", "To", "Code"), *((name, *row) for row in rows)]:
        book.active.append(row)
    book.save(folder / "codes.xlsx")


def placed(folder, columns=COLUMNS):
    corpus = import_files(folder, "auto", "3rs-2015", roles=ROLES, columns=columns)
    return corpus, corpus.codings.dropna(subset="code")["unit_id"].tolist()


@pytest.mark.parametrize(
    "times",
    [("08:34", "08:35"), ("08:35", "08:36"), (datetime.time(0, 8, 34), datetime.time(0, 8, 35))],
    ids=["thousandths left out", "rounded", "as a spreadsheet stores them"],
)
def test_a_short_answer_in_whole_seconds_is_not_lost_to_the_long_question_before_it(times, tmp_path):
    recording(tmp_path, [(509.367, 514.467), (514.767, 515.867), (516.067, 521.5)])
    sheet(tmp_path, (*times, "W2"))
    corpus, units = placed(tmp_path)
    assert units == [1]
    assert corpus.rejects.empty


def test_a_stretch_over_several_utterances_is_still_on_each(tmp_path):
    recording(tmp_path, [(1.2, 4.0), (4.5, 9.0), (9.2, 12.0), (12.5, 17.3), (18.0, 20.0)])
    sheet(tmp_path, ("00:04", "00:17", "W3"))
    corpus, units = placed(tmp_path)
    assert units == [1, 3]
    assert [reason.partition(":")[0] for reason in corpus.rejects["reason"]] == ["illegal role"]


def typed(written):
    """What a spreadsheet makes of a time that is typed: two numbers are hours and minutes."""
    hours, minutes, seconds = (*map(int, written.split(":")), 0)[:3]
    return datetime.timedelta(hours=hours, minutes=minutes, seconds=seconds)


LONG = [(20 * number + 0.2, 20 * number + 15.2) for number in range(210)]


@pytest.mark.parametrize("hours", [False, True], ids=["minutes only", "hours above the first hour"])
def test_minutes_that_a_spreadsheet_took_for_hours_find_their_utterances(hours, tmp_path):
    def write(second):
        minutes, rest = divmod(second, 60)
        above = hours and minutes >= 60
        return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if above else f"{minutes:02}:{rest:02}"

    recording(tmp_path, LONG)
    coded = range(1, 210, 4)
    sheet(tmp_path, *((typed(write(20 * number)), typed(write(20 * number + 15)), "W2") for number in coded))
    corpus, units = placed(tmp_path)
    assert units == list(coded)
    assert [reason.partition(":")[0] for reason in corpus.rejects["reason"]] == ["minutes typed as hours"]


@pytest.mark.parametrize("beyond", ["00:30:01", "01:20:00"])
def test_a_single_time_beyond_the_transcript_is_no_minute_typed_as_hour(beyond, tmp_path):
    recording(tmp_path, LONG[:60])
    sheet(tmp_path, ("00:00:20", "00:00:35", "W2"), ("00:11:40", "00:11:55", "W2"), (beyond, beyond, "W2"))
    corpus, units = placed(tmp_path)
    assert units == [1, 35]
    assert [reason.partition(":")[0] for reason in corpus.rejects["reason"]] == ["no such utterance"]


def test_a_sheet_may_name_a_session_by_its_recording(tmp_path):
    recording(tmp_path, [(1.2, 4.0), (4.5, 9.0)])
    sheet(tmp_path, ("00:04", "00:09", "W2"), name="P21_03.vtt")
    corpus, units = placed(tmp_path)
    assert units == [1]
    assert corpus.rejects.empty


def test_codes_of_a_session_without_transcript_say_which(tmp_path):
    recording(tmp_path, [(1.2, 4.0), (4.5, 9.0)])
    sheet(tmp_path, ("00:04", "00:09", "W2"), name="P21-3")
    corpus, _ = placed(tmp_path)
    assert corpus.rejects["reason"].tolist() == ["no such session: no transcript is called 'P21-3'; coding dropped"]


def test_patients_are_not_lost_when_another_file_calls_the_session_differently(tmp_path):
    recording(tmp_path, [(1.2, 4.0), (4.5, 9.0)])
    sheet(tmp_path, ("00:04", "00:09", "W2"))
    (tmp_path / "sessions.csv").write_text("session,patient\nP21_03,P21\n")
    corpus, _ = placed(tmp_path)
    assert corpus.sessions["group_id"].tolist() == ["P21"]
    corpus, _ = placed(tmp_path, COLUMNS | {"session": "Recording"})
    assert corpus.manifest["grouped_by"] == "session"
    assert corpus.rejects["reason"].tolist() == [
        "wrong columns: no Recording (session), so its facts are of no session; where files call it differently, "
        "columns={session: [ONE, OTHER]}; this file has session, patient"
    ]


def test_a_transcript_of_more_than_an_hour_may_be_typed_in_minutes_and_then_in_hours(tmp_path):
    book = openpyxl.Workbook()
    written = ["0:05", "14:32", "59:40", "1:00:00", "1:02:15", "1:09:00"]
    for row in [("time", "text"), *((typed(time), f"words at {time}") for time in written)]:
        book.active.append(row)
    book.save(tmp_path / "s1.xlsx")
    corpus = import_files(tmp_path / "s1.xlsx", "wide", "3rs-2015")
    assert corpus.utterances["start"].tolist() == [5, 872, 3580, 3600, 3735, 4140]
    assert corpus.rejects["reason"].tolist() == [
        "minutes typed as hours: 14:32:00 is beyond 4 hours; session read as minutes and seconds"
    ]
