"""Audio cut into overlapping frames and put together again, as many frames as hops: no centring, no padding to undo."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def frame_signal(audio: Tensor, fft_samples: int, hop_samples: int) -> Tensor:
    """Overlapping frames ``[B, F, fft_samples]`` of ``audio[B, T]``, T = F * hop, frame f centred on its own hop."""
    side = (fft_samples - hop_samples) // 2
    return F.pad(audio, (side, side)).unfold(-1, fft_samples, hop_samples)


def overlap_add(frames: Tensor, hop_samples: int) -> Tensor:
    """The inverse layout: frames ``[B, F, N]`` summed into ``[B, F * hop]``, the outer ``(N - hop) / 2`` cut."""
    batch, count, size = frames.shape
    parts = size // hop_samples
    pieces = frames.view(batch, count, parts, hop_samples)
    total = frames.new_zeros(batch, count + parts - 1, hop_samples)
    for part in range(parts):
        total[:, part : part + count] += pieces[:, :, part]
    side = (size - hop_samples) // 2
    return total.view(batch, -1)[:, side : side + count * hop_samples]
