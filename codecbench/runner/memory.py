"""A limit on the memory of worker processes, kept by the driver: what goes above it is killed, its task charged.

Resident memory is looked at, not address space: libraries reserve far more of the latter than they use. Linux only.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Memory grows by a few hundred megabytes at most between two looks.
POLL_S = 0.2
# Of the machine's memory: one process above it leaves too little for the driver and the others.
DEFAULT_SHARE = 0.8
_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


@dataclass
class Watched:
    """A process with its limit; used_bytes: what it had when it was killed for being above, else 0."""

    pid: int
    limit_bytes: int
    used_bytes: int = 0

    @property
    def verdict(self) -> str:
        """Why it was killed, empty where it was not."""
        if not self.used_bytes:
            return ""
        used, limit = self.used_bytes / 1e9, self.limit_bytes / 1e9
        return f"its process used {used:.2f} GB of memory, the limit is {limit:.2f} GB (--memory-limit)"


_watched: list[Watched] = []
_lock = threading.Lock()


def can_watch() -> bool:
    """Whether the memory of other processes can be read here."""
    return sys.platform == "linux"


def default_limit_bytes() -> int:
    """Memory that one worker may use where nothing is said: 80 % of the machine's, or of the container's."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for path in _CGROUP_LIMITS:
        with contextlib.suppress(OSError, ValueError):  # "max" means no limit
            total = min(total, int(path.read_text()))
    return int(DEFAULT_SHARE * total)


def watch(pid: int, limit_bytes: int) -> Watched:
    """Kill ``pid`` when it and the processes that it started go above the limit together; 0 sets none."""
    watched = Watched(pid, limit_bytes)
    if limit_bytes and can_watch():
        with _lock:
            _watched.append(watched)
            if len(_watched) == 1:
                threading.Thread(target=_poll, name="memory-watch", daemon=True).start()
    return watched


def _poll() -> None:
    while True:
        time.sleep(POLL_S)
        with _lock:
            _watched[:] = [watched for watched in _watched if _within(watched)]
            if not _watched:
                return


def _within(watched: Watched) -> bool:
    """Look at one process; False where it is gone or was killed."""
    used = sum(_resident_bytes(pid) for pid in _family(watched.pid))
    if used > watched.limit_bytes:
        watched.used_bytes = used
        with contextlib.suppress(ProcessLookupError):
            os.kill(watched.pid, signal.SIGKILL)
    return 0 < used <= watched.limit_bytes


def _family(pid: int) -> Iterator[int]:
    yield pid
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # a thread or process that ended meanwhile
            for child in path.read_text().split():
                yield from _family(int(child))


def _resident_bytes(pid: int) -> int:
    with contextlib.suppress(OSError, IndexError):  # it ended meanwhile
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return 0
