"""Discriminators of the Descript Audio Codec (Kumar et al., arXiv 2306.06546), with widths as options, and one of ours
on magnitudes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from codecbench.errors import UsageError
from codecbench_train.losses.adversarial import Judgement
from codecbench_train.trainable import TrainingOutput

_SLOPE = 0.1
_BANDS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)


def _conv2d(cin: int, cout: int, kernel: tuple[int, int], stride: tuple[int, int] = (1, 1)) -> nn.Module:
    padding = (kernel[0] // 2, kernel[1] // 2)
    return weight_norm(nn.Conv2d(cin, cout, kernel, stride, padding))


#: Levels between -80 dB and full scale come to about -2 .. 2.
_FLOOR, _MIDDLE, _SPREAD = 1e-4, 4.6, 2.3


@dataclass(frozen=True)
class Sample:
    """What is judged: ``audio[B, 1, T]``, and ``levels[B, F, bins]`` of a decoder that predicts magnitudes."""

    audio: Tensor
    levels: Tensor | None = None

    def detached(self) -> Sample:
        """The same without a graph."""
        return Sample(self.audio.detach(), None if self.levels is None else self.levels.detach())


def samples(audio: Tensor, output: TrainingOutput) -> tuple[Sample, Sample]:
    """An original and its reconstruction, whose graph stays attached."""
    fake, spectrum = output.reconstruction.to(audio.dtype), output.spectrum
    if spectrum is None:
        return Sample(audio), Sample(fake)
    magnitudes = (spectrum.target, spectrum.log_magnitude.exp())
    real_levels, fake_levels = (
        ((m / spectrum.full_scale + _FLOOR).log() + _MIDDLE) / _SPREAD * spectrum.valid[..., None] for m in magnitudes
    )
    return Sample(audio, real_levels), Sample(fake, fake_levels)


class PeriodDiscriminator(nn.Module):
    """Judges the waveform folded into columns of one period (HiFi-GAN, arXiv 2010.05646).

    ``channels``: widths of the five strided layers; (32, 128, 512, 1024, 1024) has 8,221,154 parameters.
    """

    def __init__(self, period: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.period = period
        widths = [1, *channels]
        self.layers = nn.ModuleList(
            _conv2d(cin, cout, (5, 1), (3, 1) if index < len(channels) - 1 else (1, 1))
            for index, (cin, cout) in enumerate(itertools.pairwise(widths))
        )
        self.head = _conv2d(widths[-1], 1, (3, 1))

    def forward(self, sample: Sample) -> Judgement:
        """Judge ``sample.audio``."""
        audio = F.pad(sample.audio, (0, -sample.audio.shape[-1] % self.period), mode="reflect")
        x = audio.unflatten(-1, (-1, self.period))
        features = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), _SLOPE)
            features.append(x)
        return Judgement(tuple(features), self.head(x))


class BandedDiscriminator(nn.Module):
    """Judges a spectrogram in five frequency bands, each with its own convolutions."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.stacks = nn.ModuleList(self._stack(inputs, channels) for _ in itertools.pairwise(_BANDS))
        self.head = _conv2d(channels, 1, (3, 3))

    @staticmethod
    def _stack(inputs: int, channels: int) -> nn.ModuleList:
        strided = [_conv2d(channels, channels, (3, 9), (1, 2)) for _ in range(3)]
        first, last = _conv2d(inputs, channels, (3, 9)), _conv2d(channels, channels, (3, 3))
        return nn.ModuleList([first, *strided, last])

    def judge(self, spectrum: Tensor) -> Judgement:
        """Judge ``spectrum[B, inputs, F, bins]``."""
        bins = spectrum.shape[-1]
        features, tops = [], []
        for (low, high), stack in zip(itertools.pairwise(_BANDS), self.stacks, strict=True):
            x = spectrum[..., int(low * bins) : int(high * bins)]
            assert isinstance(stack, nn.ModuleList)
            for layer in stack:
                x = F.leaky_relu(layer(x), _SLOPE)
                features.append(x)
            tops.append(x)
        return Judgement(tuple(features), self.head(torch.cat(tops, dim=-1)))


