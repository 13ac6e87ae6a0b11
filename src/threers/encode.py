"""Chunks through an encoder: batches by token budget, and one vector per utterance from its own tokens. Layer 2."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import torch

from threers.chunks import Chunk, Chunker, SessionTokens
from threers.hardware import Hardware

#: From one batch (see `collate`) to the vectors (n_pieces, width) of its pieces.
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
    batches = list(_batches(chunks, reading.batch_tokens))
    with _side_by_side(reading.hardware) as map_:
        pooled, pieces = zip(*map_(partial(_pool_batch, pool, reading), batches), strict=True)
    vectors = torch.cat(pooled).float().cpu()
    read = sum(len(chunk.tokens) for chunk in chunks)
    padded = sum(len(batch) * len(batch[0].tokens) for batch in batches)
    starts = np.concatenate([[0], np.cumsum([len(session.utterances) for session in sessions])]).astype(int)
    session, utterance, weight = np.concatenate(pieces).T
    home = torch.from_numpy(starts[session] + utterance)
    weights = torch.from_numpy(weight).float()
    total = torch.zeros(int(starts[-1]), vectors.shape[1]).index_add_(0, home, vectors * weights[:, None])
    sizes = torch.zeros(len(total)).index_add_(0, home, weights)
    return Encoded(total / sizes[:, None], read, padded)


@contextmanager
def _side_by_side(hardware: Hardware) -> Iterator[Callable[..., Iterable[Any]]]:
    """A `map` for batches. On a CPU each thread takes a batch of its own: one batch shared by all threads makes them
    wait for each other after every product, which costs a third of the time (docs/measured.md). A GPU takes one after
    the other, and nothing waits for it: batches queue up while it works.
    """
    count = torch.get_num_threads()
    if hardware.device != "cpu" or count == 1:
        yield map
        return
    torch.set_num_threads(1)
    try:
        yield _threads(count).map
    finally:
        torch.set_num_threads(count)


@cache
def _threads(count: int) -> ThreadPoolExecutor:
    """Kept for the next sessions: what a thread has freed, only a thread that takes its place would use again."""
    return ThreadPoolExecutor(count)


def _pool_batch(pool: Pool, reading: Reading, batch: Sequence[Chunk]) -> tuple[torch.Tensor, np.ndarray]:
    tensors, pieces = collate(batch, reading.pad_id)
    device = torch.device(reading.hardware.device)
    with torch.inference_mode(), reading.hardware.autocast:
        return pool(**{name: _send(tensor, device) for name, tensor in tensors.items()}), pieces


def collate(chunks: Sequence[Chunk], pad_id: int) -> tuple[dict[str, torch.Tensor], np.ndarray]:
    """Pad chunks into one batch.

    Returns the keyword arguments of a `Pool`, and int64 (n_pieces, 3): session, utterance and weight of each piece in
    the order of `owner`; the weight is its number of tokens, or 0 where it does not count.
    """
    lengths = np.array([len(chunk.tokens) for chunk in chunks])
    mask = np.arange(lengths.max()) < lengths[:, None]
    ids = np.full(mask.shape, pad_id, dtype=np.int64)
    ids[mask] = np.concatenate([chunk.tokens for chunk in chunks])
    row = np.repeat(np.arange(len(chunks)), [len(chunk.pieces) for chunk in chunks])
    utterance, start, end = np.concatenate([chunk.pieces for chunk in chunks]).astype(np.int64).T
    size = end - start
    piece = np.repeat(np.arange(len(size)), size)
    within = np.arange(len(piece)) - np.repeat(np.cumsum(size) - size, size)
    owner = np.full(mask.shape, -1, dtype=np.int64)
    owner[row[piece], start[piece] + within] = piece
    session = np.array([chunk.session for chunk in chunks])[row]
    counts = np.concatenate([chunk.counts for chunk in chunks])
    batch = {
        "input_ids": ids,
        "attention_mask": mask.astype(np.int64),
        "owner": owner,
        "inside": row[piece] * mask.shape[1] + start[piece] + within,
        "firsts": np.cumsum(size) - size,
    }
    tensors = {name: torch.from_numpy(array) for name, array in batch.items()}
    return tensors, np.stack([session, utterance, size * counts], axis=1)


def piece_means(hidden: torch.Tensor, inside: torch.Tensor, firsts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean over each piece's tokens, and its first token: both (n_pieces, width).

    Args:
        hidden: (batch, length, width).
        inside: (n_tokens,), places of the pieces' tokens in the flattened batch, piece after piece.
        firsts: (n_pieces,), where in `inside` each piece begins.

    """
    flat = hidden.reshape(-1, hidden.shape[-1])
    # Sums in a fixed order on every device, so that a run that was resumed ends with the same bytes.
    mean = torch.nn.functional.embedding_bag(inside, flat, firsts, mode="mean")
    return mean, flat[inside[firsts]]


def _send(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def _batches(chunks: Sequence[Chunk], batch_tokens: int) -> Iterator[list[Chunk]]:
    """Group chunks that are sorted from long to short into batches of at most `batch_tokens`, padding counted."""
    start = 0
    while start < len(chunks):
        rows = max(1, batch_tokens // len(chunks[start].tokens))
        yield list(chunks[start : start + rows])
        start += rows
