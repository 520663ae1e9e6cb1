"""Speaker similarity and predicted MOS: one model each, loaded once in a process, on the CPU."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Sequence

import numpy as np

from codecbench.contracts.metric import Measurement, ScoreItem, Status
from codecbench_reconstruction.pairs import (
    NoValue,
    check_output,
    check_reference,
    checked_pair,
    no_values,
    require_sound,
)
from codecbench_reconstruction.specs import SAMPLE_RATE_HZ

# Shorter clips are mostly the padding (or the repetition) that each model fills its window with.
MIN_SAMPLES = SAMPLE_RATE_HZ // 2


def _require_length(audio: np.ndarray) -> None:
    if len(audio) < MIN_SAMPLES:
        raise NoValue(Status.TOO_SHORT, f"the model needs at least 0.5 s, this is {len(audio) / SAMPLE_RATE_HZ:.3f} s")


class SpeakerScorer:
    """Cosine similarity of GE2E embeddings, from the whole waveforms without voice detection or trimming.

    The package's ``preprocess_wav`` would raise quiet audio to -30 dBFS and cut pauses, each signal by itself; it is
    not used. The embedding follows level (0.95 between a clip and itself 6 dB lower), so the output is set to the
    reference's RMS level, and the gain stands in the detail.
    Source: Wan et al., "Generalized End-to-End Loss for Speaker Verification", 2018 (package resemblyzer).
    """

    def __init__(self) -> None:
        from resemblyzer import VoiceEncoder

        self._encoder = VoiceEncoder("cpu", verbose=False)

    def score(self, item: ScoreItem) -> Sequence[Measurement]:
        """Return the similarity of output and reference."""
        try:
            reference, output = checked_pair(item)
            _require_length(reference)
            require_sound(output)
        except NoValue as none:
            return no_values(["speaker_similarity"], none)
        return [self.compare(reference, output)]

    def compare(self, reference: np.ndarray, output: np.ndarray) -> Measurement:
        """Return the similarity of two signals at 16 kHz that are long enough and not silent, of any two lengths."""
        gain = _rms(reference) / _rms(output)
        one, other = (self._encoder.embed_utterance(x.astype(np.float32)) for x in (reference, output * gain))
        cosine = float(np.dot(one, other) / (np.linalg.norm(one) * np.linalg.norm(other)))
        detail = json.dumps({"output_gain_db": round(20 * float(np.log10(gain)), 3)})
        return Measurement("speaker_similarity", min(1.0, cosine), detail=detail)


def _rms(audio: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))


def checked_output(item: ScoreItem) -> np.ndarray:
    """Return the output at 16 kHz for a model that hears it alone; the same utterances as the other metrics."""
    _require_length(check_reference(item))
    output = check_output(item)
    require_sound(output)
    _require_length(output)
    return output


class DistillMosScorer:
    """DistillMOS of the output: audio is zero-padded to windows of 7.68 s and divided by its peak by the model.

    Source: Stahl & Gamper, "Distillation and Pruning for Scalable Self-Supervised Representation-Based Speech
    Quality Assessment", 2025 (package distillmos).
    """

    def __init__(self) -> None:
        from distillmos import ConvTransformerSQAModel

        with contextlib.redirect_stdout(io.StringIO()):  # the package prints where its weights are
            self._model = ConvTransformerSQAModel()
        self._model.eval()

    def score(self, item: ScoreItem) -> Sequence[Measurement]:
        """Return the predicted MOS of the output."""
        try:
            output = checked_output(item)
        except NoValue as none:
            return no_values(["distillmos"], none)
        return [Measurement("distillmos", self.predict(output))]

    def predict(self, audio: np.ndarray) -> float:
        """Return the predicted MOS of a signal [T] at 16 kHz that is long enough and not silent."""
        import torch

        with torch.inference_mode():
            mos = self._model(torch.from_numpy(np.array(audio, dtype=np.float32))[None])
        return float(mos.mean())
