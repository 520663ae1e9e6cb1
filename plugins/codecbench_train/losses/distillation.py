"""Semantic distillation by resynthesis, the loss that makes LM-SPT.

Speech is rebuilt from the semantic codes alone; the original and the rebuilt waveform both go through a frozen ASR
encoder; the loss is the mean squared difference of its outputs (LM-SPT, arXiv 2506.16738, Eq. 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from codecbench_train.losses.logmel import WHISPER_RATE_HZ
from codecbench_train.teacher import SAMPLES_PER_TEACHER_FRAME, Teacher

Convention = Literal["release", "paper"]
PADDED_SAMPLES = 30 * WHISPER_RATE_HZ

#: The published weight of each convention. They are matched: never use one weight with the other convention.
PUBLISHED_WEIGHT: dict[Convention, float] = {"release": 500.0, "paper": 100.0}


@dataclass(frozen=True)
class TeacherTarget:
    """Teacher features of the originals, made once for each crop.

    ``rows[R]`` are the utterances of the batch that are distilled; ``features[R, F, D]``, detached; ``frames[R]`` how
    many of the F frames hold signal.
    """

    rows: Tensor
    features: Tensor
    frames: Tensor


def teacher_frames(num_samples: Tensor) -> Tensor:
    """Teacher frames (20 ms at 16 kHz) that ``num_samples[B]`` samples at 16 kHz reach into."""
    return torch.div(num_samples + SAMPLES_PER_TEACHER_FRAME - 1, SAMPLES_PER_TEACHER_FRAME, rounding_mode="floor")


class ResynthesisDistillation(nn.Module):
    """Mean squared error between teacher features of the original and of the semantic resynthesis.

    Two matched conventions, the same on both sides:

    - ``release`` (published code, weight 500): zero-padded to 30 s, mean over all 1,500 frames.
    - ``paper`` (weight 100): cut to the crop, mean over the frames that hold signal. Much cheaper.
    """

    def __init__(self, teacher: Teacher, convention: Convention) -> None:
        super().__init__()
        self.teacher, self.convention = teacher, convention

    @torch.no_grad()
    def target(self, audio: Tensor, num_samples: Tensor, rows: Tensor) -> TeacherTarget:
        """Teacher features of ``rows`` of the originals ``audio[B, T]`` at 16 kHz, valid for ``num_samples[B]``."""
        features = self.teacher(self._window(audio[rows], num_samples[rows]))
        frames = teacher_frames(num_samples[rows]).clamp_max(features.shape[1])
        return TeacherTarget(rows, features.detach(), frames)

    def forward(self, resynthesis: Tensor, num_samples: Tensor, target: TeacherTarget) -> Tensor:
        """Squared error of each distilled row, ``[R]``: a mean over frames (release) or a *sum* over frames (paper).

        ``resynthesis[B, T]`` and ``num_samples[B]`` are the whole batch's. The paper convention divides by the valid
        frames of the global batch, which only the loop knows: its caller divides by ``teacher_frames`` summed over it.
        """
        features = self.teacher(self._window(resynthesis[target.rows], num_samples[target.rows]))
        error = (features - target.features).square().mean(dim=2)
        if self.convention == "release":
            return error.mean(dim=1)
        valid = torch.arange(error.shape[1], device=error.device)[None, :] < target.frames[:, None]
        return (error * valid).sum(dim=1)

    def _window(self, audio: Tensor, num_samples: Tensor) -> Tensor:
        """Silence beyond each utterance's end, then one length for both sides: 30 s, or whole teacher frames."""
        positions = torch.arange(audio.shape[1], device=audio.device)
        audio = audio * (positions[None, :] < num_samples[:, None])
        length = PADDED_SAMPLES
        if self.convention == "paper":
            length = -(-audio.shape[1] // SAMPLES_PER_TEACHER_FRAME) * SAMPLES_PER_TEACHER_FRAME
        if audio.shape[1] > PADDED_SAMPLES:
            raise ValueError(f"distillation takes crops of at most 30 s, not {audio.shape[1] / WHISPER_RATE_HZ:.1f} s")
        return F.pad(audio, (0, length - audio.shape[1]))
