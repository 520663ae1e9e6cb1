"""Sound of the training data: reading, resampling to 16 kHz, trimming, and telling junk from speech."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from codecbench_corpora.g722 import read_g722

from .records import SAMPLE_RATE_HZ, FloatSamples, Int16Samples

FRAME_SAMPLES = SAMPLE_RATE_HZ // 50
# A frame is active within this of the clip's loud frames (their 95th percentile).
ACTIVE_RANGE_DB = 35.0
MARGIN_FRAMES = 6
_FULL_SCALE = 32_767.0
_FLOOR = 1e-10


@dataclasses.dataclass(frozen=True)
class Limits:
    """What is kept: a clip outside these is junk for training."""

    min_seconds: float = 1.0
    max_seconds: float = 90.0
    min_level_dbfs: float = -45.0
    max_clipped_fraction: float = 0.005
    # Speech rises and falls with its syllables; music beds, tones and noise are steadier (see `level_spread_db`).
    min_level_spread_db: float = 3.0


def read_recording(path: Path) -> FloatSamples:
    """Read a file as (T,) float32 mono at 16,000 Hz; `.g722` is raw G.722, all else is libsndfile's."""
    if path.suffix == ".g722":
        return read_g722(path)
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return resample(samples.mean(axis=1), rate)


def resample(samples: FloatSamples, rate_hz: int) -> FloatSamples:
    """Resample (T,) from `rate_hz` to 16,000 Hz with a Kaiser-windowed sinc (as librosa's `kaiser_best`)."""
    if rate_hz == SAMPLE_RATE_HZ or not samples.size:
        return np.ascontiguousarray(samples, dtype=np.float32)
    import torch
    import torchaudio.functional as audio_functional

    resampled = audio_functional.resample(
        torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32)),
        rate_hz,
        SAMPLE_RATE_HZ,
        lowpass_filter_width=64,
        rolloff=0.9475937167399596,
        resampling_method="sinc_interp_kaiser",
        beta=14.769656459379492,
    )
    return np.asarray(resampled.numpy(), dtype=np.float32)


def frame_levels_db(samples: FloatSamples) -> npt.NDArray[np.float64]:
    """Level of every whole 20 ms frame in dB relative to full scale, (F,)."""
    frames = len(samples) // FRAME_SAMPLES
    power = np.square(samples[: frames * FRAME_SAMPLES], dtype=np.float64).reshape(frames, FRAME_SAMPLES).mean(axis=1)
    return np.asarray(10 * np.log10(power + _FLOOR))


def active_frames(samples: FloatSamples) -> npt.NDArray[np.bool_]:
    """Which 20 ms frames are within `ACTIVE_RANGE_DB` of the loud ones, (F,)."""
    levels = frame_levels_db(samples)
    if not levels.size:
        return np.zeros(0, dtype=np.bool_)
    return np.asarray(levels > max(float(np.percentile(levels, 95)) - ACTIVE_RANGE_DB, -70.0))


def trim(samples: FloatSamples) -> FloatSamples:
    """Cut silence at both ends down to a margin of 0.12 s."""
    active = np.flatnonzero(active_frames(samples))
    if not active.size:
        return samples[:0]
    first = max(0, int(active[0]) - MARGIN_FRAMES)
    last = int(active[-1]) + 1 + MARGIN_FRAMES
    return samples[first * FRAME_SAMPLES : last * FRAME_SAMPLES]


def level_spread_db(samples: FloatSamples) -> float:
    """Spread (10th to 90th percentile) of the levels of the active frames: wide for speech, narrow for steady sound."""
    levels = frame_levels_db(samples)[active_frames(samples)]
    return float(np.percentile(levels, 90) - np.percentile(levels, 10)) if levels.size else 0.0


def why_junk(samples: FloatSamples, limits: Limits) -> str | None:
    """The reason to leave a trimmed clip out of training, or None where it is to be kept."""
    seconds = len(samples) / SAMPLE_RATE_HZ
    if not seconds:
        return "silent"
    if not np.isfinite(samples).all():
        return "not finite"
    if seconds < limits.min_seconds:
        return "too short"
    if seconds > limits.max_seconds:
        return "too long"
    if frame_levels_db(samples).max(initial=-200.0) < limits.min_level_dbfs:
        return "silent"
    if np.mean(np.abs(samples) >= 0.999) > limits.max_clipped_fraction:
        return "clipped"
    if level_spread_db(samples) < limits.min_level_spread_db:
        return "no speech (steady level)"
    return None


def to_int16(samples: FloatSamples) -> Int16Samples:
    """Round to 16 bits; what is beyond full scale is limited to it."""
    return np.asarray(np.clip(np.rint(samples * _FULL_SCALE), -32_768, 32_767), dtype=np.int16)
