"""What encode and decode refuse, each with what was expected."""

from __future__ import annotations

import torch
from torch import Tensor


def check_audio(audio: Tensor, num_samples: Tensor | None) -> Tensor | None:
    """Refuse audio that is not finite, non-empty ``[B, 1, T]``, or lengths outside 1..T; returns the lengths."""
    if audio.dim() != 3 or audio.shape[1] != 1:
        raise ValueError(f"audio must be [B, 1, T] (mono), not {list(audio.shape)}")
    if 0 in audio.shape:
        raise ValueError(f"audio is empty: {list(audio.shape)}")
    if not audio.is_floating_point():
        raise ValueError(f"audio must be floating point in -1..1, not {audio.dtype}")
    if num_samples is not None:
        _check_lengths(num_samples, audio.shape[0], audio.shape[2], "audio")
    # The extremes of a row show both NaN and infinity, without a copy of an hour of audio.
    finite = torch.stack(torch.aminmax(audio.flatten(1), dim=1)).isfinite().all(0)
    if not bool(finite.all()):
        row = int((~finite).nonzero()[0])
        raise ValueError(f"audio row {row} has values that are not finite (NaN or infinity)")
    return num_samples


def _check_lengths(num_samples: Tensor, batch: int, longest: int, what: str) -> None:
    if num_samples.shape != (batch,):
        raise ValueError(f"num_samples must be [{batch}] for this {what}, not {list(num_samples.shape)}")
    low, high = int(num_samples.min()), int(num_samples.max())
    if low < 1 or high > longest:
        raise ValueError(f"num_samples must lie in 1..{longest} for this {what}, not {low}..{high}")


def check_books(num_codebooks: int | None, available: int) -> int:
    """The number of books to use, 1..available; None means all."""
    books = available if num_codebooks is None else num_codebooks
    if not 1 <= books <= available:
        raise ValueError(f"num_codebooks must lie in 1..{available}, not {books}")
    return books


def check_codes(codes: Tensor, sizes: tuple[int, ...]) -> None:
    """Refuse codes that are not non-empty integers ``[B, n <= K, F]`` within each book's range."""
    if codes.dim() != 3:
        raise ValueError(f"codes must be [B, K, F], not {list(codes.shape)}")
    if codes.dtype.is_floating_point or codes.dtype == torch.bool:
        raise ValueError(f"codes must be integers, not {codes.dtype}")
    if 0 in codes.shape or codes.shape[1] > len(sizes):
        raise ValueError(f"codes must be [B >= 1, 1..{len(sizes)} books, F >= 1], not {list(codes.shape)}")
    low, high = codes.amin((0, 2)).tolist(), codes.amax((0, 2)).tolist()
    for book, (smallest, largest, size) in enumerate(zip(low, high, sizes, strict=False)):
        if smallest < 0 or largest >= size:
            raise ValueError(f"codes of book {book} must lie in 0..{size - 1}, found {smallest}..{largest}")


def check_output_lengths(num_samples: Tensor | None, codes: Tensor, hop_samples: int) -> None:
    """Refuse output lengths that the codes cannot fill."""
    if num_samples is not None:
        _check_lengths(num_samples, codes.shape[0], codes.shape[2] * hop_samples, "codes")
