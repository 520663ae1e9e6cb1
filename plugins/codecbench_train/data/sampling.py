"""What comes when: a pure function from the global sample index to a source, an entry and a place in it.

Nothing is remembered between draws, so a run resumes exactly at any step, with any number of workers and ranks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from codecbench_train.data.entries import Entry
from codecbench_train.data.keyed import draws

T = TypeVar("T")

#: Shares between sources are exact in every block of this many samples.
BLOCK_SAMPLES = 1000


@dataclass(frozen=True)
class Draw:
    """One sample: an entry, and ``position`` in [0, 1) for where its crop starts."""

    source: int
    entry: Entry
    position: float


class Recent(Generic[T]):
    """The few values made last, by key; unlike ``lru_cache`` it travels to worker processes."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.values: dict[int, T] = {}

    def get(self, key: int, make: Callable[[int], T]) -> T:
        """The value of ``key``, made by ``make(key)`` if it is not kept."""
        if key not in self.values:
            while len(self.values) >= self.size:
                self.values.pop(next(iter(self.values)))
            self.values[key] = make(key)
        return self.values[key]


class SourceOrder:
    """One source in shuffled epochs: every entry once for each segment that fits into it, in a new order each epoch."""

    def __init__(self, entries: Sequence[Entry], segment_s: float, seed: int, number: int) -> None:
        self.entries, self.seed, self.number = entries, seed, number
        slots = [max(1, round(entry.duration_s / segment_s)) for entry in entries]
        self.last_slot = np.cumsum(slots)
        self.epoch_samples = int(self.last_slot[-1])
        self._orders: Recent[np.ndarray] = Recent(2)

    def _shuffled(self, epoch: int) -> np.ndarray:
        return draws(self.seed, "epoch", self.number, epoch).permutation(self.epoch_samples)

    def entry(self, ordinal: int) -> Entry:
        """Entry of this source's draw number ``ordinal``."""
        epoch, place = divmod(ordinal, self.epoch_samples)
        return self.at_slot(int(self._orders.get(epoch, self._shuffled)[place]))

    def at_slot(self, slot: int) -> Entry:
        """Entry that owns ``slot``."""
        return self.entries[int(np.searchsorted(self.last_slot, slot, side="right"))]


class Mixture:
    """Several sources with weights; shares are kept exactly in every block of ``BLOCK_SAMPLES``."""

    def __init__(
        self, sources: Sequence[Sequence[Entry]], weights: Sequence[float], segment_s: float, seed: int
    ) -> None:
        self.seed = seed
        self.sources = [SourceOrder(entries, segment_s, seed, n) for n, entries in enumerate(sources)]
        self.counts = shares(weights, BLOCK_SAMPLES)
        self._layouts: Recent[tuple[np.ndarray, np.ndarray]] = Recent(4)

    def _block(self, block: int) -> tuple[np.ndarray, np.ndarray]:
        """Source of each place of a block, and how many earlier places of the block have the same source."""
        layout = np.repeat(np.arange(len(self.counts)), self.counts)
        layout = draws(self.seed, "mixture", block).permutation(layout)
        ranks = np.zeros_like(layout)
        for source in range(len(self.counts)):
            mine = layout == source
            ranks[mine] = np.arange(mine.sum())
        return layout, ranks

    def draw(self, index: int, attempt: int = 0) -> Draw:
        """Sample number ``index`` of the run; ``attempt`` > 0 replaces one that could not be read."""
        block, place = divmod(index, BLOCK_SAMPLES)
        layout, ranks = self._layouts.get(block, self._block)
        number = int(layout[place])
        source = self.sources[number]
        random = draws(self.seed, "crop", index, attempt)
        if attempt:
            return Draw(number, source.at_slot(int(random.integers(source.epoch_samples))), float(random.random()))
        return Draw(number, source.entry(block * int(self.counts[number]) + int(ranks[place])), float(random.random()))


def shares(weights: Sequence[float], total: int) -> np.ndarray:
    """Split ``total`` in proportion to ``weights`` by largest remainders; a positive weight gets at least one."""
    exact = np.asarray(weights, dtype=float) / float(np.sum(weights)) * total
    counts = np.floor(exact).astype(int)
    for source in np.argsort(-(exact - counts), kind="stable")[: total - counts.sum()]:
        counts[source] += 1
    for source in np.flatnonzero((counts == 0) & (np.asarray(weights) > 0)):
        counts[source] += 1
        counts[int(np.argmax(counts))] -= 1
    return counts
