"""The Descript Audio Codec by transformers' DacModel."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import DacModel

from codecbench import CodecSpec
from codecbench_dac import CODEBOOK_SIZE
from codecbench_transformers.codec import TransformersCodec
from codecbench_transformers.loading import check_config, load_model


def load_dac(spec: CodecSpec, folder: Path, device: str) -> DacCodec:
    """Load the checkpoint in ``folder``; raises Unavailable where it is not what ``spec`` declares."""
    model = load_model(DacModel, folder, device)
    assert spec.sample_rate_hz is not None
    expected = {
        "sampling_rate": spec.sample_rate_hz,
        "hop_length": round(spec.sample_rate_hz / spec.streams[0].frame_rate_hz),
        "n_codebooks": spec.num_codebooks,
        "codebook_size": CODEBOOK_SIZE,
    }
    check_config(model.config, expected, folder)
    return DacCodec(spec, model)


class DacCodec(TransformersCodec):
    """DAC with all codebooks of its variant.

    The last frame is completed with zero samples, as the reference implementation and transformers' feature
    extractor do. Convolutions look both ways, so only utterances of equal frame counts share a batch. The 16 and
    24 kHz models return 8 samples fewer than whole frames hold; they are filled with zeros at the end.
    """

    def codes_of(self, audio: torch.Tensor, num_frames: torch.Tensor) -> torch.Tensor:
        """Return codes [B, K, F]."""
        codes: torch.Tensor = self.model.encode(audio).audio_codes
        return codes

    def audio_of(self, codes: torch.Tensor, num_frames: torch.Tensor) -> torch.Tensor:
        """Return audio [B, 1, T]."""
        audio: torch.Tensor = self.model.decode(audio_codes=codes).audio_values
        return audio[:, None]
