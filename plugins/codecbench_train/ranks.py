"""What ranks exchange: sums of gradients and of counts. Without a process group each is the identity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist

_BUCKET_ELEMENTS = 1 << 24


def ranks() -> int:
    """Number of ranks."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


@contextmanager
def alone() -> Iterator[None]:
    """Inside, this rank computes as if it were the only one: it sends nothing, so it cannot wait for the others.

    Only for a rank that will not take part again: the others may already wait for it. What a model exchanges is covered
    too, since everyone asks ``torch.distributed.is_initialized`` first.
    """
    asked = dist.is_initialized
    dist.is_initialized = lambda: False
    try:
        yield
    finally:
        dist.is_initialized = asked


def sum_over_ranks(tensor: Tensor) -> Tensor:
    """The sum of every rank's tensor."""
    if ranks() > 1:
        tensor = tensor.clone()
        dist.all_reduce(tensor)
    return tensor


def gather_objects(value: Any) -> list[Any]:
    """Every rank's small Python object, in rank order."""
    if ranks() == 1:
        return [value]
    gathered: list[Any] = [None] * ranks()
    dist.all_gather_object(gathered, value)
    return gathered


def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace every gradient by its sum over ranks.

    Losses are divided by counts of the global batch before the backward pass, so the sum is the gradient of the whole
    batch, also where ranks hold different numbers of valid frames (a mean of means, which DistributedDataParallel
    would give, is not). A parameter that a rank did not use counts as zero there, so no rank can hang on another.
    """
    if ranks() == 1:
        return
    bucket: list[nn.Parameter] = []
    elements = 0
    for parameter in parameters:
        if parameter.requires_grad:
            bucket.append(parameter)
            elements += parameter.numel()
        if elements >= _BUCKET_ELEMENTS:
            _sum_bucket(bucket)
            bucket, elements = [], 0
    if bucket:
        _sum_bucket(bucket)


def _sum_bucket(bucket: Sequence[nn.Parameter]) -> None:
    used = torch.tensor([float(p.grad is not None) for p in bucket], device=bucket[0].device)
    flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in bucket])
    dist.all_reduce(flat)
    dist.all_reduce(used)
    for parameter, part, count in zip(bucket, flat.split([p.numel() for p in bucket]), used.tolist(), strict=True):
        parameter.grad = part.view_as(parameter) if count else None
