"""What users would write themselves, family by family, each utterance by itself: what threers has to beat."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from threers.codebook import Codebook
from threers.corpus import Corpus
from threers.decisions import family_columns
from threers.targets import Targets, build_targets

#: From texts and their labels (places of codes, or of several per text 0 and 1 for each of k) and texts to tag: the
#: codes of the latter, bool (n, k), and how many tokens training read, by name.
Rival = Callable[[Sequence[str], np.ndarray, int, Sequence[str]], tuple[np.ndarray, dict[str, int]]]


def learn_and_tag(learn: Corpus, test: Corpus, rival: Rival) -> tuple[pd.DataFrame, dict[str, int]]:
    """Train a rival on the coders' majority in `learn`, once for each family, and tag `test`: a table session_id,
    utterance_id, role, tags, and how many tokens training read.
    """
    book = learn.codebook
    targets = build_targets(learn.utterances, learn.codings, book)
    said, heard = (part.utterances["text"].to_numpy(dtype=object) for part in (learn, test))
    codes, legal = np.array(book.tag_codes()), book.legal_mask(test.utterances["role"])
    tags = np.zeros(legal.shape, dtype=bool)
    read: dict[str, int] = {}
    for family, columns in family_columns(book):
        rows, labels = _labels(targets, columns, exclusive=family.kind == "exclusive")
        spoken = np.flatnonzero(legal[:, columns].any(axis=1))
        found, tokens = rival(said[rows].tolist(), labels, len(columns), heard[spoken].tolist())
        tags[np.ix_(spoken, columns)] = found & legal[np.ix_(spoken, columns)]
        read = {name: read.get(name, 0) + number for name, number in tokens.items()}
    _add_parents(tags, book)
    table = test.utterances[["session_id", "utterance_id", "role"]].copy()
    table["tags"] = [list(codes[row]) for row in tags]
    return table, read


def _labels(targets: Targets, columns: np.ndarray, *, exclusive: bool) -> tuple[np.ndarray, np.ndarray]:
    rows = np.flatnonzero((targets.coders[:, columns] > 0).any(axis=1))
    share = targets.share[rows][:, columns]
    return rows, share.argmax(axis=1) if exclusive else (share >= 0.5).astype(np.float32)


def _add_parents(tags: np.ndarray, book: Codebook) -> None:
    place = {code: number for number, code in enumerate(book.tag_codes())}
    for code in sorted(place, key=lambda code: len(book.ancestors(code)), reverse=True):
        for parent in book.ancestors(code):
            if parent in place:
                tags[:, place[parent]] |= tags[:, place[code]]
