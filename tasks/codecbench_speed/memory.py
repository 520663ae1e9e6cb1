"""Peak memory of a piece of work."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import torch

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class PeakMemory:
    """MiB, and how they were measured."""

    mib: float
    method: str


class MemoryMeter:
    """Starts at the current use where the system can (CUDA, Linux); elsewhere counts from the start of the process."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._restarted = True
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        else:
            self._restarted = _restart_resident_peak()

    def peak(self) -> PeakMemory | None:
        """Return the greatest use since the meter was made, or None where the system does not tell."""
        if self._device.type == "cuda":
            return PeakMemory(torch.cuda.max_memory_allocated(self._device) / 2**20, "cuda max_memory_allocated")
        if self._restarted:
            return PeakMemory(_status_kib("VmHWM") / 1024, "resident set of the process while timed")
        return _process_peak()


def _restart_resident_peak() -> bool:
    try:
        _RESET.write_text("5")
        return _status_kib("VmHWM") > 0
    except (OSError, LookupError):
        return False


def _status_kib(field: str) -> int:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    raise LookupError(field)


def _process_peak() -> PeakMemory | None:
    try:
        import resource
    except ImportError:
        return None
    unit = 2**20 if sys.platform == "darwin" else 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    return PeakMemory(peak, "resident set since the start of the process")
