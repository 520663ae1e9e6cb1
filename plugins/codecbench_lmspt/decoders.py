"""Decoders: latent frames to waveform, built from their specs; the Vocos decoder of the paper lives here."""

from __future__ import annotations

from torch import Tensor, nn

from codecbench_lmspt.conv_decoder import ConvDecoder
from codecbench_lmspt.convnext import ChannelNorm, ConvNeXtBlock, MaskedConv1d
from codecbench_lmspt.convolution import FlowSequential
from codecbench_lmspt.flow import Flow
from codecbench_lmspt.harmonics import HarmonicComb
from codecbench_lmspt.inverse_stft import InverseStft
from codecbench_lmspt.linear_path import LatentToBands, begin_with_nothing
from codecbench_lmspt.spec import ConvDecoderSpec, DecoderSpec, VocosDecoderSpec
from codecbench_lmspt.stages import Decoder
from codecbench_lmspt.transformer import Transformer


class VocosDecoder(Decoder):
    """ConvNeXt blocks at a constant rate and an inverse STFT (LM-SPT paper, §3.2; Siuzdak, arXiv 2306.00814).

    Which rate is our choice: one token frame is spread over ``upsample`` STFT frames by a learned linear map, because
    windows of four token hops (0.16 to 1.6 s) cannot follow speech.
    """

    def __init__(self, spec: VocosDecoderSpec, latent_width: int) -> None:
        super().__init__()
        self.upsample = spec.upsample
        self.transformer = Transformer(spec.transformer, latent_width, latent_width) if spec.transformer else None
        self.embed = MaskedConv1d(latent_width, spec.width, spec.kernel)
        self.spread = nn.Linear(spec.width, spec.width * spec.upsample) if spec.upsample > 1 else None
        blocks = [ConvNeXtBlock(spec.width, spec.intermediate, 7, 1 / spec.layers) for _ in range(spec.layers)]
        self.blocks = FlowSequential(ChannelNorm(spec.width, eps=1e-6), *blocks, ChannelNorm(spec.width, eps=1e-6))
        self.head = InverseStft(
            spec.width, spec.fft_samples, spec.istft_hop_samples, spec.phase_iterations, spec.upsample
        )
        self.is_chaotic = spec.phase_iterations > 0
        self.hop_samples = spec.hop_samples
        self.sample_rate_hz = spec.sample_rate_hz
        self.context_frames = spec.context_frames(causal=False)
        bins = spec.fft_samples // 2 + 1
        self.linear: LatentToBands | None = None
        if spec.linear_bands:
            self.linear = LatentToBands(bins, spec.linear_bands, spec.upsample, latent_width, spec.sample_rate_hz)
            begin_with_nothing(self.head.out)
        self.comb: HarmonicComb | None = None
        if spec.pitch_candidates:
            self.comb = HarmonicComb(spec.width, bins, spec.pitch_candidates, spec.sample_rate_hz, spec.contrast)

    def forward(self, latent: Tensor, flow: Flow) -> Tensor:
        """``latent[B, D, F]`` to audio ``[B, 1, F * hop]``."""
        base = None if self.linear is None else self.linear(latent)
        x = latent if self.transformer is None else self.transformer(latent, flow)
        x = self._spread(self.embed(x, flow), flow)
        y: Tensor = self.head(self.blocks(x, flow), flow, base, self.comb)
        return y

    def _spread(self, x: Tensor, flow: Flow) -> Tensor:
        if self.spread is None:
            return x
        batch, width, frames = x.shape
        y = self.spread(x.transpose(1, 2)).view(batch, frames * self.upsample, width)
        if flow.lengths is not None:
            flow.lengths = flow.lengths * self.upsample
        return flow.mask(y.transpose(1, 2))


def build_decoder(spec: DecoderSpec, latent_width: int, causal: bool) -> Decoder:
    """The decoder that a spec describes."""
    if isinstance(spec, ConvDecoderSpec):
        return ConvDecoder(spec, latent_width, causal)
    return VocosDecoder(spec, latent_width)
