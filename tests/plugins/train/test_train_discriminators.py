"""Discriminators: published parameter counts, level invariance, one frame per hop."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from codecbench.errors import UsageError
from codecbench_train.discriminators import (
    Discriminators,
    MagnitudeDiscriminator,
    PeriodDiscriminator,
    Sample,
    SpectrogramDiscriminator,
    samples,
)


def _count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_parameter_counts_of_the_released_discriminators() -> None:
    assert _count(PeriodDiscriminator(2, (32, 128, 512, 1024, 1024))) == 8_221_154
    assert _count(SpectrogramDiscriminator(1024, 64)) == 1_864_258
    assert _count(Discriminators()) == 46_698_544


def _narrow() -> Discriminators:
    torch.manual_seed(0)
    return Discriminators((2, 3), (2, 4, 4), (512, 256), 2)


def test_level_and_offset_do_not_change_the_judgement() -> None:
    judges, audio = _narrow(), torch.randn(2, 1, 4000)
    for a, b in zip(judges(Sample(audio)), judges(Sample(0.05 * audio + 0.3)), strict=True):
        torch.testing.assert_close(a.logits, b.logits, atol=1e-4, rtol=1e-3)


def test_spectrum_has_one_frame_for_every_hop_and_matches_a_direct_dft() -> None:
    judge = SpectrogramDiscriminator(256, 2)
    audio = torch.randn(1, 1, 1000, dtype=torch.float64)
    spectrum = judge.double().spectrum(audio)
    assert spectrum.shape == (1, 2, -(-1000 // 64), 129)
    # Frame 5 starts at hop 5 of the signal, 96 samples (half of window minus hop) early.
    start = 5 * 64 - 96
    expected = torch.fft.rfft(audio[0, 0, start : start + 256] * torch.hann_window(256, dtype=torch.float64))
    torch.testing.assert_close(torch.complex(spectrum[0, 0, 5], spectrum[0, 1, 5]), expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("samples", [1999, 4000, 301])
def test_any_length_is_judged_and_gradients_reach_the_audio(samples: int) -> None:
    audio = torch.randn(2, 1, samples, requires_grad=True)
    sum(j.logits.square().mean() for j in _narrow()(Sample(audio))).backward()
    assert audio.grad is not None
    assert float(audio.grad.abs().sum()) > 0


def test_no_discriminator_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Discriminators((), stft_windows=())


def test_magnitudes_are_judged_apart_from_the_waveform() -> None:
    torch.manual_seed(0)
    judges = Discriminators((), stft_windows=(), magnitude_channels=2)
    levels = torch.randn(2, 30, 321, requires_grad=True)
    (judgement,) = judges(Sample(torch.randn(2, 1, 4800), levels))
    (again,) = judges(Sample(torch.randn(2, 1, 4800), levels))
    torch.testing.assert_close(judgement.logits, again.logits)
    # A logit for every frame, of five bands of 32, 48, 80, 80 and 81 bins halved three times.
    assert judgement.logits.shape == (2, 1, 30, 4 + 6 + 10 + 10 + 11)
    judgement.logits.sum().backward()
    assert levels.grad is not None
    assert bool((levels.grad.abs().sum(dim=(0, 1)) > 0).all())


def test_original_and_reconstruction_are_judged_at_the_same_frames() -> None:
    target = torch.rand(1, 4, 5) + 0.1
    valid = torch.tensor([[True, True, True, False]])
    audio, made = torch.zeros(1, 1, 640), torch.ones(1, 1, 640)

    def output(predicted: torch.Tensor) -> Any:
        spectrum = SimpleNamespace(log_magnitude=predicted.log(), target=target, valid=valid, full_scale=160.0)
        return SimpleNamespace(reconstruction=made, spectrum=spectrum)

    real, fake = samples(audio, output(target))
    assert real.audio is audio
    assert torch.equal(fake.audio, made)
    torch.testing.assert_close(fake.levels, real.levels)
    # Ten times the magnitude is as much higher at every level above the floor; what is padding is the same in both.
    louder = samples(audio, output(10 * target))[1].levels
    assert louder is not None
    assert real.levels is not None
    rise = louder - real.levels
    torch.testing.assert_close(rise[:, :3], torch.full((1, 3, 5), 1.0), atol=0.2, rtol=0)
    assert not rise[:, 3].any()
    assert samples(audio, cast(Any, SimpleNamespace(reconstruction=made, spectrum=None)))[1].levels is None


def test_a_decoder_without_magnitudes_is_told_what_to_do() -> None:
    with pytest.raises(UsageError, match=r"magnitude_channels.*set it to 0"):
        MagnitudeDiscriminator(2)(Sample(torch.randn(1, 1, 4800)))
