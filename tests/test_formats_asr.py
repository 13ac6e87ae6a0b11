"""JSON of speech recognition: segments and words to utterances, whatever their times and speakers look like."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from threers.codebook import Codebook
from threers.errors import InputError
from threers.formats import asr
from threers.formats.documents import Context
from threers.formats.files import File

EXAMPLES = Path(__file__).parent / "formats"
CONTEXT = Context(find=Codebook.load("3rs-2015").find)


def read(name, found=None):
    file = File(EXAMPLES / name, None if found is None else json.dumps(found).encode())
    assert asr.FORMAT.fits(file)
    (session,) = asr.read(file, CONTEXT)
    assert session.marks == []
    return session


def said(session):
    return [(line.speaker, line.text, line.start, line.end) for line in session.lines]


def test_words_of_another_speaker_part_a_segment_and_a_word_without_times_stays_with_the_one_before():
    session = read("whisperx.json")
    assert said(session) == [
        ("SPEAKER_00", "How was the week? Take your time.", 0.5, 3.4000000000000004),
        ("SPEAKER_01", "It was fine.", 5.0, 6.16),
        ("SPEAKER_00", "Only fine?", 6.2, 6.96),
        ("SPEAKER_01", "I don't know.", 12.0, 13.5),
    ]
    assert [line.row for line in session.lines] == [1, 3, 3, 4]
    assert session.notes == []


def test_whisper_has_no_speakers_and_keeps_its_segments():
    session = read("whisper.json")
    assert said(session) == [
        ("", "How was the week?", 0.0, 2.4),
        ("", "I said: fine.", 2.4, 4.0),
        ("", "Just fine.", 9.5, 3661.25),
    ]


def test_amazon_transcribe_without_speakers_ends_a_line_where_a_sentence_ends():
    session = read("transcribe_words.json")
    assert [(line.row, line.speaker, line.start, line.end) for line in session.lines] == [
        (1, "", 0.449, 16.349),
        (2, "", 16.359, 22.479),
    ]
    first, second = (line.text for line in session.lines)
    assert first.startswith("Our company has a new strategic initiative to increase market penetration, maximise brand")
    assert first.endswith("seven red lines i understand your company can help us in this matter.")
    assert second == "Of course water here will be the project manager water we can do this come way"
    assert session.notes == []


def test_amazon_transcribe_has_words_and_punctuation():
    session = read("transcribe.json")
    assert said(session) == [
        ("spk_0", "How was it?", 0.5, 1.35),
        ("spk_1", "Fine. I guess.", 2.0, 3.15),
        ("spk_0", "Okay.", 4.5, 4.75),
    ]


def test_amazon_transcribe_once_named_speakers_beside_the_words_only():
    found = json.loads((EXAMPLES / "transcribe.json").read_bytes())
    items = found["results"]["items"]
    for item in items:
        del item["speaker_label"]
    assert said(read("transcribe.json", found)) == said(read("transcribe.json"))
    del found["results"]["speaker_labels"]
    assert [line.text for line in read("transcribe.json", found).lines] == ["How was it?", "Fine.", "I guess.", "Okay."]


def channel(label, *words):
    """A channel as Amazon Transcribe writes it: words with their start and end, punctuation without."""
    items = [
        {"start_time": f"{start}", "end_time": f"{end}", "alternatives": [{"content": word}], "type": "pronunciation"}
        for word, start, end in (word for word in words if not isinstance(word, str))
    ]
    for place, mark in ((place, word) for place, word in enumerate(words) if isinstance(word, str)):
        items.insert(place, {"alternatives": [{"content": mark}], "type": "punctuation"})
    return {"channel_label": label, "items": items}


def test_amazon_transcribe_names_channels_beside_a_list_that_mixes_who_speaks_at_once():
    asks = channel(
        "ch_0", ("How", 0.5, 0.7), ("was", 0.7, 0.9), ("it", 0.9, 1.0), "?", ("Go", 3.0, 3.2), ("on", 3.6, 4)
    )
    tells = channel("ch_1", ("Well", 0.8, 1.1), ",", ("fine", 1.1, 1.4), ".", ("No", 3.1, 3.4), ".")
    mixed = sorted((*asks["items"], *tells["items"]), key=lambda item: float(item.get("start_time", 9)))
    labels = {"channels": [asks, tells], "number_of_channels": 2}
    session = read("x.json", {"results": {"channel_labels": labels, "items": mixed}, "status": "COMPLETED"})
    assert said(session) == [
        ("ch_0", "How was it?", 0.5, 1.0),
        ("ch_1", "Well, fine.", 0.8, 1.4),
        ("ch_0", "Go on", 3.0, 4.0),
        ("ch_1", "No.", 3.1, 3.4),
    ]
    assert {note.partition(":")[0] for _, note in session.notes} == {"times overlap"}


def test_a_turn_of_one_channel_ends_where_the_other_one_speaks_into_its_pause():
    tells = channel("ch_0", ("I", 0, 0.2), ("said", 0.2, 0.5), ("no", 1.6, 1.9))
    labels = {"channels": [tells, channel("ch_1", ("Yes", 0.8, 1.1))]}
    session = read("x.json", {"results": {"channel_labels": labels, "items": tells["items"]}})
    assert [line.text for line in session.lines] == ["I said", "Yes", "no"]


def test_a_silence_within_a_sentence_of_a_known_speaker_parts_utterances():
    found = json.loads((EXAMPLES / "transcribe.json").read_bytes())
    for item in found["results"]["items"][7:]:
        item.update({key: f"{float(item[key]) + 10}" for key in ("start_time", "end_time") if key in item})
    assert [line.text for line in read("x.json", found).lines][1:3] == ["Fine. I", "guess."]


def test_amazon_call_analytics_has_turns_of_agent_and_customer():
    session = read("transcribe_call.json")
    assert said(session) == [
        ("AGENT", "How was the week? Take your time.", 0.44, 3.0),
        ("CUSTOMER", "It was fine, [PII].", 4.125, 6.0),
        ("AGENT", "Okay.", 5.5, 5.8),
    ]
    assert [line.row for line in session.lines] == [1, 3, 4]
    assert [reason.partition(":")[0] for _, reason in session.notes] == ["times overlap"]
    turns = [{"Content": "a", "BeginOffsetMillis": "x", "ParticipantId": "P1"}, 7, {"EndOffsetMillis": 1}]
    session = read("transcribe_call.json", {"Transcript": turns})
    assert said(session) == [("P1", "a", None, None)]
    assert [reason.partition(":")[0] for _, reason in session.notes] == [
        *("segment not readable", "time not readable", "no text"),
    ]


def test_a_list_of_segments_is_read_and_a_silence_parts_utterances():
    segments = [
        {"start": 0, "end": 1, "speaker": "A", "text": "One"},
        {"start": "1.5", "end": "2", "speaker": "A", "text": "two."},
        {"start": 2.5, "end": 3, "text": "Three."},
        {"start": 5.1, "end": 6, "speaker": "A", "text": "Four."},
        {"start": 5.0, "end": 6, "speaker": 1, "text": "Five."},
        {"start": 9.0, "end": 9.5, "speaker": 2.0, "text": "Six."},
    ]
    session = read("x.json", segments)
    assert said(session) == [
        ("A", "One two. Three.", 0, 3),
        ("A", "Four.", 5.1, 6),
        ("1", "Five.", 5.0, 6),
        ("2", "Six.", 9, 9.5),
    ]
    assert [note.partition(":")[0] for _, note in session.notes] == ["time goes backwards"]


def test_missing_odd_and_infinite_values_are_noted():
    segments = [
        {"start": float("nan"), "end": float("inf"), "text": "a", "speaker": ["x"]},
        {
            "start": -1,
            "end": 10**400,
            "text": "b \ud800",
            "words": [1, {"word": "b", "speaker": "P"}, {"speaker": "T"}],
        },
        {"start": True, "end": None, "text": None},
        "odd",
        {"start": 3, "end": 2, "text": "c"},
        {},
    ]
    session = read("x.json", {"segments": segments})
    assert said(session) == [
        ("", "a", None, None),
        ("P", "b", None, None),
        ("T", "? c", None, None),
    ]
    assert session.notes[:2] == [
        (4, "segment not readable: it is no JSON object (1 such in this session); left out"),
        (1, "time not readable: a segment lacks its start or its end (5 such in this session); kept without it"),
    ]
    assert all(line.text.encode() for line in session.lines)


def test_words_that_the_text_lacks_are_joined_by_spaces():
    words = [{"word": "Hel", "speaker": "A"}, {"word": "lo,", "speaker": "A"}, {"word": "\u4f60", "speaker": "B"}]
    assert [line.text for line in read("x.json", [{"start": 0, "text": "other", "words": words}]).lines] == [
        "Hel lo,",
        "\u4f60",
    ]
    words = [{"word": letter, "speaker": speaker} for letter, speaker in zip("\u4f60\u597d\u6211", "AAB", strict=True)]
    session = read("x.json", [{"start": 0, "text": "\u4f60\u597d\u3002\u6211", "words": words}])
    assert [line.text for line in session.lines] == ["\u4f60\u597d\u3002", "\u6211"]


@pytest.mark.parametrize("found", [{"segments": []}, [], {}, {"segments": [{"start": 0, "text": " "}]}])
def test_json_without_speech_is_an_error(found):
    with pytest.raises(InputError, match="expected"):
        asr.read(File(EXAMPLES / "x.json", json.dumps(found).encode()), CONTEXT)


TABLE = b'[{"start": 1, "end": 2, "speaker": "P", "text": "a", "code": "W2"}]'


@pytest.mark.parametrize(
    "content",
    [
        *(b'{"text": "a", "label": []}', TABLE, b'[{"start": 1}]', b"[[[", b"WEBVTT", b"[" * 100_000),
        *(b'{"Transcript": "a"}', b'{"Transcript": [{"Content": "a"}]}', b'{"Transcript": [1, []]}'),
    ],
)
def test_other_json_does_not_fit(content):
    assert not asr.FORMAT.fits(File(EXAMPLES / "x.json", content))


def test_ten_thousand_segments_and_words_are_read_in_no_time():
    words = [{"word": "word", "start": n, "end": n + 1, "speaker": "AB"[n % 2]} for n in range(20_000)]
    segments = [{"start": 0, "end": 20_000, "text": "word " * 20_000, "words": words}]
    assert len(read("x.json", segments).lines) == 20_000
    assert len(read("x.json", [{"start": n, "end": n, "text": "a", "speaker": "A"} for n in range(10_000)]).lines) == 1


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "start end text speaker words word alternatives content type Content BeginOffsetMillis".split()
            ),
            inner,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(VALUES, st.sampled_from(["segments", "items", "call", "list"]))
def test_any_json_is_read_or_refused(value, place):
    found = {"segments": {"segments": value}, "items": {"results": {"items": value, "speaker_labels": value}}}
    found["call"] = {"Transcript": value}
    file = File(EXAMPLES / "x.json", json.dumps(found.get(place, value)).encode())
    asr.FORMAT.fits(file)
    try:
        assert asr.read(file, CONTEXT)[0].lines
    except InputError as error:
        assert "\n" not in str(error)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["whisperx.json", "whisper.json", "transcribe.json", "transcribe_call.json"]), st.data())
def test_damaged_files_are_read_or_refused(name, data):
    content = (EXAMPLES / name).read_bytes()
    at = data.draw(st.integers(0, len(content)))
    until = data.draw(st.integers(at, min(len(content), at + 30)))
    try:
        file = File(EXAMPLES / name, content[:at] + data.draw(st.binary(max_size=3)) + content[until:])
        asr.FORMAT.fits(file)
        assert asr.read(file, CONTEXT)[0].lines
    except InputError as error:
        assert "\n" not in str(error)
