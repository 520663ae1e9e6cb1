"""Intervals and p-values from a resampled statistic and its spread in each resample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MIN_UNITS_FOR_INTERVAL = 5
# Spread below this share of the estimate is rounding noise.
NO_SPREAD = 1e-12


@dataclass(frozen=True)
class Interval:
    """A confidence interval; both ends are None where none can be given, ``method`` says why."""

    low: float | None
    high: float | None
    method: str


@dataclass(frozen=True, eq=False)
class Resampled:
    """A statistic: its estimate and standard error, and over the resamples its shift and standard error.

    scale: size of the figures that it is made from. jackknife: the statistic without each unit, for BCa.
    """

    estimate: float
    error: float
    shift: np.ndarray
    errors: np.ndarray
    scale: float
    jackknife: np.ndarray

    @property
    def is_constant(self) -> bool:
        """Whether all units are equal, up to rounding."""
        return self.error <= NO_SPREAD * max(self.scale, NO_SPREAD)


def interval(statistic: Resampled, confidence: float) -> Interval:
    """Return the studentised interval, or BCa where too many resamples have no spread to divide by."""
    if statistic.jackknife.size < MIN_UNITS_FOR_INTERVAL:
        return Interval(None, None, f"none: fewer than {MIN_UNITS_FOR_INTERVAL} units")
    if statistic.is_constant:
        return Interval(None, None, "none: all units are equal")
    tail = (1 - confidence) / 2
    t, undefined = _studentise(statistic)
    if undefined > tail / 2:
        low, high = statistic.estimate + _bca(statistic.shift, statistic.jackknife, tail)
        return Interval(float(low), float(high), "BCa bootstrap")
    low, high = statistic.estimate - np.quantile(t, [1 - tail, tail]) * statistic.error
    return Interval(float(low), float(high), "studentised bootstrap")


def p_value(statistic: Resampled) -> float:
    """Return the two-sided p-value of the hypothesis that the statistic is zero, from its studentised resamples."""
    least = 1 / (len(statistic.shift) + 1)
    if abs(statistic.estimate) <= NO_SPREAD * max(statistic.scale, NO_SPREAD):
        return 1.0
    if statistic.is_constant:
        return least  # every unit differs by the same amount
    t, _ = _studentise(statistic)
    return least * (1 + int((np.abs(t) >= abs(statistic.estimate) / statistic.error).sum()))


def _studentise(statistic: Resampled) -> tuple[np.ndarray, float]:
    """Return t of each resample and the share of resamples that moved but have no spread to divide by."""
    # Sums are in single precision: a thousandth of the standard error is far above their noise.
    flat = statistic.errors <= 1e-3 * statistic.error
    moved = flat & (np.abs(statistic.shift) > 1e-3 * statistic.error)
    t = np.divide(statistic.shift, statistic.errors, out=np.zeros_like(statistic.shift), where=~flat)
    t[moved] = np.sign(statistic.shift[moved]) * np.inf
    return t, float(moved.mean())


def _bca(shift: np.ndarray, jackknife: np.ndarray, tail: float) -> np.ndarray:
    from scipy.special import ndtr, ndtri

    spread = jackknife.mean() - jackknife
    acceleration = float((spread**3).sum()) / (6 * float((spread**2).sum()) ** 1.5)
    below = float(((shift < 0) + 0.5 * (shift == 0)).mean())
    bias = ndtri(np.clip(below, 1 / len(shift), 1 - 1 / len(shift)))
    z = bias + ndtri(np.array([tail, 1 - tail]))
    return np.quantile(shift, ndtr(bias + z / (1 - acceleration * z)))
