"""SI-SDR, spectral distances, delay and level: closed formulas on the pair of signals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from codecbench.contracts.metric import Measurement, ScoreItem
from codecbench_reconstruction.pairs import (
    NoValue,
    PairMetric,
    PairScorer,
    checked_pair,
    no_values,
    require_sound,
)
from codecbench_reconstruction.specs import SAMPLE_RATE_HZ, SI_SDR_LIMIT_DB
from codecbench_reconstruction.spectral import mel_distance, mrstft_distance


def si_sdr(reference: np.ndarray, output: np.ndarray) -> float:
    """Return the scale-invariant SDR in dB of two signals [T], means not removed, limited to ±100 dB.

    Raises NoValue out_silent: 0/0 for a silent output. Source: Le Roux et al. 2019, equation 5.
    """
    require_sound(output)
    clean, noisy = reference.astype(np.float64), output.astype(np.float64)
    target = np.dot(noisy, clean) / np.dot(clean, clean) * clean
    signal, error = np.sum(target**2), np.sum((target - noisy) ** 2)
    with np.errstate(divide="ignore"):
        value = 10 * (np.log10(signal) - np.log10(error))
    return float(np.clip(value, -SI_SDR_LIMIT_DB, SI_SDR_LIMIT_DB))


def level_difference_db(reference: np.ndarray, output: np.ndarray) -> float:
    """Return the RMS level of ``output`` over that of ``reference`` in dB; raises NoValue out_silent."""
    require_sound(output)
    return float(20 * np.log10(_rms(output) / _rms(reference)))


def _rms(audio: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))


class WaveformScorer:
    """SI-SDR, mel and multi-resolution STFT distance (raw and aligned), delay and level difference."""

    def __init__(self) -> None:
        self._pairs = PairScorer(
            (
                PairMetric("si_sdr", si_sdr),
                PairMetric("mel_distance", mel_distance),
                PairMetric("mrstft_distance", mrstft_distance),
            )
        )
        self._level = PairMetric("level_db", level_difference_db)

    def score(self, item: ScoreItem) -> Sequence[Measurement]:
        """Return one measurement for each metric of the scorer."""
        try:
            pair = checked_pair(item)
        except NoValue as none:
            return no_values((*self._pairs.names, "delay_ms", "level_db"), none)

        def delay_ms(reference: np.ndarray, output: np.ndarray) -> float:
            require_sound(output)
            return item.lag_samples_16k / SAMPLE_RATE_HZ * 1000.0

        delay = PairMetric("delay_ms", delay_ms).measure(*pair)
        return [*self._pairs.score(item), delay, self._level.measure(*pair)]
