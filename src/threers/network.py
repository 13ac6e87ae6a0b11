"""The network: a backbone, pooling over each piece's own tokens, one head per code. Layer 2.

A backbone is an encoder, whose tokens see each other, or a decoder, whose tokens see those before them only. An encoder
learns to say at an utterance's role marker what it is; a decoder has not read the utterance there, and says it at its
last token.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from threers import attention
from threers.encode import piece_means
from threers.errors import InputError
from threers.settings import Backbone

#: DeBERTa of the first version: its code in transformers fails in bfloat16.
NO_BFLOAT16 = "deberta"
#: Encoders that take one mask entry per token only, so that the future cannot be hidden from them.
NO_PAIR_MASK = ("deberta-v2",)


class SpanTagger(nn.Module):
    """Encoder, pooling over each piece's own tokens, a linear head with one logit per code of `tag_codes()`."""

    encoder: Any
    """Whatever AutoModel loaded."""

    def __init__(self, encoder: Any, n_codes: int, *, lookahead: bool, dropout: float = 0.1) -> None:
        super().__init__()
        self.encoder = encoder
        self.lookahead = lookahead
        self.is_decoder = reads_past_only(encoder)
        width = encoder.config.hidden_size
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(2 * width)
        self.head = nn.Linear(2 * width, n_codes)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def pool(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        owner: torch.Tensor,
        inside: torch.Tensor,
        firsts: torch.Tensor,
    ) -> torch.Tensor:
        """Vectors (n_pieces, 2 * width): the mean over a piece's tokens, and the first token of its role marker (of a
        decoder: the piece's last token).

        Args:
            input_ids: (batch, length).
            attention_mask: (batch, length), 0 on padding.
            owner: (batch, length), which piece a token belongs to, 0 to n_pieces - 1 in reading order; -1 for none.
            inside: as for `encode.piece_means`.
            firsts: as for `encode.piece_means`.

        """
        hides = not self.lookahead and not self.is_decoder
        mask = self._past_only(attention_mask, owner) if hides else attention_mask
        hidden = self.encoder(input_ids=input_ids, attention_mask=mask).last_hidden_state.float()
        mean, told = piece_means(hidden, inside, firsts)
        if self.is_decoder:
            ends = torch.cat([firsts[1:], firsts.new_tensor([len(inside)])])
            told = hidden.reshape(-1, hidden.shape[-1])[inside[ends - 1]]
        return torch.cat([mean, told], dim=1)

    def classify(self, vectors: torch.Tensor) -> torch.Tensor:
        """Logits (n, n_codes) from pooled vectors (n, 2 * width)."""
        return self.head(self.dropout(self.norm(vectors)))

    def _past_only(self, attention_mask: torch.Tensor, owner: torch.Tensor) -> torch.Tensor:
        """A mask per pair of tokens: a token sees its own piece and earlier ones of its row, and the opening token."""
        length = owner.shape[1]
        place = torch.arange(length, device=owner.device).expand_as(owner)
        # The opening token must see nothing but itself: what it saw, every other token would see through it.
        order = torch.where(owner >= 0, owner, torch.where(place == 0, -1, owner.max() + 1))
        seen = (order[:, None, :] <= order[:, :, None]) & attention_mask[:, None, :].bool()
        seen |= torch.eye(length, dtype=torch.bool, device=owner.device)
        if self.encoder.config._attn_implementation in ("sdpa", attention.NAME):
            return seen[:, None]
        # Encoders with attention code of their own add the mask to the scores.
        return torch.where(seen[:, None], 0.0, torch.finfo(torch.float32).min)


def reads_past_only(encoder: Any) -> bool:
    """Is it a decoder: does the first token stay the same whatever follows? Tried out: no list of names is whole."""
    training = encoder.training
    words = encoder.get_input_embeddings().num_embeddings
    ids = torch.tensor([[words // 2, words // 3], [words // 2, words // 4]], device=encoder.device)
    with torch.no_grad():
        one, other = encoder.eval()(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state[:, 0].float()
    encoder.train(training)
    return bool(torch.allclose(one, other, rtol=0, atol=1e-6))


def check_fit(config: Any, tokenizer: Any, backbone: Backbone) -> None:
    """Raise InputError when the backbone cannot be used as it is set: padding, look-ahead, longest chunk."""
    if getattr(config, "is_encoder_decoder", False):
        raise InputError(
            f"backbone {backbone.name}: {config.model_type} reads with one half and writes with the other; expected an "
            "encoder (such as BERT) or a decoder (such as Qwen)"
        )
    if config.model_type == NO_BFLOAT16:
        raise InputError(
            f"backbone {backbone.name}: it is DeBERTa of the first version, which cannot be read in bfloat16; take "
            "DeBERTa v2 or v3, or another backbone"
        )
    if tokenizer.pad_token_id is None:
        raise InputError(
            f"backbone {backbone.name}: its tokenizer has no padding token and none for the end of a text; name one in "
            "tokenizer_config.json"
        )
    if not backbone.lookahead and config.model_type in NO_PAIR_MASK:
        raise InputError(
            f"backbone {backbone.name}: {config.model_type} cannot hide later utterances; "
            "set backbone.lookahead=true, or take another backbone"
        )
    longest = getattr(config, "max_position_embeddings", None)
    if config.model_type in ("roberta", "xlm-roberta", "camembert", "mpnet") and longest:
        longest -= 2  # these count positions from 2 on
    if longest and backbone.chunk_tokens > longest:
        raise InputError(
            f"backbone {backbone.name}: chunk_tokens is {backbone.chunk_tokens}, but it reads at most {longest} "
            f"tokens; set backbone.chunk_tokens={longest} or less"
        )
