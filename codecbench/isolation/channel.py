"""The worker protocol's lowest layer: length-prefixed messages over two pipes, arrays through shared memory.

One message is the magic ``CBWP``, the protocol's version (u16), the length of the head (u32, both little-endian) and
the head, a JSON object ``{"body": …, "arrays": [[dtype, shape, offset], …]}``. The arrays lie in a memory file that
both sides have open and only the sender writes; a side reads them before it answers. Nothing is pickled: the sides may
run other versions of Python and NumPy.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import struct
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from codecbench.errors import CodecbenchError

PROTOCOL_VERSION = 1
MAGIC = b"CBWP"
MAX_HEAD_BYTES = 1 << 24
MAX_ARRAYS = 4096
MAX_ARRAY_BYTES = 1 << 33
MAX_DIMENSIONS = 4
DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")
_PREFIX = struct.Struct("<4sHI")
_ALIGNMENT = 64


class ProtocolError(CodecbenchError):
    """What arrived is not a message of this protocol."""


@dataclass(frozen=True, eq=False)
class Message:
    """Plain data (what JSON can say) and the arrays that it names by their numbers."""

    body: Any
    arrays: tuple[np.ndarray, ...] = ()


class Channel:
    """One side's end: messages are read from ``reading`` and ``inbox``, written to ``writing`` and ``outbox``.

    inbox, outbox: descriptors of memory files, as ``memory_file`` makes them.
    """

    def __init__(self, reading: BinaryIO, writing: BinaryIO, inbox: int, outbox: int) -> None:
        self._reading, self._writing = reading, writing
        self._inbox, self._outbox = inbox, outbox

    def send(self, message: Message) -> None:
        """Write the arrays, then the message; raises ProtocolError for what the protocol cannot carry."""
        described = _describe(message.arrays)
        head = json.dumps({"body": message.body, "arrays": described}, separators=(",", ":")).encode()
        if len(head) > MAX_HEAD_BYTES:
            raise ProtocolError(f"a message of {len(head)} bytes is longer than {MAX_HEAD_BYTES}")
        _write_arrays(self._outbox, message.arrays, [offset for _, _, offset in described])
        self._writing.write(_PREFIX.pack(MAGIC, PROTOCOL_VERSION, len(head)) + head)
        self._writing.flush()

    def receive(self) -> Message:
        """Wait for the next message; raises EOFError where the other side has ended, ProtocolError for any other."""
        start = self._reading.read(_PREFIX.size)
        if not start:
            raise EOFError
        length = read_prefix(start)
        head = self._reading.read(length)
        if len(head) < length:
            raise ProtocolError(f"a message ends after {len(head)} of {length} bytes")
        return read_head(head, self._inbox)


def memory_file() -> int:
    """Return the descriptor of an empty file in memory (elsewhere than on Linux, an unlinked temporary file)."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("codecbench")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def read_prefix(data: bytes) -> int:
    """Return the length of the head that follows; raises ProtocolError for another protocol or version."""
    if len(data) < _PREFIX.size:
        raise ProtocolError(f"a message ends after {len(data)} bytes")
    magic, version, length = _PREFIX.unpack(data)
    if magic != MAGIC:
        raise ProtocolError(f"expected a message of the worker protocol, found {data!r}")
    if version != PROTOCOL_VERSION:
        raise ProtocolError(
            f"the other side speaks version {version} of the worker protocol, this one {PROTOCOL_VERSION}"
        )
    if length > MAX_HEAD_BYTES:
        raise ProtocolError(f"a message claims {length} bytes, more than {MAX_HEAD_BYTES}")
    return int(length)


def read_head(head: bytes, inbox: int) -> Message:
    """Return the message of a head whose arrays lie in ``inbox``; raises ProtocolError where they do not fit."""
    try:
        facts = json.loads(head)
        body, described = facts["body"], facts["arrays"]
        if not isinstance(described, list) or len(described) > MAX_ARRAYS:
            raise ValueError("'arrays' must be a list")
        size = min(os.fstat(inbox).st_size, MAX_ARRAY_BYTES)
        places = [_place(item, size) for item in described]
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
        raise ProtocolError(f"a message cannot be read: {type(error).__name__}: {error}") from error
    if sum(place.num_bytes for place in places) > size:
        raise ProtocolError("the arrays of a message overlap")
    return Message(body, _read_arrays(inbox, places))


@dataclass(frozen=True)
class _Place:
    dtype: np.dtype
    shape: tuple[int, ...]
    offset: int

    @property
    def num_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def _place(item: Any, size: int) -> _Place:
    """Check the description of one array against the memory file that it lies in."""
    dtype, shape, offset = item
    if dtype not in DTYPES:
        raise ValueError(f"arrays of type {str(dtype)[:20]!r} are not sent")
    if not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS:
        raise ValueError(f"an array has at most {MAX_DIMENSIONS} dimensions")
    if not all(type(n) is int and 0 <= n <= size for n in [*shape, offset]):
        raise ValueError(f"an array lies outside of the {size} bytes of shared memory")
    place = _Place(np.dtype(dtype), tuple(shape), offset)
    if offset + place.num_bytes > size:
        raise ValueError(f"an array lies outside of the {size} bytes of shared memory")
    return place


def _describe(arrays: Sequence[np.ndarray]) -> list[tuple[str, list[int], int]]:
    described, offset = [], 0
    for array in arrays:
        if array.dtype.name not in DTYPES or array.ndim > MAX_DIMENSIONS:
            raise ProtocolError(f"an array of type {array.dtype} and shape {array.shape} cannot be sent")
        described.append((array.dtype.name, list(array.shape), offset))
        offset += -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
    if offset > MAX_ARRAY_BYTES or len(described) > MAX_ARRAYS:
        raise ProtocolError(f"{len(arrays)} arrays of {offset} bytes are more than one message takes")
    return described


def _write_arrays(outbox: int, arrays: Sequence[np.ndarray], offsets: Sequence[int]) -> None:
    if not sum(array.nbytes for array in arrays):
        return
    end = offsets[-1] + -(-arrays[-1].nbytes // _ALIGNMENT) * _ALIGNMENT
    if os.fstat(outbox).st_size < end:
        os.ftruncate(outbox, end)
    memory = mmap.mmap(outbox, end)
    for array, offset in zip(arrays, offsets, strict=True):
        np.ndarray(array.shape, array.dtype, memory, offset)[...] = array


def _read_arrays(inbox: int, places: Sequence[_Place]) -> tuple[np.ndarray, ...]:
    end = max((place.offset + place.num_bytes for place in places if place.num_bytes), default=0)
    memory = mmap.mmap(inbox, end, access=mmap.ACCESS_READ) if end else None
    return tuple(
        np.empty(place.shape, place.dtype)
        if memory is None or not place.num_bytes
        else np.ndarray(place.shape, place.dtype, memory, place.offset).copy()
        for place in places
    )
