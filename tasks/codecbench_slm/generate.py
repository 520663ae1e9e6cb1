"""Batched generation of codes or text: prefill, then one place at a time until every row has ended."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from codecbench_slm.delay import num_positions, undelayed
from codecbench_slm.graphs import graphed
from codecbench_slm.memory import CacheKind, Memory
from codecbench_slm.model import SpeechLM
from codecbench_slm.sampling import GREEDY, Sampling, uniforms
from codecbench_slm.sequences import Places, collate

# Asking a GPU whether all rows have ended makes it wait; a few steps too many cost less.
CHECK_EVERY = {"cpu": 1, "cuda": 16}
_NEVER = 1 << 40


class Half(Protocol):
    """The half of a sequence that is generated: how its places are embedded and predicted."""

    num_books: int
    end: int  # entry of the first book that ends a row
    empties: tuple[int, ...]  # entry of each book outside the utterance
    may_be_empty: bool

    def embed(self, row: Tensor) -> Tensor:
        """Embed the places [B, books] -> [B, 1, D]."""

    def logits(self, hidden: Tensor) -> list[Tensor]:
        """Predict each book: [B, D] -> [B, entries]."""


class SpeechHalf:
    """Codes of K books in the delay pattern."""

    may_be_empty = False

    def __init__(self, model: SpeechLM) -> None:
        self._model = model
        self.num_books, self.empties = model.num_codebooks, model.codebook_sizes
        self.end = self.empties[0]

    def embed(self, row: Tensor) -> Tensor:
        """Sum the books' embeddings."""
        return self._model.embed_codes(row)[:, None]

    def logits(self, hidden: Tensor) -> list[Tensor]:
        """One head for each book."""
        return self._model.speech_logits(hidden)


class TextHalf:
    """Text ids: one book whose end is the end of the text."""

    num_books, may_be_empty = 1, True

    def __init__(self, model: SpeechLM, eos_id: int) -> None:
        self._model, self.end = model, eos_id
        self.empties: tuple[int, ...] = (eos_id,)

    def embed(self, row: Tensor) -> Tensor:
        """Embed text ids."""
        return self._model.embed_text(row)

    def logits(self, hidden: Tensor) -> list[Tensor]:
        """The backbone's own head."""
        return [self._model.text_logits(hidden)]


class Generation:
    """The state of one batch; every step changes its tensors in place, so that a step can be replayed as a graph.

    rows: int64 [B, steps, books], what was generated so far. ended: int64 [B], place of each row's end.
    """

    def __init__(self, half: Half, memory: Memory, sampling: Sampling, uniform: Tensor) -> None:
        """uniform: [B, steps, books], the numbers to draw with."""
        batch, steps, books = uniform.shape
        device = uniform.device
        self._half, self._memory, self._sampling, self._uniform = half, memory, sampling, uniform
        self.rows = torch.zeros(batch, steps, books, dtype=torch.int64, device=device)
        self.ended = torch.full((batch,), _NEVER, dtype=torch.int64, device=device)
        self.place = torch.zeros(1, dtype=torch.int64, device=device)
        self._row = torch.zeros(batch, books, dtype=torch.int64, device=device)
        self._lag = torch.arange(books, device=device)
        self._empties = torch.tensor(half.empties, device=device)

    def begin(self) -> None:
        """Run over the prompts and draw the first place."""
        self._draw(self._memory.prefill())

    def step(self) -> None:
        """Take in the last place and draw the next."""
        self._draw(self._memory.step(self._half.embed(self._row)))

    def _draw(self, hidden: Tensor) -> None:
        uniform = self._uniform.index_select(1, self.place)[:, 0]
        logits = self._half.logits(hidden)
        if not self._half.may_be_empty:
            at_end = torch.arange(logits[0].shape[-1], device=hidden.device) == self._half.end
            logits[0] = logits[0].masked_fill(at_end & (self.place == 0), -math.inf)
        row = torch.stack([self._sampling(part, uniform[:, book]) for book, part in enumerate(logits)], dim=1)
        first = torch.where(self.ended < self.place, self._half.end, row[:, 0])
        self.ended.copy_(torch.minimum(self.ended, torch.where(first == self._half.end, self.place, _NEVER)))
        frame = self.place - self._lag
        outside = (frame < 0)[None] | (frame[None] >= self.ended[:, None])
        row = torch.where(outside, self._empties, row)
        row[:, 0] = first
        self._row.copy_(row)
        self.rows.index_copy_(1, self.place, row[:, None])
        self.place.add_(1)

    def is_done(self) -> bool:
        """Whether every row has ended in every book (asks the device)."""
        return bool((self.ended + num_positions(0, self._half.num_books) <= self.place).all())

    def changing(self) -> list[Tensor]:
        """The tensors that a step changes."""
        return [self.rows, self.ended, self.place, self._row, *self._memory.changing()]


