"""The DAC-style transposed-convolution decoder: main and auxiliary decoder of the release.

Sources: Kumar et al., arXiv 2306.06546; the official LM-SPT checkpoint (names, widths, strides).
"""

from __future__ import annotations

from torch import Tensor, nn

from codecbench_lmspt.conv_encoder import ResidualUnit
from codecbench_lmspt.convolution import Conv1d, ConvTranspose1d, FlowSequential, Snake
from codecbench_lmspt.flow import Flow
from codecbench_lmspt.spec import ConvDecoderSpec
from codecbench_lmspt.stages import Decoder


class DecoderBlock(nn.Module):
    """Snake, transposed convolution, then residual units at the output width."""

    def __init__(self, spec: ConvDecoderSpec, width: int, stride: int, causal: bool) -> None:
        super().__init__()
        units = [ResidualUnit(width // 2, spec.kernel, d, causal) for d in spec.dilations]
        up = ConvTranspose1d(width, width // 2, stride=stride, causal=causal)
        self.block = FlowSequential(Snake(width), up, *units)

    def forward(self, x: Tensor, flow: Flow) -> Tensor:
        """``x[B, C, F]`` to ``[B, C / 2, F * stride]``."""
        y: Tensor = self.block(x, flow)
        return y


class ConvDecoder(Decoder):
    """Latent frames to waveform by transposed convolutions."""

    def __init__(self, spec: ConvDecoderSpec, latent_width: int, causal: bool) -> None:
        super().__init__()
        width = spec.channels
        layers: list[nn.Module] = [Conv1d(latent_width, width, 7, causal=causal)]
        for stride in spec.strides:
            layers.append(DecoderBlock(spec, width, stride, causal))
            width //= 2
        layers += [Snake(width), Conv1d(width, 1, 7, causal=causal)]
        self.model = FlowSequential(*layers)
        self.hop_samples = spec.hop_samples
        self.sample_rate_hz = spec.sample_rate_hz
        self.context_frames = spec.context_frames(causal)

    def forward(self, latent: Tensor, flow: Flow) -> Tensor:
        """``latent[B, D, F]`` to audio ``[B, 1, F * hop]``, less what odd strides cost (4 samples in the release)."""
        return flow.mask(self.model(latent, flow).tanh())
