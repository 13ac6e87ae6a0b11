"""The tagger: a backbone, span pooling, one head per code, calibration and thresholds; one folder on disk. Layer 2."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from threers.backbones import WEIGHTS, load_encoder, load_tokenizer
from threers.chunks import Chunk, Chunker, SessionTokens
from threers.codebook import Codebook
from threers.decisions import Decisions, probabilities, tag
from threers.errors import InputError
from threers.hardware import Hardware
from threers.lexicon import Lexicon
from threers.scores import read_json, write_json
from threers.settings import Backbone

LEXICON = "lexicon.safetensors"
#: Encoders that take one mask entry per token only, so that the future cannot be hidden from them.
NO_PAIR_MASK = ("deberta", "deberta-v2")


class SpanTagger(nn.Module):
    """Encoder, pooling over each piece's own tokens, a linear head with one logit per code of `tag_codes()`."""

    encoder: Any
    """Whatever AutoModel loaded."""

    def __init__(self, encoder: Any, n_codes: int, *, lookahead: bool, dropout: float = 0.1) -> None:
        super().__init__()
        self.encoder = encoder
        self.lookahead = lookahead
        width = encoder.config.hidden_size
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(2 * width)
        self.head = nn.Linear(2 * width, n_codes)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def pool(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, owner: torch.Tensor, n: int) -> torch.Tensor:
        """Vectors (n, 2 * width) of the pieces: the mean over a piece's tokens, and the first token of its role marker.

        Args:
            input_ids: (batch, length).
            attention_mask: (batch, length), 0 on padding.
            owner: (batch, length), which piece a token belongs to, 0 to n - 1 in reading order; -1 for none.
            n: pieces in the batch.

        """
        mask = attention_mask if self.lookahead else self._past_only(attention_mask, owner)
        hidden = self.encoder(input_ids=input_ids, attention_mask=mask).last_hidden_state.float()
        flat, hidden = owner.reshape(-1), hidden.reshape(-1, hidden.shape[-1])
        inside = flat >= 0
        flat, hidden = flat[inside], hidden[inside]
        count = torch.bincount(flat, minlength=n).clamp(min=1)
        mean = torch.zeros(n, hidden.shape[-1], device=hidden.device).index_add_(0, flat, hidden) / count[:, None]
        first = torch.searchsorted(flat, torch.arange(n, device=flat.device))
        return torch.cat([mean, hidden[first]], dim=1)

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
        if self.encoder.config._attn_implementation == "sdpa":
            return seen[:, None]
        # Encoders with attention code of their own add the mask to the scores.
        return torch.where(seen[:, None], 0.0, torch.finfo(torch.float32).min)