@dataclass(frozen=True)
class Generator:
    """Generates with one model.

    cache: see ``Memory``; ``graph`` replays each step as one CUDA graph and needs a CUDA device.
    """

    model: SpeechLM
    eos_id: int
    batch_size: int = 16
    cache: CacheKind = "dynamic"

    def text(self, prompts: Sequence[Places], max_ids: int) -> list[list[int]]:
        """Continue each prompt by text, greedily, up to its end or ``max_ids``."""
        half = TextHalf(self.model, self.eos_id)
        rows = self._rows(half, prompts, [""] * len(prompts), max_ids, GREEDY, 0)
        cut = (row[:, 0].tolist() for row in rows)
        return [ids[: ids.index(self.eos_id)] if self.eos_id in ids else ids for ids in cut]

    def speech(
        self, prompts: Sequence[Places], ids: Sequence[str], max_frames: int, sampling: Sampling, seed: int
    ) -> list[tuple[np.ndarray, bool]]:
        """Continue each prompt by codes [K, F], up to its end or ``max_frames``; the flag says whether it ended."""
        half = SpeechHalf(self.model)
        places = num_positions(max_frames, half.num_books)
        rows = self._rows(half, prompts, ids, places, sampling, seed)
        return [undelayed(row, self.model.codebook_sizes) for row in rows]

    def _rows(
        self, half: Half, prompts: Sequence[Places], ids: Sequence[str], steps: int, sampling: Sampling, seed: int
    ) -> list[np.ndarray]:
        """Generate in batches of prompts of like length; return the places of each in the given order."""
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
        rows: dict[int, np.ndarray] = {}
        for start in range(0, len(order), self.batch_size):
            part = order[start : start + self.batch_size]
            uniform = uniforms(seed, [ids[i] for i in part], steps, half.num_books)
            made = self.batch(half, [prompts[i] for i in part], sampling, uniform)
            rows |= dict(zip(part, made, strict=True))
        return [rows[i] for i in range(len(prompts))]

    @torch.inference_mode()
    def batch(self, half: Half, prompts: Sequence[Places], sampling: Sampling, uniform: Tensor) -> list[np.ndarray]:
        """Generate one batch, at most ``uniform.shape[1]`` places; return the places up to each row's last."""
        device = self.model.control.weight.device
        padded = collate(prompts, left=True).to(device)
        padding = torch.tensor([padded.kind.shape[1] - len(p) for p in prompts], device=device)
        steps = uniform.shape[1]
        memory = Memory(self.model, self.model.embed(padded.items, padded.kind), padding, steps, self.cache)
        generation = Generation(half, memory, sampling, uniform.to(device))
        generation.begin()
        step = graphed(generation, steps) if self.cache == "graph" else generation.step
        for done in range(1, steps):
            if done % CHECK_EVERY[device.type] == 0 and generation.is_done():
                break
            step()
        return _cut(generation, half)


def _cut(generation: Generation, half: Half) -> list[np.ndarray]:
    made = int(generation.place)
    lengths = (generation.ended + num_positions(0, half.num_books)).clamp(max=made).tolist()
    rows = generation.rows.cpu().numpy()
    return [row[:length] for row, length in zip(rows, lengths, strict=True)]
