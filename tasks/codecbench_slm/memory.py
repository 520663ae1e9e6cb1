"""What the backbone remembers of earlier places while it generates: nothing, a growing cache, or a static one."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from codecbench_slm.model import SpeechLM

CacheKind = Literal["dynamic", "static", "graph", "none"]


class Memory:
    """Runs the backbone over left-padded prompts and then place by place.

    Rows may have prompts of different lengths: their padding is masked and their positions count from their own first
    place. ``none`` runs the whole sequence again at every step, to compare with. ``static`` keeps a cache of the final
    size, with every index in a tensor, so that a step can be captured as a CUDA graph.
    """

    def __init__(self, model: SpeechLM, prompt: Tensor, padding: Tensor, steps: int, kind: CacheKind) -> None:
        """prompt: embedded [B, L, D], with ``padding`` [B] places before each row; at most ``steps`` places follow."""
        self._model, self._kind, self._padding = model, kind, padding
        self._prompt = prompt
        length = prompt.shape[1]
        # Places that are in the cache before the step at hand; one for all rows, since padding counts.
        self.filled = torch.full((1,), length, dtype=torch.int64, device=prompt.device)
        self._places = torch.arange(length + steps, device=prompt.device)
        self.cache = self._make_cache(length + steps)

    def _make_cache(self, places: int) -> Any:
        from transformers import DynamicCache, StaticCache

        if self._kind == "none":
            return None
        config = self._model.backbone.config
        return DynamicCache(config=config) if self._kind == "dynamic" else StaticCache(config, max_cache_len=places)

    def prefill(self) -> Tensor:
        """Run over the prompts; return the last hidden state of each, [B, D]."""
        return self._whole(self._prompt)

    def _whole(self, embedded: Tensor) -> Tensor:
        length = embedded.shape[1]
        keys = len(self._places) if self._kind in ("static", "graph") else length
        query, key = self._places[:length, None], self._places[None, :keys]
        # A place of padding sees itself: a row of attention without any key would be NaN.
        seen = ((key <= query)[None] & (key >= self._padding[:, None, None])) | (key == query)[None]
        positions = (self._places[:length][None] - self._padding[:, None]).clamp_min(0)
        return self._model.hidden(embedded, seen[:, None], positions, self.cache)[:, -1]

    def step(self, embedded: Tensor) -> Tensor:
        """Run over one more place [B, 1, D]; return its hidden state [B, D]."""
        if self._kind == "none":
            self._prompt = torch.cat([self._prompt, embedded], dim=1)
            return self._whole(self._prompt)
        places = self._places if self._kind != "dynamic" else self._places[: self.cache.get_seq_length() + 1]
        seen = (places[None] <= self.filled) & (places[None] >= self._padding[:, None])
        positions = self.filled[None] - self._padding[:, None]
        hidden = self._model.hidden(embedded, seen[:, None, None], positions, self.cache)[:, -1]
        self.filled.add_(1)
        return hidden

    def changing(self) -> list[Tensor]:
        """The tensors that count steps: what a warm-up before capture has to be undone in."""
        return [self.filled, *(layer.cumulative_length for layer in self.cache.layers)]
