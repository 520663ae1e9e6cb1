"""EnCodec by transformers' EncodecModel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from transformers import EncodecModel

from codecbench import CodecSpec, Unavailable
from codecbench_encodec import CODEBOOK_SIZE, FRAME_SAMPLES, SAMPLE_RATE_HZ
from codecbench_transformers.codec import TransformersCodec
from codecbench_transformers.loading import check_config, load_model

_EXPECTED = {
    "sampling_rate": SAMPLE_RATE_HZ,
    "hop_length": FRAME_SAMPLES,
    "codebook_size": CODEBOOK_SIZE,
    "audio_channels": 1,
    "normalize": False,
    "chunk_length_s": None,
    "use_causal_conv": True,
}
# The widest convolution at frame rate mirrors six frames; shorter rows are padded inside the model instead.
MIRRORED_FRAMES = 6


def load_encodec(spec: CodecSpec, folder: Path, device: str) -> EncodecCodec:
    """Load the checkpoint in ``folder``; raises Unavailable where it is not what ``spec`` declares."""
    model = load_model(EncodecModel, folder, device)
    check_config(model.config, _EXPECTED, folder)
    kbps = (spec.nominal_bitrate_bps or 0) / 1000
    if kbps not in model.config.target_bandwidths:
        raise Unavailable(
            f"the checkpoint in {folder} has the rates {model.config.target_bandwidths} kbit/s, "
            f"'{spec.full_name}' needs {kbps:g}"
        )
    return EncodecCodec(spec, model, kbps)


class EncodecCodec(TransformersCodec):
    """EnCodec with the codebooks of ``spec``.

    The last frame is completed with zero samples (given a partial frame, the model mirrors its end after every
    layer, which changes that one frame). Rows of any lengths share a batch: what follows a row's end cannot reach
    back into it, except in rows so short that the mirror at their start would reach past it; those run alone.
    """

    def __init__(self, spec: CodecSpec, model: EncodecModel, bandwidth_kbps: float) -> None:
        super().__init__(spec, model)
        self.bandwidth_kbps = bandwidth_kbps

    def codes_of(self, audio: torch.Tensor, num_frames: torch.Tensor) -> torch.Tensor:
        """Return codes [B, K, F]."""

        def encode(part: torch.Tensor) -> torch.Tensor:
            codes: torch.Tensor = self.model.encode(part, bandwidth=self.bandwidth_kbps).audio_codes
            return codes[0]

        return _short_rows_alone(encode, audio, num_frames, self.frame_samples)

    def audio_of(self, codes: torch.Tensor, num_frames: torch.Tensor) -> torch.Tensor:
        """Return audio [B, 1, T] at 24 kHz."""

        def decode(part: torch.Tensor) -> torch.Tensor:
            audio: torch.Tensor = self.model.decode(part[None], [None]).audio_values
            return audio

        return _short_rows_alone(decode, codes, num_frames, 1)


def _short_rows_alone(
    act: Callable[[torch.Tensor], torch.Tensor], values: torch.Tensor, num_frames: torch.Tensor, hop: int
) -> torch.Tensor:
    """Apply ``act`` to all rows at once, or row by row (each cut to its frames of ``hop``) where one is short."""
    if int(num_frames.min()) > MIRRORED_FRAMES:
        return act(values)
    rows = [act(values[i : i + 1, :, : max(1, int(n)) * hop]) for i, n in enumerate(num_frames)]
    longest = max(row.shape[-1] for row in rows)
    return torch.cat([torch.nn.functional.pad(row, (0, longest - row.shape[-1])) for row in rows])
