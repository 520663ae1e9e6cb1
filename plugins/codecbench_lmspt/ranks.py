"""The few collectives that codebooks need; without a process group each is the identity."""

from __future__ import annotations

import torch
from torch import Tensor
from torch import distributed as dist


def is_distributed() -> bool:
    """Whether more than one rank takes part."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def sum_over_ranks(tensor: Tensor) -> Tensor:
    """The sum of every rank's tensor (all of one shape)."""
    if not is_distributed():
        return tensor
    total = tensor.clone()
    dist.all_reduce(total)
    return total


def gather_vectors(vectors: Tensor, valid: Tensor, sample_index: Tensor) -> Tensor:
    """The valid frames of every rank's ``vectors[B, F, d]`` as ``[M, d]``, ordered by global sample index.

    ``valid[B, F]`` marks real frames. Ranks may hold different numbers of rows and frames. The result is the same on
    every rank, and the same as one rank would have with the whole batch.
    """
    index = sample_index.to(vectors.device)
    if is_distributed():
        vectors, valid, index = _gather_padded(vectors, valid, index)
    order = index.argsort(stable=True)
    return vectors[order][valid[order]]


def _gather_padded(vectors: Tensor, valid: Tensor, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    own = torch.tensor(vectors.shape[:2], device=vectors.device)
    shapes = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(shapes, own)
    rows, frames = (int(size) for size in torch.stack(shapes).amax(0))
    padded = vectors.new_zeros(rows, frames, vectors.shape[2])
    padded[: vectors.shape[0], : vectors.shape[1]] = vectors
    mask = torch.zeros(rows, frames, dtype=torch.uint8, device=vectors.device)
    mask[: valid.shape[0], : valid.shape[1]] = valid.to(torch.uint8)
    # Rows that only fill up the shape sort last and have no valid frame.
    keys = torch.full((rows,), torch.iinfo(torch.int64).max, device=vectors.device)
    keys[: index.shape[0]] = index
    return _gather(padded), _gather(mask).bool(), _gather(keys)


def _gather(tensor: Tensor) -> Tensor:
    parts = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, tensor)
    return torch.cat(parts)
