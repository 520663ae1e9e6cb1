"""Random draws keyed by what they are for, not by when they happen.

Every draw in training depends on (seed, step, global sample index or codebook, purpose) alone, so that N ranks draw
what one rank would, and a resumed run draws what the uninterrupted one would.
"""

from __future__ import annotations

import zlib

import torch

_MASK = (1 << 64) - 1


def key(*parts: int | str) -> int:
    """A 64-bit number from the parts, mixed by SplitMix64 (Steele et al., OOPSLA 2014)."""
    state = 0x9E3779B97F4A7C15
    for part in parts:
        value = zlib.crc32(part.encode()) if isinstance(part, str) else part
        state = _mix((state ^ (value & _MASK)) & _MASK)
    return state


def _mix(state: int) -> int:
    state = (state + 0x9E3779B97F4A7C15) & _MASK
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
    return state ^ (state >> 31)


def uniform(*parts: int | str) -> float:
    """One draw from [0, 1)."""
    return (key(*parts) >> 11) / (1 << 53)


def generator(*parts: int | str) -> torch.Generator:
    """A CPU generator of its own for longer draws."""
    return torch.Generator().manual_seed(key(*parts) >> 1)