class SpectrogramDiscriminator(BandedDiscriminator):
    """Judges a complex STFT of the waveform.

    ``window_samples`` is the STFT window, its hop a quarter of it. At 64 channels it has 1,864,258 parameters (the
    released LM-SPT width; DAC's own is 32).
    """

    def __init__(self, window_samples: int, channels: int) -> None:
        super().__init__(2, channels)
        self.window_samples, self.hop_samples = window_samples, window_samples // 4
        self.register_buffer("window", torch.hann_window(window_samples), persistent=False)
        self.window: Tensor

    def spectrum(self, audio: Tensor) -> Tensor:
        """Complex STFT of ``audio[B, 1, T]`` as ``[B, 2, frames, bins]``; one frame for every hop of the input."""
        length = audio.shape[-1]
        side = (self.window_samples - self.hop_samples) // 2
        right = side + -length % self.hop_samples
        # Reflection needs more samples than it adds; crops shorter than the window are padded with silence.
        mode = "reflect" if length > right else "constant"
        padded = F.pad(audio, (side, right), mode=mode).squeeze(1)
        spectrum = torch.stft(
            padded, self.window_samples, self.hop_samples, window=self.window, center=False, return_complex=True
        )
        return torch.view_as_real(spectrum).permute(0, 3, 2, 1)

    def forward(self, sample: Sample) -> Judgement:
        """Judge ``sample.audio``."""
        with torch.autocast(sample.audio.device.type, enabled=False):
            spectrum = self.spectrum(sample.audio.to(self.window.dtype))
        return self.judge(spectrum)


class MagnitudeDiscriminator(BandedDiscriminator):
    """Judges the log-magnitudes that a decoder predicts, before any phase.

    Ours: for decoders whose phases are found and not predicted. A waveform shows the traces of that search, which no
    change of the magnitudes can hide.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(1, channels)

    def forward(self, sample: Sample) -> Judgement:
        """Judge ``sample.levels``. Raises ``UsageError`` for a decoder that predicts no magnitudes."""
        if sample.levels is None:
            raise UsageError(
                "discriminators.magnitude_channels needs a decoder that predicts magnitudes, as the Vocos decoders of "
                "LM-SPT's paper and mini presets do; set it to 0"
            )
        return self.judge(sample.levels[:, None])


class Discriminators(nn.Module):
    """Multi-period, multi-band complex-STFT and magnitude discriminators side by side.

    The defaults are those of the released LM-SPT training code: 46,698,544 parameters. ``magnitude_channels`` above 0
    adds one that judges predicted magnitudes. Audio loses its mean and is scaled to a peak of 0.8, so that level
    carries no information.
    """

    def __init__(
        self,
        periods: Sequence[int] = (2, 3, 5, 7, 11),
        period_channels: Sequence[int] = (32, 128, 512, 1024, 1024),
        stft_windows: Sequence[int] = (2048, 1024, 512),
        stft_channels: int = 64,
        magnitude_channels: int = 0,
    ) -> None:
        super().__init__()
        judges: list[nn.Module] = [PeriodDiscriminator(period, period_channels) for period in periods]
        judges += [SpectrogramDiscriminator(window, stft_channels) for window in stft_windows]
        judges += [MagnitudeDiscriminator(magnitude_channels)] if magnitude_channels else []
        if not judges:
            raise ValueError("discriminators: give at least one period, one STFT window or magnitude channels")
        self.judges = nn.ModuleList(judges)

    def forward(self, sample: Sample) -> list[Judgement]:
        """Judge ``sample`` with every discriminator."""
        audio = sample.audio - sample.audio.mean(dim=-1, keepdim=True)
        audio = 0.8 * audio / (audio.abs().amax(dim=-1, keepdim=True) + 1e-9)
        sample = Sample(audio, sample.levels)
        return [judge(sample) for judge in self.judges]
