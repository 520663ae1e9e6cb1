"""Samples to raw packets and back through PyAV, with no container around them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, Literal

import av
import numpy as np

from codecbench.audio.pcm import from_int16, to_int16


def has_codec(name: str, mode: Literal["r", "w"]) -> bool:
    """Whether this FFmpeg has an encoder (mode ``w``) or decoder (``r``) of that name."""
    try:
        av.codec.Codec(name, mode)
    except ValueError:  # what PyAV's UnknownCodecError is
        return False
    return True


def open_encoder(name: str, sample_rate_hz: int, sample_format: str, bitrate_bps: int) -> Any:
    """Return an opened mono encoder."""
    encoder: Any = av.CodecContext.create(name, "w")
    encoder.sample_rate, encoder.layout, encoder.format = sample_rate_hz, "mono", sample_format
    encoder.bit_rate, encoder.time_base, encoder.thread_count = bitrate_bps, Fraction(1, sample_rate_hz), 1
    encoder.open()
    return encoder


def encode_packets(encoder: Any, audio: np.ndarray, frame_samples: int) -> list[bytes]:
    """Code float32 [T], T a multiple of ``frame_samples``, and flush; the packets in order."""
    sample_format, packets = encoder.format.name, []
    samples = to_int16(audio)
    if sample_format.startswith("flt"):
        samples = from_int16(samples)
    for start in range(0, len(samples), frame_samples):
        block = np.ascontiguousarray(samples[None, start : start + frame_samples])
        frame = av.AudioFrame.from_ndarray(block, format=sample_format, layout="mono")
        frame.sample_rate, frame.pts = encoder.sample_rate, start
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets + [bytes(packet) for packet in encoder.encode(None)]


def decode_packets(
    name: str,
    packets: Iterable[bytes],
    sample_rate_hz: int,
    extradata: bytes | None = None,
    options: Mapping[str, str] | None = None,
) -> np.ndarray:
    """Decode packets to float32 [T], all that the decoder returns; ``extradata`` is its out-of-band setup."""
    decoder: Any = av.CodecContext.create(name, "r")
    decoder.sample_rate, decoder.layout, decoder.thread_count = sample_rate_hz, "mono", 1
    decoder.options = dict(options or {})
    if extradata:
        decoder.extradata = extradata
    blocks = [_samples(frame) for packet in packets for frame in decoder.decode(av.Packet(packet))]
    blocks += [_samples(frame) for frame in decoder.decode(None)]
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)


def _samples(frame: Any) -> np.ndarray:
    values = frame.to_ndarray().reshape(-1)
    return from_int16(values) if values.dtype == np.int16 else values.astype(np.float32)
