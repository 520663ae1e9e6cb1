"""The codec as a scorer of the stage ``codec`` has it in hand, one utterance at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from codecbench.contracts.audio import Utterance
from codecbench.contracts.codec import Codec
from codecbench.contracts.encoded import Encoded, Tokens
from codecbench.contracts.metric import CodecProbe, CodecScorer, Measurement
from codecbench.runner.batching import collate_audio, moved, moved_batch
from codecbench.runner.holding import checked_row
from codecbench.runner.messages import ProbeTask


@dataclass(frozen=True)
class Probing:
    """What one task asks of one codec on one device."""

    codec: Codec
    task: ProbeTask
    device: str

    def score(
        self, scorer: CodecScorer, utterance: Utterance, audio: np.ndarray, sample_rate_hz: int
    ) -> Sequence[Measurement]:
        """Return the scorer's measurements of ``audio`` [T] at the codec's rate, under the utterance's id."""

        def encode(samples: np.ndarray) -> Encoded:
            return self._encode(utterance, samples, sample_rate_hz)

        def decode(encoded: Encoded) -> tuple[np.ndarray, int]:
            return self._decode(encoded, sample_rate_hz)

        task, spec = self.task, self.codec.spec
        probe = CodecProbe(
            utterance, task.label, spec, audio, sample_rate_hz, encode(audio), encode, decode, task.streams
        )
        return tuple(replace(m, utterance_id=utterance.id) for m in scorer.score(probe))

    def _encode(self, utterance: Utterance, samples: np.ndarray, sample_rate_hz: int) -> Encoded:
        batch = moved_batch(collate_audio([samples], sample_rate_hz, [utterance]), self.device)
        with torch.inference_mode():
            encoded = moved(self.codec.encode(batch), "cpu").row(0)
        if self.task.codebooks is not None and isinstance(encoded, Tokens):
            return encoded.truncated(self.task.codebooks)
        return encoded

    def _decode(self, encoded: Encoded, sample_rate_hz: int) -> tuple[np.ndarray, int]:
        with torch.inference_mode():
            waves = self.codec.decode(moved(encoded, self.device), self.task.mode)
        num_samples = int(encoded.num_samples[0])
        audio = checked_row(self.codec.spec, self.task.mode, waves, 0, num_samples, sample_rate_hz)
        return audio, waves.sample_rate_hz
