"""The worker's side of the protocol: one plugin's codecs, asked by the driver one call at a time."""

from __future__ import annotations

import os
import platform
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from codecbench.contracts.codec import Codec, CodecContext, StreamSession
from codecbench.errors import CodecbenchError, Unavailable
from codecbench.hookspecs import CONTRACT_VERSION
from codecbench.isolation.channel import Channel, Message
from codecbench.names import ResolvedCodec, resolve
from codecbench.options import resolve_options
from codecbench.plugins import PluginHost, import_plugin
from codecbench.registering import Registry


def serve_plugin(setup: Mapping[str, Any], replies: int) -> None:
    """Load the plugin, say hello, then answer until the driver closes its end."""
    channel = Channel(sys.stdin.buffer, os.fdopen(replies, "wb"), setup["inbox"], setup["outbox"])
    host = PluginHost()
    hello: dict[str, Any] = {"contract": CONTRACT_VERSION, "python": platform.python_version()}
    try:
        host.add(import_plugin(setup["origin"]), setup["plugin"])
        entries = [entry for family in host.registry.codecs.values() for entry in family.entries.values()]
        hello["codecs"] = {entry.spec.full_name: entry.spec.version for entry in entries}
    except Exception as error:  # told to the driver, which names the environment
        traceback.print_exc()
        hello["error"] = f"{type(error).__name__}: {error}"
    channel.send(Message(hello))
    CodecServer(host.registry).serve(channel)


class CodecServer:
    """Answers calls about the codecs of ``registry``; holds the one that ``open`` made."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._codec: Codec | None = None
        self._device = "cpu"
        self._sessions: list[StreamSession] = []
        self._calls: dict[str, Callable[[Mapping[str, Any]], Any]] = {
            "available": self._available,
            "identity": self._identity,
            "open": self._open,
            "encode": self._encode,
            "decode": self._decode,
            "stream": self._stream,
            "push": lambda asked: self._sessions[asked["session"]].push(asked["audio"].to(self._device)),
            "flush": lambda asked: self._sessions[asked["session"]].flush(),
        }

    def serve(self, channel: Channel) -> None:
        """Answer each message with ``{"value": …}`` or ``{"error": …}`` until the other side ends."""
        while True:
            try:
                message = channel.receive()
            except EOFError:
                return
            channel.send(self.answer(message))

    def answer(self, message: Message) -> Message:
        """Carry out one call; whatever goes wrong in it is told, not raised."""
        from codecbench.isolation.plain import from_message, to_message

        try:
            asked = from_message(message)
            return to_message({"value": self._calls[asked["call"]](asked)})
        except Exception as error:
            if not isinstance(error, CodecbenchError):
                traceback.print_exc()
            return Message({"error": describe_error(error)})

    def _available(self, asked: Mapping[str, Any]) -> None:
        resolved, options = self._resolve(asked)
        if resolved.entry.available is not None:
            resolved.entry.available(resolved.spec, options)

    def _identity(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        resolved, options = self._resolve(asked)
        return resolved.entry.identity(resolved.spec, options) if resolved.entry.identity is not None else {}

    def _resolve(self, asked: Mapping[str, Any]) -> tuple[ResolvedCodec, dict[str, Any]]:
        resolved = resolve(self._registry, asked["codec"])
        return resolved, resolve_options(resolved.spec.name, resolved.spec.options, asked["options"])

    def _open(self, asked: Mapping[str, Any]) -> int | None:
        _restore(asked)
        resolved, options = self._resolve(asked)
        self._device = asked["device"]
        self._codec = resolved.entry.factory(resolved.spec, CodecContext(self._device, options))
        return self._codec.num_parameters()

    def _encode(self, asked: Mapping[str, Any]) -> Any:
        import torch

        from codecbench.runner.batching import moved_batch

        _restore(asked)
        with torch.inference_mode():
            return self._opened().encode(moved_batch(asked["batch"], self._device))

    def _decode(self, asked: Mapping[str, Any]) -> Any:
        import torch

        from codecbench.runner.batching import moved

        _restore(asked)
        with torch.inference_mode():
            return self._opened().decode(moved(asked["encoded"], self._device), asked["mode"])

    def _stream(self, asked: Mapping[str, Any]) -> int:
        self._sessions.append(self._opened().stream(asked["batch_size"]))
        return len(self._sessions) - 1

    def _opened(self) -> Codec:
        if self._codec is None:
            raise RuntimeError("no codec was opened")
        return self._codec


def _restore(asked: Mapping[str, Any]) -> None:
    """Put seeds and threads as the driver has them, before a plugin is called."""
    from codecbench.runner.manners import ProcessState

    ProcessState(asked["threads"], asked["seed"]).restore()


def describe_error(error: Exception) -> dict[str, str]:
    """Return an exception as plain data: its class, its text, and the remedy where it has one."""
    if isinstance(error, Unavailable):
        return {"type": "Unavailable", "text": error.reason, "remedy": error.remedy}
    return {"type": type(error).__name__, "text": str(error), "remedy": ""}
