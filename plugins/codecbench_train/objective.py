"""What is minimised: every loss of one micro-batch with its weight and its count of the global batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from codecbench.audio.resample import resample_tensor
from codecbench.errors import UsageError
from codecbench_train.config import TrainConfig
from codecbench_train.data.loader import TrainingBatch
from codecbench_train.discriminators import Discriminators, Sample
from codecbench_train.losses.adversarial import Judgement, feature_matching_loss, generator_loss
from codecbench_train.losses.distillation import (
    PUBLISHED_WEIGHT,
    ResynthesisDistillation,
    TeacherTarget,
    teacher_frames,
)
from codecbench_train.losses.feature_distillation import feature_distillation_loss
from codecbench_train.losses.logmel import WHISPER_RATE_HZ
from codecbench_train.losses.magnitude import magnitude_loss, pitch_loss
from codecbench_train.losses.mel import MultiScaleMelLoss
from codecbench_train.teacher import Teacher
from codecbench_train.trainable import Spectrum, TrainingOutput


@dataclass(frozen=True)
class Counts:
    """What losses of one optimizer step are divided by, over all ranks and micro-batches.

    distilled: utterances that go through the teacher; teacher_frames: theirs, those that hold signal.
    """

    utterances: int
    distilled: int
    teacher_frames: float


@dataclass(frozen=True)
class Term:
    """One loss: ``value`` is this micro-batch's share of its mean over the global batch, before weighting."""

    name: str
    value: Tensor
    weight: float


def distilled_rows(batch: TrainingBatch, every: int) -> Tensor:
    """Rows of a micro-batch that the teacher sees: by their index in the global batch, so that ranks change nothing."""
    return (batch.sample_index % every == 0).nonzero()[:, 0]


