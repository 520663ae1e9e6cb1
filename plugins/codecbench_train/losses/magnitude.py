"""Losses on what a decoder predicts before it makes a waveform: magnitudes, and the pitch of their harmonics."""

from __future__ import annotations

import torch
from torch import Tensor

from codecbench.errors import UsageError
from codecbench_train.losses.mel import slaney_filters
from codecbench_train.trainable import Spectrum

#: Numbers of mel bands that energies are compared in. Few bands carry what is said and hardly any chance of the single
#: bins, whose irreducible error is all that a gradient would otherwise be made of; many carry the voice's harmonics.
MEL_BANDS = (20, 40, 80)
BINS_WEIGHT = 0.25
#: Of a full-scale sine: -80 dB, below which differences are not heard and recordings differ in their noise alone.
FLOOR = 1e-4


def magnitude_loss(spectrum: Spectrum) -> Tensor:
    """Absolute differences in nepers, ``[B]``: of the energies in 20, 40 and 80 mel bands (mean over the three), plus a
    quarter of that over single bins.

    Single bins weigh by the mel scale's density at their frequency, 1 / (1 + f / 700 Hz). Ours.
    """
    floor = FLOOR * spectrum.full_scale
    predicted, target = spectrum.log_magnitude.exp(), spectrum.target
    bins, rate_hz = target.shape[-1], spectrum.sample_rate_hz
    hertz = torch.linspace(0, rate_hz / 2, bins, device=target.device, dtype=target.dtype)
    density = 1 / (1 + hertz / 700)
    single = ((predicted + floor).log() - (target + floor).log()).abs() @ (density / density.sum())
    by_frame = BINS_WEIGHT * single
    energies = predicted.square(), target.square()
    for bands in MEL_BANDS:
        filters = slaney_filters(rate_hz, 2 * (bins - 1), bands).to(target)
        filters = filters / filters.sum(dim=0, keepdim=True).clamp_min(1e-12)
        levels = [0.5 * (energy @ filters + floor**2).log() for energy in energies]
        by_frame = by_frame + (levels[0] - levels[1]).abs().mean(dim=-1) / len(MEL_BANDS)
    return _mean_over_frames(by_frame, spectrum.valid)


def pitch_loss(spectrum: Spectrum) -> Tensor:
    """Cross-entropy in nats, ``[B]``, of the pitch that a decoder chose against the original's, times its voicing.

    Raises ``UsageError`` for a decoder that chooses none. Ours.
    """
    if spectrum.pitch_logits is None or spectrum.pitch_target is None:
        raise UsageError(
            "loss.pitch needs a decoder that chooses the pitch of its harmonics, as that of LM-SPT's mini-12.5hz does; "
            "set loss.pitch = 0"
        )
    by_frame = -(spectrum.pitch_target * spectrum.pitch_logits.log_softmax(dim=-1)).sum(dim=-1)
    return _mean_over_frames(by_frame, spectrum.valid)


def _mean_over_frames(by_frame: Tensor, valid: Tensor) -> Tensor:
    valid = valid.to(by_frame.dtype)
    return (by_frame * valid).sum(dim=1) / valid.sum(dim=1).clamp_min(1)
