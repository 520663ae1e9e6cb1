"""The DAC-style convolution encoder: of the release alone, of the paper in front of its Transformer.

Sources: Kumar et al., arXiv 2306.06546 (block structure); the official LM-SPT checkpoint (names, widths, strides). The
paper states "four blocks" and no more; its strides and widths here are our choice and stand in the presets.
"""

from __future__ import annotations

from torch import Tensor, nn

from codecbench_lmspt.convolution import Conv1d, FlowSequential, Snake
from codecbench_lmspt.flow import Flow
from codecbench_lmspt.spec import ConvEncoderSpec
from codecbench_lmspt.stages import Encoder


class ResidualUnit(nn.Module):
    """Snake, dilated convolution, Snake, 1x1 convolution, plus the input; ``compress`` narrows the middle."""

    def __init__(self, width: int, kernel: int, dilation: int, causal: bool, compress: int = 1) -> None:
        super().__init__()
        middle = width // compress
        self.block = FlowSequential(
            Snake(width),
            Conv1d(width, middle, kernel, dilation=dilation, causal=causal),
            Snake(middle),
            Conv1d(middle, width, 1, causal=causal),
        )

    def forward(self, x: Tensor, flow: Flow) -> Tensor:
        """``x[B, C, T]`` to the same shape."""
        return x + self.block(x, flow)


class EncoderBlock(nn.Module):
    """Residual units at the input width, Snake, then a strided convolution with kernel ``2 * stride``."""

    def __init__(self, spec: ConvEncoderSpec, width: int, cout: int, stride: int, causal: bool) -> None:
        super().__init__()
        units = [ResidualUnit(width, spec.kernel, d, causal, spec.compress) for d in spec.dilations]
        down = Conv1d(width, cout, 2 * stride, stride=stride, causal=causal)
        self.block = FlowSequential(*units, Snake(width), down)

    def forward(self, x: Tensor, flow: Flow) -> Tensor:
        """``x[B, C, T]`` to ``[B, 2C, T / stride]``."""
        y: Tensor = self.block(x, flow)
        return y


class ConvEncoder(Encoder):
    """Waveform to latent frames by strided convolutions."""

    def __init__(self, spec: ConvEncoderSpec, latent_width: int, causal: bool) -> None:
        super().__init__()
        width = spec.channels
        layers: list[nn.Module] = [Conv1d(1, width, 7, causal=causal)]
        for stride in spec.strides:
            layers.append(EncoderBlock(spec, width, 2 * width, stride, causal))
            width *= 2
        layers += [Snake(width), Conv1d(width, latent_width, 3, causal=causal)]
        self.block = FlowSequential(*layers)
        self.hop_samples = spec.hop_samples
        self.context_samples = spec.context_samples(causal)

    def forward(self, audio: Tensor, flow: Flow) -> Tensor:
        """``audio[B, 1, T]`` with T a multiple of the hop, to ``[B, D, T / hop]``."""
        y: Tensor = self.block(audio, flow)
        return y
