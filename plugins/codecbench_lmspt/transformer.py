"""The Transformer at the token rate (LM-SPT paper, App. D: 8 layers, width 512, after the convolutions).

Head count, feed-forward width, rotary positions, the attention window and the layer scale are our choice: the paper's
text states none of them. Feed-forward 1152 at width 512 makes an encoder of about 22 M parameters, which is what a
second encoder costs in the paper.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from codecbench_lmspt.flow import Flow
from codecbench_lmspt.spec import TransformerSpec


class Transformer(nn.Module):
    """Pre-norm layers over frames, each frame seeing ``window_frames`` to either side; a norm at the end."""

    def __init__(self, spec: TransformerSpec, cin: int, cout: int) -> None:
        super().__init__()
        self.spec = spec
        self.project_in = nn.Linear(cin, spec.width) if cin != spec.width else nn.Identity()
        self.layers = nn.ModuleList(TransformerLayer(spec) for _ in range(spec.layers))
        self.norm = nn.LayerNorm(spec.width)
        self.project_out = nn.Linear(spec.width, cout) if cout != spec.width else nn.Identity()

    @property
    def last(self) -> nn.Module:
        """The layer that the output is made by."""
        return self.norm if isinstance(self.project_out, nn.Identity) else self.project_out

    def forward(self, x: Tensor, flow: Flow) -> Tensor:
        """``x[B, C, F]`` to ``[B, C', F]``."""
        y = self.project_in(x.transpose(1, 2))
        mask = _attention_mask(y.shape[1], self.spec.window_frames, flow, y.device)
        rotation = _rotation(y.shape[1], self.spec.width // self.spec.heads, y)
        for layer in self.layers:
            y = layer(y, mask, rotation)
        return flow.mask(self.project_out(self.norm(y)).transpose(1, 2))


class TransformerLayer(nn.Module):
    """Attention and feed-forward, each behind a norm and, if the spec says so, a learned scale."""

    def __init__(self, spec: TransformerSpec) -> None:
        super().__init__()
        self.heads = spec.heads
        self.norm_attention = nn.LayerNorm(spec.width)
        self.qkv = nn.Linear(spec.width, 3 * spec.width, bias=False)
        self.out = nn.Linear(spec.width, spec.width, bias=False)
        self.norm_feedforward = nn.LayerNorm(spec.width)
        self.feedforward = nn.Sequential(
            nn.Linear(spec.width, spec.feedforward), nn.GELU(), nn.Linear(spec.feedforward, spec.width)
        )
        self.scale_attention = _layer_scale(spec)
        self.scale_feedforward = _layer_scale(spec)

    def forward(self, x: Tensor, mask: Tensor | None, rotation: Tensor) -> Tensor:
        """``x[B, F, C]`` to the same shape; padding never reaches a valid frame, because it is masked as a key."""
        x = x + self.scale_attention(self._attend(self.norm_attention(x), mask, rotation))
        return x + self.scale_feedforward(self.feedforward(self.norm_feedforward(x)))

    def _attend(self, x: Tensor, mask: Tensor | None, rotation: Tensor) -> Tensor:
        batch, frames, width = x.shape
        q, k, v = self.qkv(x).view(batch, frames, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k = _rotate(q, rotation).to(v.dtype), _rotate(k, rotation).to(v.dtype)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        out: Tensor = self.out(y.transpose(1, 2).reshape(batch, frames, width))
        return out


class LayerScale(nn.Module):
    """A learned factor per channel (Touvron et al., arXiv 2103.17239; Mimi uses 0.01)."""

    def __init__(self, width: int, initial: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), initial))

    def forward(self, x: Tensor) -> Tensor:
        """``x[..., C]`` to the same shape."""
        return x * self.gamma


def _layer_scale(spec: TransformerSpec) -> nn.Module:
    return LayerScale(spec.width, spec.layer_scale) if spec.layer_scale else nn.Identity()


def _attention_mask(frames: int, window: int, flow: Flow, device: torch.device) -> Tensor | None:
    """Boolean mask, True where attention is allowed: ``[F, F]``, or ``[B, 1, F, F]`` where rows differ in length."""
    if flow.lengths is None and frames <= window + 1:
        return None
    position = torch.arange(frames, device=device)
    band = (position[:, None] - position[None, :]).abs() <= window
    if flow.lengths is None:
        return band
    # Every frame may look at itself, so that no row of the softmax is empty beyond an utterance's end.
    own = torch.eye(frames, dtype=torch.bool, device=device)
    return (band & (flow.valid(frames)[:, None, :]) | own)[:, None]


def _rotation(frames: int, head_width: int, like: Tensor) -> Tensor:
    """Rotary angles (Su et al., arXiv 2104.09864) as ``[2, F, head_width / 2]``: cosines and sines."""
    exact = torch.float64 if like.dtype == torch.float64 else torch.float32
    rate = 10000.0 ** (-torch.arange(0, head_width, 2, device=like.device, dtype=exact) / head_width)
    angle = torch.arange(frames, device=like.device, dtype=exact)[:, None] * rate
    return torch.stack([angle.cos(), angle.sin()]).to(like.dtype)


def _rotate(x: Tensor, rotation: Tensor) -> Tensor:
    cos, sin = rotation
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)
