"""Reader of CTranslate2 ``model.bin`` files: a flat list of named tensors, every length checked against the file."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

_DTYPES = {0: "<f4", 1: "<i1", 2: "<i2", 3: "<i4", 4: "<f2"}
_MAX_VARIABLES, _MAX_RANK = 100_000, 8


class ModelBinError(ValueError):
    """A file is not a CTranslate2 ``model.bin``, or is cut short."""


class _Reader:
    """Little-endian fields from a byte buffer that never reads past its end."""

    def __init__(self, data: memoryview, path: Path) -> None:
        self.data, self.path, self.at = data, path, 0

    def take(self, count: int, what: str) -> memoryview:
        if count < 0 or self.at + count > len(self.data):
            raise ModelBinError(
                f"{self.path}: {what} at byte {self.at} needs {count} bytes, the file has {len(self.data) - self.at} "
                "left; it is cut short or not a CTranslate2 model.bin"
            )
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, code: str, what: str) -> int:
        return int(struct.unpack("<" + code, self.take(struct.calcsize(code), what))[0])

    def string(self, what: str) -> str:
        raw = bytes(self.take(self.number("H", what), what))
        return raw.rstrip(b"\0").decode("utf-8", errors="replace")


def read_model_bin(path: Path, prefix: str = "") -> dict[str, Tensor]:
    """Tensors of a CTranslate2 ``model.bin`` whose names start with ``prefix`` (only those are copied).

    Raises:
        ModelBinError: where a length, type or shape does not fit the file.
    """
    reader = _Reader(np.memmap(path, mode="r").data, path)
    if reader.number("I", "version") < 2:
        raise ModelBinError(f"{path}: model.bin version is below 2; convert the model with a current CTranslate2")
    reader.string("specification")
    reader.number("I", "revision")
    count = reader.number("I", "variable count")
    if count > _MAX_VARIABLES:
        raise ModelBinError(f"{path}: claims {count} variables; not a CTranslate2 model.bin")
    tensors = {}
    for _ in range(count):
        name, tensor = _read_variable(reader, prefix)
        if tensor is not None:
            tensors[name] = tensor
    return tensors


def _read_variable(reader: _Reader, prefix: str) -> tuple[str, Tensor | None]:
    name = reader.string("variable name")
    rank = reader.number("B", f"rank of {name}")
    if rank > _MAX_RANK:
        raise ModelBinError(f"{reader.path}: variable {name!r} claims rank {rank}")
    shape = tuple(reader.number("I", f"shape of {name}") for _ in range(rank))
    dtype = _DTYPES.get(reader.number("B", f"type of {name}"))
    if dtype is None:
        raise ModelBinError(f"{reader.path}: variable {name!r} has an unknown type")
    raw = reader.take(reader.number("I", f"size of {name}"), name)
    if len(raw) != math.prod(shape) * np.dtype(dtype).itemsize:
        raise ModelBinError(f"{reader.path}: variable {name!r} has {len(raw)} bytes for shape {shape} of {dtype}")
    if not name.startswith(prefix):
        return name, None
    return name, torch.from_numpy(np.frombuffer(raw, dtype=dtype).reshape(shape).copy())