def collate(chunks: Sequence[Chunk], pad_id: int) -> tuple[dict[str, torch.Tensor], np.ndarray]:
    """Pad chunks into one batch.

    Returns the keyword arguments of `SpanTagger.pool` (without n), and int64 (n_pieces, 3): session, utterance and
    weight of each piece in the order of `owner`; the weight is its number of tokens, or 0 where it does not
    count.
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


@dataclass
class Tagger:
    """A trained tagger with everything that scoring needs."""

    model: SpanTagger
    tokenizer: Any
    codebook: Codebook
    backbone: Backbone
    decisions: Decisions
    manifest: dict[str, Any]
    lexicon: Lexicon | None = None
    lexical_share: float = 0.0
    """How much the lexicon's logits count beside the encoder's, 0 to 1."""
    hash: str = ""
    """SHA-256 over the weights, codebook and decisions of a loaded tagger."""

    @classmethod
    def start(cls, folder: Path, backbone: Backbone, codebook: Codebook, dropout: float) -> Tagger:
        """A tagger with a pretrained backbone and untrained heads."""
        encoder, tokenizer = load_encoder(folder)
        _check_fit(encoder.config, tokenizer, backbone)
        model = SpanTagger(encoder, len(codebook.tag_codes()), lookahead=backbone.lookahead, dropout=dropout)
        return cls(model, tokenizer, codebook, backbone, Decisions.neutral(codebook), {})

    @property
    def chunker(self) -> Chunker:
        """Cuts sessions as this tagger reads them."""
        before, after = _special_tokens(self.tokenizer)
        return Chunker(
            chunk_tokens=self.backbone.chunk_tokens,
            overlap_tokens=self.backbone.overlap_tokens,
            lookahead=self.backbone.lookahead,
            before=before,
            after=after,
        )

    def logits(self, sessions: Sequence[SessionTokens], hardware: Hardware, batch_tokens: int) -> LogitsReport:
        """Logits of every utterance of `sessions`, in their order, each from the chunk where it stands most central.

        `batch_tokens` bounds a forward pass, padding counted. An utterance in several pieces is the mean of their
        vectors, weighted by their tokens.
        """
        chunker = self.chunker
        chunks = [chunk for number, session in enumerate(sessions) for chunk in chunker.for_scoring(session, number)]
        chunks.sort(key=lambda chunk: len(chunk.tokens), reverse=True)
        starts = np.concatenate([[0], np.cumsum([len(session.utterances) for session in sessions])]).astype(int)
        vectors = torch.zeros(int(starts[-1]), 2 * self.model.encoder.config.hidden_size)
        sizes = torch.zeros(len(vectors))
        read = padded = 0
        self.model.eval().to(hardware.device)
        with torch.inference_mode(), hardware.autocast:
            for batch in _batches(chunks, batch_tokens):
                tensors, pieces = collate(batch, self.tokenizer.pad_token_id)
                pooled = self.model.pool(**{k: v.to(hardware.device) for k, v in tensors.items()}, n=len(pieces)).cpu()
                home = torch.from_numpy(starts[pieces[:, 0]] + pieces[:, 1])
                weight = torch.from_numpy(pieces[:, 2]).float()
                vectors.index_add_(0, home, pooled * weight[:, None])
                sizes.index_add_(0, home, weight)
                read += int(tensors["attention_mask"].sum())
                padded += tensors["attention_mask"].numel()
        with torch.inference_mode():
            device = self.model.head.weight.device
            logits = self.model.classify((vectors / sizes[:, None]).to(device)).cpu().numpy()
        if self.lexicon is not None:
            words = self.lexicon.logits([tokens for session in sessions for tokens in session.utterances])
            logits = (1 - self.lexical_share) * logits + self.lexical_share * words
        return LogitsReport(logits, read, padded)

    def tags(self, logits: np.ndarray, roles: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities float32 and tags bool, both (n, n_codes), of utterances with these logits and roles."""
        legal = self.codebook.legal_mask(roles)
        p = probabilities(logits, legal, self.codebook, self.decisions)
        return p, tag(p, self.codebook, self.decisions)

    def save(self, folder: Path) -> None:
        """Write config.json, model.safetensors, tokenizer, codebook.yaml, decisions.json and manifest.json."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        self.model.encoder.config.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        state = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in self.model.state_dict().items()}
        save_file(state, str(folder / WEIGHTS), metadata={"format": "pt"})
        if self.lexicon is not None:
            self.lexicon.save(folder / LEXICON)
        self.codebook.save(folder / "codebook.yaml")
        write_json(self.decisions.to_dict(), folder / "decisions.json")
        manifest = self.manifest | {
            "codebook": self.codebook.name,
            "codebook_sha256": self.codebook.hash,
            "lexical_share": self.lexical_share if self.lexicon is not None else 0.0,
            "chunks": {
                "backbone": self.backbone.name,
                "chunk_tokens": self.backbone.chunk_tokens,
                "overlap_tokens": self.backbone.overlap_tokens,
                "lookahead": self.backbone.lookahead,
            },
        }
        write_json(manifest, folder / "manifest.json")

    @classmethod
    def load(cls, folder: str | Path) -> Tagger:
        """Load a tagger folder.

        Raises:
            InputError: something is missing, damaged or does not belong together; names the file.

        """
        folder = Path(folder).expanduser()
        for needed in ("config.json", WEIGHTS, "codebook.yaml", "decisions.json", "manifest.json"):
            if not (folder / needed).is_file():
                raise InputError(f"tagger {folder}: {needed} is missing; expected a folder that `threers train` wrote")
        codebook = Codebook.load(folder / "codebook.yaml")
        manifest = read_json(folder / "manifest.json")
        if manifest.get("codebook_sha256") != codebook.hash:
            raise InputError(f"tagger {folder}: codebook.yaml is not the one it was trained with; restore the folder")
        if not {"chunks", "lexical_share"} <= manifest.keys():
            raise InputError(f"tagger {folder}: manifest.json lacks chunks or lexical_share; restore the folder")
        chunks = manifest["chunks"]
        backbone = Backbone(
            name=chunks["backbone"],
            source="folder",
            path=str(folder),
            chunk_tokens=chunks["chunk_tokens"],
            overlap_tokens=chunks["overlap_tokens"],
            lookahead=chunks["lookahead"],
        )
        model = _load_model(folder, len(codebook.tag_codes()), backbone.lookahead)
        decisions = Decisions.from_dict(read_json(folder / "decisions.json"), codebook, str(folder / "decisions.json"))
        share = float(manifest["lexical_share"])
        files = [WEIGHTS, "codebook.yaml", "decisions.json", *([LEXICON] if share else [])]
        if share and not (folder / LEXICON).is_file():
            raise InputError(f"tagger {folder}: {LEXICON} is missing; restore the folder")
        digest = hashlib.sha256()
        for name in files:
            digest.update((folder / name).read_bytes())
        digest.update(json.dumps([chunks, share]).encode())
        return cls(
            model,
            load_tokenizer(folder),
            codebook,
            backbone,
            decisions,
            manifest,
            lexicon=_load_lexicon(folder) if share else None,
            lexical_share=share,
            hash=digest.hexdigest(),
        )


@dataclass(frozen=True)
class LogitsReport:
    """`logits` float32 (n_utterances, n_codes); tokens read, and positions computed with padding counted."""

    logits: np.ndarray
    tokens: int
    padded_tokens: int


def _batches(chunks: Sequence[Chunk], batch_tokens: int) -> Iterator[list[Chunk]]:
    """Group chunks that are sorted from long to short into batches of at most `batch_tokens`, padding counted."""
    start = 0
    while start < len(chunks):
        rows = max(1, batch_tokens // len(chunks[start].tokens))
        yield list(chunks[start : start + rows])
        start += rows


def _load_model(folder: Path, n_codes: int, lookahead: bool) -> SpanTagger:
    from safetensors import SafetensorError
    from safetensors.torch import load_file
    from transformers import AutoConfig, AutoModel

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        model = SpanTagger(AutoModel.from_config(config), n_codes, lookahead=lookahead)
        model.load_state_dict(load_file(str(folder / WEIGHTS)))
    except (OSError, ImportError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        line = (str(error).strip().splitlines() or [""])[0][:200]
        raise InputError(f"tagger {folder}: {WEIGHTS} does not fit config.json and codebook.yaml: {line}") from error
    return model.eval()


def _load_lexicon(folder: Path) -> Lexicon:
    from safetensors import SafetensorError

    try:
        return Lexicon.load(folder / LEXICON)
    except (OSError, TypeError, SafetensorError) as error:
        raise InputError(f"tagger {folder}: {LEXICON} is damaged; restore the folder") from error


def _special_tokens(tokenizer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Special tokens that the tokenizer puts before and after a text."""
    inner = tokenizer("a", add_special_tokens=False)["input_ids"]
    whole = tokenizer("a")["input_ids"]
    for start in range(len(whole) - len(inner) + 1):
        if whole[start : start + len(inner)] == inner:
            return tuple(whole[:start]), tuple(whole[start + len(inner) :])
    return (), ()


def _check_fit(config: Any, tokenizer: Any, backbone: Backbone) -> None:
    if tokenizer.pad_token_id is None:
        raise InputError(
            f"backbone {backbone.name}: its tokenizer has no padding token; name one in tokenizer_config.json"
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
