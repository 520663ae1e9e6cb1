"""Frames through pycodec2; runs in a process of its own, without torch."""

from __future__ import annotations

import numpy as np
import pycodec2


def encode(mode: int, samples: np.ndarray) -> tuple[bytes, int]:
    """Code int16 [T], T a multiple of the frame: the frames, each padded to bytes, and the bits without padding."""
    codec = pycodec2.Codec2(mode)
    frames = samples.reshape(-1, codec.samples_per_frame())
    # One frame a call: pycodec2's buffer for several frames is too small where a frame is no whole number of bytes.
    data = b"".join(codec.encode(frame) for frame in frames)
    return data, codec.bits_per_frame() * len(frames)


def decode(mode: int, data: bytes) -> np.ndarray:
    """Decode frames to int16 [T]."""
    codec = pycodec2.Codec2(mode)
    size = codec.bytes_per_frame()
    return np.concatenate([codec.decode(data[start : start + size]) for start in range(0, len(data), size)])
