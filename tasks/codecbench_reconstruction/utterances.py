"""An upper estimate of how many utterances PESQ's reference code will find, to keep it inside its arrays."""

from __future__ import annotations

import numpy as np

FRAME_SAMPLES = 64  # 4 ms at 16 kHz, the step of P.862's speech detector
MIN_FRAMES = 50  # its shortest utterance and its shortest pause
THRESHOLDS_DB = range(-66, 1, 3)


def most_utterances(reference: np.ndarray) -> int:
    """Return the greatest number of utterances that any level threshold makes of ``reference`` [T] at 16 kHz.

    P.862 marks a 4 ms frame as speech by its power, joins over pauses under 200 ms and counts runs of at least
    200 ms. Its threshold is its own; the greatest count over all thresholds cannot be far under it.
    """
    frames = reference[: len(reference) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    power = np.square(frames, dtype=np.float64).mean(axis=1)
    level_db = 10 * np.log10(np.maximum(power, 1e-20))
    peak_db = level_db.max()
    return max(_count_runs(level_db > peak_db + threshold) for threshold in THRESHOLDS_DB)


def _count_runs(active: np.ndarray) -> int:
    """Count runs of at least ``MIN_FRAMES`` once shorter pauses are filled."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], active.astype(np.int8), [0]))))
    starts, ends = edges[::2], edges[1::2]
    if len(starts) == 0:
        return 0
    parted = starts[1:] - ends[:-1] >= MIN_FRAMES
    first = starts[np.concatenate(([True], parted))]
    last = ends[np.concatenate((parted, [True]))]
    return int(np.count_nonzero(last - first >= MIN_FRAMES))
