"""How data arrives: crops of one optimizer step's micro-batches, in order, from any number of workers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from codecbench.errors import BadInput
from codecbench_train.data import augment
from codecbench_train.data.augment import AugmentConfig
from codecbench_train.data.crops import read_crop
from codecbench_train.data.sampling import Mixture

_MAX_ATTEMPTS = 20


@dataclass(frozen=True)
class Sample:
    """One crop: ``audio[T]`` padded to the segment, valid up to ``num_samples``."""

    audio: np.ndarray
    num_samples: int
    index: int
    id: str
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class TrainingBatch:
    """One micro-batch: ``audio[B, 1, T]``, ``num_samples[B]``, ``sample_index[B]``, and the utterances behind it."""

    audio: Tensor
    num_samples: Tensor
    sample_index: Tensor
    ids: tuple[str, ...]
    skipped: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def to(self, device: torch.device, dtype: torch.dtype) -> TrainingBatch:
        """The batch on ``device``, audio as ``dtype``."""
        return TrainingBatch(
            self.audio.to(device, dtype, non_blocking=True),
            self.num_samples.to(device, non_blocking=True),
            self.sample_index.to(device, non_blocking=True),
            self.ids,
            self.skipped,
        )

    def pin_memory(self) -> TrainingBatch:
        """The batch in page-locked memory, so that copies to a GPU overlap with work."""
        return TrainingBatch(
            self.audio.pin_memory(),
            self.num_samples.pin_memory(),
            self.sample_index.pin_memory(),
            self.ids,
            self.skipped,
        )


class CropDataset(Dataset[Sample]):
    """Sample number -> crop; unreadable utterances are replaced by others and reported."""

    def __init__(self, mixture: Mixture, segment_samples: int, rate_hz: int, seed: int, config: AugmentConfig) -> None:
        self.mixture, self.segment_samples, self.rate_hz = mixture, segment_samples, rate_hz
        self.seed, self.config = seed, config

    def __getitem__(self, index: int) -> Sample:
        skipped: list[str] = []
        chosen = augment.plan(self.config, self.seed, index)
        for attempt in range(_MAX_ATTEMPTS):
            draw = self.mixture.draw(index, attempt)
            try:
                seconds = self.segment_samples / self.rate_hz
                audio = read_crop(draw.entry, draw.position, seconds, self.rate_hz, chosen.speed).audio
            except BadInput:
                skipped.append(draw.entry.id)
                continue
            audio = augment.apply(audio, chosen, self.config, self.rate_hz)
            padded = np.zeros(self.segment_samples, np.float32)
            padded[: len(audio)] = audio
            return Sample(padded, len(audio), index, draw.entry.id, tuple(skipped))
        raise BadInput(f"{_MAX_ATTEMPTS} utterances in a row cannot be read, among them {', '.join(skipped[:3])}")


class StepSampler(Sampler[list[int]]):
    """Global sample indices of this rank's micro-batches, from ``first_step`` on.

    Step s holds the indices ``s * batch_size`` to ``(s + 1) * batch_size``; rank r takes the r-th of equal blocks,
    micro-batch by micro-batch.
    """

    def __init__(self, batch_size: int, micro_batches: int, rank: int, ranks: int, first_step: int, steps: int) -> None:
        self.batch_size, self.micro_batches, self.rank, self.ranks = batch_size, micro_batches, rank, ranks
        self.first_step, self.steps = first_step, steps

    def __iter__(self) -> Iterator[list[int]]:
        mine = self.batch_size // self.ranks
        size = mine // self.micro_batches
        for step in range(self.first_step, self.steps):
            start = step * self.batch_size + self.rank * mine
            for part in range(self.micro_batches):
                yield list(range(start + part * size, start + (part + 1) * size))

    def __len__(self) -> int:
        return (self.steps - self.first_step) * self.micro_batches


def collate(samples: Sequence[Sample]) -> TrainingBatch:
    """Stack samples into one micro-batch."""
    return TrainingBatch(
        torch.from_numpy(np.stack([s.audio for s in samples]))[:, None],
        torch.tensor([s.num_samples for s in samples]),
        torch.tensor([s.index for s in samples]),
        tuple(s.id for s in samples),
        tuple(name for s in samples for name in s.skipped),
    )


def training_loader(dataset: CropDataset, sampler: StepSampler, workers: int, pin: bool) -> DataLoader[Sample]:
    """The loader of one rank; with 0 workers crops are read in the training process."""
    return DataLoader(
        dataset,
        batch_sampler=sampler,
        collate_fn=collate,
        num_workers=workers,
        pin_memory=pin,
        prefetch_factor=4 if workers else None,
        # Forking a process that runs CUDA or threads is unsafe; the dataset pickles small.
        multiprocessing_context="spawn" if workers else None,
    )
