"""Contract objects as plain data and arrays, and back: what a codec is given and returns, over the worker protocol.

torch is imported where there are tensors only: asking a plugin what it has should not wait for it.
"""

from __future__ import annotations

import sys
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from codecbench.contracts.audio import Batch, Utterance, Waveforms
from codecbench.contracts.encoded import AudioPassthrough, Bitstream, Tokens, TokenStream
from codecbench.isolation.channel import Message, ProtocolError

if TYPE_CHECKING:
    import torch

_CLASSES: dict[str, type] = {
    c.__name__: c for c in (Batch, Utterance, Waveforms, Tokens, TokenStream, Bitstream, AudioPassthrough)
}
_TYPE = "$type"


def to_message(body: Any) -> Message:
    """Turn plain data that may hold contract objects, tensors, bytes and paths into a message.

    Raises ProtocolError for an object of any other kind.
    """
    arrays: list[np.ndarray] = []
    return Message(_plain(body, arrays), tuple(arrays))


def from_message(message: Message) -> Any:
    """Restore what ``to_message`` was given, sequences as tuples; raises ProtocolError for what it cannot have made."""
    try:
        return _restored(message.body, message.arrays)
    except (KeyError, IndexError, TypeError, ValueError, RecursionError) as error:
        raise ProtocolError(f"a message cannot be restored: {type(error).__name__}: {error}") from error


def _plain(value: Any, arrays: list[np.ndarray]) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if "torch" in sys.modules and isinstance(value, sys.modules["torch"].Tensor):
        return _numbered("Tensor", _to_numpy(value), arrays)
    if isinstance(value, bytes):
        return _numbered("bytes", np.frombuffer(value, np.uint8), arrays)
    if isinstance(value, Path):
        return {_TYPE: "Path", "path": str(value)}
    if isinstance(value, list | tuple):
        return [_plain(item, arrays) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item, arrays) for key, item in value.items()}
    if is_dataclass(value) and type(value).__name__ in _CLASSES:
        members = {f.name: _plain(getattr(value, f.name), arrays) for f in fields(value)}
        return {_TYPE: type(value).__name__, **members}
    raise ProtocolError(f"an object of type {type(value).__name__} cannot be sent")


def _numbered(kind: str, array: np.ndarray, arrays: list[np.ndarray]) -> dict[str, Any]:
    arrays.append(array)
    return {_TYPE: kind, "array": len(arrays) - 1}


def _to_numpy(tensor: torch.Tensor) -> np.ndarray:
    import torch

    tensor = tensor.detach().to("cpu")
    if tensor.dtype is torch.bfloat16:  # NumPy has no such type
        tensor = tensor.float()
    array: np.ndarray = tensor.contiguous().numpy()
    return array


def _restored(value: Any, arrays: tuple[np.ndarray, ...]) -> Any:
    if isinstance(value, list):
        return tuple(_restored(item, arrays) for item in value)
    if not isinstance(value, dict):
        return value
    kind = value.get(_TYPE)
    if kind == "Tensor":
        import torch

        return torch.from_numpy(_array(value, arrays))
    if kind == "bytes":
        return _array(value, arrays).astype(np.uint8).tobytes()
    if kind == "Path":
        return Path(value["path"])
    members = {key: _restored(item, arrays) for key, item in value.items() if key != _TYPE}
    return members if kind is None else _CLASSES[kind](**members)


def _array(value: dict[str, Any], arrays: tuple[np.ndarray, ...]) -> np.ndarray:
    number = value["array"]
    if type(number) is not int or number < 0:
        raise ValueError(f"{number!r} is not the number of an array")
    return arrays[number]
