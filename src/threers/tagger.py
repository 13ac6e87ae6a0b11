"""The tagger: the network, two further opinions, calibration and thresholds; one folder on disk. Layer 2."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from threers import tagger_files as files
from threers.attention import suit
from threers.backbones import WEIGHTS, keep_lower_layers, load_encoder, load_tokenizer
from threers.calibration import FILE as CALIBRATION
from threers.calibration import Calibration
from threers.chunks import Chunker, SessionTokens
from threers.codebook import Codebook
from threers.decisions import Decisions, probabilities, tag
from threers.encode import Reading, encode
from threers.errors import InputError
from threers.hardware import Hardware
from threers.lexicon import Lexicon
from threers.lowered import lower
from threers.mapping import from_mapping
from threers.network import SpanTagger, check_fit
from threers.pretrained import Pretrained
from threers.ratings import Ratings
from threers.scores import write_json
from threers.settings import Backbone
from threers.stored import read_json

logger = logging.getLogger(__name__)


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
    pretrained: Pretrained | None = None
    pretrained_share: float = 0.0
    """How much each opinion's logits count, 0 to 1; the encoder's count for the rest."""
    calibration: Calibration | None = None
    """How taggers trained as this one err on patients they never saw."""
    ratings: Ratings | None = None
    """How it rates sessions and segments, where it learnt that."""
    hash: str = ""
    """SHA-256 over all that the scores of a loaded tagger depend on, see `tagger_files.digest`."""

    @classmethod
    def start(cls, folder: Path, backbone: Backbone, codebook: Codebook, dropout: float) -> Tagger:
        """A tagger with a pretrained backbone and untrained heads."""
        encoder, tokenizer = load_encoder(folder)
        keep_lower_layers(encoder, backbone.layers)
        check_fit(encoder.config, tokenizer, backbone)
        model = SpanTagger(encoder, len(codebook.tag_codes()), lookahead=backbone.lookahead, dropout=dropout)
        if backbone.read_twice and not model.is_decoder:
            raise InputError(
                f"backbone {backbone.name}: backbone.read_twice=true is for decoders; {encoder.config.model_type} sees "
                "what comes later anyway; set backbone.read_twice=false"
            )
        if model.is_decoder and not backbone.read_twice and backbone.lookahead:
            logger.info(
                "backbone %s reads the past only, as with backbone.lookahead=false; backbone.read_twice=true would let "
                "it see later utterances, for twice the tokens",
                backbone.name,
            )
            # What the encoder cannot see, nothing else of the tagger looks at, nor does the choice of chunks.
            backbone = replace(backbone, lookahead=False)
            model.lookahead = False
        return cls(model, tokenizer, codebook, backbone, Decisions.neutral(codebook), {})

    @property
    def keeps_tags(self) -> bool:
        """Did its tags stay the same in bfloat16 when that was checked?"""
        return bool(self.manifest.get("precision_check", {}).get("kept"))

    def lower(self, hardware: Hardware) -> None:
        """Keep the encoders' weights in the precision of `hardware`, for scoring only; see `lowered.lower`."""
        lower(self.model.encoder, hardware)
        if self.pretrained is not None:
            lower(self.pretrained.encoder, hardware)

    @property
    def chunker(self) -> Chunker:
        """Cuts sessions as this tagger reads them."""
        before, after = special_tokens(self.tokenizer)
        return Chunker(
            chunk_tokens=self.backbone.chunk_tokens,
            overlap_tokens=self.backbone.overlap_tokens,
            lookahead=self.backbone.lookahead,
            before=before,
            after=after,
            read_twice=self.backbone.read_twice,
        )

    def reading(self, hardware: Hardware, batch_tokens: int = 0) -> Reading:
        """How this tagger reads sessions; 0: as many tokens at once as suit the device."""
        return Reading(self.chunker, self.tokenizer.pad_token_id, hardware, batch_tokens or hardware.batch_tokens)

    def logits(self, sessions: Sequence[SessionTokens], hardware: Hardware, batch_tokens: int = 0) -> LogitsReport:
        """Logits of every utterance of `sessions`, in their order: the weighted mean of what the encoder says, from the
        chunk where an utterance stands most central, and the lexicon and the pretrained backbone.

        `batch_tokens` bounds a forward pass, padding counted; 0: what suits the device.
        """
        reading = self.reading(hardware, batch_tokens)
        chunks = [
            chunk for number, session in enumerate(sessions) for chunk in reading.chunker.for_scoring(session, number)
        ]
        self.model.eval().to(hardware.device)
        for own in (self.model, self.pretrained):
            if own is not None:
                suit(own.encoder, hardware)
        encoded = encode(self.model.pool, chunks, sessions, reading)
        with torch.inference_mode():
            logits = self.model.classify(encoded.vectors.to(self.model.head.weight.device)).cpu().numpy()
        logits *= 1 - self.lexical_share - self.pretrained_share
        tokens, padded, vectors = encoded.tokens, encoded.padded_tokens, None
        if self.lexicon is not None:
            words = [own for session in sessions for own in session.utterances]
            logits += self.lexical_share * self.lexicon.logits(words)
        if self.pretrained is not None:
            encoded = self.pretrained.encode(sessions, reading)
            logits += self.pretrained_share * self.pretrained.logits(encoded, sessions)
            tokens, padded = tokens + encoded.tokens, padded + encoded.padded_tokens
            vectors = self.pretrained.vectors(encoded) if self.ratings is not None else None
        return LogitsReport(logits, tokens, padded, vectors)

    def tags(self, logits: np.ndarray, roles: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities float32 and tags bool, both (n, n_codes), of utterances with these logits and roles."""
        legal = self.codebook.legal_mask(roles)
        p = probabilities(logits, legal, self.codebook, self.decisions)
        return p, tag(p, self.codebook, self.decisions)

    def save(self, folder: Path) -> None:
        """Write config.json, model.safetensors, tokenizer, codebook.yaml, decisions.json and manifest.json."""
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        self.model.encoder.config.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        state = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in self.model.state_dict().items()}
        save_file(state, str(folder / WEIGHTS), metadata={"format": "pt"})
        if self.lexicon is not None:
            self.lexicon.save(folder / files.LEXICON)
        if self.pretrained is not None:
            self.pretrained.save(folder / files.PRETRAINED)
        if self.calibration is not None:
            self.calibration.save(folder / CALIBRATION)
        if self.ratings is not None:
            self.ratings.save(folder / files.RATINGS)
        self.codebook.save(folder / "codebook.yaml")
        write_json(self.decisions.to_dict(), folder / "decisions.json")
        manifest = self.manifest | {
            "codebook": self.codebook.name,
            "codebook_sha256": self.codebook.hash,
            "lexical_share": self.lexical_share,
            "pretrained_share": self.pretrained_share,
            "files": files.hashes(folder),
            "chunks": {
                "backbone": self.backbone.name,
                "chunk_tokens": self.backbone.chunk_tokens,
                "overlap_tokens": self.backbone.overlap_tokens,
                "lookahead": self.backbone.lookahead,
                "read_twice": self.backbone.read_twice,
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
        codebook, manifest = files.codebook_and_manifest(folder)
        chunks = manifest["chunks"]
        backbone = from_mapping(
            Backbone,
            {"name": chunks.get("backbone"), "source": "folder", "path": str(folder)}
            | {key: chunks.get(key) for key in ("chunk_tokens", "overlap_tokens", "lookahead")}
            | {"read_twice": chunks.get("read_twice", False)},  # which older versions did not write
            lambda key: f"tagger {folder}: manifest.json: {key}",
        )
        model = files.load_model(folder, len(codebook.tag_codes()), backbone.lookahead)
        decisions = Decisions.from_dict(
            read_json(folder / "decisions.json", files.RESTORE), codebook, str(folder / "decisions.json")
        )
        shares = {
            files.LEXICON: float(manifest["lexical_share"]),
            files.PRETRAINED: float(manifest["pretrained_share"]),
        }
        opinions = [name for name, share in shares.items() if share]
        for name in opinions:
            files.require(folder, name)
        further = [name for name in (CALIBRATION, files.RATINGS) if (folder / name).is_file()]
        pretrained = files.load_pretrained(folder, backbone.lookahead) if files.PRETRAINED in opinions else None
        return cls(
            model,
            load_tokenizer(folder),
            codebook,
            backbone,
            decisions,
            manifest,
            lexicon=files.load_lexicon(folder) if files.LEXICON in opinions else None,
            lexical_share=shares[files.LEXICON],
            pretrained=pretrained,
            pretrained_share=shares[files.PRETRAINED],
            calibration=Calibration.load(folder / CALIBRATION, codebook) if CALIBRATION in further else None,
            ratings=files.load_ratings(folder, codebook, pretrained) if files.RATINGS in further else None,
            hash=files.digest(folder, [*opinions, *further], [chunks, list(shares.values())]),
        )


@dataclass(frozen=True)
class LogitsReport:
    """`logits` float32 (n_utterances, n_codes); tokens read, and positions computed with padding counted; of a tagger
    that rates, what the untrained backbone makes of each utterance, see `Pretrained.vectors`.
    """

    logits: np.ndarray
    tokens: int
    padded_tokens: int
    vectors: np.ndarray | None = None


def special_tokens(tokenizer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Special tokens that the tokenizer puts before and after a text."""
    inner = tokenizer("a", add_special_tokens=False)["input_ids"]
    whole = tokenizer("a")["input_ids"]
    for start in range(len(whole) - len(inner) + 1):
        if whole[start : start + len(inner)] == inner:
            return tuple(whole[:start]), tuple(whole[start + len(inner) :])
    return (), ()
