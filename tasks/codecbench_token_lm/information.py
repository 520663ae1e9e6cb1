"""Entropies and mutual information of codes from a sample, corrected for what the sample has not shown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Share of the source that the sample must have shown for an estimate of pairs to be given: simulated in the tests.
LEAST_COVERAGE = 0.5


@dataclass(frozen=True)
class Estimate:
    """An entropy in bits: corrected, and as observed; ``coverage`` is the estimated share of the source seen."""

    bits: float
    plug_in_bits: float
    coverage: float
    observations: int
    types: int


def estimate_entropy(counts: np.ndarray) -> Estimate:
    """Estimate the entropy of the source of ``counts`` [types].

    Source: Chao & Shen, "Nonparametric estimation of Shannon's index of diversity when there are unseen species in
    sample", Environmental and Ecological Statistics 10, 2003; the coverage is Good's, 1953.
    """
    seen = counts[counts > 0].astype(np.float64)
    total = float(seen.sum())
    if total == 0:
        return Estimate(0.0, 0.0, 0.0, 0, 0)
    share = seen / total
    once = int(np.count_nonzero(seen == 1))
    coverage = 1 - min(once, total - 1) / total if total > 1 else 0.0
    plug_in = max(0.0, float(-np.sum(share * np.log2(share))))
    if coverage == 0:
        return Estimate(plug_in, plug_in, 0.0, int(total), len(seen))
    adjusted = coverage * share
    inclusion = -np.expm1(total * np.log1p(-np.minimum(adjusted, 1 - 1e-15)))
    bits = max(0.0, float(-np.sum(adjusted * np.log2(adjusted) / inclusion)))
    return Estimate(bits, plug_in, coverage, int(total), len(seen))


@dataclass(frozen=True)
class PairEstimate:
    """Entropies of two codes and of both together, in bits; an estimate cannot leave what the theory allows."""

    first: Estimate
    second: Estimate
    joint: Estimate

    @property
    def mutual_bits(self) -> float:
        """Mutual information I(first; second)."""
        raw = self.first.bits + self.second.bits - self.joint.bits
        return float(np.clip(raw, 0.0, min(self.first.bits, self.second.bits)))

    @property
    def conditional_bits(self) -> float:
        """Entropy of the second given the first."""
        return self.second.bits - self.mutual_bits

    @property
    def enough(self) -> bool:
        """Whether the sample has shown enough of the pairs."""
        return self.joint.coverage >= LEAST_COVERAGE


def estimate_pair(first: np.ndarray, second: np.ndarray) -> PairEstimate:
    """Estimate from ``first`` [n] and ``second`` [n], codes that occur together."""
    width = int(second.max(initial=0)) + 1
    joint = np.unique(first * width + second, return_counts=True)[1]
    return PairEstimate(
        estimate_entropy(np.bincount(first)), estimate_entropy(np.bincount(second)), estimate_entropy(joint)
    )
