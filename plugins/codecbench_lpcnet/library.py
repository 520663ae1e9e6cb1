"""LPCNet's functions in libcodec2 1.0 through ctypes; runs in a process of its own, without torch."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import c_char_p, c_int, c_void_p
from ctypes.util import find_library

import numpy as np

from codecbench import Unavailable

FRAME_SAMPLES = 480
FRAME_BITS = 52
DIRECT_SPLIT_VQ = 1  # lpcnet_freedv's second mode: without prediction between frames, and the better one measured
SEED = 1
INSTALL = "apt-get install libcodec2-1.0 on Debian 12; other releases of libcodec2 come without LPCNet"


def load() -> ctypes.CDLL:
    """Return libcodec2 with LPCNet's functions declared.

    Raises Unavailable where the library is missing or was built without LPCNet.
    """
    for name in ("libcodec2.so.1.0", find_library("codec2")):
        try:
            library = ctypes.CDLL(name) if name else None
        except OSError:
            continue
        if library is not None and hasattr(library, "lpcnet_freedv_create"):
            return _declared(library)
    raise Unavailable("no libcodec2 with LPCNet found", INSTALL)


def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    library.lpcnet_freedv_create.restype, library.lpcnet_freedv_create.argtypes = c_void_p, [c_int]
    library.lpcnet_freedv_destroy.restype, library.lpcnet_freedv_destroy.argtypes = None, [c_void_p]
    library.lpcnet_get_hash.restype = c_char_p
    for function in (library.lpcnet_enc, library.lpcnet_dec):
        function.argtypes, function.restype = [c_void_p, c_void_p, c_void_p], c_int
    return library


def version() -> str:
    """The hash of LPCNet's sources that the library carries."""
    return str(load().lpcnet_get_hash().decode())


def encode(samples: np.ndarray) -> bytes:
    """Code int16 [T], T a multiple of the frame, as 52 bits a frame, packed without gaps."""
    library = load()
    frames = np.ascontiguousarray(samples.reshape(-1, FRAME_SAMPLES))
    bits = np.zeros((len(frames), FRAME_BITS), np.uint8)
    _each_frame(library, library.lpcnet_enc, frames, bits)
    return np.packbits(bits).tobytes()


def decode(data: bytes) -> np.ndarray:
    """Decode packed frames to int16 [T]."""
    library = load()
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    frames = np.ascontiguousarray(bits[: len(bits) // FRAME_BITS * FRAME_BITS].reshape(-1, FRAME_BITS))
    samples = np.zeros((len(frames), FRAME_SAMPLES), np.int16)
    _each_frame(library, library.lpcnet_dec, frames, samples)
    return samples.reshape(-1)


def _each_frame(library: ctypes.CDLL, code: Callable[..., int], taken: np.ndarray, given: np.ndarray) -> None:
    """Run a fresh coder over the rows. LPCNet dithers with the C library's generator, so that is seeded first."""
    ctypes.CDLL(None).srand(SEED)
    state = library.lpcnet_freedv_create(DIRECT_SPLIT_VQ)
    for source, target in zip(taken, given, strict=True):
        code(state, source.ctypes.data, target.ctypes.data)
    library.lpcnet_freedv_destroy(state)
