"""Scoring a model on the ``dev`` set: fixed crops of speakers that are not trained on."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from codecbench.errors import BadInput
from codecbench_train.data.crops import read_crop
from codecbench_train.data.entries import Entry
from codecbench_train.data.loader import Sample, TrainingBatch, collate
from codecbench_train.losses.mel import mel_distance
from codecbench_train.objective import Objective
from codecbench_train.trainable import TrainableModule

_BATCH = 8
#: The losses whose weighted sum chooses the best checkpoint: those without discriminators, quantizers and fading.
SCORED = ("mel", "magnitude", "distillation")


@dataclass(frozen=True)
class Example:
    """One dev utterance, its reconstruction and, where the model has one, its semantic resynthesis, ``[T]`` each."""

    id: str
    original: Tensor
    reconstruction: Tensor
    semantic: Tensor | None
    semantic_rate_hz: int


@dataclass(frozen=True)
class Validation:
    """mel_distance: nepers, all codebooks. score: weighted sum of reconstruction and distillation losses; the lower the
    better."""

    mel_distance: float
    mel: float
    distillation: float
    score: float
    examples: tuple[Example, ...]


def dev_batches(entries: Sequence[Entry], seconds: float, rate_hz: int) -> list[TrainingBatch]:
    """The middle ``seconds`` of every entry, in fixed batches; unreadable entries are left out."""
    import numpy as np

    samples = []
    for number, entry in enumerate(entries):
        try:
            audio = read_crop(entry, 0.5, seconds, rate_hz).audio
        except BadInput:
            continue
        padded = np.zeros(round(seconds * rate_hz), np.float32)
        padded[: len(audio)] = audio
        samples.append(Sample(padded, len(audio), number, entry.id, ()))
    return [collate(samples[i : i + _BATCH]) for i in range(0, len(samples), _BATCH)]


@torch.no_grad()
def validate(
    model: TrainableModule, objective: Objective, batches: Sequence[TrainingBatch], examples: int
) -> Validation:
    """Score a copy of ``model``, so that nothing of validation is left in its codebooks' statistics."""
    judge = copy.deepcopy(model).eval()
    parameter = next(judge.parameters())
    totals, rows = torch.zeros(4, dtype=torch.float64), sum(len(b) for b in batches)
    counts, kept = objective.count(batches), list[Example]()
    for batch in batches:
        batch = batch.to(parameter.device, parameter.dtype)
        rebuilt = judge.decode(judge.encode(batch.audio, batch.num_samples), batch.num_samples)
        rebuilt = torch.nn.functional.pad(rebuilt, (0, batch.audio.shape[-1] - rebuilt.shape[-1])).to(parameter.dtype)
        output = judge.training_forward(
            batch.audio, num_samples=batch.num_samples, step=0, sample_index=batch.sample_index, seed=0,
            update_codebooks=False,
        )  # fmt: skip
        terms = objective.terms(output, batch, objective.teacher_target(batch), counts)
        distillation = sum(float(t.value) for t in terms if t.name == "distillation")
        score = sum(t.weight * float(t.value) for t in terms if t.name in SCORED)
        mel = float(objective.mel(rebuilt, batch.audio).sum()) / rows
        distance = float(mel_distance(rebuilt, batch.audio, judge.sample_rate_hz).sum()) / rows
        totals += torch.tensor([distance, mel, distillation, score], dtype=torch.float64)
        for row in range(min(len(batch), examples - len(kept))):
            semantic = output.semantic_resynthesis
            kept.append(
                Example(
                    batch.ids[row], batch.audio[row, 0], rebuilt[row, 0],
                    None if semantic is None else semantic[row, 0], output.semantic_resynthesis_rate_hz,
                )
            )  # fmt: skip
    distance, mel, distillation, score = totals.tolist()
    return Validation(distance, mel, distillation, score, tuple(kept))
