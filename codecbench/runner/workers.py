"""Worker processes: one task at a time over a pipe; a crash or a hang costs its task and nothing else.

They come from a fork server: a clean process that has the libraries imported and no threads started, so that a
worker starts in milliseconds and none is ever forked from a process with threads or an initialised accelerator.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

from codecbench.runner.memory import watch
from codecbench.runner.messages import WorkerError, WorkerSetup
from codecbench.store.places import StoreError

_CONTEXT: Any = multiprocessing.get_context(
    "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
)
_PRELOADED = ["codecbench.runner.codec_worker", "codecbench.runner.score_worker"]
# Threads of numerical libraries are read from the environment once, at import: one each, since workers run side by
# side; a codec's own torch threads are set in its process.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
START_TIMEOUT_S = 300.0

Handler = Callable[[Any], Any]
HandlerFactory = Callable[[WorkerSetup], Handler]


class Ready:
    """A worker's first message: it has started, and its task's time begins."""


class Worker:
    """One worker process and the task that it has, if any."""

    def __init__(self, name: str, factory: HandlerFactory, setup: WorkerSetup) -> None:
        self.name = name
        self._factory, self._setup = factory, setup
        self.task: Any = None
        self.deadline = float("inf")
        self._limit_s = 0.0
        self._start()

    def _start(self) -> None:
        self.connection, child = _CONTEXT.Pipe()
        self.process = _CONTEXT.Process(
            target=_serve, args=(child, self._factory, self._setup), name=self.name, daemon=True
        )
        with _single_threaded_libraries():
            if hasattr(_CONTEXT, "set_forkserver_preload"):
                _CONTEXT.set_forkserver_preload(_PRELOADED)
            self.process.start()
        self._watched = watch(self.process.pid or 0, self._setup.memory_limit_bytes)
        child.close()
        self._ready = False

    @property
    def idle(self) -> bool:
        """Whether the worker can take a task."""
        return self.task is None

    def give(self, task: Any, timeout_s: float) -> None:
        """Hand over a task; the answer comes on ``connection``."""
        self.task, self._limit_s = task, timeout_s
        self.deadline = time.monotonic() + (timeout_s if self._ready else START_TIMEOUT_S)
        # A worker that died idle is noticed when its connection is read.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send(task)

    def take(self) -> Any:
        """Return the answer to the task at hand, or Ready.

        Raises EOFError where the process died, and the error itself where the worker met one that ends the run.
        """
        answer = self.connection.recv()
        if isinstance(answer, Ready):
            self._ready, self.deadline = True, time.monotonic() + self._limit_s
        else:
            self.task, self.deadline = None, float("inf")
        if isinstance(answer, WorkerError) and answer.fatal is not None:
            raise answer.fatal
        return answer

    def replace(self) -> tuple[Any, str]:
        """Start the process afresh after it died or overran; return its task and what happened."""
        self.process.join(0.5)
        late = self.process.is_alive()
        if late:
            self.process.kill()
            self.process.join()
        code = self.process.exitcode or 0
        how = self._watched.verdict or ("ran past its time limit" if late else _death(code))
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
def _single_threaded_libraries() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
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
    threading.Thread(target=_end_with_driver, name="end-with-driver", daemon=True).start()
    _redirect_output(setup)
    handler = _made(factory, setup)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the driver is gone
        connection.send(Ready())
        while (task := _receive(connection)) is not None:
            connection.send(_answered(handler, task))


def _end_with_driver() -> None:
    """End this process when the driver is gone, killed perhaps: a plugin that hangs would stay for ever."""
    driver = multiprocessing.parent_process()
    if driver is not None:
        driver.join()
        os._exit(1)


def _made(factory: HandlerFactory, setup: WorkerSetup) -> Handler:
    try:
        return factory(setup)
    except Exception as error:
        failure = WorkerError(f"{type(error).__name__}: {error}", traceback.format_exc())
        return lambda task: failure


def _answered(handler: Handler, task: Any) -> Any:
    try:
        return handler(task)
    except StoreError as error:
        return WorkerError(str(error), traceback.format_exc(), error)
    except Exception as error:
        return WorkerError(f"{type(error).__name__}: {error}", traceback.format_exc())


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
