"""Audio on its way through the suite: one utterance of a corpus, a batch for a codec, decoded waveforms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch


@dataclass(frozen=True)
class Utterance:
    """One entry of a corpus.

    ``sha256`` is that of the audio file where the corpus states it; otherwise the planner computes it.
    ``problem`` is set where the entry cannot be used (a malformed manifest line, a missing file): the run
    records it under ``bad_input`` and goes on.
    """

    id: str
    audio: Path
    text: str | None = None
    speaker: str | None = None
    language: str | None = None
    sha256: str | None = None
    duration_s: float | None = None
    problem: str | None = None


@dataclass(frozen=True, eq=False)
class Batch:
    """What a codec encodes: right-padded mono audio with the facts that some codecs need.

    audio: float32 [B, 1, T] at ``sample_rate_hz``, zeros beyond each row's ``num_samples`` (int64 [B]).
    utterances: one per row; ids, texts, languages and speakers for codecs that condition on them.
    """

    audio: torch.Tensor
    num_samples: torch.Tensor
    sample_rate_hz: int
    utterances: tuple[Utterance, ...] = ()

    def __len__(self) -> int:
        return int(self.audio.shape[0])

    def row(self, index: int) -> torch.Tensor:
        """Return row ``index`` cut to its true length, as [T]."""
        return self.audio[index, 0, : int(self.num_samples[index])]


@dataclass(frozen=True, eq=False)
class Waveforms:
    """Decoded audio: float32 [B, 1, T] at ``sample_rate_hz``, true lengths in ``num_samples`` (int64 [B])."""

    audio: torch.Tensor
    num_samples: torch.Tensor
    sample_rate_hz: int

    def row(self, index: int) -> torch.Tensor:
        """Return row ``index`` cut to its true length, as [T]."""
        return self.audio[index, 0, : int(self.num_samples[index])]

    @classmethod
    def stack(cls, rows: Sequence[torch.Tensor | np.ndarray], sample_rate_hz: int) -> Waveforms:
        """Right-pad audio of any lengths, each [T], with zeros into one float32 batch [B, 1, T]."""
        import torch

        tensors = [torch.as_tensor(row, dtype=torch.float32) for row in rows]
        lengths = [int(tensor.shape[0]) for tensor in tensors]
        audio = torch.zeros(len(tensors), 1, max(lengths, default=0))
        for index, tensor in enumerate(tensors):
            audio[index, 0, : lengths[index]] = tensor
        return cls(audio, torch.tensor(lengths, dtype=torch.int64), sample_rate_hz)
