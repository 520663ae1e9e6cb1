"""A loss on the magnitudes that a decoder predicts, without the detour over a waveform and its phases."""

from __future__ import annotations

import torch
from torch import Tensor

from codecbench_train.losses.mel import slaney_filters
from codecbench_train.trainable import Spectrum

MEL_BINS = 80
#: Of a full-scale sine: -80 dB, below which differences are not heard and recordings differ in their noise alone.
FLOOR = 1e-4


def magnitude_loss(spectrum: Spectrum) -> Tensor:
    """Mean absolute difference of log-magnitudes in nepers, ``[B]``: of 80 mels, plus half of it over the single bins.

    Single bins (harmonics) weigh by the mel scale's density at their frequency, 1 / (1 + f / 700 Hz). Ours.
    """
    floor = FLOOR * spectrum.full_scale
    predicted, target = spectrum.log_magnitude.exp(), spectrum.target
    bins = target.shape[-1]
    filters = slaney_filters(spectrum.sample_rate_hz, 2 * (bins - 1), MEL_BINS).to(target)
    filters = filters / filters.sum(dim=0, keepdim=True).clamp_min(1e-12)
    mels = [(magnitude @ filters + floor).log() for magnitude in (predicted, target)]
    hertz = torch.linspace(0, spectrum.sample_rate_hz / 2, bins, device=target.device, dtype=target.dtype)
    density = 1 / (1 + hertz / 700)
    single = ((predicted + floor).log() - (target + floor).log()).abs() @ (density / density.sum())
    by_frame = (mels[0] - mels[1]).abs().mean(dim=-1) + 0.5 * single
    valid = spectrum.valid.to(by_frame.dtype)
    return (by_frame * valid).sum(dim=1) / valid.sum(dim=1).clamp_min(1)
