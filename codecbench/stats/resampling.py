"""Drawing units with replacement, and sums over what was drawn as blocked matrix products."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

_BLOCK = 512


@dataclass(frozen=True)
class BootstrapSettings:
    """How often to resample, from which seed, and how sure an interval must be."""

    resamples: int = 10_000
    seed: int = 20_260
    confidence: float = 0.95


@lru_cache(maxsize=2)
def resample_counts(num_units: int, resamples: int, seed: int) -> np.ndarray:
    """Return how often each unit is drawn in each resample, uint8 [resamples, num_units]; rows sum to num_units.

    Depends on nothing but its arguments, so that all metrics over as many units share one set of resamples.
    """
    rng = np.random.default_rng((seed, num_units))
    counts = np.empty((resamples, num_units), np.uint8)
    for start in range(0, resamples, _BLOCK):
        rows = min(_BLOCK, resamples - start)
        drawn = rng.integers(0, num_units, size=(rows, num_units))
        drawn += np.arange(rows)[:, None] * num_units
        counts[start : start + rows] = np.bincount(drawn.ravel(), minlength=rows * num_units).reshape(rows, num_units)
    return counts


def resampled_sums(values: np.ndarray, settings: BootstrapSettings) -> np.ndarray:
    """Sum ``values`` [columns, units] over the units of each resample: float64 [resamples, columns].

    In single precision, a few million products a column: hand over centred values, whose sums are small.
    """
    counts = resample_counts(values.shape[1], settings.resamples, settings.seed)
    columns = np.ascontiguousarray(values.T, dtype=np.float32)
    sums = np.empty((len(counts), len(values)))
    for start in range(0, len(counts), _BLOCK):
        block = slice(start, start + _BLOCK)
        np.matmul(counts[block].astype(np.float32), columns, out=sums[block])
    return sums
