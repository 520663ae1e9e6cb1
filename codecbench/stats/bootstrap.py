"""Paired bootstrap of means and ratios of sums, all codecs at once with the same resamples.

Every statistic is a ratio of sums over the resampled units: a mean has denominators of one, a metric
resampled by speaker has the sums of each speaker. Intervals are studentised (bootstrap-t: Efron and
Tibshirani, "An Introduction to the Bootstrap", 1993, section 12.5) with the linearised variance of a ratio
(Cochran, "Sampling Techniques", 1977, section 6.4). On simulated word error rates and PESQ-like means they
cover 93 to 97 % from 20 units on, where percentile and BCa intervals cover 87 to 94 %; BCa (same book, section
14.3) steps in where too many resamples have no spread to divide by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from codecbench.stats.intervals import Interval, Resampled, interval, p_value
from codecbench.stats.resampling import BootstrapSettings, resampled_sums


@dataclass(frozen=True)
class PairedTest:
    """Difference (first minus second) of two codecs on the same units, its interval and two-sided p-value."""

    difference: float
    interval: Interval
    p_value: float


@dataclass(frozen=True, eq=False)
class Replicates:
    """The statistic of C codecs over N paired units, and over the resamples of them.

    numerators, denominators: float64 [C, N]. ``shift``, ``values`` and ``errors`` are [resamples, C].
    """

    numerators: np.ndarray
    denominators: np.ndarray
    settings: BootstrapSettings

    @property
    def num_units(self) -> int:
        """N, the number of utterances or speakers."""
        return int(self.numerators.shape[1])

    @cached_property
    def estimates(self) -> np.ndarray:
        """Ratio of sums of each codec, [C]."""
        return self.numerators.sum(axis=1) / self.denominators.sum(axis=1)

    @cached_property
    def _residuals(self) -> np.ndarray:
        # Centred, so that their sums and squares do not cancel.
        return self.numerators - self.estimates[:, None] * self.denominators

    @cached_property
    def _base(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Resampled sums of r, y, r², r·y and y² (residuals and denominators), [resamples, C] each."""
        r, y = self._residuals, self.denominators
        sums = resampled_sums(np.concatenate([r, y, r * r, r * y, y * y]), self.settings)
        a, b, c, d, e = np.split(sums, 5, axis=1)
        return a, b, c, d, e

    @cached_property
    def shift(self) -> np.ndarray:
        """Resampled statistic minus the estimate."""
        return self._base[0] / self._base[1]

    @property
    def values(self) -> np.ndarray:
        """Resampled statistic, for functions of it (BD-rate)."""
        return self.estimates + self.shift

    @cached_property
    def errors(self) -> np.ndarray:
        """Linearised standard error in each resample."""
        _, y, rr, ry, yy = self._base
        return self._root((rr - 2 * self.shift * ry + self.shift**2 * yy) / y**2)

    @property
    def _influence(self) -> np.ndarray:
        """How much each unit moves each estimate, [C, N]."""
        return self._residuals / self.denominators.sum(axis=1, keepdims=True)

    @cached_property
    def jackknife(self) -> np.ndarray:
        """Statistic of each codec without each unit, [C, N]."""
        x, y = self.numerators, self.denominators
        with np.errstate(invalid="ignore", divide="ignore"):
            return (x.sum(axis=1, keepdims=True) - x) / (y.sum(axis=1, keepdims=True) - y)

    def _root(self, squares: np.ndarray) -> np.ndarray:
        correction = self.num_units / max(1, self.num_units - 1)
        return np.sqrt(np.maximum(squares, 0.0) * correction)

    def intervals(self) -> tuple[Interval, ...]:
        """Return the interval of each codec's estimate."""
        errors = self._root((self._influence**2).sum(axis=1))
        return tuple(
            interval(
                Resampled(
                    float(self.estimates[c]),
                    float(errors[c]),
                    self.shift[:, c],
                    self.errors[:, c],
                    abs(float(self.estimates[c])),
                    self.jackknife[c],
                ),
                self.settings.confidence,
            )
            for c in range(len(self.numerators))
        )

    def against(self, first: int, others: Sequence[int]) -> tuple[PairedTest, ...]:
        """Compare codec ``first`` with each of ``others`` on the same resamples (first minus other)."""
        if not len(others):
            return ()
        second = np.asarray(others, int)
        errors = self._root(((self._influence[first] - self._influence[second]) ** 2).sum(axis=1))
        resampled_errors = self._root(self._pair_squares(first, second))
        return tuple(
            self._test(first, other, float(errors[k]), resampled_errors[:, k]) for k, other in enumerate(second)
        )

    def _test(self, first: int, second: int, error: float, errors: np.ndarray) -> PairedTest:
        a, b = float(self.estimates[first]), float(self.estimates[second])
        shift = self.shift[:, first] - self.shift[:, second]
        jackknife = self.jackknife[first] - self.jackknife[second]
        statistic = Resampled(a - b, error, shift, errors, max(abs(a), abs(b)), jackknife)
        return PairedTest(a - b, interval(statistic, self.settings.confidence), p_value(statistic))

    def _pair_squares(self, first: int, second: np.ndarray) -> np.ndarray:
        """Summed squares of the difference of influences in each resample, [resamples, len(second)]."""
        r, y, shift = self._residuals, self.denominators, self.shift
        _, total, rr, ry, yy = self._base
        if bool(np.all(y[second] == y[first])):
            # One denominator for all: the difference is a ratio of sums itself, free of cancellation.
            moved = shift[:, [first]] - shift[:, second]
            squares = self._difference_squares(first)[:, second]
            return (squares - 2 * moved * (ry[:, [first]] - ry[:, second]) + moved**2 * yy[:, [first]]) / (
                total[:, [first]] ** 2
            )
        own = (rr - 2 * shift * ry + shift**2 * yy) / total**2
        sums = resampled_sums(
            np.concatenate([r[first] * r[second], r[first] * y[second], y[first] * r[second], y[first] * y[second]]),
            self.settings,
        )
        cross, ra, rb, both = np.split(sums, 4, axis=1)
        a, b = shift[:, [first]], shift[:, second]
        cross = (cross - b * ra - a * rb + a * b * both) / (total[:, [first]] * total[:, second])
        return own[:, [first]] + own[:, second] - 2 * cross

    @cached_property
    def _all_difference_squares(self) -> np.ndarray:
        """Resampled sums of (r_a - r_b)² for all pairs a < b: one wide product is far faster than many narrow ones."""
        a, b = np.triu_indices(len(self.numerators), 1)
        return resampled_sums((self._residuals[a] - self._residuals[b]) ** 2, self.settings)

    def _difference_squares(self, first: int) -> np.ndarray:
        """Resampled sums of (r_first - r_b)² for every codec b, [resamples, C]."""
        count = len(self.numerators)
        column = np.zeros((count, count), int)
        a, b = np.triu_indices(count, 1)
        column[a, b] = column[b, a] = np.arange(len(a))
        squares = self._all_difference_squares[:, column[first]].copy()
        squares[:, first] = 0.0
        return squares
