"""What travels with a signal through the layers: true lengths (so that padding never leaks) and streaming memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

# What each causal layer keeps between streaming steps.
Memory = dict[nn.Module, Tensor]


@dataclass
class Flow:
    """State of one pass through a stack of layers.

    ``lengths[B]``: valid positions of each row at the current layer, or None where every row is full: then nothing is
    masked. ``memory``: what each causal layer keeps between streaming steps, or None outside streaming. Layers that
    change the number of positions update ``lengths``; every layer masks what it returns, because a bias makes padding
    non-zero and the next convolution would read it. ``log_magnitude[B, F, bins]``: left behind by a decoder that ends
    in an inverse STFT, for the losses of training; ``pitch_logits[B, F, candidates]`` by one that chooses harmonics.
    """

    lengths: Tensor | None = None
    memory: Memory | None = None
    log_magnitude: Tensor | None = None
    pitch_logits: Tensor | None = None

    def mask(self, x: Tensor) -> Tensor:
        """Zero the positions of ``x[B, C, T]`` beyond each row's length."""
        if self.lengths is None:
            return x
        return x * self.valid(x.shape[-1])[:, None, :].to(x.dtype)

    def valid(self, positions: int) -> Tensor:
        """``[B, positions]``, True where a position belongs to its row."""
        if self.lengths is None:
            raise ValueError("Flow.valid needs lengths")
        return torch.arange(positions, device=self.lengths.device)[None, :] < self.lengths[:, None]
