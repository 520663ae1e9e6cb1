"""ConvNeXt blocks on sequences, and the STFT pair around them (Vocos: Siuzdak, arXiv 2306.00814)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from codecbench_lmspt.flow import Flow
from codecbench_lmspt.transformer import LayerScale


class MaskedConv1d(nn.Conv1d):
    """An ordinary convolution that keeps or divides the length and masks what it returns."""

    def __init__(self, cin: int, cout: int, kernel: int, *, stride: int = 1, groups: int = 1) -> None:
        padding = (kernel - stride) // 2 if stride > 1 else kernel // 2
        super().__init__(cin, cout, kernel, stride=stride, padding=padding, groups=groups)

    def forward(self, x: Tensor, flow: Flow) -> Tensor:  # type: ignore[override]
        """``x[B, C, F]`` to ``[B, C', F / stride]``."""
        y = super().forward(x)
        if flow.lengths is not None and self.stride[0] > 1:
            flow.lengths = flow.lengths // self.stride[0]
        return flow.mask(y)


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution, norm, pointwise expansion with GELU, layer scale, plus the input."""

    def __init__(self, width: int, intermediate: int, kernel: int, layer_scale: float) -> None:
        super().__init__()
        self.depthwise = MaskedConv1d(width, width, kernel, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.expand = nn.Linear(width, intermediate)
        self.contract = nn.Linear(intermediate, width)
        self.scale = LayerScale(width, layer_scale)

    def forward(self, x: Tensor, flow: Flow) -> Tensor:
        """``x[B, C, F]`` to the same shape."""
        y = self.norm(self.depthwise(x, flow).transpose(1, 2))
        y = self.scale(self.contract(F.gelu(self.expand(y))))
        return flow.mask(x + y.transpose(1, 2))


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of ``[B, C, F]``."""

    def forward(self, x: Tensor, flow: Flow) -> Tensor:  # type: ignore[override]
        """``x[B, C, F]`` to the same shape."""
        return flow.mask(super().forward(x.transpose(1, 2)).transpose(1, 2))


def frame_signal(audio: Tensor, fft_samples: int, hop_samples: int) -> Tensor:
    """Overlapping frames ``[B, F, fft_samples]`` of ``audio[B, T]``, T = F * hop, frame f centred on its own hop."""
    side = (fft_samples - hop_samples) // 2
    return F.pad(audio, (side, side)).unfold(-1, fft_samples, hop_samples)


def overlap_add(frames: Tensor, hop_samples: int) -> Tensor:
    """The inverse layout: frames ``[B, F, N]`` summed into ``[B, F * hop]``, the outer ``(N - hop) / 2`` cut."""
    batch, count, size = frames.shape
    parts = size // hop_samples
    pieces = frames.view(batch, count, parts, hop_samples)
    total = frames.new_zeros(batch, count + parts - 1, hop_samples)
    for part in range(parts):
        total[:, part : part + count] += pieces[:, :, part]
    side = (size - hop_samples) // 2
    return total.view(batch, -1)[:, side : side + count * hop_samples]


class InverseStft(nn.Module):
    """Log-magnitude and phase per frame to waveform: hop-aligned "same" padding, as many samples as F * hop.

    The sum of squared windows is taken over the frames that exist in each row, so that a short row of a batch ends
    exactly as it would alone.
    """

    window: Tensor

    def __init__(self, width: int, fft_samples: int, hop_samples: int) -> None:
        super().__init__()
        self.fft_samples, self.hop_samples = fft_samples, hop_samples
        self.out = nn.Linear(width, fft_samples + 2)
        self.register_buffer("window", torch.hann_window(fft_samples), persistent=False)

    def forward(self, x: Tensor, flow: Flow) -> Tensor:
        """``x[B, C, F]`` to audio ``[B, 1, F * hop]``; in float32 at least, whatever the layers before used."""
        y = self.out(x.transpose(1, 2))
        y = y.to(torch.promote_types(y.dtype, torch.float32))
        log_magnitude, phase = y.chunk(2, dim=-1)
        # The clip keeps an untrained or diverging head finite (Vocos).
        magnitude = log_magnitude.exp().clamp(max=1e2)
        spectrum = torch.complex(magnitude * phase.cos(), magnitude * phase.sin())
        window = self.window.to(y.dtype)
        frames = torch.fft.irfft(spectrum, n=self.fft_samples, dim=-1) * window
        weight = (window * window).expand(1, y.shape[1], -1)
        if flow.lengths is not None:
            valid = flow.valid(y.shape[1])[:, :, None].to(y.dtype)
            frames, weight = frames * valid, weight * valid
            flow.lengths = flow.lengths * self.hop_samples
        audio = overlap_add(frames, self.hop_samples)
        audio = audio / overlap_add(weight, self.hop_samples).clamp_min(1e-8)
        return flow.mask(audio[:, None])


class LogSpectrogram(nn.Module):
    """Log-magnitude STFT features, ``[B, 1, T]`` to ``[B, N / 2 + 1, T / hop]``.

    The floor (1e-4 of a full-scale sine, -80 dB) keeps the noise floor of quiet recordings from filling the range, and
    the offset and scale bring speech at ordinary levels to about -1 .. 3: our choice.
    """

    window: Tensor
    FLOOR, OFFSET, SCALE = 1e-4, 7.5, 0.5

    def __init__(self, fft_samples: int, hop_samples: int) -> None:
        super().__init__()
        self.fft_samples, self.hop_samples = fft_samples, hop_samples
        window = torch.hann_window(fft_samples)
        self.register_buffer("window", window * (2 / window.sum()), persistent=False)

    def forward(self, audio: Tensor, flow: Flow) -> Tensor:
        """At least float32, whatever the layers behind it use."""
        exact = audio[:, 0].to(torch.promote_types(audio.dtype, torch.float32))
        frames = frame_signal(exact, self.fft_samples, self.hop_samples) * self.window.to(exact.dtype)
        features = ((torch.fft.rfft(frames, dim=-1).abs() + self.FLOOR).log() + self.OFFSET) * self.SCALE
        if flow.lengths is not None:
            flow.lengths = flow.lengths // self.hop_samples
        return flow.mask(features.transpose(1, 2))
