"""The first lines of a worker process in an environment of its own; run by its path, by that environment's Python.

It makes codecbench and the plugin importable from where the driver has them, and nothing else of the driver's
packages; so an environment holds a plugin's requirements only, and both sides always run the same code.
"""

from __future__ import annotations

import ctypes
import importlib.machinery
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from types import ModuleType
from typing import Any

_PR_SET_PDEATHSIG = 1
_LOOK_FOR_PARENT_S = 0.5


class HostFinder:
    """Finds the named top-level packages, and codecbench's, on the driver's path."""

    def __init__(self, packages: Sequence[str], path: Sequence[str]) -> None:
        self._packages, self._path = frozenset(packages), list(path)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Look only for what is asked of the driver; submodules follow from their package's own path."""
        if name in self._packages or name == "codecbench" or name.startswith("codecbench_"):
            return importlib.machinery.PathFinder.find_spec(name, self._path)
        return None


def end_with_parent(parent: int, *, by_kernel: bool) -> None:
    """Let this process end when ``parent`` does, however it ends.

    by_kernel: let Linux send the signal, which reaches a process that is stuck in native code too; it comes when the
    *thread* that started this process ends, so it is for processes started by a main thread.
    """
    if by_kernel and sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_FOR_PARENT_S)
    os._exit(1)


def main() -> None:
    """Serve the codecs of the plugin that the driver named on the command line."""
    setup: dict[str, Any] = json.loads(sys.argv[1])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver alone decides what ends
    end_with_parent(setup["parent"], by_kernel=setup["by_kernel"])
    replies = os.dup(1)
    os.dup2(2, 1)  # what a plugin prints must not mix with the messages
    finder: Any = HostFinder(setup["packages"], setup["path"])
    sys.meta_path.insert(0, finder)
    from codecbench.isolation.serving import serve_plugin

    serve_plugin(setup, replies)


if __name__ == "__main__":
    main()
