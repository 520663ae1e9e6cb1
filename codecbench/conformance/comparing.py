"""Where two encoded forms or two waveforms differ, in words."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from codecbench.contracts.audio import Waveforms
from codecbench.contracts.encoded import AudioPassthrough, Bitstream, Encoded, Tokens, TokenStream

# Floating-point sums in another order (another batch size, another thread count) move audio by this share of its
# peak at most; a codec that is wrong moves it by orders of magnitude more.
AUDIO_TOLERANCE = 1e-4
_SHOWN = 8


def encoded_difference(one: Encoded, other: Encoded) -> str:
    """Say where two encoded forms of one utterance (B = 1 each) differ; empty where they are the same."""
    if isinstance(one, Tokens) and isinstance(other, Tokens):
        if len(one.streams) != len(other.streams):
            return f"{len(one.streams)} streams against {len(other.streams)}"
        told = [_stream_difference(a, b) for a, b in zip(one.streams, other.streams, strict=True)]
        return "; ".join(text for text in told if text)
    if isinstance(one, Bitstream) and isinstance(other, Bitstream):
        return _payload_difference(one.payloads[0], other.payloads[0])
    if isinstance(one, AudioPassthrough) and isinstance(other, AudioPassthrough):
        return waveform_difference(one.waveforms, other.waveforms)
    return f"{type(one).__name__} against {type(other).__name__}"


def waveform_difference(one: Waveforms, other: Waveforms, *, row: int = 0, other_row: int = 0) -> str:
    """Say where one row each of two decoded batches differs by more than rounding; empty where it does not."""
    return audio_difference(one.row(row), other.row(other_row))


def audio_difference(one: torch.Tensor, other: torch.Tensor) -> str:
    """Say from which sample on two waveforms [T] differ by more than rounding."""
    if one.shape != other.shape:
        return f"{one.shape[-1]} samples against {other.shape[-1]}"
    places = audio_differs(one, other)
    if len(places) == 0:
        return ""
    first, largest = int(places[0]), float((one - other).abs().max())
    return f"{len(places)} of {one.shape[-1]} samples differ, the first is {first}, by up to {largest:.3g}"


def audio_differs(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Return the indices of samples of two waveforms [T] that differ by more than rounding."""
    if one.numel() == 0:
        return torch.zeros(0, dtype=torch.int64)
    peak = max(float(one.abs().max()), float(other.abs().max()))
    same = torch.isclose(one, other, rtol=0.0, atol=AUDIO_TOLERANCE * peak, equal_nan=True)
    return torch.nonzero(~same).flatten()


def listed(numbers: Sequence[int]) -> str:
    """Write numbers as ``3, 4, 7``, the first eight of them."""
    shown = ", ".join(str(n) for n in numbers[:_SHOWN])
    return f"{shown} and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else shown


def _stream_difference(one: TokenStream, other: TokenStream) -> str:
    if one.codes.shape != other.codes.shape:
        return f"stream '{one.name}': codes {_shape(one.codes)} against {_shape(other.codes)}"
    if (one.durations is None) != (other.durations is None):
        return f"stream '{one.name}': durations in one only"
    unequal = one.codes[0] != other.codes[0]
    if one.durations is not None and other.durations is not None:
        unequal = unequal | (one.durations != other.durations)
    if not bool(unequal.any()):
        return ""
    frames = torch.nonzero(unequal.any(dim=0)).flatten().tolist()
    books = torch.nonzero(unequal.any(dim=1)).flatten().tolist()
    total = one.codes.shape[-1]
    return (
        f"stream '{one.name}': {len(frames)} of {total} frames differ (frames {listed(frames)}; "
        f"codebooks {listed(books)})"
    )


def _payload_difference(one: bytes, other: bytes) -> str:
    if one == other:
        return ""
    first = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return f"payloads of {len(one)} and {len(other)} bytes differ from byte {first} on"


def _shape(codes: torch.Tensor) -> str:
    return str(list(codes.shape))
