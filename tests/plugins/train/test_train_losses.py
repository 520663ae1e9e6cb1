"""Every loss against a computation that shares no code with it."""

from __future__ import annotations

import dataclasses
import math

import librosa
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from codecbench.errors import UsageError
from codecbench_lmspt.training import Spectrum
from codecbench_train.losses.adversarial import (
    Judgement,
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
)
from codecbench_train.losses.distillation import ResynthesisDistillation, teacher_frames
from codecbench_train.losses.feature_distillation import feature_distillation_loss, pool_to_frames
from codecbench_train.losses.logmel import WhisperLogMel
from codecbench_train.losses.magnitude import magnitude_loss, pitch_loss
from codecbench_train.losses.mel import MultiScaleMelLoss


def _speechlike(rows: int, samples: int, seed: int = 0) -> Tensor:
    """Harmonics under a moving envelope plus noise: tonal, noisy and quiet parts."""
    rng = np.random.default_rng(seed)
    t = np.arange(samples) / 16_000
    audio = []
    for row in range(rows):
        tone = sum(np.sin(2 * np.pi * (110 + 37 * row) * k * t) / k for k in range(1, 12))
        envelope = 0.5 + 0.5 * np.sin(2 * np.pi * (1.5 + row) * t)
        audio.append(0.1 * tone * envelope**4 + 0.003 * rng.standard_normal(samples))
    return torch.from_numpy(np.stack(audio)).float()


def _librosa_mel_loss(
    a: np.ndarray, b: np.ndarray, rate: int, windows: tuple[int, ...], bins: tuple[int, ...]
) -> float:
    total = 0.0
    for window, n_mels in zip(windows, bins, strict=True):
        mels = [
            librosa.feature.melspectrogram(
                y=x, sr=rate, n_fft=window, hop_length=window // 4, n_mels=n_mels, power=1.0, pad_mode="reflect"
            )
            for x in (a, b)
        ]
        total += np.abs(mels[0] - mels[1]).mean()
        logs = [np.log10(np.maximum(m, 1e-5) ** 2) for m in mels]
        total += np.abs(logs[0] - logs[1]).mean()
    return float(total)


@pytest.mark.parametrize("rate", [16_000, 24_000])
def test_mel_loss_is_librosas(rate: int) -> None:
    windows, bins = (256, 512, 1024, 2048), (40, 80, 160, 320)
    target = _speechlike(2, 8000)
    estimate = 0.7 * target + 0.01 * torch.randn(2, 8000, generator=torch.Generator().manual_seed(1))
    ours = MultiScaleMelLoss(rate, windows, bins)(estimate[:, None], target[:, None])
    for row in range(2):
        theirs = _librosa_mel_loss(estimate[row].numpy(), target[row].numpy(), rate, windows, bins)
        assert float(ours[row]) == pytest.approx(theirs, rel=2e-4)


def test_mel_loss_of_silence_is_finite_with_finite_gradient() -> None:
    estimate = torch.zeros(1, 1, 4000, requires_grad=True)
    MultiScaleMelLoss(16_000)(estimate, _speechlike(1, 4000)[:, None]).sum().backward()
    assert estimate.grad is not None
    assert torch.isfinite(estimate.grad).all()


def _spectrum(log_magnitude: Tensor, target: Tensor, valid: Tensor) -> Spectrum:
    return Spectrum(log_magnitude, target, valid, 16_000, 160.0)


def _noisy_magnitudes(frames: int = 12) -> Tensor:
    return 1 + 20 * torch.rand(2, frames, 321, generator=torch.Generator().manual_seed(0))


def test_magnitude_loss_counts_nepers() -> None:
    target = _noisy_magnitudes()
    valid = torch.ones(2, 12, dtype=torch.bool)
    assert magnitude_loss(_spectrum(target.log(), target, valid)).abs().max() < 1e-5
    # One neper too loud everywhere: one for the mels and a quarter of one for the bins (the floor takes a little).
    louder = magnitude_loss(_spectrum(target.log() + 1, target, valid))
    torch.testing.assert_close(louder, torch.full((2,), 1.25), rtol=5e-3, atol=0)


