"""Encoded utterances as bytes: codes packed at the width that their codebook needs, bit streams as they are."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import torch

from codecbench.contracts.encoded import Bitstream, Encoded, Tokens, TokenStream

FORMAT_VERSION = 1


@dataclass(frozen=True)
class PackedUtterance:
    """One utterance's encoded form: ``kind`` (``tokens`` or ``bitstream``), a JSON header, and the payload."""

    kind: str
    num_samples: int
    header: str
    payload: bytes


def pack(encoded: Encoded) -> PackedUtterance | None:
    """Pack one utterance (B = 1); None for passed-through audio, of which nothing is kept."""
    if isinstance(encoded, Tokens):
        headers, payloads = zip(*(_pack_stream(stream) for stream in encoded.streams), strict=True)
        header = json.dumps({"format": FORMAT_VERSION, "streams": headers}, separators=(",", ":"))
        return PackedUtterance("tokens", int(encoded.num_samples[0]), header, b"".join(payloads))
    if isinstance(encoded, Bitstream):
        header = json.dumps({"format": FORMAT_VERSION, "bits": encoded.bits and encoded.bits[0]})
        return PackedUtterance("bitstream", int(encoded.num_samples[0]), header, encoded.payloads[0])
    return None


def unpack(packed: PackedUtterance) -> Tokens | Bitstream:
    """Restore one utterance (B = 1).

    Raises ValueError where header and payload do not fit each other or the format is newer than this code.
    """
    header = json.loads(packed.header)
    if header.get("format") != FORMAT_VERSION:
        raise ValueError(f"packed in format {header.get('format')}, expected {FORMAT_VERSION}")
    num_samples = torch.tensor([packed.num_samples])
    if packed.kind == "bitstream":
        bits = header["bits"]
        return Bitstream((packed.payload,), num_samples, None if bits is None else (int(bits),))
    streams, offset = [], 0
    for item in header["streams"]:
        stream, offset = _unpack_stream(item, packed.payload, offset)
        streams.append(stream)
    if offset != len(packed.payload):
        raise ValueError(f"payload of {len(packed.payload)} bytes, its header describes {offset}")
    return Tokens(tuple(streams), num_samples)


def code_width(codebook_size: int) -> int:
    """Bits that a code of this codebook needs: the smallest width that holds ``codebook_size - 1``."""
    return max(1, (codebook_size - 1).bit_length())


def _pack_stream(stream: TokenStream) -> tuple[dict[str, object], bytes]:
    codes = stream.codes[0].cpu().numpy().astype(np.int64)
    parts = [_pack_codes(row, code_width(size)) for row, size in zip(codes, stream.codebook_sizes, strict=True)]
    header: dict[str, object] = {
        "name": stream.name,
        "frame_rate_hz": stream.frame_rate_hz,
        "sizes": stream.codebook_sizes,
        "frames": int(stream.num_frames[0]),
    }
    if stream.durations is not None:
        header["durations"] = True
        parts.append(stream.durations[0].cpu().numpy().astype("<i4").tobytes())
    if stream.side_info_bits is not None:
        header["side_info_bits"] = float(stream.side_info_bits[0])
    return header, b"".join(parts)


def _unpack_stream(header: dict, payload: bytes, offset: int) -> tuple[TokenStream, int]:
    frames, sizes = int(header["frames"]), tuple(int(size) for size in header["sizes"])
    rows = []
    for size in sizes:
        width = code_width(size)
        length = -(-frames * width // 8)
        rows.append(_unpack_codes(_take(payload, offset, length), width, frames))
        offset += length
    durations = None
    if header.get("durations"):
        durations = torch.from_numpy(np.frombuffer(_take(payload, offset, 4 * frames), "<i4").astype(np.int64))[None]
        offset += 4 * frames
    side = header.get("side_info_bits")
    codes = torch.from_numpy(np.stack(rows)) if rows else torch.zeros(0, frames, dtype=torch.int64)
    stream = TokenStream(
        str(header["name"]),
        codes[None],
        torch.tensor([frames]),
        float(header["frame_rate_hz"]),
        sizes,
        durations,
        None if side is None else torch.tensor([float(side)]),
    )
    return stream, offset


def _take(payload: bytes, offset: int, length: int) -> bytes:
    if length < 0 or offset + length > len(payload):
        raise ValueError(f"payload of {len(payload)} bytes is shorter than its header describes")
    return payload[offset : offset + length]


def _pack_codes(codes: np.ndarray, width: int) -> bytes:
    if codes.size and (codes.min() < 0 or codes.max() >= 1 << width):
        raise ValueError(f"codes between {codes.min()} and {codes.max()} do not fit {width} bits")
    bits = (codes[:, None] >> np.arange(width - 1, -1, -1)) & 1
    return np.packbits(bits.astype(np.uint8).ravel()).tobytes()


def _unpack_codes(data: bytes, width: int, count: int) -> np.ndarray:
    bits = np.unpackbits(np.frombuffer(data, np.uint8), count=count * width).reshape(count, width)
    return bits.astype(np.int64) @ (1 << np.arange(width - 1, -1, -1, dtype=np.int64))
