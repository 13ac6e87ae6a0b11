"""Sessions to token chunks. Each utterance lies whole in some chunk with its neighbours as context, or is split into
pieces.

A *piece* is a run of one utterance's tokens in one chunk, the role marker in front. Chunks for scoring overlap,
and each piece counts in the one chunk where it stands most central; chunks for training do not overlap, begin
elsewhere in each epoch, and every piece in them counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

#: Utterances tokenised in one call; bounds the memory of the tokeniser's own objects.
TOKENISE_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Chunk:
    """Tokens of one pass through the encoder.

    `tokens`: int32 (n_tokens,), special tokens included. `pieces`: int32 (n_pieces, 3): the utterance's place in its
    session, first token, one past the last token. `counts`: bool (n_pieces,), does the piece count in this chunk?
    """

    session: int
    tokens: np.ndarray
    pieces: np.ndarray
    counts: np.ndarray


@dataclass(frozen=True, slots=True)
class SessionTokens:
    """One session's utterances as token ids, and the role marker that stands in front of each piece of them.

    `utterances`, `markers`: lists of int32 arrays, one per utterance; an empty text has none of its own.
    """

    session_id: str
    utterances: list[np.ndarray]
    markers: list[np.ndarray]


def tokenise(utterances: pd.DataFrame, tokenizer: Any) -> list[SessionTokens]:
    """Tokenise utterances (columns session_id, role, text; sessions together) with the marker `role:`.

    Nothing is truncated, and what looks like a control token in a text ("[MASK]") is read as text. Returns one
    SessionTokens per session, in the order of first appearance.
    """
    markers = {
        role: np.array(tokenizer(f"{role}:", add_special_tokens=False)["input_ids"], dtype=np.int32)
        for role in utterances["role"].unique()
    }
    # A blank in front, because byte-level tokenisers read a word at the start of a text as another word.
    texts = [" " + text for text in utterances["text"]]
    ids: list[np.ndarray] = []
    for start in range(0, len(texts), TOKENISE_AT_ONCE):
        part = texts[start : start + TOKENISE_AT_ONCE]
        batch = tokenizer(part, add_special_tokens=False, split_special_tokens=True, verbose=False)
        ids.extend(np.array(row, dtype=np.int32) for row in batch["input_ids"])
    sessions: dict[str, SessionTokens] = {}
    for session_id, role, tokens in zip(utterances["session_id"], utterances["role"], ids, strict=True):
        session = sessions.setdefault(session_id, SessionTokens(session_id, [], []))
        session.utterances.append(tokens)
        session.markers.append(markers[role])
    return list(sessions.values())


def lengths(sessions: Sequence[SessionTokens]) -> np.ndarray:
    """Tokens of each utterance of sessions, in their order, int64 (n_utterances,)."""
    return np.array([len(tokens) for session in sessions for tokens in session.utterances], dtype=np.int64)


@dataclass(frozen=True, kw_only=True)
class Chunker:
    """Cuts sessions into chunks of at most `chunk_tokens` tokens, `before` and `after` (special tokens) included."""

    chunk_tokens: int
    overlap_tokens: int
    lookahead: bool
    before: tuple[int, ...]
    after: tuple[int, ...]
    read_twice: bool = False
    """Each chunk holds its utterances twice, and the second copy is judged: a model that reads the past only has then
    read all of the first (Springer et al. 2024, "Repetition improves language model embeddings")."""

    @property
    def room(self) -> int:
        """Tokens of utterances that one chunk holds."""
        return (self.chunk_tokens - len(self.before) - len(self.after)) // self.copies

    @property
    def copies(self) -> int:
        """How often an utterance stands in its chunk."""
        return 2 if self.read_twice else 1

    def for_scoring(self, session: SessionTokens, index: int = 0) -> list[Chunk]:
        """Overlapping chunks in which each piece counts exactly once, where its context is widest."""
        pieces = self._pieces(session)
        sizes = np.array([len(session.markers[number]) + end - start for number, start, end in pieces])
        windows = self._windows(sizes)
        home = _most_central(windows, sizes, self.lookahead)
        return [self._chunk(session, index, pieces, w, lo, hi, home) for w, (lo, hi) in enumerate(windows)]

    def for_training(self, session: SessionTokens, index: int, rng: np.random.Generator) -> list[Chunk]:
        """Chunks side by side, the first of a random length, so that borders move from epoch to epoch."""
        pieces = self._pieces(session)
        sizes = np.array([len(session.markers[number]) + end - start for number, start, end in pieces])
        windows: list[tuple[int, int]] = []
        lo, budget = 0, int(rng.integers(self.room // 2, self.room + 1))
        while lo < len(pieces):
            hi = _fill(sizes, lo, budget)
            windows.append((lo, hi))
            lo, budget = hi, self.room
        return [self._chunk(session, index, pieces, w, lo, hi, None) for w, (lo, hi) in enumerate(windows)]

    def alone(self, session: SessionTokens, index: int = 0) -> list[Chunk]:
        """Each utterance by itself, without context or marker (an empty text is its marker); the special tokens beside
        it are part of the piece.
        """
        head, tail = np.array(self.before, dtype=np.int32), np.array(self.after, dtype=np.int32)
        chunks = []
        for number, start, end in self._pieces(session):
            own = session.utterances[number][start:end]
            own = own if len(own) else session.markers[number]
            tokens = np.concatenate([head, *[own] * self.copies, tail])
            first = len(head) + len(own) if self.read_twice else 0
            piece = np.array([[number, first, len(tokens)]], dtype=np.int32)
            chunks.append(Chunk(index, tokens, piece, np.ones(1, dtype=bool)))
        return chunks

    def _pieces(self, session: SessionTokens) -> list[tuple[int, int, int]]:
        """(utterance, start, end) of every piece; an utterance longer than a chunk gives several of nearly equal
        length.
        """
        pieces: list[tuple[int, int, int]] = []
        for number, tokens in enumerate(session.utterances):
            parts = max(1, -(-len(tokens) // (self.room - len(session.markers[number]))))
            borders = np.linspace(0, len(tokens), parts + 1).round().astype(int)
            pieces.extend((number, int(a), int(b)) for a, b in pairwise(borders))
        return pieces

    def _windows(self, sizes: np.ndarray) -> list[tuple[int, int]]:
        windows = []
        lo = 0
        while lo < len(sizes):
            hi = _fill(sizes, lo, self.room)
            windows.append((lo, hi))
            if hi == len(sizes):
                break
            shared, start = 0, hi
            while start - 1 > lo and shared + sizes[start - 1] <= self.overlap_tokens:
                start -= 1
                shared += sizes[start]
            # The next window must reach beyond this one, or a long piece behind the overlap would never be read.
            while sizes[start : hi + 1].sum() > self.room:
                start += 1
            lo = start
        return windows

    def _chunk(
        self,
        session: SessionTokens,
        index: int,
        pieces: Sequence[tuple[int, int, int]],
        window: int,
        lo: int,
        hi: int,
        home: np.ndarray | None,
    ) -> Chunk:
        parts: list[np.ndarray] = []
        at = len(self.before)
        placed = np.empty((hi - lo, 3), dtype=np.int32)
        for row, (number, start, end) in enumerate(pieces[lo:hi]):
            parts += [session.markers[number], session.utterances[number][start:end]]
            length = len(session.markers[number]) + end - start
            placed[row] = number, at, at + length
            at += length
        placed[:, 1:] += (self.copies - 1) * (at - len(self.before))
        head, tail = np.array(self.before, dtype=np.int32), np.array(self.after, dtype=np.int32)
        counts = np.ones(hi - lo, dtype=bool) if home is None else home[lo:hi] == window
        return Chunk(index, np.concatenate([head, *parts * self.copies, tail]), placed, counts)


def _fill(sizes: np.ndarray, lo: int, budget: int) -> int:
    """One past the last piece that fits into `budget` tokens from `lo` on; at least one piece."""
    total, hi = int(sizes[lo]), lo + 1
    while hi < len(sizes) and total + sizes[hi] <= budget:
        total += int(sizes[hi])
        hi += 1
    return hi


def _most_central(windows: Sequence[tuple[int, int]], sizes: np.ndarray, lookahead: bool) -> np.ndarray:
    """For each piece the window in which it has most context on its poorer side; a session's ends lack nothing.

    Without look-ahead only what stands before the piece is context.
    """
    home = np.zeros(len(sizes), dtype=np.int64)
    best = np.full(len(sizes), -1.0)
    ends = np.concatenate([[0], np.cumsum(sizes)])
    for number, (lo, hi) in enumerate(windows):
        left = (ends[lo:hi] - ends[lo]).astype(float) if lo > 0 else np.full(hi - lo, np.inf)
        right = (ends[hi] - ends[lo + 1 : hi + 1]).astype(float) if hi < len(sizes) else np.full(hi - lo, np.inf)
        context = np.minimum(left, right) if lookahead else left
        better = context > best[lo:hi]
        home[lo:hi][better] = number
        best[lo:hi][better] = context[better]
    return home
