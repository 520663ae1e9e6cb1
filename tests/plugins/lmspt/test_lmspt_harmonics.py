"""Pitch in, harmonics out: against synthetic voices of known pitch, and against Praat on real speech."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import parselmouth
import pytest
import torch
from torch import Tensor

from codecbench_lmspt.framing import frame_signal
from codecbench_lmspt.harmonics import (
    ENERGY_BANDS,
    HIGHEST_HZ,
    LOWEST_HZ,
    HarmonicComb,
    PitchSalience,
    comb_templates,
    envelope,
)
from codecbench_lmspt.linear_path import mel_hats
from codecbench_lmspt.presets import load_preset
from codecbench_lmspt.spec import VocosDecoderSpec

RATE_HZ, FFT, HOP, BINS, CANDIDATES = 16_000, 640, 160, 321, 192
PITCHES_HZ = torch.from_numpy(np.geomspace(LOWEST_HZ, HIGHEST_HZ, CANDIDATES))


def log_magnitude(audio: Tensor) -> Tensor:
    frames = frame_signal(audio, FFT, HOP) * (torch.hann_window(FFT) * 2 / (FFT / 2))
    return (torch.fft.rfft(frames, dim=-1).abs() + 1e-4).log()


def voice(pitch_hz: float, seconds: float = 0.5) -> Tensor:
    """Harmonics that fall by 6 dB an octave, with phases that have nothing to do with each other."""
    time = torch.arange(round(seconds * RATE_HZ)) / RATE_HZ
    numbers = range(1, int(RATE_HZ / 2 / pitch_hz))
    return 0.05 * sum((torch.cos(2 * torch.pi * n * pitch_hz * time + n * n) / n for n in numbers), torch.zeros(()))


@pytest.mark.parametrize("pitch_hz", [80.0, 119.0, 203.0, 388.0])
def test_the_pitch_of_a_voice_is_the_most_salient(pitch_hz: float) -> None:
    levels = log_magnitude(voice(pitch_hz)[None])[0, 10:40]
    salience = PitchSalience(BINS, CANDIDATES, RATE_HZ)
    found = PITCHES_HZ[salience(levels).argmax(dim=-1)]
    assert ((found / pitch_hz - 1).abs() < 0.011).all()  # candidates lie 1 % apart
    torch.testing.assert_close(salience(levels + 3), salience(levels), rtol=1e-3, atol=1e-4)


def test_pitches_of_speech_are_praats(speech: Tensor) -> None:
    salience = PitchSalience(BINS, CANDIDATES, RATE_HZ)(log_magnitude(speech))[0]
    ours, strength = PITCHES_HZ[salience.argmax(dim=-1)].numpy(), salience.amax(dim=-1).numpy()
    praat = parselmouth.Sound(speech[0].double().numpy(), RATE_HZ).to_pitch_ac(
        time_step=HOP / RATE_HZ, pitch_floor=LOWEST_HZ, pitch_ceiling=HIGHEST_HZ
    )
    theirs = np.array([praat.get_value_at_time((frame + 0.5) * HOP / RATE_HZ) for frame in range(len(ours))])
    sure = (strength > 0.4) & np.isfinite(theirs)  # not a number where Praat hears no voice
    assert sure.sum() > 100
    assert np.mean(np.abs(ours[sure] / theirs[sure] - 1) < 0.05) > 0.9


def test_a_template_is_the_fine_structure_of_its_voice() -> None:
    index = 90
    levels = log_magnitude(voice(float(PITCHES_HZ[index]))[None])[0, 20]
    hats = mel_hats(BINS, 20, RATE_HZ)
    fine = levels - (levels @ (hats / hats.sum(dim=0))) @ hats.T
    low = slice(8, 120)  # up to 3 kHz, where the floor under the falling harmonics is still far
    pair = torch.stack([fine[low], comb_templates(BINS, CANDIDATES, RATE_HZ)[index, low]])
    assert torch.corrcoef(pair)[0, 1] > 0.9


def test_the_target_is_a_distribution_times_voicing(speech: Tensor) -> None:
    salience = PitchSalience(BINS, CANDIDATES, RATE_HZ)
    levels = log_magnitude(speech)
    target = salience.target(levels)
    torch.testing.assert_close(target.sum(dim=-1), salience(levels).amax(dim=-1).clamp_min(0))
    voiced = target.sum(dim=-1) > 0
    assert torch.equal(target.argmax(dim=-1)[voiced], salience(levels).argmax(dim=-1)[voiced])


def test_the_comb_leaves_the_energy_of_bands_and_deepens_what_it_is_told_to() -> None:
    comb = HarmonicComb(4, BINS, CANDIDATES, RATE_HZ)
    index = 100
    with torch.no_grad():
        comb.pitch.bias[index] = 50
        comb.depth.bias.fill_(1.0)
    smooth = torch.linspace(0, -6, BINS).expand(1, 3, BINS)
    shaped, logits = comb(torch.zeros(1, 3, 4), smooth)
    assert (logits.argmax(dim=-1) == index).all()
    hats = mel_hats(BINS, ENERGY_BANDS, RATE_HZ)
    before, after = ((2 * level).exp() @ hats for level in (smooth, shaped))
    # Levels are interpolated between bands, so that they are kept nearly and not exactly; bands of a few bins hold one
    # harmonic or none.
    assert (0.5 * (after / before).log()).abs().mean() < 0.1
    found = PITCHES_HZ[PitchSalience(BINS, CANDIDATES, RATE_HZ)(shaped).argmax(dim=-1)]
    assert ((found / PITCHES_HZ[index] - 1).abs() < 0.02).all()
    with torch.no_grad():
        comb.depth.bias.fill_(-30.0)
    torch.testing.assert_close(comb(torch.zeros(1, 3, 4), smooth)[0], smooth, rtol=0, atol=1e-5)


def test_contrast_deepens_harmonics_outside_training_alone_and_keeps_bands() -> None:
    plain, keen = (HarmonicComb(4, BINS, CANDIDATES, RATE_HZ, contrast) for contrast in (0.0, 0.7))
    with torch.no_grad():
        for comb in (plain, keen):
            comb.pitch.bias[100] = 50
            comb.depth.bias.fill_(-1.0)
    x, smooth = torch.zeros(1, 3, 4), torch.linspace(0, -6, BINS).expand(1, 3, BINS)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(keen(x, smooth), plain(x, smooth), strict=True))
    with torch.inference_mode():
        (shaped, logits), (before, before_logits) = keen.eval()(x, smooth), plain.eval()(x, smooth)
    assert torch.equal(logits, before_logits)
    fine = shaped - envelope(shaped, plain.salience.hats), before - envelope(before, plain.salience.hats)
    # The levels of bands, which stay as they are, are part of what is not smooth in it.
    assert 1.4 < float(fine[0].norm() / fine[1].norm()) < 1.7
    assert torch.corrcoef(torch.stack([part.flatten() for part in fine]))[0, 1] > 0.95
    hats = mel_hats(BINS, ENERGY_BANDS, RATE_HZ)
    energies = [(2 * level).exp() @ hats for level in (before, shaped)]
    assert (0.5 * (energies[1] / energies[0]).log()).abs().mean() < 0.05


@pytest.mark.parametrize("changed", [{"contrast": -0.1}, {"contrast": math.inf}, {"pitch_candidates": 0}])
def test_contrast_is_finite_and_needs_a_pitch(changed: dict[str, Any]) -> None:
    decoder = load_preset("mini-12.5hz").decoder
    assert isinstance(decoder, VocosDecoderSpec)
    with pytest.raises(ValueError, match="contrast"):
        replace(decoder, **changed)


def test_extreme_levels_stay_finite_with_finite_gradients() -> None:
    comb = HarmonicComb(4, BINS, CANDIDATES, RATE_HZ)
    levels = torch.full((1, 2, BINS), -200.0)
    levels[0, 1] = torch.linspace(-200, 80, BINS)
    levels.requires_grad_()
    shaped, _ = comb(torch.randn(1, 2, 4), levels)
    shaped.clamp(max=5).sum().backward()
    assert torch.isfinite(shaped).all()
    assert levels.grad is not None
    assert torch.isfinite(levels.grad).all()
