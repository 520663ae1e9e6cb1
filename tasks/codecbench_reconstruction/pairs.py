"""Reference and output as every metric here sees them: checked, at 16 kHz, raw and delay-aligned.

Length policy: a codec returns exactly the reference's length. Rates that do not divide each other round up, which
explains at most ``LENGTH_TOLERANCE`` samples; both signals are then cut to the shorter. Anything beyond has no value
and the status ``length_mismatch``: nothing is padded, stretched or cut to fit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from codecbench.audio.delay import align
from codecbench.contracts.metric import Measurement, ScoreItem, Status
from codecbench_reconstruction.specs import SAMPLE_RATE_HZ

# One sample at 8 kHz, rounded up on the way in and again on the way out.
LENGTH_TOLERANCE = 4
# Half a step of 16-bit audio: what a 16-bit file would hold as digital silence.
SILENCE_PEAK = 2.0**-16


class NoValue(Exception):  # noqa: N818 - a status on its way, not an error
    """A metric is not defined for this pair; carries the status and the reason."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def is_silent(audio: np.ndarray) -> bool:
    """Say whether ``audio`` [T] would be digital silence in a 16-bit file."""
    return audio.size == 0 or float(np.abs(audio).max()) < SILENCE_PEAK


def check_reference(item: ScoreItem) -> np.ndarray:
    """Return the reference at 16 kHz [T]; raises NoValue where it is silent."""
    if is_silent(item.reference):
        raise NoValue(Status.REF_SILENT, "the reference is digital silence")
    return item.reference_at(SAMPLE_RATE_HZ)


def check_output(item: ScoreItem) -> np.ndarray:
    """Return the output at 16 kHz [T]; raises NoValue where it holds NaN or infinity."""
    if item.output is None or item.output.size == 0:
        raise NoValue(Status.LENGTH_MISMATCH, "the codec returned no samples")
    if not np.isfinite(item.output).all():
        bad = int(np.count_nonzero(~np.isfinite(item.output)))
        raise NoValue(Status.NAN_OUTPUT, f"{bad} of {item.output.size} output samples are NaN or infinite")
    return item.output_at(SAMPLE_RATE_HZ)


def checked_pair(item: ScoreItem) -> tuple[np.ndarray, np.ndarray]:
    """Return reference and output [T] at 16 kHz, equally long; raises NoValue (see the length policy above)."""
    reference, output = check_reference(item), check_output(item)
    if abs(len(output) - len(reference)) > LENGTH_TOLERANCE:
        raise NoValue(
            Status.LENGTH_MISMATCH,
            f"output has {len(output)} samples at {SAMPLE_RATE_HZ} Hz, the reference {len(reference)}; a codec must "
            f"return the reference's length (tolerance {LENGTH_TOLERANCE} samples)",
        )
    length = min(len(output), len(reference))
    return reference[:length], output[:length]


def require_sound(output: np.ndarray) -> None:
    """Raise NoValue where the output is silent and the metric not defined for silence."""
    if is_silent(output):
        raise NoValue(Status.OUT_SILENT, "the output is digital silence, for which the metric is not defined")


# (reference [T], output [T]) at 16 kHz -> value; raises NoValue.
PairFunction = Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True)
class PairMetric:
    """A metric by its name and the function of two equally long signals that computes it."""

    name: str
    function: PairFunction

    def measure(self, reference: np.ndarray, output: np.ndarray) -> Measurement:
        """Return the value, or the status that the function raised."""
        try:
            value = float(self.function(reference, output))
        except NoValue as none:
            return Measurement(self.name, status=none.status, reason=none.reason)
        except Exception as error:  # a broken backend costs this value and nothing else
            reason = f"{type(error).__name__}: {error}"
            return Measurement(self.name, status=Status.BACKEND_ERROR, reason=reason)
        if not np.isfinite(value):
            return Measurement(self.name, status=Status.BACKEND_ERROR, reason=f"the metric returned {value}")
        return Measurement(self.name, value)


@dataclass(frozen=True)
class PairScorer:
    """Scores each metric on the pair as it is and once more with the measured delay undone."""

    metrics: tuple[PairMetric, ...]

    def score(self, item: ScoreItem) -> Sequence[Measurement]:
        """Return two measurements for each metric: raw and ``_aligned``."""
        try:
            reference, output = checked_pair(item)
        except NoValue as none:
            return no_values(self.names, none)
        lag = 0 if is_silent(output) else item.lag_samples_16k
        moved = align(reference, output, lag)
        measured = []
        for metric in self.metrics:
            raw = metric.measure(reference, output)
            undone = raw if lag == 0 else metric.measure(*moved)
            measured += [raw, replace(undone, metric=f"{metric.name}_aligned")]
        return measured

    @property
    def names(self) -> tuple[str, ...]:
        """All metric names in the order of their measurements."""
        return tuple(name for metric in self.metrics for name in (metric.name, f"{metric.name}_aligned"))


def no_values(names: Sequence[str], none: NoValue) -> list[Measurement]:
    """Return one measurement without a value for each of ``names``."""
    return [Measurement(name, status=none.status, reason=none.reason) for name in names]
