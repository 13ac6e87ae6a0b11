"""Transcripts with masked tokens, and how well a backbone names these. Layer 3.

Tokens are masked as by Devlin et al. 2019, "BERT": of 15 % of them eight in ten are hidden, one is another token and
one stays. Role markers, which would be too easy to guess, are never masked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import DataCollatorForLanguageModeling

from threers.chunks import Chunk, Chunker, tokenise
from threers.corpus import Corpus
from threers.errors import InputError
from threers.hardware import Hardware
from threers.settings import Backbone
from threers.tagger import special_tokens

#: Share of the tokens that are masked.
MASKED = 0.15
#: Label of a token that is not to be guessed, as transformers has it.
NOT_MASKED = -100


class MaskedText:
    """The sessions of a corpus as a backbone reads them, and their masking."""

    def __init__(self, corpus: Corpus, tokenizer: Any, backbone: Backbone) -> None:
        if tokenizer.mask_token is None:
            raise InputError(
                f"backbone {backbone.name}: its tokenizer has no token for what is masked, so it cannot be adapted; "
                "train without training.adapt_epochs, or choose another backbone"
            )
        before, after = special_tokens(tokenizer)
        self.chunker = Chunker(
            chunk_tokens=backbone.chunk_tokens,
            overlap_tokens=backbone.overlap_tokens,
            lookahead=True,
            before=before,
            after=after,
        )
        self.sessions = tokenise(corpus.utterances, tokenizer)
        self._mask = DataCollatorForLanguageModeling(tokenizer, mlm_probability=MASKED)

    def mask(self, chunks: Sequence[Chunk]) -> dict[str, torch.Tensor]:
        """One batch: input_ids, attention_mask and labels (NOT_MASKED where nothing is to be guessed), each
        (n_chunks, length).
        """
        return dict(self._mask([self._example(chunk) for chunk in chunks]))

    def _example(self, chunk: Chunk) -> dict[str, list[int]]:
        fixed = np.ones(len(chunk.tokens), dtype=int)
        for number, first, end in chunk.pieces:
            fixed[first + len(self.sessions[chunk.session].markers[number]) : end] = 0
        return {
            "input_ids": chunk.tokens.tolist(),
            "attention_mask": [1] * len(fixed),
            "special_tokens_mask": fixed.tolist(),
        }


class HeldAside:
    """Sessions kept aside, masked once and for all."""

    def __init__(self, text: MaskedText, hardware: Hardware) -> None:
        rng = np.random.default_rng(0)
        chunks = [c for n, session in enumerate(text.sessions) for c in text.chunker.for_training(session, n, rng)]
        rows = max(1, hardware.batch_tokens // text.chunker.chunk_tokens)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.batches = [text.mask(chunks[start : start + rows]) for start in range(0, len(chunks), rows)]
        self.hardware = hardware

    def loss(self, model: Any) -> float:
        """Mean loss per masked token, in nats. Raises InputError where it is no number."""
        total, count = 0.0, 0
        model.eval()
        with torch.inference_mode(), self.hardware.autocast:
            for batch in self.batches:
                masked = int((batch["labels"] != NOT_MASKED).sum())
                total += masked * float(masked_loss(model, **{k: t.to(model.device) for k, t in batch.items()}))
                count += masked
        model.train()
        if not math.isfinite(total):
            raise InputError("the adaptation diverged: the loss is not a number; set backbone.learning_rate to half")
        return round(total / max(1, count), 4)


def masked_loss(
    model: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """Mean cross-entropy of the masked tokens; all three (n_chunks, length)."""
    masked = labels != NOT_MASKED

    def pick(_: Any, __: Any, output: Any) -> Any:
        # The head says of every token which of all words it was; only the masked ones matter, and the rest would take
        # as long as the encoder does.
        output.last_hidden_state = output.last_hidden_state[masked][None]
        return output

    hook = model.base_model.register_forward_hook(pick)
    try:
        logits = model(input_ids=input_ids, attention_mask=attention_mask).logits[0]
    finally:
        hook.remove()
    return cross_entropy(logits.float(), labels[masked], reduction="sum") / masked.sum().clamp(min=1)
