"""Encoders that PyAV's wheel lacks (GSM, Speex, AMR-WB), from the system's libraries through ctypes.

FFmpeg wraps the same three libraries, with the same settings: their defaults beside the bit rate.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from ctypes import byref, c_char_p, c_int, c_short, c_void_p
from ctypes.util import find_library
from dataclasses import dataclass

import numpy as np

from codecbench import Unavailable

MAX_PACKET_BYTES = 256
SPEEX_WIDEBAND = 1  # speex.h: SPEEX_MODEID_WB
SPEEX_SET_BITRATE, SPEEX_GET_VERSION_STRING = 18, 9
SPEEX_BITS_BYTES = 128  # more than sizeof(SpeexBits)
AMR_WB_MODES = (6600, 8850, 12650, 14250, 15850, 18250, 19850, 23050, 23850)


@dataclass(frozen=True)
class SystemEncoder:
    """A library that codes frames: int16 [N, samples] at a bit rate become N packets."""

    soname: str
    package: str
    encode: Callable[[ctypes.CDLL, np.ndarray, int], list[bytes]]

    def load(self) -> ctypes.CDLL:
        """Open the library; raises Unavailable where it is not installed."""
        stem = self.soname.removeprefix("lib").partition(".so")[0]
        for name in (self.soname, find_library(stem)):
            try:
                if name:
                    return ctypes.CDLL(name)
            except OSError:
                continue
        raise Unavailable(
            f"neither the FFmpeg in this PyAV nor the system has the encoder lib{stem}",
            f"apt-get install {self.package} (or your system's equivalent)",
        )

    def version(self) -> str:
        """The library's name, and its own version string where it has one."""
        library, text = self.load(), c_char_p()
        if hasattr(library, "speex_lib_ctl"):
            library.speex_lib_ctl(SPEEX_GET_VERSION_STRING, byref(text))
        return " ".join([self.soname, *([text.value.decode()] if text.value else [])])


def _encode_gsm(library: ctypes.CDLL, frames: np.ndarray, bitrate_bps: int) -> list[bytes]:
    library.gsm_create.restype = c_void_p
    state, packet = c_void_p(library.gsm_create()), ctypes.create_string_buffer(33)
    packets = []
    for frame in frames:
        library.gsm_encode(state, _samples(frame), packet)
        packets.append(packet.raw)
    library.gsm_destroy(state)
    return packets


def _encode_speex(library: ctypes.CDLL, frames: np.ndarray, bitrate_bps: int) -> list[bytes]:
    library.speex_lib_get_mode.restype = library.speex_encoder_init.restype = c_void_p
    state = c_void_p(library.speex_encoder_init(c_void_p(library.speex_lib_get_mode(SPEEX_WIDEBAND))))
    library.speex_encoder_ctl(state, SPEEX_SET_BITRATE, byref(c_int(bitrate_bps)))
    bits, packet = (c_void_p * (SPEEX_BITS_BYTES // 8))(), ctypes.create_string_buffer(MAX_PACKET_BYTES)
    library.speex_bits_init(byref(bits))
    packets = []
    for frame in frames:
        library.speex_bits_reset(byref(bits))
        library.speex_encode_int(state, _samples(frame), byref(bits))
        size = library.speex_bits_write(byref(bits), packet, MAX_PACKET_BYTES)
        packets.append(packet.raw[:size])
    library.speex_bits_destroy(byref(bits))
    library.speex_encoder_destroy(state)
    return packets


def _encode_amr_wb(library: ctypes.CDLL, frames: np.ndarray, bitrate_bps: int) -> list[bytes]:
    library.E_IF_init.restype = c_void_p
    state, packet = c_void_p(library.E_IF_init()), ctypes.create_string_buffer(MAX_PACKET_BYTES)
    mode, packets = AMR_WB_MODES.index(bitrate_bps), []
    for frame in frames:
        size = library.E_IF_encode(state, mode, _samples(frame), packet, 0)
        packets.append(packet.raw[:size])
    library.E_IF_exit(state)
    return packets


def _samples(frame: np.ndarray) -> ctypes.Array[c_short]:
    return (c_short * len(frame)).from_buffer_copy(frame.astype(np.int16).tobytes())


# By the name of FFmpeg's encoder.
SYSTEM_ENCODERS: Mapping[str, SystemEncoder] = {
    "libgsm": SystemEncoder("libgsm.so.1", "libgsm1", _encode_gsm),
    "libspeex": SystemEncoder("libspeex.so.1", "libspeex1", _encode_speex),
    "libvo_amrwbenc": SystemEncoder("libvo-amrwbenc.so.0", "libvo-amrwbenc0", _encode_amr_wb),
}
