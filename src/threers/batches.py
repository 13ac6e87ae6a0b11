"""Coded sessions to the batches of an epoch. Layer 3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset

from threers.chunks import Chunk, Chunker, SessionTokens
from threers.encode import collate


@dataclass(frozen=True)
class Examples:
    """Coded sessions: their tokens, and per session `share`, `given` and `weight`, float32 (n_utterances, n_codes), or
    with an axis of coders (n_utterances, n_coders, n_codes).
    """

    sessions: list[SessionTokens]
    share: list[np.ndarray]
    given: list[np.ndarray]
    weight: list[np.ndarray]


class EpochBatches(Dataset):
    """Batches of chunks. `begin(epoch)` draws borders and order anew; the number of batches stays the same."""

    def __init__(self, examples: Examples, chunker: Chunker, batch_tokens: int, seed: int) -> None:
        self.examples, self.chunker, self.seed = examples, chunker, seed
        chunks = self._cut(np.random.default_rng([seed, 0]))
        self.tokens = sum(len(chunk.tokens) for chunk in chunks)
        # A batch holds a chunk at least, however few tokens it is to have.
        self.size = max(1, min(round(self.tokens / batch_tokens), len(chunks)))
        self.begin(0)

    def begin(self, epoch: int) -> None:
        """Cut and shuffle for this epoch; the same seed and epoch give the same batches."""
        rng = np.random.default_rng([self.seed, epoch])
        chunks = self._cut(rng)
        chunks = [chunks[place] for place in rng.permutation(len(chunks))]
        ends = np.cumsum([len(chunk.tokens) for chunk in chunks])
        home = (ends - 1) * self.size // ends[-1]
        self.batches: list[list[Chunk]] = [[] for _ in range(self.size)]
        for chunk, batch in zip(chunks, home, strict=True):
            self.batches[batch].append(chunk)
        # A chunk longer than its share can leave a batch empty; the largest one gives up half. An epoch that was cut
        # into fewer chunks than there are batches reads some twice.
        for number in [n for n, batch in enumerate(self.batches) if not batch]:
            largest = max(self.batches, key=len)
            if half := len(largest) // 2:
                self.batches[number], largest[half:] = largest[half:], []
            else:
                self.batches[number] = [chunks[number % len(chunks)]]

    def _cut(self, rng: np.random.Generator) -> list[Chunk]:
        chunks: list[Chunk] = []
        for number, session in enumerate(self.examples.sessions):
            weight = self.examples.weight[number]
            coded = weight.sum(axis=tuple(range(1, weight.ndim))) > 0
            chunks += [c for c in self.chunker.for_training(session, number, rng) if coded[c.pieces[:, 0]].any()]
        return chunks

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, number: int) -> list[Chunk]:
        return self.batches[number]

    def collate(self, batch: Sequence[list[Chunk]], pad_id: int) -> dict[str, torch.Tensor]:
        """Turn one batch of chunks into what `Learner.forward` takes."""
        tensors, pieces = collate(batch[0], pad_id)
        for name in ("share", "given", "weight"):
            per_session = getattr(self.examples, name)
            tensors[name] = torch.from_numpy(np.stack([per_session[session][place] for session, place, _ in pieces]))
        # The pieces of one long utterance weigh together what an utterance weighs.
        part = [size / len(self.examples.sessions[session].utterances[place]) for session, place, size in pieces]
        of_piece = torch.tensor(part, dtype=torch.float32).clamp(max=1)
        tensors["weight"] *= of_piece.reshape(-1, *[1] * (tensors["weight"].ndim - 1))
        return tensors
