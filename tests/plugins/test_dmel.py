"""dMel: its levels are librosa's mel energies, finer frames keep more, and fewer bands keep less."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import torch
from codec_testing import batch_of, open_named, round_trip, spectral_delay, speech
from pystoi import stoi

from codecbench import Codec, Tokens
from codecbench_dmel.codec import FFT_SAMPLES, HIGHEST, LOWEST, WINDOW_SAMPLES

DMEL = "codecbench_dmel"
RATE_HZ, HOP = 16000, 400


@pytest.fixture(scope="module")
def codec() -> Codec:
    """The one at 40 Hz."""
    return open_named(DMEL, "dmel:40hz")


def codes_of(codec: Codec, audio: np.ndarray) -> np.ndarray:
    """Codes [K, F] of one utterance."""
    encoded = codec.encode(batch_of(audio, sample_rate_hz=RATE_HZ))
    assert isinstance(encoded, Tokens)
    return encoded.streams[0].codes[0].numpy()


def test_any_length_comes_back(codec: Codec) -> None:
    for length in (0, 1, 399, 400, 401, 4001):
        encoded, decoded = round_trip(codec, speech(RATE_HZ)[:length], RATE_HZ)
        assert len(decoded) == length
        assert encoded.num_bits(0) == 80 * 4 * -(-length // HOP)


def test_levels_are_librosas_mel_energies(codec: Codec) -> None:
    audio = speech(RATE_HZ, 4.0)
    ours = codes_of(codec, audio)
    middle = HOP // 2  # frame 0 lies around it, where librosa's first lies around the first sample
    mel = librosa.feature.melspectrogram(
        y=audio[middle:], sr=RATE_HZ, n_fft=FFT_SAMPLES, hop_length=HOP, win_length=WINDOW_SAMPLES, power=1.0, n_mels=80
    )
    theirs = np.clip(np.rint((np.log(mel + 1e-10) - LOWEST) / (HIGHEST - LOWEST) * 15), 0, 15)
    inner = slice(2, min(ours.shape[1], theirs.shape[1]) - 2)  # ends are padded differently
    assert np.abs(ours[:, inner] - theirs[:, inner]).max() <= 1
    assert np.mean(ours[:, inner] == theirs[:, inner]) > 0.999


def test_a_louder_signal_has_higher_levels_in_even_steps(codec: Codec) -> None:
    tone = 0.01 * np.sin(2 * np.pi * 1000 * np.arange(RATE_HZ) / RATE_HZ).astype(np.float32)
    step = float(np.exp((HIGHEST - LOWEST) / 15))
    quiet, loud = codes_of(codec, tone)[:, 5:-5], codes_of(codec, tone * step)[:, 5:-5]
    assert (loud - quiet)[quiet > 0] == pytest.approx(1)


def test_more_frames_and_more_bands_keep_more(codec: Codec) -> None:
    audio = speech(RATE_HZ, 6.0)
    encoded, full = round_trip(codec, audio, RATE_HZ)
    _, finer = round_trip(open_named(DMEL, "dmel:80hz"), audio, RATE_HZ)
    assert isinstance(encoded, Tokens)
    few = codec.decode(encoded.truncated(20)).row(0).numpy()
    scores = [float(stoi(audio, output, RATE_HZ)) for output in (few, full, finer)]
    assert scores == sorted(scores)
    assert scores[1] > 0.85
    assert abs(spectral_delay(audio, full, RATE_HZ)) <= 32


def test_phases_do_not_touch_the_random_state(codec: Codec) -> None:
    before = torch.random.get_rng_state()
    round_trip(codec, speech(RATE_HZ, 0.5), RATE_HZ)
    assert torch.equal(before, torch.random.get_rng_state())
