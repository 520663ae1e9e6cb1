"""Worker processes: spawned, one task at a time over a pipe; a crash or a hang costs its task and nothing else."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from codecbench.runner.messages import WorkerError, WorkerSetup

_CONTEXT = multiprocessing.get_context("spawn")
# Threads of numerical libraries are read from the environment once, at import: set before the worker starts.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")

Handler = Callable[[Any], Any]
HandlerFactory = Callable[[WorkerSetup], Handler]


class Worker:
    """One worker process and the task that it has, if any."""

    def __init__(self, name: str, factory: HandlerFactory, setup: WorkerSetup) -> None:
        self.name = name
        self._factory, self._setup = factory, setup
        self.task: Any = None
        self.deadline = float("inf")
        self._start()

    def _start(self) -> None:
        self.connection, child = _CONTEXT.Pipe()
        self.process = _CONTEXT.Process(
            target=_serve, args=(child, self._factory, self._setup), name=self.name, daemon=True
        )
        with _environment(self._setup.num_threads):
            self.process.start()
        child.close()

    @property
    def idle(self) -> bool:
        """Whether the worker can take a task."""
        return self.task is None

    def give(self, task: Any, timeout_s: float) -> None:
        """Hand over a task; the answer comes on ``connection``."""
        self.task, self.deadline = task, time.monotonic() + timeout_s
        # A worker that died idle is noticed when its connection is read.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send(task)

    def take(self) -> Any:
        """Return the answer to the task at hand; raises EOFError where the process died."""
        answer = self.connection.recv()
        self.task, self.deadline = None, float("inf")
        return answer

    def replace(self) -> tuple[Any, str]:
        """Start the process afresh after it died or overran; return its task and what happened."""
        self.process.join(0.5)
        late = self.process.is_alive()
        if late:
            self.process.kill()
            self.process.join()
        code = self.process.exitcode or 0
        how = "ran past its time limit" if late else _death(code)
        task, self.task, self.deadline = self.task, None, float("inf")
        self.connection.close()
        self._start()
        return task, how

    def stop(self) -> None:
        """End the process."""
        with contextlib.suppress(OSError):
            self.connection.send(None)
        self.process.join(0.2)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()


def _death(code: int) -> str:
    if code < 0:
        name = signal.Signals(-code).name if -code in signal.valid_signals() else str(-code)
        return f"its process died of signal {name}"
    return f"its process exited with code {code}"


@contextlib.contextmanager
def _environment(num_threads: int) -> Any:
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(num_threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _serve(connection: Connection, factory: HandlerFactory, setup: WorkerSetup) -> None:
    # Ctrl-C reaches the whole process group: the driver alone decides what ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _redirect_output(setup)
    handler: Handler | None = None
    while (task := _receive(connection)) is not None:
        try:
            handler = handler or factory(setup)
            answer = handler(task)
        except Exception as error:
            answer = WorkerError(f"{type(error).__name__}: {error}", traceback.format_exc())
        connection.send(answer)


def _receive(connection: Connection) -> Any:
    try:
        return connection.recv()
    except EOFError:  # the driver is gone
        return None


def _redirect_output(setup: WorkerSetup) -> None:
    """Send what plugins print to a log: the terminal belongs to the driver's progress bars."""
    target = str(setup.log_file) if setup.log_file else os.devnull
    log = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    sys.stdout.flush()
    os.dup2(log, 1)
    os.dup2(log, 2)
