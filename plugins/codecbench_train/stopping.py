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
    """Halve ``size`` until ``attempt(size)`` runs; 0 if not even one utterance fits."""
    while size > 1:
        size //= 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        try:
            attempt(size)
            return size
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
    return 0
