"""The batch size at which a codec gets most audio through."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from codecbench.contracts.audio import Batch
from codecbench.contracts.codec import Codec
from codecbench_speed.clock import Round, median_round, run_once

SIZES = (2, 4, 8, 16, 32, 64, 128)
# A doubling that brings less than this is not worth its memory.
LEAST_GAIN = 1.05


@dataclass(frozen=True)
class BestBatch:
    """The best size with its median round and seconds of audio, all sizes tried, and why the search ended."""

    size: int
    round: Round
    audio_s: float
    tried: tuple[tuple[int, float], ...]
    ended: str


def repeated(batch: Batch, size: int) -> Batch:
    """Return ``size`` copies of a single utterance as one batch: equal lengths suit every codec."""
    return Batch(
        batch.audio.repeat(size, 1, 1),
        batch.num_samples.repeat(size),
        batch.sample_rate_hz,
        batch.utterances * size,
    )


def audio_seconds(batch: Batch) -> float:
    """Return the seconds of audio in ``batch``, padding left out."""
    return float(batch.num_samples.sum()) / batch.sample_rate_hz


def best_batch(codec: Codec, single: Batch, budget_s: float, sizes: Sequence[int] = SIZES) -> BestBatch:
    """Double the batch until the gain, the memory or the time runs out."""
    start = time.perf_counter()
    best = _measure(codec, single, 1)
    tried = [(1, best.audio_s / best.round.total_s)]
    ended = "largest size tried"
    for size in sizes:
        if time.perf_counter() - start > budget_s:
            ended = f"budget of {budget_s:g} s spent"
            break
        try:
            found = _measure(codec, repeated(single, size), size)
        except (torch.cuda.OutOfMemoryError, MemoryError):
            ended = f"out of memory at batch {size}"
            break
        tried.append((size, found.audio_s / found.round.total_s))
        if tried[-1][1] < LEAST_GAIN * tried[-2][1]:
            ended = "no further gain"
            break
        best = found
    return BestBatch(best.size, best.round, best.audio_s, tuple(tried), ended)


def _measure(codec: Codec, batch: Batch, size: int) -> BestBatch:
    run_once(codec, batch)  # new shapes: kernels are chosen and memory is taken at the first call
    return BestBatch(size, median_round(codec, batch), audio_seconds(batch), (), "")
