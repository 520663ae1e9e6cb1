"""Float audio as the 16-bit samples that classical codecs take, and back."""

from __future__ import annotations

import numpy as np

from codecbench.errors import BadInput

FULL_SCALE = 32768.0


def require_finite(audio: np.ndarray) -> None:
    """Raise BadInput where a sample is NaN or infinite: no quantiser has a level for it."""
    if not np.isfinite(audio).all():
        raise BadInput("audio holds NaN or infinite samples")


def to_int16(audio: np.ndarray) -> np.ndarray:
    """Round float [T] in [-1, 1) to int16 [T], clipping what lies outside; raises BadInput for NaN or infinity."""
    require_finite(audio)
    return np.clip(np.rint(audio.astype(np.float64) * FULL_SCALE), -32768, 32767).astype(np.int16)


def from_int16(samples: np.ndarray) -> np.ndarray:
    """Scale int16 [T] to float32 [T] in [-1, 1)."""
    return (samples / FULL_SCALE).astype(np.float32)


def fit_length(audio: np.ndarray, num_samples: int) -> np.ndarray:
    """Cut [T] to ``num_samples`` or pad it with zeros."""
    return np.pad(audio[:num_samples], (0, max(0, num_samples - len(audio))))
