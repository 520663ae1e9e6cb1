"""Least-squares adversarial loss and feature matching."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Judgement:
    """What one discriminator says of a batch: its hidden maps and its logits, batch first in all of them."""

    features: tuple[Tensor, ...]
    logits: Tensor


def _per_utterance_mean(x: Tensor) -> Tensor:
    return x.flatten(1).mean(dim=1)


def discriminator_loss(real: Sequence[Judgement], fake: Sequence[Judgement]) -> Tensor:
    """``(D(x) - 1)^2 + D(x')^2`` (Mao et al., arXiv 1611.04076), summed over discriminators, ``[B]``."""
    losses = [
        _per_utterance_mean((r.logits - 1).square()) + _per_utterance_mean(f.logits.square())
        for r, f in zip(real, fake, strict=True)
    ]
    return torch.stack(losses).sum(dim=0)


def generator_loss(fake: Sequence[Judgement]) -> Tensor:
    """``(D(x') - 1)^2``, summed (not averaged) over discriminators as in the released LM-SPT code, ``[B]``."""
    return torch.stack([_per_utterance_mean((f.logits - 1).square()) for f in fake]).sum(dim=0)


def feature_matching_loss(real: Sequence[Judgement], fake: Sequence[Judgement]) -> Tensor:
    """L1 between hidden maps, real side detached, summed over all maps of all discriminators, ``[B]``.

    The logits are no hidden map and are left out, as in the Descript Audio Codec and the released LM-SPT code.
    """
    losses = [
        _per_utterance_mean((a.detach() - b).abs())
        for r, f in zip(real, fake, strict=True)
        for a, b in zip(r.features, f.features, strict=True)
    ]
    return torch.stack(losses).sum(dim=0)
