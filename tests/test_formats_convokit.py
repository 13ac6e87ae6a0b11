"""ConvoKit corpora: several sessions in one file, and timestamps that are seconds or dates."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from threers.codebook import Codebook
from threers.errors import InputError
from threers.formats import convokit
from threers.formats.documents import Context
from threers.formats.files import File

EXAMPLES = Path(__file__).parent / "formats"
CONTEXT = Context(find=Codebook.load("3rs-2015").find)
DATES = "time not readable: timestamps are no seconds of a session; utterances kept without them"


def read(*found):
    content = b"\n".join(one if isinstance(one, bytes) else json.dumps(one).encode() for one in found) or None
    file = File(EXAMPLES / "utterances.jsonl", content)
    assert convokit.FORMAT.fits(file)
    return convokit.read(file, CONTEXT)


def utterance(text, **further):
    return {"id": "1", "conversation_id": "s", "speaker": "T", "reply-to": None, "text": text} | further


def test_each_conversation_is_a_session():
    first, second = read()
    assert (first.session, second.session) == ("s1", "s2")
    assert [(line.row, line.speaker, line.text, line.start, line.end) for line in first.lines] == [
        (1, "therapist", "How was the week?", 0.0, None),
        (2, "patient", "It was fine.", 4.0, None),
        (3, "therapist", "Only fine?", 9.0, None),
    ]
    assert [(line.row, line.speaker, line.text, line.start) for line in second.lines] == [
        (4, "therapist", "Hello again.", None),
        (5, "patient", "I nearly did not come.", None),
    ]
    assert first.notes == [(None, "metadata: utterances have 1 further fields; left out")]
    assert second.notes == [(4, DATES)]
    assert first.marks == second.marks == []


def test_older_corpora_have_other_names():
    old = {"id": 1, "root": 7, "user": {"id": "P", "meta": {}}, "reply_to": None, "text": "a", "timestamp": "3"}
    (session,) = read([old, old | {"text": "b", "timestamp": "4.5"}])
    assert session.session == "7"
    assert [(line.speaker, line.text, line.start) for line in session.lines] == [("P", "a", 3.0), ("P", "b", 4.5)]


@pytest.mark.parametrize(
    "stamps", [(5, 4), (0, 0), (-1, 3), (1, None), (0, 30_000), (True, 2), (float("nan"), 1), ("x", 3)]
)
def test_timestamps_that_are_no_seconds_of_a_session_are_left_out(stamps):
    (session,) = read(*(utterance("a", timestamp=stamp) for stamp in stamps))
    assert [line.start for line in session.lines] == [None, None]
    assert session.notes == [(1, DATES)]


def test_a_number_is_the_same_name_as_pandas_writes_it_where_one_is_missing():
    sessions = read(utterance("a", conversation_id=7.0, speaker=2.0), utterance("b", conversation_id=7, speaker=2))
    assert [(one.session, [line.speaker for line in one.lines]) for one in sessions] == [("7", ["2", "2"])]


def test_lines_that_are_no_utterances_are_noted():
    (session,) = read(
        utterance("a"), b"{", b"[1]", utterance(" "), utterance("b", conversation_id=None), utterance("c \ud800")
    )
    assert [line.text for line in session.lines] == ["a", "c ?"]
    assert session.notes == [
        (2, "utterance not readable: it is no JSON object with a conversation_id (3 such in this session); left out"),
        (4, "no text: an utterance is empty (1 such in this session); left out"),
    ]


def test_a_file_without_utterances_is_an_error():
    with pytest.raises(InputError, match="expected JSON lines"):
        read(utterance(""))


@pytest.mark.parametrize("content", [b'{"text": "a", "speaker": "P"}', b"[1]", b"T: {", b"[" * 100_000])
def test_other_json_does_not_fit(content):
    assert not convokit.FORMAT.fits(File(EXAMPLES / "x.jsonl", content))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_files_are_read_or_refused(data):
    content = (EXAMPLES / "utterances.jsonl").read_bytes()
    at = data.draw(st.integers(0, len(content)))
    until = data.draw(st.integers(at, len(content)))
    try:
        file = File(EXAMPLES / "x.jsonl", content[:at] + data.draw(st.binary(max_size=3)) + content[until:])
        convokit.FORMAT.fits(file)
        assert convokit.read(file, CONTEXT)[0].lines
    except InputError as error:
        assert "\n" not in str(error)
