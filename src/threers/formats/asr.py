"""Transcripts of speech recognition in JSON: WhisperX, whisper, Amazon Transcribe, its Call Analytics, plain lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby, pairwise
from typing import Any

from threers.errors import InputError
from threers.formats.captions import merged
from threers.formats.cues import Cue, counted_note
from threers.formats.documents import Context, Document, Format
from threers.formats.files import File
from threers.formats.json_values import name, number

#: What a segment in a plain list may have. With any other field the list is a table, whose columns may be codes.
_FIELDS = {"id", "start", "end", "speaker", "text", "words", "confidence", "score", "duration", "language", "channel"}
#: Times beyond are no seconds of a recording.
_LONGEST = 1e7
#: Seconds without a word after which another speaker may have had the turn; a shorter silence is one between words.
_BREATH = 0.5


def fits(file: File) -> bool:
    """Does the JSON hold segments with a text and a start or an end, or what Amazon Transcribe writes?"""
    found = file.json
    segments = _segments(found)
    first = next((segment for segment in segments if isinstance(segment, dict)), {})
    spoken = "text" in first and not first.keys().isdisjoint(("start", "end"))
    return (spoken and (isinstance(found, dict) or first.keys() <= _FIELDS)) or bool(_items(found) or _call(found))


def read(file: File, context: Context) -> list[Document]:
    """Read the session; segments of one speaker in succession are one utterance.

    Words that have speakers of their own part a segment. Speakers stay as written, such as SPEAKER_00 or AGENT.

    Raises:
        InputError: no segment has a text.

    """
    segments = _transcribed(file.json) or _call(file.json) or _segments(file.json)
    if not segments:
        raise InputError('no segments were found; expected JSON such as {"segments": [{"start": 0, "text": "..."}]}')
    odd = [row for row, one in enumerate(segments, start=1) if not isinstance(one, dict)]
    whole = [(row, one) for row, one in enumerate(segments, start=1) if isinstance(one, dict)]
    cues = [cue for row, segment in whole for cue in _cues(row, segment)]
    untimed = [cue.row for cue in cues if cue.start is None or cue.end is None]
    notes = counted_note(odd, "segment not readable: it is no JSON object", "left out")
    notes += counted_note(untimed, "time not readable: a segment lacks its start or its end", "kept without it")
    return [merged(cues, notes)]


def _segments(found: Any) -> list[Any]:
    segments = found.get("segments") if isinstance(found, dict) else found
    return segments if isinstance(segments, list) else []


def _items(found: Any) -> list[dict[str, Any]]:
    """Words and punctuation of Amazon Transcribe; empty for other JSON."""
    results = found.get("results") if isinstance(found, dict) else None
    items = results.get("items") if isinstance(results, dict) else None
    whole = [item if isinstance(item, dict) else {} for item in items] if isinstance(items, list) else []
    return whole if whole and "alternatives" in whole[0] else []


def _transcribed(found: Any) -> list[dict[str, Any]]:
    """Sentences of Amazon Transcribe in the order of time; empty for other JSON.

    Each channel is read by itself: the words of all of them stand mixed in the one list, where two speak at once.
    """
    items = _items(found)
    channels = _channels(found["results"]) if items else []
    if not channels:
        return _sentences(items, _turns(found)) if items else []
    segments = [segment for channel in channels for segment in _sentences(channel, {})]
    return sorted(segments, key=lambda segment: _time(segment["start"]) or 0.0)


def _channels(results: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """The words of each channel of a recording, with its name for the speaker; empty: there are none."""
    labels = results.get("channel_labels")
    listed = labels.get("channels") if isinstance(labels, dict) else None
    channels = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return [
        [{**item, "speaker_label": channel.get("channel_label")} for item in channel["items"] if isinstance(item, dict)]
        for channel in channels
        if isinstance(channel.get("items"), list)
    ]


def _call(found: Any) -> list[Any]:
    """Turns of Amazon Transcribe Call Analytics as segments; empty for other JSON."""
    turns = found.get("Transcript") if isinstance(found, dict) else None
    turns = turns if isinstance(turns, list) else []
    first = next((turn for turn in turns if isinstance(turn, dict)), {})
    if "Content" not in first or first.keys().isdisjoint(("BeginOffsetMillis", "EndOffsetMillis")):
        return []
    return [_segment_of(turn) if isinstance(turn, dict) else turn for turn in turns]


def _segment_of(turn: dict[str, Any]) -> dict[str, Any]:
    start, end = (_time(turn.get(key), unit=1000) for key in ("BeginOffsetMillis", "EndOffsetMillis"))
    speaker = turn.get("ParticipantRole") or turn.get("ParticipantId")
    return {"text": turn.get("Content"), "start": start, "end": end, "speaker": speaker}


def _turns(found: dict[str, Any]) -> dict[object, object]:
    """Who speaks at which start, which Amazon Transcribe once wrote beside the words only."""
    labels = found["results"].get("speaker_labels")
    turns = labels.get("segments") if isinstance(labels, dict) else None
    listed = [turn.get("items") for turn in turns if isinstance(turn, dict)] if isinstance(turns, list) else []
    words = [word for items in listed if isinstance(items, list) for word in items if isinstance(word, dict)]
    return {str(word.get("start_time")): word.get("speaker_label") for word in words}


def _sentences(items: Sequence[dict[str, Any]], turns: dict[object, object]) -> list[dict[str, Any]]:
    """Words and punctuation of Amazon Transcribe to segments that end with a sentence, the speaker or their breath."""
    segments: list[dict[str, Any]] = []
    ended = True
    for item in items:
        best = item.get("alternatives")
        said = best[0].get("content") if isinstance(best, list) and best and isinstance(best[0], dict) else None
        said = said if isinstance(said, str) else ""
        if item.get("type") == "punctuation" and segments:
            segments[-1]["texts"].append(said)
            ended = said in ".?!"
            continue
        speaker = item.get("speaker_label") or turns.get(str(item.get("start_time")))
        if ended or speaker != segments[-1]["speaker"] or (speaker and _is_breath(segments[-1]["end"], item)):
            segments.append({"texts": [], "start": item.get("start_time"), "speaker": speaker})
        segments[-1]["texts"].append(f" {said}")
        segments[-1]["end"] = item.get("end_time")
        ended = False
    return [{**segment, "text": "".join(segment["texts"])} for segment in segments]


def _is_breath(before: object, item: dict[str, Any]) -> bool:
    end, start = _time(before), _time(item.get("start_time"))
    return end is not None and start is not None and start - end > _BREATH


def _cues(row: int, segment: dict[str, Any]) -> list[Cue]:
    """One cue of a segment, or several where its words have different speakers."""
    text = segment.get("text")
    whole = Cue(
        row=row,
        text=text if isinstance(text, str) else "",
        speaker=name(segment.get("speaker")),
        start=_time(segment.get("start")),
        end=_time(segment.get("end")),
    )
    listed = segment.get("words")
    words = [word for word in listed if isinstance(word, dict)] if isinstance(listed, list) else []
    speakers = _filled([name(word.get("speaker")) for word in words], whole.speaker)
    if len(set(speakers)) < 2:
        return [whole]
    parts: list[Cue] = []
    texts = _word_texts(words, whole.text)
    for speaker, group in groupby(zip(speakers, words, texts, strict=True), key=lambda of: of[0]):
        members = list(group)
        starts = [time for _, word, _ in members if (time := _time(word.get("start"))) is not None]
        ends = [time for _, word, _ in members if (time := _time(word.get("end"))) is not None]
        said = "".join(text for _, _, text in members)
        start, end = min(starts, default=None), max(ends, default=None)
        parts.append(Cue(row=row, text=said, speaker=speaker, start=start, end=end))
    # The first and the last word may have no time of their own.
    parts[0] = replace(parts[0], start=whole.start if parts[0].start is None else parts[0].start)
    parts[-1] = replace(parts[-1], end=whole.end if parts[-1].end is None else parts[-1].end)
    return parts


def _filled(speakers: Sequence[str], usual: str) -> list[str]:
    """Speakers of words; a word without one, as without times, has that of the word before it, else of the next."""
    filled: list[str] = []
    last = next((speaker for speaker in speakers if speaker), usual)
    for speaker in speakers:
        last = speaker or last
        filled.append(last)
    return filled


def _word_texts(words: Sequence[dict[str, Any]], text: str) -> list[str]:
    """What the segment's text has for each word, with the spaces and marks behind it; else the words with spaces."""
    said = [str(word.get("word") or word.get("text") or "").strip() for word in words]
    places: list[int] = []
    at = 0
    for word in said:
        place = text.find(word, at)
        if place < 0:
            return [f"{word} " for word in said]
        places.append(place)
        at = place + len(word)
    borders = [0, *places[1:], len(text)]
    return [text[begin:end] for begin, end in pairwise(borders)]


def _time(value: object, unit: int = 1) -> float | None:
    """Seconds of a number, also one written as text; `unit`: how many of it are a second; None: not a time."""
    found = number(value)
    return None if found is None or not 0 <= found / unit < _LONGEST else found / unit


FORMAT = Format(name="asr", title="speech recognition (JSON)", suffixes=(".json",), fits=fits, read=read)
