"""Entropy of a discrete source from a sample, with its bias corrected."""

from __future__ import annotations

import numpy as np

# Below this many frames for each entry a codebook's statistics say more about the corpus than about the codec.
FRAMES_PER_ENTRY = 20


def plug_in_entropy_bits(counts: np.ndarray) -> float:
    """Return the entropy in bits of the observed frequencies ``counts`` [N]; too low on average."""
    seen = counts[counts > 0].astype(np.float64)
    if seen.size == 0:
        return 0.0
    share = seen / seen.sum()
    return float(max(0.0, -np.sum(share * np.log2(share))))


def entropy_bits(counts: np.ndarray) -> float:
    """Return the entropy in bits with the first-order bias (entries seen - 1) / (2 n) added, at most log2(N).

    Source: Miller, "Note on the bias of information estimates", 1955 (Miller-Madow).
    """
    total = counts.sum()
    if total == 0:
        return 0.0
    correction = (np.count_nonzero(counts) - 1) / (2 * total) / np.log(2)
    return float(min(plug_in_entropy_bits(counts) + correction, np.log2(len(counts))))
