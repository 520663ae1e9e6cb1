"""Encoders: waveform to latent frames, one class per kind of preset, built from its spec."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from codecbench_lmspt.conv_encoder import ConvEncoder
from codecbench_lmspt.convnext import ChannelNorm, ConvNeXtBlock, LogSpectrogram, MaskedConv1d
from codecbench_lmspt.convolution import FlowSequential
from codecbench_lmspt.flow import Flow
from codecbench_lmspt.harmonics import PitchSalience
from codecbench_lmspt.linear_path import BandsToLatent, begin_with_nothing
from codecbench_lmspt.spec import ConvEncoderSpec, EncoderSpec, SpectralEncoderSpec
from codecbench_lmspt.stages import Encoder
from codecbench_lmspt.transformer import Transformer


class ConvTransformerEncoder(Encoder):
    """The paper's encoder: convolutions down to the token rate, then a Transformer (LM-SPT paper, App. D)."""

    def __init__(self, spec: ConvEncoderSpec, latent_width: int) -> None:
        super().__init__()
        assert spec.transformer is not None
        self.conv = ConvEncoder(spec, latent_width, causal=False)
        self.transformer = Transformer(spec.transformer, latent_width, latent_width)
        self.hop_samples = spec.hop_samples
        self.context_samples = spec.context_samples(causal=False)

    def forward(self, audio: Tensor, flow: Flow) -> Tensor:
        """``audio[B, 1, T]`` with T a multiple of the hop, to ``[B, D, T / hop]``."""
        y: Tensor = self.transformer(self.conv(audio, flow), flow)
        return y


class SpectralEncoder(Encoder):
    """Log-spectrogram, ConvNeXt stages with strides between them, Transformer at the token rate.

    Our choice for the ``mini`` presets: at 1 kbit/s the waveform's phase is not coded anyway, and a spectrogram saves a
    small model from learning a filter bank from little data; it also costs a tenth of the convolutions at 16 kHz.
    """

    def __init__(self, spec: SpectralEncoderSpec, latent_width: int, sample_rate_hz: int) -> None:
        super().__init__()
        self.features = LogSpectrogram(spec.fft_samples, spec.stft_hop_samples)
        bins = spec.fft_samples // 2 + 1
        self.embed = MaskedConv1d(bins, spec.widths[0], 3)
        self.salience: PitchSalience | None = None
        if spec.pitch_candidates:
            self.salience = PitchSalience(bins, spec.pitch_candidates, sample_rate_hz)
            self.embed_pitch = MaskedConv1d(spec.pitch_candidates, spec.widths[0], 1)
            begin_with_nothing(self.embed_pitch)
        layers: list[nn.Module] = [ChannelNorm(spec.widths[0])]
        for stage, (width, depth) in enumerate(zip(spec.widths, spec.depths, strict=True)):
            layers += [ConvNeXtBlock(width, 3 * width, 7, 1 / max(sum(spec.depths), 1)) for _ in range(depth)]
            if stage < len(spec.strides):
                stride = spec.strides[stage]
                down = MaskedConv1d(width, spec.widths[stage + 1], _even_kernel(stride), stride=stride)
                layers += [down, ChannelNorm(spec.widths[stage + 1])]
        self.stages = FlowSequential(*layers)
        self.head: nn.Module
        if spec.transformer is not None:
            self.head = Transformer(spec.transformer, spec.widths[-1], latent_width)
        else:
            self.head = MaskedConv1d(spec.widths[-1], latent_width, 1)
        self.hop_samples = spec.hop_samples
        self.context_samples = spec.context_samples(causal=False)
        self.linear: BandsToLatent | None = None
        if spec.linear_bands:
            frames = spec.hop_samples // spec.stft_hop_samples
            self.linear = BandsToLatent(bins, spec.linear_bands, frames, latent_width, sample_rate_hz)
            begin_with_nothing(self.head.last if isinstance(self.head, Transformer) else self.head)

    def forward(self, audio: Tensor, flow: Flow) -> Tensor:
        """``audio[B, 1, T]`` with T a multiple of the hop, to ``[B, D, T / hop]``."""
        features = self.features(audio, flow)
        levels = self.features.log_magnitude(features).transpose(1, 2)
        x = self.embed(features.to(self.embed.weight.dtype), flow)
        if self.salience is not None:
            salience = self.salience(levels).transpose(1, 2)
            x = x + self.embed_pitch(salience.to(self.embed.weight.dtype), flow)
        y: Tensor = self.head(self.stages(x, flow), flow)
        if self.linear is not None:
            y = flow.mask(y + self.linear(levels))
        return y


def _even_kernel(stride: int) -> int:
    """A kernel of two strides: overlapping, and with symmetric padding for every stride."""
    return 2 * stride if stride % 2 == 0 else 2 * stride - 1


def build_encoder(spec: EncoderSpec, latent_width: int, causal: bool, sample_rate_hz: int) -> Encoder:
    """The encoder that a spec describes."""
    if isinstance(spec, SpectralEncoderSpec):
        return SpectralEncoder(spec, latent_width, sample_rate_hz)
    if spec.transformer is not None:
        return ConvTransformerEncoder(spec, latent_width)
    return ConvEncoder(spec, latent_width, causal)


def weight_dtype(module: nn.Module) -> torch.dtype:
    """The floating-point type that a module's layers compute in."""
    return next(module.parameters()).dtype
