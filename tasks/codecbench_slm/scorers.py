"""Scorers of generated speech, which is as long as the model made it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np

from codecbench.contracts.metric import Measurement, ScoreItem, ScorerContext, Status
from codecbench_intelligibility import PERCENT
from codecbench_intelligibility.details import read_detail
from codecbench_intelligibility.scorer import WordErrorScorer
from codecbench_reconstruction.models import SpeakerScorer, checked_output
from codecbench_reconstruction.pairs import NoValue, check_reference, no_values
from codecbench_slm.robustness import spoken_errors
from codecbench_slm.specs import TTS_WORDS

_PARTS = ("substitutions", "deletions", "insertions", "repetitions")


class SpokenWordsScorer:
    """WER and CER as the task ``intelligibility`` takes them, and the word errors told apart."""

    def __init__(self, context: ScorerContext) -> None:
        """Take the recogniser of the run."""
        self._words = WordErrorScorer(context)

    def score(self, item: ScoreItem) -> Sequence[Measurement]:
        """Return the two rates and their parts, with the recogniser as the component."""
        rates = [replace(m, metric=f"tts_{m.metric}") for m in self._words.score(item)]
        wer = rates[0]
        said = read_detail(wer.detail) if wer.status is Status.OK else None
        if said is None:
            names = [metric.name for metric in TTS_WORDS.metrics[2:]]
            return [*rates, *(replace(wer, metric=name, detail="") for name in names)]
        errors = spoken_errors(said.reference, said.hypothesis)
        if errors.errors != wer.numerator:
            raise AssertionError(f"parts sum to {errors.errors}, WER counts {wer.numerator} errors")
        counts = asdict(errors)
        rates[0] = replace(wer, detail=json.dumps(json.loads(wer.detail) | counts, ensure_ascii=False))
        return [*rates, *(self._part(name, counts[name], errors.reference_length, wer.component) for name in _PARTS)]

    def _part(self, name: str, count: int, words: int, component: str) -> Measurement:
        value = PERCENT * count / words
        return Measurement(f"tts_{name}", value, numerator=count, denominator=words, component=component)


class SpokenVoiceScorer:
    """Speaker similarity of generated speech and the recording of the same text, whatever their lengths."""

    def __init__(self) -> None:
        self._speaker = SpeakerScorer()

    def score(self, item: ScoreItem) -> Sequence[Measurement]:
        """Return the similarity."""
        try:
            output: np.ndarray = checked_output(item)
            return [replace(self._speaker.compare(check_reference(item), output), metric="tts_speaker_similarity")]
        except NoValue as none:
            return no_values(["tts_speaker_similarity"], none)
