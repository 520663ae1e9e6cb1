"""Whisper's log-mel spectrogram, differentiable and with a floor of its own for each utterance."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from codecbench_train.losses.mel import slaney_filters

WHISPER_RATE_HZ = 16_000
FFT_SAMPLES, HOP_SAMPLES = 400, 160


class WhisperLogMel(nn.Module):
    """Log-mel of Whisper (Radford et al., arXiv 2212.04356): 25 ms windows, 10 ms hop, 80 dB of range.

    openai-whisper takes the floor from the maximum of the whole tensor, so that an utterance's features depend on its
    neighbours in the batch; transformers and this module take it from each utterance.
    """

    def __init__(self, mel_bins: int = 80) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(FFT_SAMPLES), persistent=False)
        self.register_buffer("filters", slaney_filters(WHISPER_RATE_HZ, FFT_SAMPLES, mel_bins), persistent=False)
        self.window: Tensor
        self.filters: Tensor

    def forward(self, audio: Tensor) -> Tensor:
        """``audio[B, T]`` at 16 kHz to ``[B, mel_bins, T // 160]``."""
        spectrum = torch.stft(
            audio, FFT_SAMPLES, HOP_SAMPLES, window=self.window, center=True, pad_mode="reflect", return_complex=True
        )[..., :-1]
        power = spectrum.real.square() + spectrum.imag.square()
        log = torch.einsum("bft,fm->bmt", power, self.filters).clamp_min(1e-10).log10()
        floor = log.amax(dim=(1, 2), keepdim=True) - 8.0
        return (torch.maximum(log, floor) + 4.0) / 4.0
