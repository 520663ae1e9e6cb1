"""Simple augmentations, every one a function of (seed, global sample index)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codecbench.audio.resample import resample
from codecbench_train.data.keyed import draws


@dataclass(frozen=True)
class AugmentConfig:
    """Which augmentations run; the defaults are none.

    gain_db: level changes by a uniform draw from ± this many dB, as far as the peak stays below full scale.
    flip_polarity: half of the crops are negated. speeds: playback factors (pitch moves along), one drawn for each crop;
    a change of speed is also a change of voice, which helps where speakers are few. band_limit_share: this share of
    crops is low-passed to ``band_limit_hz``, as telephone speech is.
    """

    gain_db: float = 0.0
    flip_polarity: bool = False
    speeds: tuple[float, ...] = ()
    band_limit_share: float = 0.0
    band_limit_hz: int = 4000


@dataclass(frozen=True)
class Plan:
    """What is done to one crop."""

    speed: float
    gain: float
    band_limited: bool


def plan(config: AugmentConfig, seed: int, index: int) -> Plan:
    """Draw the augmentation of sample ``index``."""
    random = draws(seed, "augment", index)
    # Every draw is made whether it is used or not: switching one augmentation on leaves the others as they were.
    speed, decibels, sign, band = random.random(), random.uniform(-1, 1), random.random(), random.random()
    gain = 10 ** (decibels * config.gain_db / 20)
    return Plan(
        speed=config.speeds[int(speed * len(config.speeds))] if config.speeds else 1.0,
        gain=-gain if config.flip_polarity and sign < 0.5 else gain,
        band_limited=band < config.band_limit_share,
    )


def apply(audio: np.ndarray, chosen: Plan, config: AugmentConfig, rate_hz: int) -> np.ndarray:
    """Apply gain, polarity and band limit to ``audio[T]``; speed is applied while reading."""
    length = len(audio)
    if chosen.band_limited and 2 * config.band_limit_hz < rate_hz:
        narrow = resample(audio, rate_hz, 2 * config.band_limit_hz)
        audio = resample(narrow, 2 * config.band_limit_hz, rate_hz)[:length]
    peak = float(np.abs(audio).max())
    limit = max(1.0, 0.99 / max(peak, 1e-9)) if abs(chosen.gain) > 1 else 1e9
    gain = np.sign(chosen.gain) * min(abs(chosen.gain), limit)
    return (audio * gain).astype(np.float32)
