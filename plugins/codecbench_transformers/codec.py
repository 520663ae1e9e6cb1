"""What the codecs from transformers do alike: whole frames in, codes split into streams, exact lengths out."""

from __future__ import annotations

import abc
from typing import Any

import torch

from codecbench import Batch, Codec, CodecSpec, Encoded, Tokens, TokenStream, Waveforms
from codecbench.audio.framing import blank_beyond, count_frames, fit_waveforms, pad_to_frames
from codecbench_transformers.loading import count_learned


class TransformersCodec(Codec):
    """A codec around a transformers model: one frame rate, codebooks in decoding order over its streams.

    The last, partial frame of an utterance is completed with zero samples.
    """

    def __init__(self, spec: CodecSpec, model: Any) -> None:
        assert spec.sample_rate_hz is not None
        self.spec = spec
        self.model = model
        self.sample_rate_hz = spec.sample_rate_hz
        self.frame_samples = round(spec.sample_rate_hz / spec.streams[0].frame_rate_hz)

    @abc.abstractmethod
    def codes_of(self, audio: torch.Tensor, num_frames: torch.Tensor) -> torch.Tensor:
        """Turn audio [B, 1, T] of whole frames, with ``num_frames`` true ones per row, into codes [B, K, F]."""

    @abc.abstractmethod
    def audio_of(self, codes: torch.Tensor, num_frames: torch.Tensor) -> torch.Tensor:
        """Turn codes [B, k, F] of the first k codebooks into audio [B, 1, T]."""

    @torch.no_grad()
    def encode(self, batch: Batch) -> Encoded:
        """Return the streams of the specification."""
        audio = pad_to_frames(batch.audio, self.frame_samples)
        num_frames = count_frames(batch.num_samples, self.frame_samples)
        if audio.shape[-1] == 0:
            codes = torch.zeros(len(batch), self.spec.num_codebooks, 0, dtype=torch.int64, device=audio.device)
        else:
            codes = blank_beyond(self.codes_of(audio, num_frames), num_frames)
        return Tokens(split_streams(self.spec, codes, num_frames), batch.num_samples)

    @torch.no_grad()
    def decode(self, encoded: Encoded, mode: str = "full") -> Waveforms:
        """Return audio from the first 1 to K codebooks."""
        assert isinstance(encoded, Tokens)
        codes = torch.cat([stream.codes for stream in encoded.streams], dim=1)
        if codes.shape[-1] == 0:
            audio = torch.zeros(len(codes), 1, 0, device=codes.device)
        else:
            audio = self.audio_of(codes, encoded.streams[0].num_frames)
        return fit_waveforms(audio, encoded.num_samples, self.sample_rate_hz)

    def num_parameters(self) -> int:
        """Return the learned values of the whole model, codebooks included."""
        return count_learned(self.model)


def split_streams(spec: CodecSpec, codes: torch.Tensor, num_frames: torch.Tensor) -> tuple[TokenStream, ...]:
    """Split codes [B, K, F] into the streams of ``spec``, all of one frame rate."""
    parts = codes.split([len(stream.codebook_sizes) for stream in spec.streams], dim=1)
    return tuple(
        TokenStream(stream.name, part, num_frames, stream.frame_rate_hz, stream.codebook_sizes)
        for stream, part in zip(spec.streams, parts, strict=True)
    )
