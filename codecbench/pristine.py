"""Calls in a process that nothing was done in yet: for libraries that keep state of their own between calls.

Some codec libraries draw from a generator hidden in a static variable, so that the second utterance decoded in a
process sounds different from the same utterance decoded first. A small server process imports the module with the
functions, then forks a child for each call: every call starts from the same memory, at the cost of a fork.
"""

from __future__ import annotations

import importlib
import os
import pickle
import subprocess
import sys
from types import ModuleType
from typing import IO, Any

from codecbench.errors import CodecbenchError, Unavailable


class PristineError(CodecbenchError):
    """A call failed or its process died; the text says which and how."""


class PristineCalls:
    """Calls functions of one module, each call in a fresh fork of a process that has only imported the module.

    The module must be light and start no threads; arguments and results are pickled. Raises Unavailable on systems
    without fork, PristineError where a function raises or its process dies. The server ends with its owner.
    """

    def __init__(self, module: str) -> None:
        if not hasattr(os, "fork"):
            raise Unavailable(f"{module} needs os.fork, which {sys.platform} does not have", "use Linux or macOS")
        self.module = module
        self._server = subprocess.Popen(
            [sys.executable, "-m", "codecbench.pristine", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )

    def __call__(self, function: str, *arguments: Any) -> Any:
        """Return ``function(*arguments)`` of the module."""
        requests, replies = self._server.stdin, self._server.stdout
        assert requests is not None
        assert replies is not None
        try:
            pickle.dump((function, arguments), requests)
            requests.flush()
            ok, value = pickle.load(replies)
        except (EOFError, BrokenPipeError) as error:
            raise PristineError(f"the process for {self.module} ended with code {self._server.wait()}") from error
        if not ok:
            raise PristineError(f"{self.module}.{function}: {value}")
        return value

    def close(self) -> None:
        """End the server process."""
        if self._server.stdin is not None and not self._server.stdin.closed:
            self._server.stdin.close()
            self._server.wait()
        if self._server.stdout is not None:
            self._server.stdout.close()

    def __del__(self) -> None:
        if hasattr(self, "_server"):
            self.close()


def serve(module: ModuleType, requests: IO[bytes], replies: IO[bytes]) -> None:
    """Answer pickled (function, arguments) with pickled (ok, value or message) until the requests end."""
    while True:
        try:
            function, arguments = pickle.load(requests)
        except EOFError:
            return
        replies.write(_in_fork(module, function, arguments))
        replies.flush()


def _in_fork(module: ModuleType, function: str, arguments: tuple[Any, ...]) -> bytes:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(pickle.dumps(_outcome(module, function, arguments)))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        reply = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return reply if code == 0 else pickle.dumps((False, f"its process ended with code {code}"))


def _outcome(module: ModuleType, function: str, arguments: tuple[Any, ...]) -> tuple[bool, Any]:
    try:
        return True, getattr(module, function)(*arguments)
    except Exception as error:  # told to the caller, who has the context
        return False, f"{type(error).__name__}: {error}"


def main() -> None:
    """Serve the module named on the command line; what it prints goes to standard error."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(importlib.import_module(sys.argv[1]), sys.stdin.buffer, replies)


if __name__ == "__main__":
    main()
