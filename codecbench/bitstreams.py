"""A base for codecs that code one utterance at a time into bytes, and the packing of packets into a payload."""

from __future__ import annotations

import abc
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from codecbench.contracts.audio import Batch, Waveforms
from codecbench.contracts.codec import Codec
from codecbench.contracts.encoded import Bitstream, Encoded

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Payload:
    """One coded utterance: the bytes to decode it from, and the bits that the codec spent on it."""

    data: bytes
    bits: int


class BitstreamCodec(Codec):
    """A codec written for one utterance at a time; this class walks over the rows of a batch."""

    @abc.abstractmethod
    def encode_row(self, audio: np.ndarray) -> Payload:
        """Code float32 [T] at the codec's rate; T may be 0."""

    @abc.abstractmethod
    def decode_row(self, data: bytes, num_samples: int) -> np.ndarray:
        """Return float32 [num_samples] from the data that ``encode_row`` made."""

    def encode(self, batch: Batch) -> Bitstream:
        """Code each row of the batch cut to its true length."""
        payloads = [self.encode_row(batch.row(index).cpu().numpy()) for index in range(len(batch))]
        return Bitstream(tuple(p.data for p in payloads), batch.num_samples, tuple(p.bits for p in payloads))

    def decode(self, encoded: Encoded, mode: str = "full") -> Waveforms:
        """Decode each payload to its number of samples."""
        assert isinstance(encoded, Bitstream)
        assert self.spec.sample_rate_hz is not None
        lengths = [int(length) for length in encoded.num_samples]
        rows = [self.decode_row(data, length) for data, length in zip(encoded.payloads, lengths, strict=True)]
        return Waveforms.stack(rows, self.spec.sample_rate_hz)


def pack_packets(packets: Iterable[bytes]) -> Payload:
    """Join packets, each after its length in two bytes; the bits are those of the packets alone.

    The lengths stand for what the transport (RTP, a container) knows anyway, so they are not the codec's bits.
    """
    kept = list(packets)
    data = b"".join(struct.pack("<H", len(packet)) + packet for packet in kept)
    return Payload(data, 8 * sum(len(packet) for packet in kept))


def unpack_packets(data: bytes) -> Iterator[bytes]:
    """Yield the packets that ``pack_packets`` joined; raises ValueError where the data ends too early."""
    position = 0
    while position < len(data):
        if position + 2 > len(data):
            raise ValueError("the payload ends within a packet's length")
        (length,) = struct.unpack_from("<H", data, position)
        packet = data[position + 2 : position + 2 + length]
        if len(packet) < length:
            raise ValueError(f"the payload ends within a packet: {len(packet)} of {length} bytes")
        yield packet
        position += 2 + length
