"""Encoded utterances as bytes: codes packed at the width that their codebook needs, bit streams as they are."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import torch

from codecbench.contracts.encoded import Bitstream, Encoded, Tokens, TokenStream

FORMAT_VERSION = 1
MAX_CODEBOOK_SIZE = 1 << 32
# An hour at 75 frames a second and 32 codebooks has 9 million; these take half a gigabyte, whatever a header claims.
MAX_CODES = 1 << 26
# Codes that are unpacked at once: a bit takes some bytes while it is on its way.
_UNPACKED_AT_ONCE = 1 << 16


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
    try:
        return _unpack(packed, json.loads(packed.header))
    except (TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"its header is damaged ({type(error).__name__}: {error})") from error


def _unpack(packed: PackedUtterance, header: dict) -> Tokens | Bitstream:
    if header.get("format") != FORMAT_VERSION:
        raise ValueError(f"packed in format {header.get('format')}, expected {FORMAT_VERSION}")
    num_samples = torch.tensor([_whole(packed.num_samples, "num_samples", 1 << 62)])
    if packed.kind == "bitstream":
        bits = header["bits"]
        if bits is not None:
            _whole(bits, "bits", 1 << 62)
        return Bitstream((packed.payload,), num_samples, None if bits is None else (bits,))
    if packed.kind != "tokens":
        raise ValueError(f"neither tokens nor a bit stream: {str(packed.kind)[:40]!r}")
    streams, offset = [], 0
    if sum(max(1, len(item["sizes"])) * int(item["frames"]) for item in header["streams"]) > MAX_CODES:
        raise ValueError(f"more than {MAX_CODES} codes")
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
    parts = [_pack_codes(row, size) for row, size in zip(codes, stream.codebook_sizes, strict=True)]
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
    frames = _whole(header["frames"], "frames", MAX_CODES)
    sizes = tuple(_whole(size, "codebook size", MAX_CODEBOOK_SIZE, least=1) for size in header["sizes"])
    codes = np.empty((len(sizes), frames), np.int64)
    for row, size in zip(codes, sizes, strict=True):
        width = code_width(size)
        length = -(-frames * width // 8)
        _unpack_codes(_take(payload, offset, length), width, row)
        if frames and row.max() >= size:
            raise ValueError(f"code {row.max()} of a codebook with {size} entries")
        offset += length
    durations = None
    if header.get("durations"):
        durations = torch.from_numpy(np.frombuffer(_take(payload, offset, 4 * frames), "<i4").astype(np.int64))[None]
        offset += 4 * frames
    side = header.get("side_info_bits")
    stream = TokenStream(
        _text(header["name"]),
        torch.from_numpy(codes)[None],
        torch.tensor([frames]),
        _number(header["frame_rate_hz"], "frame_rate_hz"),
        sizes,
        durations,
        None if side is None else torch.tensor([_number(side, "side_info_bits")]),
    )
    return stream, offset


def _take(payload: bytes, offset: int, length: int) -> bytes:
    if length < 0 or offset + length > len(payload):
        raise ValueError(f"payload of {len(payload)} bytes is shorter than its header describes")
    return payload[offset : offset + length]


def _pack_codes(codes: np.ndarray, codebook_size: int) -> bytes:
    width = code_width(codebook_size)
    if codes.size and (codes.min() < 0 or codes.max() >= codebook_size):
        raise ValueError(f"codes between {codes.min()} and {codes.max()} of a codebook with {codebook_size} entries")
    bits = (codes[:, None] >> np.arange(width - 1, -1, -1)) & 1
    return np.packbits(bits.astype(np.uint8).ravel()).tobytes()


def _unpack_codes(data: bytes, width: int, codes: np.ndarray) -> None:
    """Fill ``codes``, int64 [F]."""
    weights = 1 << np.arange(width - 1, -1, -1, dtype=np.int64)
    for start in range(0, len(codes), _UNPACKED_AT_ONCE):  # a multiple of 8, so each piece begins at a byte
        size = min(_UNPACKED_AT_ONCE, len(codes) - start)
        piece = np.frombuffer(data, np.uint8, offset=start * width // 8)
        bits = np.unpackbits(piece, count=size * width).reshape(size, width)
        codes[start : start + size] = bits.astype(np.int64) @ weights


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"the name of a stream must be text, not {str(value)[:40]}")
    return value


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e18:
        raise ValueError(f"{name} must be a number of at least 0, not {str(value)[:40]}")
    return float(value)


def _whole(value: object, name: str, most: int, least: int = 0) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{name} must be a whole number from {least} to {most}, not {str(value)[:40]}")
    return value
