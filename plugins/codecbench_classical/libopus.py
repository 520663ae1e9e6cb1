"""libopus through ctypes: FFmpeg's wrapper offers no way to force the bandwidth or to ask for the look-ahead."""

from __future__ import annotations

import ctypes
import importlib.util
from ctypes import c_char_p, c_float, c_int, c_int32, c_ubyte, c_void_p
from ctypes.util import find_library
from pathlib import Path

import numpy as np

from codecbench import Unavailable

APPLICATION_VOIP = 2048
BANDWIDTH_WIDEBAND = 1103
SET_BITRATE, SET_VBR, SET_BANDWIDTH, SET_COMPLEXITY, GET_LOOKAHEAD = 4002, 4006, 4008, 4010, 4027
MAX_PACKET_BYTES = 1275  # RFC 6716, section 3.2.1: the largest packet of one frame


def find_libopus() -> str:
    """Return the path or name of a libopus: the one in PyAV's wheel, else the system's.

    Raises Unavailable where there is none.
    """
    package = importlib.util.find_spec("av")
    if package is not None and package.origin is not None:
        folder = Path(package.origin).parent
        for place in (folder.parent / "av.libs", folder / ".dylibs"):
            found = sorted(place.glob("*opus*"))
            if found:
                return str(found[0])
    system = find_library("opus")
    if system is None:
        raise Unavailable("no libopus found", 'pip install "av>=14", or apt-get install libopus0')
    return system


class LibOpus:
    """The functions of libopus that coding needs, with their types."""

    def __init__(self) -> None:
        self.lib = ctypes.CDLL(find_libopus())
        self.lib.opus_get_version_string.restype = c_char_p
        for name in ("opus_encoder_create", "opus_decoder_create"):
            getattr(self.lib, name).restype = c_void_p
        for name in ("opus_encoder_destroy", "opus_decoder_destroy"):
            getattr(self.lib, name).argtypes = [c_void_p]
            getattr(self.lib, name).restype = None
        # The fixed arguments must be declared: on some platforms variadic ones are passed differently.
        self.lib.opus_encoder_ctl.argtypes = [c_void_p, c_int]
        self.lib.opus_encode_float.argtypes = [c_void_p, c_void_p, c_int, c_void_p, c_int32]
        self.lib.opus_decode_float.argtypes = [c_void_p, c_char_p, c_int32, c_void_p, c_int, c_int]

    @property
    def version(self) -> str:
        """Version string of the library, such as ``libopus 1.5.2``."""
        return str(self.lib.opus_get_version_string().decode())

    def check(self, code: int, doing: str) -> int:
        """Return ``code`` where it is no error; raises RuntimeError with libopus' own word for one."""
        if code < 0:
            self.lib.opus_strerror.restype = c_char_p
            raise RuntimeError(f"libopus failed while {doing}: {self.lib.opus_strerror(code).decode()}")
        return code


class OpusEncoder:
    """One mono encoder; a context manager, since libopus owns its memory."""

    def __init__(
        self, lib: LibOpus, sample_rate_hz: int, bitrate_bps: int, *, wideband: bool, constant_bitrate: bool
    ) -> None:
        self.lib = lib
        error = c_int()
        state = lib.lib.opus_encoder_create(sample_rate_hz, 1, APPLICATION_VOIP, ctypes.byref(error))
        lib.check(error.value, "making an encoder")
        self.state = c_void_p(state)
        self._set(SET_BITRATE, bitrate_bps)
        self._set(SET_COMPLEXITY, 10)
        self._set(SET_VBR, 0 if constant_bitrate else 1)
        if wideband:
            self._set(SET_BANDWIDTH, BANDWIDTH_WIDEBAND)

    def __enter__(self) -> OpusEncoder:
        return self

    def __exit__(self, *exc: object) -> None:
        self.lib.lib.opus_encoder_destroy(self.state)

    def _set(self, request: int, value: int) -> None:
        self.lib.check(self.lib.lib.opus_encoder_ctl(self.state, request, c_int32(value)), f"setting {request}")

    @property
    def lookahead_samples(self) -> int:
        """Samples by which the decoder's output lags the encoder's input."""
        value = c_int32()
        self.lib.check(self.lib.lib.opus_encoder_ctl(self.state, GET_LOOKAHEAD, ctypes.byref(value)), "asking")
        return value.value

    def encode(self, frame: np.ndarray) -> bytes:
        """Code one frame, float32 [2.5 to 60 ms], as a packet."""
        samples = np.ascontiguousarray(frame, dtype=np.float32)
        packet = (c_ubyte * MAX_PACKET_BYTES)()
        size = self.lib.lib.opus_encode_float(
            self.state, samples.ctypes.data, len(samples), ctypes.byref(packet), MAX_PACKET_BYTES
        )
        return bytes(packet[: self.lib.check(size, "encoding")])


class OpusDecoder:
    """One mono decoder; a context manager, since libopus owns its memory."""

    def __init__(self, lib: LibOpus, sample_rate_hz: int, frame_samples: int) -> None:
        self.lib, self.frame_samples = lib, frame_samples
        error = c_int()
        state = lib.lib.opus_decoder_create(sample_rate_hz, 1, ctypes.byref(error))
        lib.check(error.value, "making a decoder")
        self.state = c_void_p(state)

    def __enter__(self) -> OpusDecoder:
        return self

    def __exit__(self, *exc: object) -> None:
        self.lib.lib.opus_decoder_destroy(self.state)

    def decode(self, packet: bytes) -> np.ndarray:
        """Return the frame of one packet, float32 [frame_samples]."""
        frame = (c_float * self.frame_samples)()
        count = self.lib.lib.opus_decode_float(
            self.state, packet, len(packet), ctypes.byref(frame), self.frame_samples, 0
        )
        return np.array(frame[: self.lib.check(count, "decoding")], dtype=np.float32)
