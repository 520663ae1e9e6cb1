"""Intervals over two crossed samples: the utterances of the test set, and the seeds of training.

A figure of S models on the same U utterances varies with both. Its variance is taken as the sum of two parts: of the
seeds' mean over utterances (linearised for a ratio of sums: Cochran, "Sampling Techniques", 1977, section 6.4), and of
the S seeds' figures over S. What is of one seed on one utterance is in both, so the sum errs on the wide side. The ends
are those of Student's t with the degrees of freedom of Satterthwaite ("An approximate distribution of estimates of
variance components", 1946), which are few where the seeds decide: three seeds give no narrow interval.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MIN_UTTERANCES = 5


@dataclass(frozen=True)
class CrossedInterval:
    """Estimate and 95 % interval; ends are None where there are too few utterances.

    utterance_error, seed_error: the two standard errors; seed_error is None with one seed: nothing is known of it.
    """

    estimate: float
    low: float | None
    high: float | None
    utterance_error: float
    seed_error: float | None


def crossed_interval(numerators: np.ndarray, denominators: np.ndarray, confidence: float = 0.95) -> CrossedInterval:
    """Interval of sum(numerators) / sum(denominators), both [S, U]; a mean has denominators of one.

    Raises ValueError where a seed's denominators sum to 0.
    """
    from scipy import stats

    seeds, utterances = numerators.shape
    if (denominators.sum(axis=1) <= 0).any():
        raise ValueError("a seed's denominators sum to 0")
    estimate = float(numerators.sum() / denominators.sum())
    residual = (numerators - estimate * denominators).sum(axis=0) / denominators.sum()
    if utterances < MIN_UTTERANCES:
        return CrossedInterval(estimate, None, None, float("nan"), None)
    of_utterances = float(utterances / (utterances - 1) * np.square(residual - residual.mean()).sum())
    of_seeds = None
    if seeds > 1:
        figures = numerators.sum(axis=1) / denominators.sum(axis=1)
        of_seeds = float(figures.var(ddof=1) / seeds)
    variance = of_utterances + (of_seeds or 0.0)
    freedom = _degrees(of_utterances, utterances - 1, of_seeds or 0.0, seeds - 1)
    reach = float(stats.t.ppf(0.5 + confidence / 2, freedom)) * variance**0.5
    error = None if of_seeds is None else of_seeds**0.5
    return CrossedInterval(estimate, estimate - reach, estimate + reach, of_utterances**0.5, error)


def _degrees(a: float, a_freedom: int, b: float, b_freedom: int) -> float:
    """Satterthwaite's degrees of freedom of the sum of two variances."""
    below = a**2 / a_freedom + (b**2 / b_freedom if b_freedom else 0.0)
    return (a + b) ** 2 / below if below > 0 else float(a_freedom)