def test_magnitude_loss_leaves_out_what_is_padding_or_below_the_floor() -> None:
    target = _noisy_magnitudes()
    valid = torch.arange(12)[None, :] < torch.tensor([[12], [5]])
    wrong = target.log()
    wrong[1, 5:] += 9
    assert magnitude_loss(_spectrum(wrong, target, valid)).abs().max() < 1e-5
    silent = torch.full_like(target, 1e-9)
    assert magnitude_loss(_spectrum(torch.full_like(target, -18.0), silent, valid)).max() < 1e-4


def test_magnitude_loss_weighs_low_bins_more() -> None:
    target, valid = _noisy_magnitudes(), torch.ones(2, 12, dtype=torch.bool)
    low, high = target.log(), target.log()
    low[..., 4:20] += 0.5
    high[..., 284:300] += 0.5
    ratio = magnitude_loss(_spectrum(low, target, valid)) / magnitude_loss(_spectrum(high, target, valid))
    assert ratio.min() > 3


def test_pitch_loss_is_a_cross_entropy_that_voicing_weighs() -> None:
    target, valid = _noisy_magnitudes(), torch.arange(12)[None, :] < torch.tensor([[12], [5]])
    right = torch.zeros(2, 12, 192)
    right[..., 40] = 0.5  # half voiced
    logits = torch.zeros(2, 12, 192)
    logits[1, 5:, 7] = 99  # padding
    spectrum = dataclasses.replace(_spectrum(target.log(), target, valid), pitch_logits=logits, pitch_target=right)
    torch.testing.assert_close(pitch_loss(spectrum), torch.full((2,), 0.5 * math.log(192)))
    sure = dataclasses.replace(spectrum, pitch_logits=99 * right)
    assert pitch_loss(sure).max() < 1e-5


def test_pitch_loss_of_a_decoder_without_pitch_says_what_to_do() -> None:
    target = _noisy_magnitudes()
    with pytest.raises(UsageError, match=r"loss\.pitch = 0"):
        pitch_loss(_spectrum(target.log(), target, torch.ones(2, 12, dtype=torch.bool)))


@pytest.mark.parametrize("bins", [80, 128])
def test_log_mel_is_openai_whispers(bins: int) -> None:
    whisper = pytest.importorskip("whisper")
    audio = _speechlike(1, 32_000)[0]
    ours = WhisperLogMel(bins)(audio[None])[0]
    torch.testing.assert_close(ours, whisper.log_mel_spectrogram(audio, n_mels=bins), atol=2e-5, rtol=0)


def test_log_mel_is_transformers_and_its_floor_is_per_utterance() -> None:
    transformers = pytest.importorskip("transformers")
    loud, quiet = _speechlike(2, 32_000)
    batch = torch.stack([loud, 1e-3 * quiet])
    ours = WhisperLogMel(80)(batch)
    extractor = transformers.WhisperFeatureExtractor(feature_size=80, chunk_length=2)
    theirs = extractor(list(batch.numpy()), sampling_rate=16_000, return_tensors="pt").input_features
    torch.testing.assert_close(ours, theirs, atol=2e-4, rtol=0)
    torch.testing.assert_close(ours[1:], WhisperLogMel(80)(batch[1:]))


def test_log_mel_gradient_is_that_of_finite_differences() -> None:
    audio = _speechlike(1, 1600).double().requires_grad_()
    logmel = WhisperLogMel(80).double()
    assert torch.autograd.gradcheck(lambda x: logmel(x).square().mean(), (audio,), eps=1e-7, atol=1e-5, fast_mode=True)


def _judgements(seed: int) -> list[Judgement]:
    gen = torch.Generator().manual_seed(seed)
    maps = [tuple(torch.randn(3, 2, 5 + k, generator=gen) for k in range(2)) for _ in range(2)]
    return [Judgement(m, torch.randn(3, 1, 4, generator=gen)) for m in maps]


