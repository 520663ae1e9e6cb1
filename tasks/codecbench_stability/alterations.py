"""What is done to audio before it is encoded again: changes that a listener would hardly call another content."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from codecbench.audio.resample import resample
from codecbench.hashing import digest


@dataclass(frozen=True)
class Setting:
    """What an alteration may need to know: the rate, the longest frame in samples, and draws of its own."""

    sample_rate_hz: int
    frame_samples: int
    rng: np.random.Generator


@dataclass(frozen=True)
class Alteration:
    """A named change of audio [T] into audio [T'] at the same rate."""

    name: str
    apply: Callable[[np.ndarray, Setting], np.ndarray]


def draws(utterance_id: str, purpose: str) -> np.random.Generator:
    """Return a generator that depends on the utterance and the purpose alone, so that all codecs get the same."""
    return np.random.default_rng(int(digest([utterance_id, purpose]), 16))


def _shift(audio: np.ndarray, setting: Setting, part: float) -> np.ndarray:
    return audio[round(part * setting.frame_samples) :]


def _gain(audio: np.ndarray, setting: Setting, level_db: float) -> np.ndarray:
    return (audio * 10 ** (level_db / 20)).astype(np.float32)


def _noise(audio: np.ndarray, setting: Setting, snr_db: float) -> np.ndarray:
    """Add white noise; the ratio is that of the mean powers of the whole utterance."""
    noise = setting.rng.standard_normal(len(audio))
    power = float(np.mean(audio.astype(np.float64) ** 2))
    scale = np.sqrt(power / max(float(np.mean(noise**2)), 1e-30) / 10 ** (snr_db / 10))
    return (audio + scale * noise).astype(np.float32)


def _through(audio: np.ndarray, setting: Setting, rate_hz: int) -> np.ndarray:
    """Resample to another rate and back: a band limit where that is lower."""
    there = resample(audio, setting.sample_rate_hz, rate_hz)
    return resample(there, rate_hz, setting.sample_rate_hz)[: len(audio)]


ALTERATIONS = (
    *(Alteration(f"shift-{name}-frame", partial(_shift, part=p)) for name, p in (("1/4", 0.25), ("1/2", 0.5))),
    *(Alteration(f"gain{level:+d}dB", partial(_gain, level_db=level)) for level in (-6, 6)),
    *(Alteration(f"noise-{snr}dB", partial(_noise, snr_db=snr)) for snr in (30, 20, 10)),
    Alteration("band-4kHz", partial(_through, rate_hz=8000)),
    Alteration("resampled-44.1kHz", partial(_through, rate_hz=44100)),
)