class Objective(nn.Module):
    """All losses of the generator that need no discriminator, and those that do.

    Args:
        config: weights and conventions.
        sample_rate_hz: of the model.
        teacher: frozen encoder, or None where ``config.distillation.kind`` is ``none``.
    """

    def __init__(self, config: TrainConfig, sample_rate_hz: int, teacher: Teacher | None) -> None:
        super().__init__()
        self.loss, self.distillation, self.rate_hz = config.loss, config.distillation, sample_rate_hz
        self.mel = MultiScaleMelLoss(sample_rate_hz, config.loss.mel_windows, config.loss.mel_bins)
        self.semantic_mel = MultiScaleMelLoss(WHISPER_RATE_HZ, config.loss.mel_windows, config.loss.mel_bins)
        if (teacher is None) != (config.distillation.kind == "none"):
            raise ValueError("a teacher is needed for distillation, and only then")
        self.resynthesis = ResynthesisDistillation(teacher, config.distillation.convention) if teacher else None

    @property
    def distillation_weight(self) -> float:
        """The configured weight, or the published one of the convention."""
        if self.distillation.kind == "feature":
            return self.distillation.feature_weight
        return self.distillation.weight or PUBLISHED_WEIGHT[self.distillation.convention]

    def at_teacher_rate(self, num_samples: Tensor) -> Tensor:
        """Lengths at 16 kHz of ``num_samples[B]`` at the model's rate, rounded up."""
        return torch.div(num_samples * WHISPER_RATE_HZ + self.rate_hz - 1, self.rate_hz, rounding_mode="floor")

    def teacher_target(self, batch: TrainingBatch, every: int = 1) -> TeacherTarget | None:
        """Teacher features of every so-manieth original, once for each crop; None where there is none to distil."""
        rows = distilled_rows(batch, every)
        if self.resynthesis is None or not len(rows):
            return None
        audio = resample_tensor(batch.audio[:, 0].float(), self.rate_hz, WHISPER_RATE_HZ).to(batch.audio.dtype)
        return self.resynthesis.target(audio, self.at_teacher_rate(batch.num_samples), rows)

    def count(self, batches: Sequence[TrainingBatch], every: int = 1) -> Counts:
        """What losses over ``batches`` are divided by."""
        rows = [distilled_rows(batch, every) for batch in batches]
        lengths = [self.at_teacher_rate(b.num_samples[r]) for b, r in zip(batches, rows, strict=True)]
        frames = sum(float(teacher_frames(length).sum()) for length in lengths)
        return Counts(sum(len(b) for b in batches), sum(len(r) for r in rows), frames)

    def terms(
        self, output: TrainingOutput, batch: TrainingBatch, target: TeacherTarget | None, counts: Counts
    ) -> list[Term]:
        """Reconstruction, quantizer and distillation losses."""
        exact = torch.promote_types(output.reconstruction.dtype, torch.float32)
        terms = []
        if self.loss.mel:
            mel = self.mel(output.reconstruction.to(exact), batch.audio.to(exact))
            terms.append(Term("mel", mel.sum() / counts.utterances, self.loss.mel))
        if self.loss.magnitude:
            loss = magnitude_loss(_magnitudes(output.spectrum))
            terms.append(Term("magnitude", loss.sum() / counts.utterances, self.loss.magnitude))
        if self.loss.pitch:
            loss = pitch_loss(_magnitudes(output.spectrum))
            terms.append(Term("pitch", loss.sum() / counts.utterances, self.loss.pitch))
        for stream, values in output.commitment.items():
            terms.append(Term(f"commitment/{stream}", values.sum() / counts.utterances, self.loss.commitment))
        for stream, values in output.codebook.items():
            # A moving-average codebook gets no gradient, so its loss is only watched.
            terms.append(Term(f"codebook/{stream}", values.sum() / counts.utterances, self.loss.codebook))
        if target is not None:
            terms.append(self._distillation(output, batch, target, counts, exact))
        elif self.resynthesis is not None:  # none of these rows is distilled; ranks sum the same terms
            zero = torch.zeros((), device=batch.audio.device, dtype=exact)
            terms.append(Term("distillation", zero, self.distillation_weight))
        return terms

    def fading_terms(self, output: TrainingOutput, batch: TrainingBatch, counts: Counts, step: int) -> list[Term]:
        """The fading losses on the semantic resynthesis (mel at 16 kHz, magnitudes); nothing once they have faded."""
        share = 1 - step / self.loss.semantic_fade_steps if self.loss.semantic_fade_steps else 0.0
        terms: list[Term] = []
        if share <= 0 or output.semantic_resynthesis is None:
            return terms
        if self.loss.semantic_mel:
            mel = self._semantic_mel(output.semantic_resynthesis[:, 0], output.semantic_resynthesis_rate_hz, batch)
            terms.append(Term("semantic_mel", mel.sum() / counts.utterances, share * self.loss.semantic_mel))
        if self.loss.semantic_magnitude:
            loss = magnitude_loss(_magnitudes(output.semantic_spectrum))
            weight = share * self.loss.semantic_magnitude
            terms.append(Term("semantic_magnitude", loss.sum() / counts.utterances, weight))
        return terms

    def _semantic_mel(self, made: Tensor, rate_hz: int, batch: TrainingBatch) -> Tensor:
        exact = torch.promote_types(made.dtype, torch.float32)
        made = resample_tensor(made.to(exact), rate_hz, WHISPER_RATE_HZ)
        original = resample_tensor(batch.audio[:, 0].to(exact), self.rate_hz, WHISPER_RATE_HZ)
        length = min(made.shape[1], original.shape[1])
        return self.semantic_mel(made[:, None, :length], original[:, None, :length])

    def _distillation(
        self, output: TrainingOutput, batch: TrainingBatch, target: TeacherTarget, counts: Counts, exact: torch.dtype
    ) -> Term:
        length = int(self.at_teacher_rate(torch.tensor(batch.audio.shape[-1])))
        if self.distillation.kind == "feature":
            features = target.features[:, : int(teacher_frames(torch.tensor(length)))]
            return self._feature_term(output, features, target.rows, counts, exact)
        if output.semantic_resynthesis is None or self.resynthesis is None:
            raise UsageError(
                "distillation by resynthesis needs a model that resynthesises speech from its semantic codes, which a "
                "decoder trained alone does not; set distillation.kind = none"
            )
        audio = output.semantic_resynthesis[:, 0].to(exact)
        audio = resample_tensor(audio, output.semantic_resynthesis_rate_hz, WHISPER_RATE_HZ)
        audio = F.pad(audio, (0, max(0, length - audio.shape[1])))[:, :length]
        values = self.resynthesis(audio, self.at_teacher_rate(batch.num_samples), target)
        count = counts.distilled if self.distillation.convention == "release" else counts.teacher_frames
        return Term("distillation", values.sum() / count, self.distillation_weight)

    def _feature_term(
        self, output: TrainingOutput, features: Tensor, rows: Tensor, counts: Counts, exact: torch.dtype
    ) -> Term:
        if output.semantic_features is None:
            raise ValueError("feature distillation needs a model with a projection head for semantic features")
        values = feature_distillation_loss(
            output.semantic_features[rows].to(exact), features, output.num_frames[rows], self.distillation.distance
        )
        return Term("distillation", values.sum() / counts.distilled, self.distillation_weight)

    def adversarial_terms(
        self, discriminators: Discriminators, fake: Sample, real: Sequence[Judgement], counts: Counts
    ) -> list[Term]:
        """Adversarial and feature-matching losses against frozen ``discriminators``; ``real`` carries no graph."""
        judged = discriminators(fake)
        return [
            Term("adversarial", generator_loss(judged).sum() / counts.utterances, self.loss.adversarial),
            Term("feature_matching", feature_matching_loss(real, judged).sum() / counts.utterances,
                 self.loss.feature_matching),
        ]  # fmt: skip


def _magnitudes(spectrum: Spectrum | None) -> Spectrum:
    if spectrum is None:
        raise UsageError(
            "a loss on magnitudes needs a decoder that predicts them, as the Vocos decoders of LM-SPT's paper and mini "
            "presets do; set loss.magnitude = 0, loss.semantic_magnitude = 0 and loss.pitch = 0"
        )
    return spectrum
