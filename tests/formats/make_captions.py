"""Makes the examples of captions, speech recognition, CHAT and ConvoKit in this folder again.

    python make_captions.py

needs in one environment, with Python 3.11 (the first four by `pip install --no-deps`, they want much that is not used
here): openai-whisper 20250625, whisperx 3.8.6, convokit 5.0.0, pylangacq 0.23.0 (with rustling 0.9.0), webvtt-py 0.6.0,
srt 3.5.3, numpy, pandas, and for convokit tqdm, requests, scipy, scikit-learn, pymongo, msgpack-numpy, dill, joblib and
pyyaml.

- `whisper.vtt`, `whisper.srt`, `whisper.json` are written by whisper's own writers, from invented segments: no model
  ran.
- `whisperx.json`, `whisperx.srt`, `whisperx.vtt` are written by WhisperX's own writers after its own
  `assign_word_speakers` gave speakers to invented words by invented turns: no model ran.
- `voices.vtt` is written by webvtt-py, `speakers.srt` by srt, with speakers in front of the text as transcription
  services put them (Amberscript, Trint: typed as users show such files; no account was at hand).
- `session.cha` is read and written again by pylangacq, with roles that TalkBank knows; `therapy.cha` is typed here
  after the CHAT manual, with the role Patient, which labs write and TalkBank's programs reject.
- `utterances.jsonl` is dumped by convokit.
- `zoom.vtt`, `teams.vtt`, `transcribe.json` and `transcribe_call.json` come from services that were not at hand. They
  are typed here in the layout of files that the services wrote and that others published: cloud recordings of Zoom,
  Teams with its cue identifiers (and, in the last cue, the times of the Microsoft Graph documentation, "Get
  callTranscript"), batch jobs of Amazon Transcribe with speakers, and its Call Analytics. README.md lists what the
  services themselves wrote.

All that is said in them is invented.
"""

import importlib.util
import json
import shutil
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace

HERE = Path(__file__).parent

ZOOM = """WEBVTT

1
00:00:03.120 --> 00:00:06.480
Dr. Vale: How was the week

2
00:00:06.510 --> 00:00:09.070
Dr. Vale: since we last met?

3
00:00:10.200 --> 00:00:12.960
M (she/her): It was fine. Note: nothing happened.

4
00:00:19.000 --> 00:00:21.500
M (she/her): I don't want to talk about it.

5
00:00:21.100 --> 00:00:23.000
Dr. Vale: Okay.
"""

TEAMS = """WEBVTT

7b1c9a52-0c1e-4d0f-9a55-3f1d2b6e8c01/12-0
00:00:03.204 --> 00:00:05.804
<v Vale, Robin [Clinic]>How are you today?</v>

7b1c9a52-0c1e-4d0f-9a55-3f1d2b6e8c01/12-1
00:00:06.004 --> 00:00:07.404
<v Vale, Robin [Clinic]>Take your time.</v>

7b1c9a52-0c1e-4d0f-9a55-3f1d2b6e8c01/18-0
00:00:08.000 --> 00:00:11.324
<v M&#252;ller>Tired &amp; a bit
annoyed with you.</v>

0:0:11.0 --> 0:0:13.500
<v Vale, Robin [Clinic]>I am glad you say so.</v>
"""

THERAPY = """@UTF8
@Begin
@Languages:\teng
@Participants:\tPAT Alex Patient, THE Robin Therapist
@ID:\teng|lab|PAT|34;|female|||Patient|||
@ID:\teng|lab|THE||male|||Therapist|||
@Coder:\tanna
@Date:\t02-MAY-2024
*THE:\thow have you been &-um since <last week> [//] last month ? \x151200_3900\x15
%cod:\t$R1 $R8
*PAT:\tI (.) don't know &=sighs (be)cause I'm <not> [>] sure
\tabout any of this +... \x154000_8650\x15
%cod:\tW2 <w1>
%com:\tlooks away
%xsev:\t2
*THE:\t+< <mhm> [<] . \x156000_6400\x15
*PAT:\tthis isn't help(ing) [+ C1] !
@End
"""