def test_adversarial_losses_are_the_published_formulas() -> None:
    real, fake = _judgements(0), _judgements(1)
    for row in range(3):
        d = sum(
            np.mean((r.logits[row].numpy() - 1) ** 2) + np.mean(f.logits[row].numpy() ** 2)
            for r, f in zip(real, fake, strict=True)
        )
        g = sum(np.mean((f.logits[row].numpy() - 1) ** 2) for f in fake)
        fm = sum(
            np.mean(np.abs(a[row].numpy() - b[row].numpy()))
            for r, f in zip(real, fake, strict=True)
            for a, b in zip(r.features, f.features, strict=True)
        )
        assert float(discriminator_loss(real, fake)[row]) == pytest.approx(d, rel=1e-5)
        assert float(generator_loss(fake)[row]) == pytest.approx(g, rel=1e-5)
        assert float(feature_matching_loss(real, fake)[row]) == pytest.approx(fm, rel=1e-5)


class _FrameTeacher(nn.Module):
    """Stands for an encoder whose frames see 320 samples each, so that expected errors can be written down."""

    def forward(self, audio: Tensor) -> Tensor:
        frames = audio.unflatten(1, (-1, 320))
        return torch.stack([frames.mean(dim=2), frames.square().mean(dim=2)], dim=2)


def _numpy_features(audio: np.ndarray) -> np.ndarray:
    frames = audio.reshape(-1, 320)
    return np.stack([frames.mean(1), (frames**2).mean(1)], axis=1)


@pytest.mark.parametrize("convention", ["release", "paper"])
def test_distillation_conventions(convention: str) -> None:
    samples, valid = 6500, [6500, 3000]
    original, rebuilt = _speechlike(2, samples, 0), _speechlike(2, samples, 1) + 0.1
    loss = ResynthesisDistillation(_FrameTeacher(), convention)
    num_samples = torch.tensor(valid)
    ours = loss(rebuilt, num_samples, loss.target(original, num_samples, torch.arange(len(original))))
    for row in range(2):
        length = 480_000 if convention == "release" else 6720
        padded = np.zeros((2, length), np.float32)
        padded[0, : valid[row]], padded[1, : valid[row]] = original[row, : valid[row]], rebuilt[row, : valid[row]]
        error = ((_numpy_features(padded[0]) - _numpy_features(padded[1])) ** 2).mean(axis=1)
        expected = error.mean() if convention == "release" else error[: -(-valid[row] // 320)].sum()
        assert float(ours[row]) == pytest.approx(float(expected), rel=1e-5)


def test_distillation_ignores_what_lies_beyond_the_utterance() -> None:
    loss = ResynthesisDistillation(_FrameTeacher(), "paper")
    original, rebuilt = _speechlike(1, 6400, 0), _speechlike(1, 6400, 1)
    num_samples = torch.tensor([3200])
    noisy = rebuilt.clone()
    noisy[:, 3200:] += 5.0
    target = loss.target(original, num_samples, torch.arange(len(original)))
    torch.testing.assert_close(loss(rebuilt, num_samples, target), loss(noisy, num_samples, target))


def test_teacher_frames_round_up() -> None:
    assert teacher_frames(torch.tensor([1, 320, 321, 640])).tolist() == [1, 1, 2, 2]


def test_feature_distances_are_the_published_formulas() -> None:
    gen = torch.Generator().manual_seed(3)
    prediction, features = torch.randn(2, 5, 8, generator=gen), torch.randn(2, 20, 8, generator=gen)
    frames = torch.tensor([5, 3])
    pooled = features.numpy().reshape(2, 5, 4, 8).mean(axis=2)
    np.testing.assert_allclose(pool_to_frames(features, 5).numpy(), pooled, rtol=1e-5)
    for row, n in enumerate(frames.tolist()):
        p, t = prediction[row, :n].numpy(), pooled[row, :n]
        cos = (p * t).sum(1) / np.linalg.norm(p, axis=1) / np.linalg.norm(t, axis=1)
        dims = (p * t).sum(0) / np.linalg.norm(p, axis=0) / np.linalg.norm(t, axis=0)
        expected = {
            "cosine": (1 - cos).mean(),
            "mse": ((p - t) ** 2).mean(),
            "d-axis": np.log1p(np.exp(-dims)).mean(),
        }
        for distance, value in expected.items():
            ours = feature_distillation_loss(prediction, features, frames, distance)
            assert float(ours[row]) == pytest.approx(float(value), rel=1e-4), distance
