"""Random draws keyed by what they are for: the same for any number of workers, ranks and restarts."""

from __future__ import annotations

import zlib

import numpy as np


def draws(seed: int, purpose: str, *keys: int) -> np.random.Generator:
    """A generator that depends on its arguments alone (Philox, keyed through NumPy's ``SeedSequence``)."""
    words = [seed, zlib.crc32(purpose.encode()), *keys]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([word & 0xFFFFFFFFFFFFFFFF for word in words])))
