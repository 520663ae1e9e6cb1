"""Sizes of the SpeechTokenizer-style models, readable without torch."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod


@dataclass(frozen=True)
class Size:
    """One model.

    filters: channels after the first convolution, doubled at every stride. latent: channels at the token rate, also
    the width of the codes. lstm_layers: of a bidirectional LSTM in the encoder and a unidirectional one's mirror in
    the decoder. distillation_head_dim: width of the teacher that the first codebook is projected to in training.
    """

    strides: tuple[int, ...]
    filters: int
    latent: int
    lstm_layers: int
    codebooks: int
    codebook_size: int
    distillation_head_dim: int = 512
    sample_rate_hz: int = 16_000

    @property
    def hop_samples(self) -> int:
        """Samples per token frame."""
        return prod(self.strides)

    @property
    def frame_rate_hz(self) -> float:
        """Token frames per second."""
        return self.sample_rate_hz / self.hop_samples


#: ``25hz`` is the published SpeechTokenizer configuration (64 filters, latent 1024, 2 LSTM layers, 8 x 1024) with its
#: last stride doubled from 2 to 4, as a baseline at LM-SPT's rate needs; ``mini-25hz`` and ``tiny`` are ours.
SIZES = {
    "25hz": Size((8, 5, 4, 4), 64, 1024, 2, 8, 1024, distillation_head_dim=768),
    "mini-25hz": Size((8, 5, 4, 4), 16, 256, 2, 8, 1024),
    "tiny": Size((8, 5, 4, 4), 4, 32, 1, 4, 32, distillation_head_dim=32),
}
