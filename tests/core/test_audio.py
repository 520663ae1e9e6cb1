"""The fixed parts of the protocol: one resampler, one delay measure."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from codecbench.audio.delay import align, measure_delay
from codecbench.audio.resample import resample, resampled_length


def speechlike(seconds: float, rate_hz: int, seed: int = 0) -> np.ndarray:
    """Noise with the long-term slope of speech and a syllable-like envelope."""
    rng = np.random.default_rng(seed)
    noise = scipy.signal.lfilter([1], [1, -0.95], rng.standard_normal(int(seconds * rate_hz)))
    envelope = 0.55 + 0.45 * np.sin(2 * np.pi * 4 * np.arange(len(noise)) / rate_hz)
    return (0.02 * noise * envelope).astype(np.float32)


@settings(deadline=None, max_examples=25)
@given(
    st.integers(1, 5000),
    st.sampled_from([8000, 16000, 22050, 24000, 44100, 48000]),
    st.sampled_from([8000, 16000, 24000]),
)
def test_resampled_length_is_what_the_resampler_returns(length: int, from_hz: int, to_hz: int) -> None:
    audio = np.zeros(length, np.float32)
    assert len(resample(audio, from_hz, to_hz)) == resampled_length(length, from_hz, to_hz)


def test_a_round_trip_through_24_khz_keeps_the_signal() -> None:
    audio = speechlike(2, 16000)
    back = resample(resample(audio, 16000, 24000), 24000, 16000)[: len(audio)]
    error = back[200:-200] - audio[200:-200]
    assert 10 * np.log10(np.mean(audio**2) / np.mean(error**2)) > 35


def test_a_sine_survives_and_an_alias_does_not() -> None:
    time = np.arange(48000) / 48000
    kept = resample(np.sin(2 * np.pi * 5000 * time).astype(np.float32), 48000, 16000)
    expected = np.sin(2 * np.pi * 5000 * np.arange(16000) / 16000)
    assert np.abs(kept[500:-500] - expected[500:-500]).max() < 1e-3
    removed = resample(np.sin(2 * np.pi * 9000 * time).astype(np.float32), 48000, 16000)
    assert np.abs(removed[500:-500]).max() < 1e-3


@pytest.mark.parametrize("lag", [0, 1, 8, 40, 160, 910, -5, -333])
def test_a_known_delay_is_found_and_undone(lag: int) -> None:
    audio = speechlike(2, 16000)
    shifted = np.roll(audio, lag)
    shifted += 0.1 * audio.std() * np.random.default_rng(1).standard_normal(len(audio)).astype(np.float32)
    assert measure_delay(audio, shifted, 16000) == lag
    reference, output = align(audio, shifted, lag)
    assert len(reference) == len(output) == len(audio) - abs(lag)
    assert np.corrcoef(reference, output)[0, 1] > 0.98


def test_silence_has_no_delay() -> None:
    audio = speechlike(1, 16000)
    assert measure_delay(audio, np.zeros_like(audio), 16000) == 0
    assert measure_delay(np.zeros(0, np.float32), audio, 16000) == 0
