"""Weight-normalised convolutions with lengths, causality and streaming, and the Snake activation.

Parameter names and shapes are those of the official checkpoint (``bias``, ``weight_g``, ``weight_v``: the old-style
weight norm of torch), so that its safetensors file loads without renaming.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from codecbench_lmspt.flow import Flow


class WeightNormed(nn.Module):
    """A weight as gain times direction (Salimans and Kingma, arXiv 1602.07868), foldable into one tensor."""

    def __init__(self, shape: tuple[int, ...], bias_size: int, fan_in: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(fan_in)
        direction = torch.empty(shape).uniform_(-bound, bound)
        self.bias = nn.Parameter(torch.empty(bias_size).uniform_(-bound, bound))
        self.weight_g = nn.Parameter(_row_norm(direction))
        self.weight_v = nn.Parameter(direction)
        self.folded = False

    def current_weight(self) -> Tensor:
        """The weight that the layer multiplies with."""
        if self.folded:
            return self.weight
        return torch._weight_norm(self.weight_v, self.weight_g, 0)

    def fold(self) -> None:
        """Replace gain and direction by their product: what inference uses, at one tensor's memory."""
        if self.folded:
            return
        weight = self.current_weight().detach()
        del self.weight_g, self.weight_v
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.folded = True


def _row_norm(weight: Tensor) -> Tensor:
    return weight.flatten(1).norm(dim=1).reshape(-1, *([1] * (weight.dim() - 1)))


def split_weight(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Gain and direction that fold back into ``weight`` (the direction is the weight itself)."""
    return _row_norm(weight.float()).to(weight.dtype), weight


class Conv1d(WeightNormed):
    """A 1-D convolution whose output has ceil-free length: ``T / stride`` frames for a multiple of ``stride`` samples.

    Offline it pads both sides as DAC does (``ceil(stride / 2)`` where strided, "same" where not); causal, everything on
    the left, so that frame f depends on no sample after its own.
    """

    def __init__(self, cin: int, cout: int, kernel: int, *, stride: int = 1, dilation: int = 1, causal: bool = False):
        super().__init__((cout, cin, kernel), cout, cin * kernel)
        self.stride, self.dilation, self.causal = stride, dilation, causal
        span = (kernel - 1) * dilation + 1
        self.context = span - stride
        self.pad = math.ceil(stride / 2) if stride > 1 else (span - 1) // 2

    def forward(self, x: Tensor, flow: Flow) -> Tensor:
        """``x[B, C, T]`` to ``[B, C', T / stride]``."""
        pad = 0 if self.causal else self.pad
        if self.causal:
            x = self._with_left_context(x, flow)
        y = F.conv1d(x, self.current_weight(), self.bias, self.stride, pad, self.dilation)
        if flow.lengths is not None:
            flow.lengths = flow.lengths // self.stride
        return flow.mask(y)

    def _with_left_context(self, x: Tensor, flow: Flow) -> Tensor:
        if flow.memory is None:
            return F.pad(x, (self.context, 0))
        past = flow.memory.get(self)
        if past is None:
            past = x.new_zeros(x.shape[0], x.shape[1], self.context)
        x = torch.cat([past, x], dim=-1)
        flow.memory[self] = x[..., x.shape[-1] - self.context :]
        return x


class ConvTranspose1d(WeightNormed):
    """A transposed convolution with kernel ``2 * stride``.

    Offline, padding ``ceil(stride / 2)`` gives ``T * stride`` positions, one fewer for an odd stride (as the official
    model). Causal, the right-hand overlap is cut, which gives ``T * stride`` and looks at no later frame.
    """

    def __init__(self, cin: int, cout: int, *, stride: int, causal: bool = False) -> None:
        super().__init__((cin, cout, 2 * stride), cout, cout * 2 * stride)
        self.stride, self.causal = stride, causal

    def forward(self, x: Tensor, flow: Flow) -> Tensor:
        """``x[B, C, F]`` to ``[B, C', F * stride]`` (one position fewer for an odd stride, offline)."""
        if self.causal:
            y = self._causal(x, flow)
        else:
            y = F.conv_transpose1d(x, self.current_weight(), self.bias, self.stride, math.ceil(self.stride / 2))
        if flow.lengths is not None:
            loss = 0 if self.causal else self.stride % 2
            flow.lengths = (flow.lengths * self.stride - loss).clamp_min(0)
        return flow.mask(y)

    def _causal(self, x: Tensor, flow: Flow) -> Tensor:
        y = F.conv_transpose1d(x, self.current_weight(), None, self.stride)
        if flow.memory is not None:
            if self in flow.memory:
                y[..., : self.stride] += flow.memory[self]
            flow.memory[self] = y[..., -self.stride :].clone()
        return y[..., : -self.stride] + self.bias[:, None]


class Snake(nn.Module):
    """``x + sin^2(alpha x) / alpha`` with a learned alpha per channel (Ziyin et al., arXiv 2006.08195; DAC)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1, channels, 1))

    def forward(self, x: Tensor, flow: Flow) -> Tensor:
        """``x[B, C, T]`` to the same shape; zero stays zero, so no mask is needed."""
        exact = self.alpha.to(torch.promote_types(self.alpha.dtype, torch.float32))
        inverse = (exact + 1e-9).reciprocal().to(x.dtype)
        if torch.is_grad_enabled() or torch.compiler.is_compiling():
            return x + inverse * (self.alpha * x).sin().square()
        # Four passes over memory instead of six: the activation is bound by bandwidth, not by arithmetic.
        y = (self.alpha * x).sin_()
        return torch.addcmul(x, y.mul_(y), inverse)


class FlowSequential(nn.Sequential):
    """A sequence of layers that each take the signal and the flow."""

    def forward(self, x: Tensor, flow: Flow) -> Tensor:  # type: ignore[override]
        """Run the layers in order."""
        for layer in self:
            x = layer(x, flow)
        return x
