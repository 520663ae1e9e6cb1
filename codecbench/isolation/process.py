"""The driver's handle of one worker process in an environment: started, asked, found dead, ended."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import Any, BinaryIO, cast

from codecbench.contracts.codec import CapabilityError
from codecbench.errors import BadInput, CodecbenchError, Unavailable, UsageError
from codecbench.hookspecs import CONTRACT_VERSION
from codecbench.isolation.channel import Channel, ProtocolError, memory_file
from codecbench.isolation.environments import Environment
from codecbench.isolation.placing import PluginOrigin

_CHILD = Path(__file__).with_name("child.py")
_RAISED: dict[str, type[Exception]] = {
    **{kind.__name__: kind for kind in (BadInput, UsageError, CapabilityError, MemoryError)},
    "OutOfMemoryError": MemoryError,  # torch's, of the device: a smaller batch may fit
}
_END_S = 2.0
# Starting Python, importing a plugin and asking it about its codecs, on a busy machine.
QUESTION_S = 300.0


class IsolationError(CodecbenchError):
    """A call failed in the environment, or its process died; the text says which and how."""


class WorkerProcess:
    """One worker process; a process that died is not started again, its owner makes another.

    Raises IsolationError where it cannot be started, speaks another protocol or cannot load the plugin.
    """

    def __init__(self, environment: Environment, origin: PluginOrigin) -> None:
        self._where = f"the environment of plugin '{environment.plugin}'"
        self._memory = [memory_file(), memory_file()]
        self._process = self._started(environment, origin)
        self._end = weakref.finalize(self, _end, self._process, self._memory)
        self._replies = cast(BinaryIO, self._process.stdout)
        self._channel = Channel(self._replies, cast(BinaryIO, self._process.stdin), *self._memory)
        self.codecs = self._greeted(origin)

    def _started(self, environment: Environment, origin: PluginOrigin) -> subprocess.Popen[bytes]:
        setup = {
            "plugin": origin.plugin,
            "origin": origin.origin,
            "packages": origin.packages,
            "path": [entry for entry in sys.path if entry],
            "inbox": self._memory[1],
            "outbox": self._memory[0],
            "parent": os.getpid(),
            "by_kernel": threading.current_thread() is threading.main_thread(),
        }
        command = [str(environment.interpreter), "-I", "-X", "faulthandler", str(_CHILD), json.dumps(setup)]
        try:
            return subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=tuple(self._memory)
            )
        except OSError as error:
            raise IsolationError(
                f"{self._where} cannot be started: {error}; make it again: {origin.build_command}"
            ) from error

    def _greeted(self, origin: PluginOrigin) -> dict[str, str]:
        """Return versions of the plugin's codecs by full name."""
        hello = self._received(QUESTION_S)
        if hello.get("contract") != CONTRACT_VERSION:
            self.stop()
            raise IsolationError(
                f"{self._where} has plugin contract {hello.get('contract')}, this codecbench {CONTRACT_VERSION}"
            )
        if "error" in hello:
            self.stop()
            raise IsolationError(f"{self._where} cannot load {origin.origin}: {hello['error']}")
        return dict(hello["codecs"])

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._end.alive and self._process.poll() is None

    def ask(self, call: str, *, limit_s: float | None = None, **asked: Any) -> Any:
        """Carry out a call in the worker and return its value; limit_s: how long to wait for it, None for ever.

        Raises what the call raised where it is one of codecbench's errors, else IsolationError with its text; also
        IsolationError where the process died or was late, and ProtocolError where it answered nonsense, which ends it.
        """
        from codecbench.isolation.plain import to_message

        with contextlib.suppress(BrokenPipeError):  # told by the end of what it answers
            self._channel.send(to_message({"call": call, **asked}))
        answer = self._received(limit_s)
        if "error" in answer:
            raise _rebuilt(answer["error"], self._where)
        return answer.get("value")

    def _received(self, limit_s: float | None) -> dict[str, Any]:
        from codecbench.isolation.plain import from_message

        # At most one answer is under way, so nothing waits in the stream's buffer.
        if not select.select([self._replies], [], [], limit_s)[0]:
            self.stop()
            raise IsolationError(f"in {self._where}, the process did not answer within {limit_s:g} s and was ended")
        try:
            answer = from_message(self._channel.receive())
        except EOFError:
            raise IsolationError(f"in {self._where}, {self._death()}") from None
        except ProtocolError as error:
            self.stop()
            raise ProtocolError(f"in {self._where}: {error}; codecbench was changed while it ran?") from error
        if not isinstance(answer, dict):
            self.stop()
            raise ProtocolError(f"in {self._where}: the answer is no object")
        return answer

    def _death(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        code = self._process.poll()
        self.stop()
        if code is None:
            return "the process closed its output and was ended"
        if code >= 0:
            return f"the process exited with code {code}"
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        return f"the process died of signal {name}"

    def stop(self) -> None:
        """End the process, at once."""
        self._end()


def _end(process: subprocess.Popen[bytes], memory: list[int]) -> None:
    process.kill()
    for stream in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            stream.close()  # type: ignore[union-attr]
    process.wait()
    for descriptor in memory:
        os.close(descriptor)


def _rebuilt(told: Any, where: str) -> Exception:
    kind, text, remedy = told["type"], told["text"], told["remedy"]
    if kind == Unavailable.__name__:
        return Unavailable(text, remedy)
    return _RAISED[kind](text) if kind in _RAISED else IsolationError(f"{kind}: {text} (in {where})")
