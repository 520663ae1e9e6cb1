"""Waveform coding one sample at a time: uniform PCM and G.711 mu-law, as single-codebook tokens."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch

from codecbench import Batch, Codec, CodecSpec, Encoded, Tokens, Waveforms, single_stream
from codecbench.audio.pcm import from_int16, require_finite, to_int16


class Quantizer(Protocol):
    """A memoryless quantiser of samples."""

    def quantize(self, audio: np.ndarray) -> np.ndarray:
        """Turn float [T] into codes int64 [T]."""

    def dequantize(self, codes: np.ndarray) -> np.ndarray:
        """Turn codes int64 [T] back into float32 [T]."""


class UniformQuantizer:
    """Mid-tread uniform quantiser of [-1, 1) with 2^bits levels, one of which is zero.

    A single bit has no useful mid-tread form (one of its two levels would be silence), so it is mid-rise.
    """

    def __init__(self, bits: int) -> None:
        self.half = 2 ** (bits - 1)
        self.offset = 0.5 if bits == 1 else 0.0

    def quantize(self, audio: np.ndarray) -> np.ndarray:
        """Round to the nearest level, clipping at the outermost ones."""
        require_finite(audio)
        levels = np.rint(audio.astype(np.float64) * self.half - self.offset)
        return np.clip(levels + self.half, 0, 2 * self.half - 1).astype(np.int64)

    def dequantize(self, codes: np.ndarray) -> np.ndarray:
        """Return the level of each code."""
        return ((codes - self.half + self.offset) / self.half).astype(np.float32)


class MuLaw:
    """G.711 mu-law: 8 logarithmic segments of 16 steps for each sign, on 14-bit magnitudes.

    Source: ITU-T G.711 (11/1988), table 2a; the transmitted bits are inverted, as the Recommendation says.
    """

    BIAS = 33
    CLIP = 8158

    def quantize(self, audio: np.ndarray) -> np.ndarray:
        """Return the transmitted byte of each sample."""
        linear = to_int16(audio).astype(np.int64)
        negative = linear < 0
        biased = np.minimum(np.abs(linear) >> 2, self.CLIP) + self.BIAS
        segment = np.floor(np.log2(biased)).astype(np.int64) - 5
        step = (biased >> (segment + 1)) & 0x0F
        return (negative * 0x80 | segment << 4 | step) ^ 0xFF

    def dequantize(self, codes: np.ndarray) -> np.ndarray:
        """Return the middle of each code's interval."""
        plain = codes ^ 0xFF
        segment, step = (plain >> 4) & 0x07, plain & 0x0F
        magnitude = ((2 * step + self.BIAS) << segment) - self.BIAS
        return from_int16(np.where(plain & 0x80, -magnitude, magnitude) * 4)


class SamplewiseCodec(Codec):
    """One token for each sample, from one codebook."""

    def __init__(self, spec: CodecSpec, quantizer: Quantizer) -> None:
        self.spec = spec
        self.quantizer = quantizer

    def encode(self, batch: Batch) -> Tokens:
        """Return codes [B, 1, T], zero beyond a row's true length."""
        stream = self.spec.streams[0]
        codes = torch.zeros(len(batch), 1, batch.audio.shape[-1], dtype=torch.int64)
        for index in range(len(batch)):
            row = self.quantizer.quantize(batch.row(index).cpu().numpy())
            codes[index, 0, : len(row)] = torch.from_numpy(row)
        return single_stream(
            codes,
            num_frames=batch.num_samples,
            num_samples=batch.num_samples,
            frame_rate_hz=stream.frame_rate_hz,
            codebook_sizes=stream.codebook_sizes,
        )

    def decode(self, encoded: Encoded, mode: str = "full") -> Waveforms:
        """Return the dequantised samples."""
        assert isinstance(encoded, Tokens)
        stream = encoded.streams[0]
        rows = [
            self.quantizer.dequantize(stream.codes[index, 0, : int(stream.num_frames[index])].cpu().numpy())
            for index in range(stream.codes.shape[0])
        ]
        assert self.spec.sample_rate_hz is not None
        return Waveforms.stack(rows, self.spec.sample_rate_hz)

    def num_parameters(self) -> int:
        """No parameters."""
        return 0
