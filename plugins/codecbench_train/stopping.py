"""Why training stops before its last step: errors with what to do next, and requests to stop."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from types import FrameType

import torch

from codecbench.errors import CodecbenchError
from codecbench_train.ranks import ranks, sum_over_ranks


class TrainingStopped(CodecbenchError):  # noqa: N818 - it says what happened
    """Training cannot go on: a loss that is not finite, no memory, or too much corrupt audio."""


class StopRequest:
    """A wish to stop after the current step: SIGTERM, SIGINT, or a time limit; all ranks agree before they act."""

    def __init__(self, minutes: float | None) -> None:
        self.deadline = time.monotonic() + 60 * minutes if minutes else float("inf")
        self.signalled = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signalled:  # a second one means it
            raise KeyboardInterrupt
        self.signalled = True

    def agreed(self, device: torch.device, may_ask_others: bool) -> bool:
        """Whether to stop now. With several ranks this is a collective, made only where ``may_ask_others``."""
        mine = self.signalled or time.monotonic() > self.deadline
        if ranks() == 1:
            return mine
        return may_ask_others and bool(sum_over_ranks(torch.tensor(float(mine), device=device)) > 0)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` says that the device or this machine has no memory left."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


def largest_that_fits(size: int, attempt: Callable[[int], None]) -> int:
    """The largest number below ``size`` for which ``attempt`` runs, by bisection; 0 if not even one utterance fits."""
    fits = 0
    while size - fits > 1:
        middle = (fits + size) // 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        try:
            attempt(middle)
            fits = middle
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            size = middle
    return fits


def memory_advice(fits: int, batch_size: int, ranks: int) -> str:
    """What to set where ``fits`` utterances at once are all that one device takes; 0: nothing was found to fit."""
    if not fits:
        return "not even one fits: take a shorter data.segment_s, a smaller model or a smaller teacher"
    rows = batch_size // ranks
    parts = next(n for n in range(1, rows + 1) if rows % n == 0 and rows // n <= fits)
    smaller = f"--set data.batch_size={fits * ranks}"
    return f"{fits} fit: {smaller} (of all ranks together), or keep the batch and --set micro_batches={parts}"
