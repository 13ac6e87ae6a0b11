"""Which sessions people should code next, and the sheets to code them on. Layer 4, no torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from threers.codebook import Codebook
from threers.corpus import Corpus
from threers.decisions import family_columns
from threers.errors import InputError
from threers.export import to_documents, write_documents
from threers.formats.known import writer


def uncoded_sessions(corpus: Corpus) -> pd.DataFrame:
    """The sessions that nobody has coded yet: session_id, group_id, in the order of the corpus."""
    coded = corpus.sessions["session_id"].isin(corpus.codings["session_id"])
    return corpus.sessions.loc[~coded, ["session_id", "group_id"]].reset_index(drop=True)


def draw(sessions: pd.DataFrame, n: int, how: str, seed: int, doubt: pd.Series | None = None) -> pd.DataFrame:
    """Choose `n` of the sessions (session_id, group_id).

    `how`:
        * `random`: a simple random sample without replacement.
        * `by_patient`: a systematic sample from the sessions in random order, patient by patient (Madow & Madow 1944),
          so that a patient has the share of the sample that the patient has of the sessions, rounded up or down.
        * `uncertain`: those with the most `doubt` (by session_id), as few of each patient as will do.

    Returns:
        session_id, `inclusion_probability` (n / sessions for each in both random ways: 1 / it is the weight of a
        session in a Horvitz-Thompson estimate; null for `uncertain`, from which nothing can be estimated), `doubt`
        (`uncertain` only).

    Raises:
        InputError: fewer sessions than `n`.

    """
    total = len(sessions)
    if total < n:
        raise InputError(f"n={n}: there are {total} sessions that nobody has coded; ask for fewer, or import new ones")
    if how == "uncertain":
        assert doubt is not None
        return _most_doubtful(sessions.assign(doubt=sessions["session_id"].map(doubt)), n)
    rng = np.random.default_rng(seed)
    shuffled = sessions.iloc[rng.permutation(total)]
    if how == "by_patient":
        # Patients come in the order of their first session, so in a random one, and so do the sessions of each.
        shuffled = shuffled.iloc[np.argsort(pd.factorize(shuffled["group_id"])[0], kind="stable")]
        chosen = shuffled.iloc[np.floor((rng.random() + np.arange(n)) * total / n).astype(int)]
    else:
        chosen = shuffled.iloc[:n]
    return pd.DataFrame({"session_id": chosen["session_id"], "inclusion_probability": n / total}).reset_index(drop=True)


def _most_doubtful(sessions: pd.DataFrame, n: int) -> pd.DataFrame:
    """The `n` with most doubt, after each patient's sessions beyond the number that all need to give were left out."""
    sessions = sessions.sort_values("doubt", ascending=False, kind="stable")
    place = sessions.groupby("group_id").cumcount()
    most = int(np.sort(place)[n - 1])
    chosen = sessions[place <= most].head(n)
    chosen = chosen.assign(inclusion_probability=np.nan)
    return chosen[["session_id", "inclusion_probability", "doubt"]].reset_index(drop=True)


def doubt_of_sessions(scores: pd.DataFrame, codebook: Codebook) -> pd.Series:
    """The mean probability that the tagger's answer is wrong, over all that it decided in a session, by session_id.

    It decides once per utterance for codes that exclude each other, and once per code for others; the probability is
    what its own calibrated probabilities say. Null where it decided nothing.
    """
    codes = codebook.tag_codes()
    p = scores[[f"p_{code}" for code in codes]].to_numpy(dtype=float)
    tags = np.array([[code in own for code in codes] for own in scores["tags"]]).reshape(p.shape)
    wrong, decided = np.zeros(len(scores)), np.zeros(len(scores))
    for family, columns in family_columns(codebook):
        own, tagged = p[:, columns], tags[:, columns]
        if family.kind == "exclusive":
            wrong += np.where(tagged.any(axis=1), 1 - np.nansum(np.where(tagged, own, 0), axis=1), 0)
            decided += tagged.any(axis=1)
        else:
            wrong += np.nansum(np.where(tagged, 1 - own, own), axis=1)
            decided += (~np.isnan(own)).sum(axis=1)
    sums = pd.DataFrame({"wrong": wrong, "decided": decided}).groupby(scores["session_id"].to_numpy()).sum()
    return sums["wrong"] / sums["decided"].replace(0, np.nan)


def write_sheets(corpus: Corpus, chosen: pd.DataFrame, folder: Path, form: str) -> pd.Series:
    """One coding sheet per session, numbered in the order of `chosen`; the file's name says nothing of the session.

    A sheet has the text, and nothing of what a tagger said. `threers import` reads it back when its columns `coder` and
    `code` are filled: speakers bear their roles, and the patient column holds the group, so that neither is lost.

    Returns the files' names, in the order of `chosen`.
    """
    own = corpus.select(chosen["session_id"])
    role = own.utterances["role"]
    own.utterances["speaker"] = role.where(role != "unknown", own.utterances["speaker"])
    if corpus.manifest.get("grouped_by") != "session":
        own.sessions["patient_id"] = own.sessions["group_id"]
    documents = {document.session: document for document in to_documents(own, own.codings.iloc[:0])}
    names = []
    for number, session in enumerate(chosen["session_id"], start=1):
        path = folder / f"sheet-{number:03}.{form}"
        write_documents([documents[session]], writer(form, path), path, own)
        names.append(path.name)
    return pd.Series(names, index=chosen.index, name="sheet")