def module(name: str, file: str) -> ModuleType:
    """Loads one module of an installed package without the package, which wants torch."""
    package = importlib.util.find_spec(name.partition(".")[0])
    path = Path(next(iter(package.submodule_search_locations))) / file
    spec = importlib.util.spec_from_file_location(name.replace(".", "_"), path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def words(text: str, start: float, step: float) -> list[dict]:
    """Words of a text, one each `step` seconds."""
    return [
        {"word": word, "start": round(start + n * step, 3), "end": round(start + (n + 0.9) * step, 3), "score": 0.9}
        for n, word in enumerate(text.split())
    ]


def whisper() -> None:
    """Segments without speakers."""
    utils = module("whisper.utils", "utils.py")
    texts = [(0.0, 2.4, " How was the week?"), (2.4, 4.0, " I said: fine."), (9.5, 3661.25, " Just fine.")]
    segments = [
        {"id": n, "seek": 0, "start": start, "end": end, "text": text, "tokens": [50364], "temperature": 0.0}
        for n, (start, end, text) in enumerate(texts)
    ]
    result = {"text": "".join(text for _, _, text in texts), "segments": segments, "language": "en"}
    for kind in ("vtt", "srt", "json"):
        utils.get_writer(kind, str(HERE))(result, "whisper.wav", {})


def whisperx() -> None:
    """Segments with speakers of segments and words; one segment holds two of them, one word has no times."""
    import pandas

    stand_ins = {
        "pyannote": {}, "pyannote.audio": {"Pipeline": None}, "torch": {"device": str},
        "whisperx.audio": {"load_audio": None, "SAMPLE_RATE": 16000},
        "whisperx.schema": {"TranscriptionResult": dict, "AlignedTranscriptionResult": list, "ProgressCallback": int},
        "whisperx.log_utils": {"get_logger": lambda name: None},
    }  # fmt: skip
    sys.modules.update({name: SimpleNamespace(**parts) for name, parts in stand_ins.items()})
    utils, diarize = module("whisperx.utils", "utils.py"), module("whisperx.diarize", "diarize.py")
    texts = [
        (0.5, 0.4, "How was the week?"),
        (2.2, 0.4, "Take your time."),
        (5.0, 0.4, "It was fine. Only fine?"),
        (12.0, 0.5, "I don't know."),
    ]
    segments = [
        {"start": start, "end": start + step * len(text.split()), "text": text, "words": words(text, start, step)}
        for start, step, text in texts
    ]
    for key in ("start", "end", "score"):
        del segments[3]["words"][1][key]
    turns = [(0.4, 3.5, "SPEAKER_00"), (4.9, 6.15, "SPEAKER_01"), (6.2, 7.1, "SPEAKER_00"), (11.9, 13.6, "SPEAKER_01")]
    result = diarize.assign_word_speakers(
        pandas.DataFrame(turns, columns=["start", "end", "speaker"]), {"segments": segments}
    )
    result["language"] = "en"
    options = {"max_line_width": None, "max_line_count": None, "highlight_words": False}
    for kind in ("vtt", "srt", "json"):
        utils.get_writer(kind, str(HERE))(result, "whisperx.wav", options)


def captions() -> None:
    """Captions of the libraries webvtt-py and srt."""
    import srt
    import webvtt

    vtt = webvtt.WebVTT()
    for start, end, text, identifier in (
        ("00:00:01.000", "00:00:02.500", "<v Therapist>How are <i>you</i>?", "first"),
        ("00:00:03.000", "00:00:04.000", "<v.loud Patient>Fine.</v>\n<v Therapist>Really?</v>", None),
        ("00:00:08.000", "00:00:09.000", "<v Therapist>You look tired &amp; sad.", None),
        ("00:00:09.500", "00:00:10.000", "So it seems.", None),
    ):
        caption = webvtt.Caption(start, end, text, identifier)
        caption.comments.append("checked by ear")
        vtt.captions.append(caption)
    vtt.save(str(HERE / "voices.vtt"))

    texts = [
        "Speaker 1: How was the week?",
        "It seems <i>long</i>\nto me.",
        "[Speaker 2] {\\an8}Fine.",
        "Speaker 1: Fine?",
    ]
    cues = [
        srt.Subtitle(n, timedelta(seconds=3 * n), timedelta(seconds=3 * n + 2.25), text)
        for n, text in enumerate([*texts, "Speaker 2: I said so."], start=1)
    ]
    (HERE / "speakers.srt").write_text(srt.compose(cues), encoding="utf-8")


def chat() -> None:
    """CHAT with roles of TalkBank, through pylangacq."""
    import pylangacq

    (HERE / "therapy.cha").write_text(THERAPY, encoding="utf-8", newline="")
    roles = THERAPY.replace("Alex Patient", "Participant").replace("Robin Therapist", "Investigator")
    roles = roles.replace("|Patient|", "|Participant|").replace("|Therapist|", "|Investigator|")
    pylangacq.CHAT.from_strs([roles]).to_files(str(HERE), filenames=["session.cha"])


def convokit() -> None:
    """Two conversations, the first with seconds, the second with dates, as ConvoKit dumps them."""
    from convokit.model import Corpus, Speaker, Utterance

    therapist, patient = Speaker(id="therapist"), Speaker(id="patient")
    said = [
        ("u1", "s1", None, therapist, 0, "How was the week?"),
        ("u2", "s1", "u1", patient, 4, "It was fine."),
        ("u3", "s1", "u2", therapist, 9, "Only fine?"),
        ("v1", "s2", None, therapist, 1714640400, "Hello again."),
        ("v2", "s2", "v1", patient, 1714640405, "I nearly did not come."),
    ]
    utterances = [
        Utterance(
            id=name, conversation_id=session, reply_to=reply, speaker=who, timestamp=when, text=text, meta={"n": 1}
        )
        for name, session, reply, who, when, text in said
    ]
    with tempfile.TemporaryDirectory() as folder:
        Corpus(utterances=utterances).dump("corpus", base_path=folder)
        shutil.copy(Path(folder) / "corpus" / "utterances.jsonl", HERE / "utterances.jsonl")


def transcribe() -> None:
    """Turns, words and punctuation, each with its speaker, and the turns once more with their text."""
    said = [("spk_0", "How was it ?", 0.5), ("spk_1", "Fine . I guess .", 2.0), ("spk_0", "Okay .", 4.5)]
    items, turns, audio = [], [], []
    for speaker, sentence, start in said:
        first, text = len(items), ""
        for n, word in enumerate(sentence.split()):
            mark = word in ".?"
            times = (
                {} if mark else {"start_time": f"{start + n * 0.3:.2f}", "end_time": f"{start + n * 0.3 + 0.25:.2f}"}
            )
            best = [{"confidence": "0.0" if mark else "0.99", "content": word}]
            kind = "punctuation" if mark else "pronunciation"
            items.append({"id": len(items), "type": kind, "alternatives": best, **times, "speaker_label": speaker})
            text += word if mark else f" {word}"
        of_turn = items[first:]
        words = [
            {"speaker_label": speaker, "start_time": one["start_time"], "end_time": one["end_time"]}
            for one in of_turn
            if "start_time" in one
        ]
        whole = {"start_time": words[0]["start_time"], "end_time": words[-1]["end_time"], "speaker_label": speaker}
        turns.append({**whole, "items": words})
        heard = {"id": len(audio), "transcript": text.strip()}
        audio.append({**heard, **whole, "items": [one["id"] for one in of_turn]})
    results = {
        "transcripts": [{"transcript": " ".join(one["transcript"] for one in audio)}],
        "speaker_labels": {"segments": turns, "channel_label": "ch_0", "speakers": 2},
        "items": items,
        "audio_segments": audio,
    }
    job = {"jobName": "session", "accountId": "111122223333", "status": "COMPLETED", "results": results}
    (HERE / "transcribe.json").write_text(json.dumps(job, separators=(",", ":")), encoding="utf-8")


def transcribe_call() -> None:
    """Turns of agent and customer, the second one spoken into the first one's pause."""
    said = [
        ("AGENT", "How was the week?", 440, 1980),
        ("AGENT", "Take your time.", 2100, 3000),
        ("CUSTOMER", "It was fine, [PII].", 4125, 6000),
        ("AGENT", "Okay.", 5500, 5800),
    ]
    turns = []
    for number, (role, text, begin, end) in enumerate(said):
        words = text.rstrip(".?").split()
        length = (end - begin) // len(words)
        items = [
            {
                "Type": "pronunciation",
                "Confidence": 1.0,
                "Content": word.rstrip(","),
                "BeginOffsetMillis": begin + n * length,
                "EndOffsetMillis": begin + (n + 1) * length,
            }
            for n, word in enumerate(words)
        ]
        turns.append(
            {
                "LoudnessScores": [78.63, 78.37],
                "Content": text,
                "Redaction": {"RedactedTimestamps": [[]]},
                "Items": [*items, {"Type": "punctuation", "Confidence": 0.0, "Content": text[-1]}],
                "Id": f"649afe93-1e59-4ae9-a3ba-a0a613868f{number:02d}",
                "BeginOffsetMillis": begin,
                "EndOffsetMillis": end,
                "Sentiment": "NEUTRAL",
                "ParticipantRole": role,
            }
        )
    call = {"JobStatus": "COMPLETED", "LanguageCode": "en-US", "Transcript": turns}
    (HERE / "transcribe_call.json").write_text(json.dumps(call, indent=4) + "\n", encoding="utf-8")


if __name__ == "__main__":
    (HERE / "zoom.vtt").write_text(ZOOM, encoding="utf-8")
    (HERE / "teams.vtt").write_text(TEAMS, encoding="utf-8")
    for make in (whisper, captions, chat, convokit, transcribe, transcribe_call, whisperx):
        make()
