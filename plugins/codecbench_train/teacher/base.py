"""The teacher as the losses see it: waveform in, final encoder features out, gradients only to the waveform."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from codecbench_train.losses.logmel import HOP_SAMPLES, WhisperLogMel
from codecbench_train.teacher.whisper import whisper_encoder

if TYPE_CHECKING:
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

#: Two log-mel hops: the encoder's second convolution halves the frame rate to 50 Hz.
SAMPLES_PER_TEACHER_FRAME = 2 * HOP_SAMPLES


class Teacher(nn.Module):
    """A frozen Whisper encoder on waveforms of any length up to 30 s.

    Shorter input uses the first positions only (the stock forward insists on 30 s). Features are the final encoder
    output, after the last layer norm, as in LM-SPT's released code. Its parameters never receive gradients.

    Args:
        encoder: transformers' ``WhisperEncoder``.
        dtype: precision of the encoder (bfloat16 halves its cost on a GPU); the log-mel stays in the input's precision.
    """

    def __init__(self, encoder: WhisperEncoder, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.logmel = WhisperLogMel(encoder.config.num_mel_bins)
        self.encoder: Any = encoder.eval().requires_grad_(False)
        self.encoder.to(dtype)
        self.dim: int = encoder.config.d_model

    def train(self, mode: bool = True) -> Teacher:
        """Stay in evaluation mode whatever the module around it does."""
        return super().train(False)

    def forward(self, audio: Tensor) -> Tensor:
        """Features ``[B, T / 320, D]`` of ``audio[B, T]`` at 16 kHz; T must be a multiple of 320, at most 480,000."""
        if audio.shape[1] % SAMPLES_PER_TEACHER_FRAME:
            raise ValueError(f"teacher input must be a multiple of {SAMPLES_PER_TEACHER_FRAME}, not {audio.shape[1]}")
        with torch.autocast(audio.device.type, enabled=False):
            mel = self.logmel(audio)
            return self._encode(mel.to(self.encoder.conv1.weight.dtype)).to(audio.dtype)

    def _encode(self, mel: Tensor) -> Tensor:
        """transformers' own layers in transformers' own order, without the check for exactly 30 s."""
        encoder = self.encoder
        hidden = nn.functional.gelu(encoder.conv1(mel))
        hidden = nn.functional.gelu(encoder.conv2(hidden)).transpose(1, 2)
        hidden = hidden + encoder.embed_positions.weight[: hidden.shape[1]]
        for layer in encoder.layers:
            hidden = layer(hidden, None)
        features: Tensor = encoder.layer_norm(hidden)
        return features


def load_teacher(source: str, dtype: torch.dtype = torch.float32) -> Teacher:
    """Load a frozen teacher; see ``whisper_encoder`` for what ``source`` may be and what it raises."""
    return Teacher(whisper_encoder(source), dtype)
