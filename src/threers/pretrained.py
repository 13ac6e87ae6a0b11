"""What the backbone already knew of an utterance before training: a linear third opinion beside the encoder. Layer 2.

Fine-tuning on a few patients bends the whole backbone towards them. Its untouched lower layers, read by a linear model
only, err elsewhere, and in the middle of a backbone there is more about what a sentence does than at its end, which
is bent to its pre-training task (Tenney et al. 2019, "BERT rediscovers the classical NLP pipeline").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from threers.backbones import keep_lower_layers, layers_of
from threers.chunks import SessionTokens
from threers.codebook import Codebook
from threers.encode import Encoded, Reading, encode, piece_means
from threers.linear import fit_linear
from threers.targets import Targets

#: Share of the backbone's layers that are kept, unless its settings say how many.
DEPTH = 2 / 3
#: How far back another utterance lies (negative: ahead) -> the weight of its vector, with a place of its own.
NEIGHBOURS = {1: 0.7, 2: 0.5, -1: 0.5}
#: Utterances farther back, every other one summed: mostly those of the other speaker, and mostly the speaker's own.
FARTHER = ((3, 5, 7, 9), (4, 6, 8, 10))
FARTHER_WEIGHT = 0.15
#: Inverse strength of the ridge penalty.
STRENGTH = 0.3
#: Prefix of the encoder's tensors in the file.
ENCODER = "encoder."


@dataclass
class Pretrained:
    """Linear logits from mean token vectors of the two uppermost of the lower layers of an untrained backbone.

    Each utterance is read by itself. Its vectors are brought to unit length, centred, brought to unit length again, and
    stand beside those of its neighbours (of the upper layer) and the logarithm of its length.
    """

    encoder: Any
    """The lower layers, in eval mode."""
    lookahead: bool
    center: np.ndarray
    """Mean unit vectors of the training utterances, float32 (2 * width,): upper layer, then lower."""
    weights: np.ndarray
    """float32 (n_features, n_codes)."""
    intercept: np.ndarray
    """float32 (n_codes,)."""

    @classmethod
    def fit(
        cls,
        encoder: Any,
        layers: int,
        sessions: Sequence[SessionTokens],
        targets: Targets,
        weight: np.ndarray,
        codebook: Codebook,
        reading: Reading,
    ) -> tuple[Pretrained, np.ndarray]:
        """Fit by `linear.fit_linear` on a backbone that nothing has trained; `encoder` is changed and kept.

        Args:
            encoder: the whole backbone.
            layers: how many of its layers are kept; the two uppermost of them are read. 0: two thirds.
            sessions: what to learn from.
            targets: of each utterance.
            weight: of each coding, (n_utterances, n_codes); 0 = not coded.
            codebook: the codes.
            reading: how the sessions are read.

        Returns:
            The opinion, and its logits of `sessions`, float32 (n_utterances, n_codes).

        """
        own = cls.start(encoder, layers, lookahead=reading.chunker.lookahead)
        encoded = own.encode(sessions, reading)
        return own, own.learn(encoded, sessions, targets, weight, codebook)

    @classmethod
    def start(cls, encoder: Any, layers: int, *, lookahead: bool) -> Pretrained:
        """An opinion that has learnt nothing yet; arguments as of `fit`."""
        if not layers and layers_of(encoder) is not None:
            layers = max(1, round(encoder.config.num_hidden_layers * DEPTH))
        keep_lower_layers(encoder, layers)
        for parameter in encoder.parameters():
            # As they will be saved, so that a tagger says the same before and after.
            parameter.data = parameter.data.half().float()
        blank = np.zeros(0, np.float32)
        return cls(encoder.eval(), lookahead, blank, blank, blank)

    def learn(
        self,
        encoded: Encoded,
        sessions: Sequence[SessionTokens],
        targets: Targets,
        weight: np.ndarray,
        codebook: Codebook,
    ) -> np.ndarray:
        """Fit centre, weights and intercept to what `encode` gave for `sessions`; returns the logits of these."""
        self.center = _unit_halves(encoded.vectors.numpy()).mean(axis=0)
        x = np.concatenate(list(self._features(encoded, sessions)))
        self.weights, self.intercept = fit_linear(x, targets, weight, codebook, STRENGTH)
        return x @ self.weights + self.intercept

    def encode(self, sessions: Sequence[SessionTokens], reading: Reading) -> Encoded:
        """Mean token vectors of every utterance, each read by itself: (n_utterances, 2 * width)."""
        self.encoder.to(reading.hardware.device)
        chunks = [chunk for number, session in enumerate(sessions) for chunk in reading.chunker.alone(session, number)]
        return encode(self._pool, chunks, sessions, reading)

    def logits(self, encoded: Encoded, sessions: Sequence[SessionTokens]) -> np.ndarray:
        """Logits float32 (n_utterances, n_codes), from what `encode` gave for the same sessions."""
        return np.concatenate([x @ self.weights + self.intercept for x in self._features(encoded, sessions)])

    def vectors(self, encoded: Encoded) -> np.ndarray:
        """What `encode` gave, at unit length, centred, and at unit length again; float32 (n_utterances, 2 * width)."""
        return _unit_halves(_unit_halves(encoded.vectors.numpy()) - self.center)

    def save(self, path: Path) -> None:
        """Write as safetensors, the encoder in half precision."""
        state = {ENCODER + name: _half(tensor) for name, tensor in self.encoder.state_dict().items()}
        linear = {"center": self.center, "weights": self.weights, "intercept": self.intercept}
        tensors = state | {name: torch.from_numpy(array) for name, array in linear.items()}
        save_file(tensors, str(path), metadata={"layers": str(self.encoder.config.num_hidden_layers)})

    @classmethod
    def load(cls, path: Path, encoder: Any, *, lookahead: bool) -> Pretrained:
        """Read what `save` wrote into a backbone of the same configuration."""
        with safe_open(str(path), "pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}
            layers = int((file.metadata() or {})["layers"])  # which older versions did not write
        linear = [state.pop(name).numpy() for name in ("center", "weights", "intercept")]
        keep_lower_layers(encoder, layers)
        encoder.load_state_dict({name.removeprefix(ENCODER): tensor for name, tensor in state.items()})
        return cls(encoder.eval(), lookahead, *linear)

    def _pool(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        inside: torch.Tensor,
        firsts: torch.Tensor,
        **_: Any,
    ) -> torch.Tensor:
        found = self.encoder(input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=True)
        layers = found.last_hidden_state, found.hidden_states[-2]
        return torch.cat([piece_means(layer.float(), inside, firsts)[0] for layer in layers], dim=1)

    def _features(self, encoded: Encoded, sessions: Sequence[SessionTokens]) -> Iterator[np.ndarray]:
        """Features (n_utterances, n_features) of one session after the other."""
        vectors = self.vectors(encoded)
        upper = vectors.shape[1] // 2
        start = 0
        for session in sessions:
            own = vectors[start : start + len(session.utterances)]
            start += len(own)
            length = np.log1p([len(tokens) for tokens in session.utterances])[:, None] / 3
            above = own[:, :upper]
            near = [weight * _back(above, by) for by, weight in NEIGHBOURS.items() if by > 0 or self.lookahead]
            far = [FARTHER_WEIGHT * sum(_back(above, by) for by in distances) for distances in FARTHER]
            yield np.hstack([own, length, *near, *far]).astype(np.float32)


def _half(tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.detach().cpu().contiguous().clone()
    return tensor.half() if tensor.is_floating_point() else tensor


def _unit_halves(vectors: np.ndarray) -> np.ndarray:
    """Each half of every row at unit length."""
    halves = vectors.reshape(len(vectors), 2, -1)
    return (halves / np.maximum(np.linalg.norm(halves, axis=2, keepdims=True), 1e-9)).reshape(vectors.shape)


def _back(vectors: np.ndarray, by: int) -> np.ndarray:
    """The vector `by` utterances back (negative: ahead); zeros outside the session."""
    moved = np.zeros_like(vectors)
    if by > 0:
        moved[by:] = vectors[:-by]
    else:
        moved[:by] = vectors[-by:]
    return moved
