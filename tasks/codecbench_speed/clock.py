"""Timing of encode and decode: device synchronised, warmed up until stable, medians of repeats."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

import torch

from codecbench.contracts.audio import Batch
from codecbench.contracts.codec import Codec

T = TypeVar("T")

# Warm once the last 3 rounds lie within 10 % of their median; given up, and said so, after 20 rounds or 20 s.
STABLE_ROUNDS, STABLE_SPREAD = 3, 0.10
MAX_WARMUP_ROUNDS, MAX_WARMUP_S = 20, 20.0
REPEATS = 3


@dataclass(frozen=True)
class Round:
    """Seconds of one encode and one decode (None for a codec that cannot decode)."""

    encode_s: float
    decode_s: float | None

    @property
    def total_s(self) -> float:
        """Both together."""
        return self.encode_s + (self.decode_s or 0.0)


@dataclass(frozen=True)
class WarmUp:
    """The first call, the rounds that it took until times were steady, and whether they became so."""

    first: Round
    last: Round
    rounds: int
    stable: bool


def timed(work: Callable[[], T], device: torch.device) -> tuple[T, float]:
    """Run ``work`` and return what it returned with its wall seconds, the device idle before and after."""
    _synchronise(device)
    start = time.perf_counter()
    result = work()
    _synchronise(device)
    return result, time.perf_counter() - start


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def run_once(codec: Codec, batch: Batch) -> Round:
    """Encode and decode ``batch`` once."""
    device = batch.audio.device
    encoded, encode_s = timed(lambda: codec.encode(batch), device)
    if codec.spec.encode_only:
        return Round(encode_s, None)
    _, decode_s = timed(lambda: codec.decode(encoded), device)
    return Round(encode_s, decode_s)


def warm_up(codec: Codec, batch: Batch) -> WarmUp:
    """Run ``batch`` until its times are steady (see the rule above)."""
    rounds: list[Round] = []
    start = time.perf_counter()
    while len(rounds) < MAX_WARMUP_ROUNDS:
        rounds.append(run_once(codec, batch))
        if is_stable([r.total_s for r in rounds]):
            return WarmUp(rounds[0], rounds[-1], len(rounds), True)
        if time.perf_counter() - start > MAX_WARMUP_S:
            break
    return WarmUp(rounds[0], rounds[-1], len(rounds), False)


def is_stable(seconds: Sequence[float]) -> bool:
    """Say whether the last rounds lie within the spread; the first call is never counted."""
    last = seconds[1:][-STABLE_ROUNDS:]
    return len(last) == STABLE_ROUNDS and max(last) - min(last) <= STABLE_SPREAD * median(last)


def median_round(codec: Codec, batch: Batch, repeats: int = REPEATS) -> Round:
    """Return the median seconds of ``repeats`` rounds."""
    rounds = [run_once(codec, batch) for _ in range(repeats)]
    decodes = [r.decode_s for r in rounds if r.decode_s is not None]
    return Round(median(r.encode_s for r in rounds), median(decodes) if decodes else None)
