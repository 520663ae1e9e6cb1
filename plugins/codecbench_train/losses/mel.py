"""Multi-scale mel reconstruction loss."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor, nn
from torchaudio.functional import melscale_fbanks


@cache
def slaney_filters(sample_rate_hz: int, fft_samples: int, mel_bins: int) -> Tensor:
    """Slaney-style area-normalised mel filters ``[fft_samples // 2 + 1, mel_bins]``, as librosa's default."""
    return melscale_fbanks(
        fft_samples // 2 + 1, 0.0, sample_rate_hz / 2, mel_bins, sample_rate_hz, norm="slaney", mel_scale="slaney"
    )


def stft_magnitude(audio: Tensor, window: Tensor, hop_samples: int) -> Tensor:
    """Magnitude STFT of ``audio[B, T]``, centred with reflection: ``[B, fft // 2 + 1, frames]``."""
    spectrum = torch.stft(
        audio, window.numel(), hop_samples, window=window, center=True, pad_mode="reflect", return_complex=True
    )
    # abs() of a complex zero has no gradient; the tiny offset keeps digital silence differentiable.
    return (spectrum.real.square() + spectrum.imag.square()).clamp_min(1e-20).sqrt()


class MultiScaleMelLoss(nn.Module):
    """L1 between mel magnitudes plus L1 between their log10 squares, summed over STFT scales.

    Windows and mel bins as in the released LM-SPT training configuration (256/512/1024/2048 samples with 40/80/160/320
    bins, hop = window / 4), the loss as in the Descript Audio Codec (Kumar et al., arXiv 2306.06546): the clamp of 1e-5
    acts in the log term only, before squaring; both terms weigh 1.
    """

    def __init__(
        self,
        sample_rate_hz: int,
        windows: Sequence[int] = (256, 512, 1024, 2048),
        mel_bins: Sequence[int] = (40, 80, 160, 320),
        clamp: float = 1e-5,
    ) -> None:
        super().__init__()
        if len(windows) != len(mel_bins):
            raise ValueError(f"mel loss: {len(windows)} windows but {len(mel_bins)} mel bin counts; give one for each")
        self.windows, self.clamp = tuple(windows), clamp
        for size, bins in zip(windows, mel_bins, strict=True):
            self.register_buffer(f"window_{size}", torch.hann_window(size), persistent=False)
            self.register_buffer(f"filters_{size}", slaney_filters(sample_rate_hz, size, bins), persistent=False)

    def mels(self, audio: Tensor) -> list[Tensor]:
        """Mel magnitudes of ``audio[B, 1, T]`` at every scale, ``[B, bins, frames]`` each."""
        flat, mels = audio.squeeze(1), []
        for size in self.windows:
            magnitude = stft_magnitude(flat, getattr(self, f"window_{size}"), size // 4)
            mels.append(torch.einsum("bft,fm->bmt", magnitude, getattr(self, f"filters_{size}")))
        return mels

    def forward(self, estimate: Tensor, target: Tensor) -> Tensor:
        """Loss of ``estimate[B, 1, T]`` against ``target[B, 1, T]`` for each utterance, ``[B]``."""
        with torch.no_grad():
            references = self.mels(target)
        total = estimate.new_zeros(estimate.shape[0])
        for mel, reference in zip(self.mels(estimate), references, strict=True):
            linear = (mel - reference).abs().mean(dim=(1, 2))
            # log10(x^2) = 2 log10(x): squaring 1e-5 first would underflow in half precision.
            logs = 2 * (mel.clamp_min(self.clamp).log10() - reference.clamp_min(self.clamp).log10()).abs()
            total = total + linear + logs.mean(dim=(1, 2))
        return total


def mel_distance(estimate: Tensor, target: Tensor, sample_rate_hz: int, bins: int = 80, window: int = 1024) -> Tensor:
    """Mean absolute difference of natural-log mels in nepers, ``[B]``: the validation figure, not a loss."""
    hann = torch.hann_window(window, device=estimate.device, dtype=estimate.dtype)
    filters = slaney_filters(sample_rate_hz, window, bins).to(estimate)
    logs = [
        torch.einsum("bft,fm->bmt", stft_magnitude(audio.squeeze(1), hann, window // 4), filters).clamp_min(1e-5).log()
        for audio in (estimate, target)
    ]
    return (logs[0] - logs[1]).abs().mean(dim=(1, 2))
