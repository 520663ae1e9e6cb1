"""A second, straightforward implementation of the release architecture, working on the state dict alone.

It shares no code with the package: plain functions, weight norm live, no chunks, no masks. Written from the published
description (LMSPT notes, section 1.2); layer by layer as slow and as plain as possible.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

State = Mapping[str, Tensor]


def _weight(state: State, name: str) -> Tensor:
    g, v = state[f"{name}.weight_g"], state[f"{name}.weight_v"]
    return g * v / v.flatten(1).norm(dim=1).view(-1, 1, 1)


def _conv(state: State, name: str, x: Tensor, stride: int = 1, dilation: int = 1, padding: int = 0) -> Tensor:
    return F.conv1d(x, _weight(state, name), state[f"{name}.bias"], stride, padding, dilation)


def _snake(state: State, name: str, x: Tensor) -> Tensor:
    alpha = state[f"{name}.alpha"]
    return x + torch.sin(alpha * x) ** 2 / (alpha + 1e-9)


def _unit(state: State, name: str, x: Tensor, dilation: int) -> Tensor:
    y = _snake(state, f"{name}.block.0", x)
    y = _conv(state, f"{name}.block.1", y, dilation=dilation, padding=3 * dilation)
    y = _snake(state, f"{name}.block.2", y)
    return x + _conv(state, f"{name}.block.3", y)


def encoder(state: State, name: str, audio: Tensor, strides: Sequence[int]) -> Tensor:
    """``audio[B, 1, T]`` to ``[B, D, F]``."""
    x = _conv(state, f"{name}.block.0", audio, padding=3)
    for i, stride in enumerate(strides, start=1):
        block = f"{name}.block.{i}.block"
        for unit, dilation in enumerate((1, 3, 9)):
            x = _unit(state, f"{block}.{unit}", x, dilation)
        x = _snake(state, f"{block}.3", x)
        x = _conv(state, f"{block}.4", x, stride=stride, padding=math.ceil(stride / 2))
    x = _snake(state, f"{name}.block.{len(strides) + 1}", x)
    return _conv(state, f"{name}.block.{len(strides) + 2}", x, padding=1)


def decoder(state: State, name: str, latent: Tensor, strides: Sequence[int]) -> Tensor:
    """``latent[B, D, F]`` to audio, a little shorter than F hops where a stride is odd."""
    x = _conv(state, f"{name}.model.0", latent, padding=3)
    for i, stride in enumerate(strides, start=1):
        block = f"{name}.model.{i}.block"
        x = _snake(state, f"{block}.0", x)
        weight, bias = _weight(state, f"{block}.1"), state[f"{block}.1.bias"]
        x = F.conv_transpose1d(x, weight, bias, stride, padding=math.ceil(stride / 2))
        for unit, dilation in enumerate((1, 3, 9), start=2):
            x = _unit(state, f"{block}.{unit}", x, dilation)
    x = _snake(state, f"{name}.model.{len(strides) + 1}", x)
    return torch.tanh(_conv(state, f"{name}.model.{len(strides) + 2}", x, padding=3))


def book(state: State, name: str, x: Tensor) -> tuple[Tensor, Tensor]:
    """Codes ``[B, F]`` and quantized latent ``[B, D, F]`` of one book, by cosine distance."""
    z, table = _conv(state, f"{name}.in_proj", x), state[f"{name}.codebook.weight"]
    unit, entries = F.normalize(z, dim=1), F.normalize(table, dim=1)
    distance = (unit.transpose(1, 2)[:, :, None] - entries[None, None]).square().sum(-1)
    codes = distance.argmin(-1)
    return codes, lookup(state, name, codes)


def lookup(state: State, name: str, codes: Tensor) -> Tensor:
    """Latent ``[B, D, F]`` of ``codes[B, F]``."""
    return _conv(state, f"{name}.out_proj", state[f"{name}.codebook.weight"][codes].transpose(1, 2))


FIRST, REST = "quantizer.rvq_first.quantizers.0", "quantizer.rvq_rest.quantizers.{}"


def encode(state: State, audio: Tensor, strides: Sequence[int], books: int) -> Tensor:
    """Codes ``[B, K, F]`` of hop-padded ``audio[B, 1, T]``, the semantic latent subtracted from the acoustic one."""
    codes, quantized = book(state, FIRST, encoder(state, "semantic_encoder", audio, strides))
    residual = encoder(state, "acoustic_encoder", audio, strides) - quantized
    found = [codes]
    for i in range(books - 1):
        codes, quantized = book(state, REST.format(i), residual)
        residual = residual - quantized
        found.append(codes)
    return torch.stack(found, dim=1)


def latent(state: State, codes: Tensor, first: int = 0) -> Tensor:
    """Sum of the quantized latents of books ``first``, ``first + 1``, … of ``codes[B, K, F]``."""
    names = [FIRST, *(REST.format(i) for i in range(codes.shape[1] - 1))]
    return torch.stack([lookup(state, names[k], codes[:, k]) for k in range(first, codes.shape[1])]).sum(0)
