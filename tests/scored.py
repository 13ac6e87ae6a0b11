"""A small corpus of 3RS codes and a folder of scores for it, as `threers score` leaves one; no tagger is needed."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from threers.codebook import Codebook
from threers.corpus import Corpus, conform
from threers.scores import write_json, write_parquet

#: Utterance -> tagged code of the session that the tests look at; patients speak at odd numbers.
TAGS = {3: "W2", 7: "C1", 8: "R5", 13: "W5", 20: "R10"}
#: What the coders A and B marked there; both read everything.
MARKS = {"A": {3: "W2", 8: "R5", 17: "W1"}, "B": {3: "W2", 7: "C1", 8: "R5", 17: "W1"}}


def make_scored(
    folder: Path,
    sessions: dict[str, int] | None = None,
    codebook: Codebook | None = None,
    text: str = "Words of utterance {}",
    timed: bool = True,
    coders: dict[str, dict[int, str]] | None = None,
) -> tuple[Path, Path]:
    """Write a corpus and scores of it; `sessions`: id -> utterances. Returns the folders of scores and corpus."""
    sessions = sessions or {"P01-1": 40, "P01-2": 30}
    codebook = codebook or Codebook.load("3rs-2015")
    parts = [_session(name, count, codebook, text, timed) for name, count in sessions.items()]
    coders = MARKS if coders is None else coders
    corpus = Corpus(
        utterances=conform(pd.concat(parts, ignore_index=True), "utterances"),
        sessions=conform(pd.DataFrame([_facts(name, at) for at, name in enumerate(sessions)]), "sessions"),
        codings=conform(pd.DataFrame(_codings(sessions, coders), columns=_CODING), "codings"),
        codebook=codebook,
        manifest={"synthetic": True},
    )
    corpus.save(folder / "corpus")
    scores = folder / "scores"
    for number, part in enumerate(parts):
        write_parquet(part.drop(columns=["text", "speaker"]), scores / "utterances" / f"part-{number:05d}.parquet")
    codebook.save(scores / "codebook.yaml")
    manifest = {"name": "tiny", "codebook": codebook.name, "codebook_sha256": codebook.hash, "synthetic": True}
    manifest["decisions"] = {"threshold": dict.fromkeys(codebook.tag_codes(), 0.4)}
    write_json(manifest, scores / "manifest.json")
    return scores, folder / "corpus"


_CODING = ["session_id", "unit", "unit_id", "coder_id", "code", "value"]


def _session(name: str, count: int, codebook: Codebook, text: str, timed: bool) -> pd.DataFrame:
    roles = [("therapist", "patient")[number % 2] for number in range(count)]
    start = np.arange(count) * 20.0 if timed else np.full(count, np.nan)
    table = pd.DataFrame({"session_id": name, "utterance_id": range(count), "role": roles, "start": start})
    table["end"] = start + 15.0
    table["speaker"] = [role[0].upper() for role in roles]
    table["text"] = [text.format(number) for number in range(count)]
    tags = [[] for _ in roles]
    p = np.full((count, len(codebook.tag_codes())), 0.02)
    codes = list(codebook.tag_codes())
    for number, code in TAGS.items():
        if number < count:
            tags[number] = [code, *codebook.ancestors(code)]
            p[number, codes.index(code)] = 0.6
            p[number, [codes.index(above) for above in codebook.ancestors(code)]] = 0.7
    p[~codebook.legal_mask(roles)] = np.nan
    columns = pd.DataFrame(p.astype("float32"), columns=[f"p_{code}" for code in codes])
    return pd.concat([table, columns], axis=1).assign(tags=tags)


def _facts(name: str, at: int) -> dict[str, object]:
    patient = name.rpartition("-")[0] or name
    known = {"session_id": name, "group_id": patient, "patient_id": patient, "therapist_id": "T1"}
    return known | {"session_number": at + 1, "source_file": "made.csv", "source_sha256": "0" * 64, "wai": 4.0 + at / 2}


def _codings(sessions: dict[str, int], coders: dict[str, dict[int, str]]) -> list[tuple]:
    first, count = next(iter(sessions.items()))
    return [
        (first, "utterance", number, coder, marks.get(number), 1.0 if number in marks else None)
        for coder, marks in coders.items()
        for number in range(count)
    ]


def data_of(page: Path) -> dict:
    """The data that a page gives its script."""
    html = page.read_text(encoding="utf-8")
    start = html.index('id="data">') + len('id="data">')
    return json.loads(html[start : html.index("</script>", start)])
