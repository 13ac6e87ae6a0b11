"""Chunks through an encoder: batches by token budget, and one vector per utterance from its own tokens. Layer 2."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from threers.chunks import Chunk, Chunker, SessionTokens
from threers.hardware import Hardware

#: From `input_ids`, `attention_mask`, `owner` and `n` of one batch to the vectors (n, width) of its pieces.
Pool = Callable[..., torch.Tensor]


@dataclass(frozen=True)
class Reading:
    """How sessions are read: how they are cut, what pads a batch, where it runs, and how many tokens a forward pass
    has at most, padding counted.
    """

    chunker: Chunker
    pad_id: int
    hardware: Hardware
    batch_tokens: int


@dataclass(frozen=True)
class Encoded:
    """`vectors` float32 (n_utterances, width); tokens read, and positions computed with padding counted."""

    vectors: torch.Tensor
    tokens: int
    padded_tokens: int


def encode(pool: Pool, chunks: Sequence[Chunk], sessions: Sequence[SessionTokens], reading: Reading) -> Encoded:
    """Vectors of every utterance of `sessions`, in their order; `chunk.session` is a place in `sessions`.

    An utterance in several pieces is the mean of their vectors, weighted by their tokens.
    """
    chunks = sorted(chunks, key=lambda chunk: len(chunk.tokens), reverse=True)
    starts = np.concatenate([[0], np.cumsum([len(session.utterances) for session in sessions])]).astype(int)
    vectors = sizes = torch.zeros(0)
    read = padded = 0
    with torch.inference_mode(), reading.hardware.autocast:
        for batch in _batches(chunks, reading.batch_tokens):
            tensors, pieces = collate(batch, reading.pad_id)
            pooled = pool(**{k: v.to(reading.hardware.device) for k, v in tensors.items()}, n=len(pieces)).cpu()
            if not len(vectors):
                vectors, sizes = torch.zeros(int(starts[-1]), pooled.shape[1]), torch.zeros(int(starts[-1]))
            home = torch.from_numpy(starts[pieces[:, 0]] + pieces[:, 1])
            weight = torch.from_numpy(pieces[:, 2]).float()
            vectors.index_add_(0, home, pooled * weight[:, None])
            sizes.index_add_(0, home, weight)
            read += int(tensors["attention_mask"].sum())
            padded += tensors["attention_mask"].numel()
        return Encoded(vectors / sizes[:, None], read, padded)


def collate(chunks: Sequence[Chunk], pad_id: int) -> tuple[dict[str, torch.Tensor], np.ndarray]:
    """Pad chunks into one batch.

    Returns the keyword arguments of a `Pool` (without n), and int64 (n_pieces, 3): session, utterance and weight of
    each piece in the order of `owner`; the weight is its number of tokens, or 0 where it does not count.
    """
    length = max(len(chunk.tokens) for chunk in chunks)
    ids = np.full((len(chunks), length), pad_id, dtype=np.int64)
    mask = np.zeros((len(chunks), length), dtype=np.int64)
    owner = np.full((len(chunks), length), -1, dtype=np.int64)
    pieces: list[tuple[int, int, int]] = []
    for row, chunk in enumerate(chunks):
        ids[row, : len(chunk.tokens)] = chunk.tokens
        mask[row, : len(chunk.tokens)] = 1
        for (utterance, start, end), counts in zip(chunk.pieces.tolist(), chunk.counts.tolist(), strict=True):
            owner[row, start:end] = len(pieces)
            pieces.append((chunk.session, utterance, (end - start) * counts))
    batch = {
        "input_ids": torch.from_numpy(ids),
        "attention_mask": torch.from_numpy(mask),
        "owner": torch.from_numpy(owner),
    }
    return batch, np.array(pieces, dtype=np.int64).reshape(-1, 3)


def piece_means(hidden: torch.Tensor, owner: torch.Tensor, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean over each piece's tokens, and its first token: both (n, width).

    Args:
        hidden: (batch, length, width).
        owner: (batch, length), which piece a token belongs to, 0 to n - 1 in reading order; -1 for none.
        n: pieces in the batch.

    """
    flat, hidden = owner.reshape(-1), hidden.reshape(-1, hidden.shape[-1])
    inside = flat >= 0
    flat, hidden = flat[inside], hidden[inside]
    count = torch.bincount(flat, minlength=n).clamp(min=1)
    mean = torch.zeros(n, hidden.shape[-1], device=hidden.device).index_add_(0, flat, hidden) / count[:, None]
    return mean, hidden[torch.searchsorted(flat, torch.arange(n, device=flat.device))]


def _batches(chunks: Sequence[Chunk], batch_tokens: int) -> Iterator[list[Chunk]]:
    """Group chunks that are sorted from long to short into batches of at most `batch_tokens`, padding counted."""
    start = 0
    while start < len(chunks):
        rows = max(1, batch_tokens // len(chunks[start].tokens))
        yield list(chunks[start : start + rows])
        start += rows
