"""Mimi by transformers' MimiModel."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import MimiModel

from codecbench import CodecSpec, Unavailable
from codecbench_mimi import CODEBOOK_SIZE, FRAME_SAMPLES, SAMPLE_RATE_HZ
from codecbench_transformers.codec import TransformersCodec
from codecbench_transformers.loading import check_config, load_model

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


class MimiCodec(TransformersCodec):
    """Mimi with the codebooks of ``spec``, as a semantic and an acoustic stream.

    The last frame is completed with zero samples, as Kyutai's own implementation does. (transformers, given a
    partial frame, pads after every layer instead, which changes that one frame.) Every layer is causal, so zeros
    to the right of a row change none of its codes and rows of any lengths share a batch.
    """

    def codes_of(self, audio: torch.Tensor, num_frames: torch.Tensor) -> torch.Tensor:
        """Return codes [B, K, F], the semantic codebook first."""
        codes: torch.Tensor = self.model.encode(audio, num_quantizers=self.spec.num_codebooks).audio_codes
        return codes

    def audio_of(self, codes: torch.Tensor, num_frames: torch.Tensor) -> torch.Tensor:
        """Return audio [B, 1, T] at 24 kHz."""
        audio: torch.Tensor = self.model.decode(codes).audio_values
        return audio
