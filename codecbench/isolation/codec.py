"""The stand-in for a codec that runs in its plugin's environment; to everything else it is a codec like any other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from codecbench.contracts.codec import Codec, CodecContext, CodecSpec, StreamSession
from codecbench.isolation.placing import Place, texts
from codecbench.isolation.process import IsolationError, WorkerProcess

if TYPE_CHECKING:
    import torch

    from codecbench.contracts.audio import Batch, Waveforms
    from codecbench.contracts.encoded import Encoded


class IsolatedCodec(Codec):
    """A codec in a worker process; one that dies costs the call at hand and is started again for the next.

    Raises IsolationError where a call fails there or the process dies.
    """

    def __init__(self, spec: CodecSpec, context: CodecContext, place: Place) -> None:
        self.spec, self._context, self._place = spec, context, place
        self._process, self._num_parameters = self._opened()

    def encode(self, batch: Batch) -> Encoded:
        """Encode in the worker; what comes back lies on the CPU."""
        encoded: Encoded = self._ask("encode", batch=batch)
        return encoded

    def decode(self, encoded: Encoded, mode: str = "full") -> Waveforms:
        """Decode in the worker; what comes back lies on the CPU."""
        waveforms: Waveforms = self._ask("decode", encoded=encoded, mode=mode)
        return waveforms

    def stream(self, batch_size: int = 1) -> StreamSession:
        """Open a session in the worker; it ends with its process."""
        session = self._ask("stream", batch_size=batch_size)
        return IsolatedSession(self._process, session)

    def num_parameters(self) -> int | None:
        """What the codec in the worker says."""
        return self._num_parameters

    def _opened(self) -> tuple[WorkerProcess, int | None]:
        process = self._place.start()
        there = process.codecs.get(self.spec.full_name, self.spec.version)  # a parsed variant is not listed
        if there != self.spec.version:
            raise IsolationError(
                f"codec '{self.spec.full_name}' is version {there} in its environment and {self.spec.version} here"
            )
        parameters = process.ask(
            "open",
            codec=self.spec.full_name,
            options=texts(self._context.options),
            device=self._context.device,
            **_state(),
        )
        return process, parameters

    def _ask(self, call: str, **asked: Any) -> Any:
        if not self._process.alive:
            self._process, self._num_parameters = self._opened()
        return self._process.ask(call, **_state(), **asked)


class IsolatedSession:
    """A streaming session in a worker process."""

    def __init__(self, process: WorkerProcess, number: int) -> None:
        self._process, self._number = process, number

    def push(self, audio: torch.Tensor) -> Encoded:
        """Take audio [B, 1, T] and return the codes that are complete so far."""
        encoded: Encoded = self._process.ask("push", session=self._number, audio=audio)
        return encoded

    def flush(self) -> Encoded:
        """Return the codes of the remaining samples."""
        encoded: Encoded = self._process.ask("flush", session=self._number)
        return encoded


def _state() -> dict[str, int]:
    """Return the seed and the threads that a plugin called here would find; so it does there."""
    import torch

    return {"seed": torch.initial_seed(), "threads": torch.get_num_threads()}
