"""Drawing one code from logits with a given uniform number: the same draw in any batch and on any device."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from codecbench_train.data.keyed import draws


@dataclass(frozen=True)
class Sampling:
    """temperature 0: the likeliest entry. top_k: only so many likeliest entries; 0 for all."""

    temperature: float = 0.0
    top_k: int = 0

    def __call__(self, logits: Tensor, uniform: Tensor) -> Tensor:
        """Choose an entry of each row by inverting the cumulative distribution: logits [B, V], uniform [B] -> [B].

        No random state is touched, so a step can be replayed as a CUDA graph and a row does not depend on its batch.
        """
        if self.temperature == 0:
            return logits.argmax(-1)
        kept = min(self.top_k, logits.shape[-1]) if self.top_k else logits.shape[-1]
        values, entries = logits.float().topk(kept, dim=-1)
        reached = (values / self.temperature).softmax(-1).cumsum(-1)
        place = (reached < uniform[:, None] * reached[:, -1:]).sum(-1).clamp(max=kept - 1)
        return entries.gather(-1, place[:, None])[:, 0]


GREEDY = Sampling()


def uniforms(seed: int, ids: Sequence[str], steps: int, books: int) -> Tensor:
    """Uniform numbers float32 [B, steps, books], those of each utterance keyed by the seed and its id alone."""
    rows = [draws(seed, "generate", zlib.crc32(name.encode())).random((steps, books)) for name in ids]
    return torch.from_numpy(np.stack(rows).astype(np.float32))
