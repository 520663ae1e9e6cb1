"""Mimi by transformers' MimiModel."""

from __future__ import annotations

from pathlib import Path

import torch
from codecbench_transformers.loading import check_config, count_learned, load_model
from transformers import MimiModel

from codecbench import Batch, Codec, CodecSpec, Encoded, Tokens, TokenStream, Unavailable, Waveforms
from codecbench.audio.framing import blank_beyond, count_frames, fit_waveforms, pad_to_frames
from codecbench_mimi import CODEBOOK_SIZE, FRAME_RATE_HZ, FRAME_SAMPLES, SAMPLE_RATE_HZ

_EXPECTED = {
    "sampling_rate": SAMPLE_RATE_HZ,
    "frame_size": FRAME_SAMPLES,
    "codebook_size": CODEBOOK_SIZE,
    "num_semantic_quantizers": 1,
    "use_causal_conv": True,
}


def load_mimi(spec: CodecSpec, folder: Path, device: str) -> MimiCodec:
    """Load the checkpoint in ``folder``; raises Unavailable where it is not what ``spec`` declares."""
    model = load_model(MimiModel, folder, device)
    check_config(model.config, _EXPECTED, folder)
    if model.config.num_quantizers < spec.num_codebooks:
        raise Unavailable(
            f"the checkpoint in {folder} has {model.config.num_quantizers} codebooks, "
            f"'{spec.full_name}' needs {spec.num_codebooks}"
        )
    return MimiCodec(spec, model)


class MimiCodec(Codec):
    """Mimi with the codebooks of ``spec``, as a semantic and an acoustic stream.

    The last frame is completed with zero samples, as Kyutai's own implementation does. (transformers, given a
    partial frame, pads after every layer instead, which changes that one frame.) Every layer is causal, so zeros
    to the right of a row change none of its codes and rows of any lengths share a batch.
    """

    def __init__(self, spec: CodecSpec, model: MimiModel) -> None:
        self.spec = spec
        self.model = model

    @torch.no_grad()
    def encode(self, batch: Batch) -> Encoded:
        """Return codes [B, 1, F] and [B, K-1, F], F the frames of 1920 samples that cover the longest row."""
        audio = pad_to_frames(batch.audio, FRAME_SAMPLES)
        num_frames = count_frames(batch.num_samples, FRAME_SAMPLES)
        wanted = self.spec.num_codebooks
        if audio.shape[-1] == 0:
            codes = audio.new_zeros((len(batch), wanted, 0), dtype=torch.int64)
        else:
            codes = blank_beyond(self.model.encode(audio, num_quantizers=wanted).audio_codes, num_frames)
        return Tokens(_split(codes, num_frames), batch.num_samples)

    @torch.no_grad()
    def decode(self, encoded: Encoded, mode: str = "full") -> Waveforms:
        """Return audio at 24 kHz from the first 1 to K codebooks."""
        assert isinstance(encoded, Tokens)
        codes = torch.cat([stream.codes for stream in encoded.streams], dim=1)
        empty = codes.shape[-1] == 0
        audio = torch.zeros(len(codes), 1, 0, device=codes.device) if empty else self.model.decode(codes).audio_values
        return fit_waveforms(audio, encoded.num_samples, SAMPLE_RATE_HZ)

    def num_parameters(self) -> int:
        """Return the learned values of the whole model, all 32 codebooks included."""
        return count_learned(self.model)


def _split(codes: torch.Tensor, num_frames: torch.Tensor) -> tuple[TokenStream, ...]:
    parts = {"semantic": codes[:, :1], "acoustic": codes[:, 1:]}
    return tuple(
        TokenStream(name, part, num_frames, FRAME_RATE_HZ, (CODEBOOK_SIZE,) * part.shape[1])
        for name, part in parts.items()
    )
