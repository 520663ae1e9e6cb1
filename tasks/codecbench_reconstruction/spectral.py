"""Log-mel and multi-resolution STFT distance of two signals at 16 kHz."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from codecbench.contracts.metric import Status
from codecbench_reconstruction.pairs import NoValue
from codecbench_reconstruction.specs import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    import torch

MEL_FFT, MEL_HOP, MEL_BANDS, MEL_FLOOR = 1024, 256, 80, 1e-5
# FFT size, hop, window in samples: the three resolutions of Parallel WaveGAN.
RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))
POWER_FLOOR = 1e-7
MIN_SAMPLES = 2048


def mel_distance(reference: np.ndarray, output: np.ndarray) -> float:
    """Return the mean absolute difference of the natural-log mel spectra of two signals [T] at 16 kHz.

    Hann window of 1024, hop 256, 80 bands from 0 to 8 kHz (Slaney scale and area norm), magnitudes not below 1e-5,
    levels as they are. Raises NoValue too_short below 2048 samples.
    Source: the mel-spectrogram loss of Kong et al., HiFi-GAN, 2020.
    """
    _check_length(reference)
    return float((_log_mel(reference) - _log_mel(output)).abs().mean())


def mrstft_distance(reference: np.ndarray, output: np.ndarray) -> float:
    """Return spectral convergence plus log-magnitude L1 of two signals [T], mean over three resolutions.

    Raises NoValue too_short below 2048 samples. Source: Yamamoto et al., Parallel WaveGAN, 2020, equations 4 to 6.
    """
    _check_length(reference)
    distances = []
    for n_fft, hop, window in RESOLUTIONS:
        clean, noisy = (_magnitude(x, n_fft, hop, window) for x in (reference, output))
        convergence = (clean - noisy).norm() / clean.norm()
        log_l1 = (clean.log() - noisy.log()).abs().mean()
        distances.append(float(convergence + log_l1))
    return float(np.mean(distances))


def _check_length(reference: np.ndarray) -> None:
    if len(reference) < MIN_SAMPLES:
        reason = f"spectral distances need at least {MIN_SAMPLES} samples at {SAMPLE_RATE_HZ} Hz, not {len(reference)}"
        raise NoValue(Status.TOO_SHORT, reason)


def _magnitude(audio: np.ndarray, n_fft: int, hop: int, window: int) -> torch.Tensor:
    """STFT magnitude [frequency, frame] with the power floor of Parallel WaveGAN."""
    return _power(audio, n_fft, hop, window).clamp(min=POWER_FLOOR).sqrt()


def _log_mel(audio: np.ndarray) -> torch.Tensor:
    """Natural-log mel magnitudes [band, frame]."""
    magnitude = _power(audio, MEL_FFT, MEL_HOP, MEL_FFT).sqrt()
    return (_mel_bands().T @ magnitude).clamp(min=MEL_FLOOR).log()


def _power(audio: np.ndarray, n_fft: int, hop: int, window: int) -> torch.Tensor:
    import torch

    wave = torch.from_numpy(np.ascontiguousarray(audio, dtype=np.float64))
    taper = torch.hann_window(window, dtype=torch.float64)
    spectrum = torch.stft(wave, n_fft, hop, window, taper, center=True, pad_mode="reflect", return_complex=True)
    return spectrum.abs().square()


@cache
def _mel_bands() -> torch.Tensor:
    """Filter bank [frequency, band]."""
    from torchaudio.functional import melscale_fbanks

    half = SAMPLE_RATE_HZ / 2
    bank = melscale_fbanks(MEL_FFT // 2 + 1, 0.0, half, MEL_BANDS, SAMPLE_RATE_HZ, norm="slaney", mel_scale="slaney")
    return bank.double()
