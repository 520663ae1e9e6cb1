"""ConvNeXt blocks on sequences, and the spectrogram before them (Vocos: Siuzdak, arXiv 2306.00814)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from codecbench_lmspt.flow import Flow
from codecbench_lmspt.framing import frame_signal
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

    def log_magnitude(self, features: Tensor) -> Tensor:
        """The logarithms (of full scale, floor included) that features are made of."""
        return features / self.SCALE - self.OFFSET
