"""WER and CER of one utterance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from codecbench.contracts.metric import Measurement, ScoreItem, ScorerContext, Status
from codecbench.errors import UsageError
from codecbench_intelligibility import PERCENT
from codecbench_intelligibility.details import WordDetail
from codecbench_intelligibility.edits import Edits, character_edits, word_edits
from codecbench_intelligibility.normalizers import NO_WORD_SPACES, Normalizer, base_language, normalizer_for

METRICS = ("wer", "cer")


class WordErrorScorer:
    """Transcribes the output and counts its errors against the text.

    Silent or empty output is scored: what the recogniser writes of it counts, and nothing is all deletions. The
    hypothesis is kept beside the value, also where there is no text to compare it with: dWER needs no text.
    """

    def __init__(self, context: ScorerContext) -> None:
        """Take the recogniser of the run; raises UsageError where there is none."""
        if context.recognizer is None or context.recognizer_spec is None:
            raise UsageError("WER needs a recogniser, and none was named or is the default")
        self._recognizer, self._spec = context.recognizer, context.recognizer_spec
        self._name = context.recognizer_name
        self._language = context.options.get("language")

    def score(self, item: ScoreItem) -> Sequence[Measurement]:
        """Return WER and CER with the recogniser as the component."""
        language = base_language(item.utterance.language or self._language)
        if not self._spec.covers(language):
            covered = ", ".join(self._spec.languages)
            reason = f"recogniser '{self._name}' does not cover '{language}', only {covered}"
            return self._none(Status.UNAVAILABLE, reason)
        if item.output is not None and not np.isfinite(item.output).all():
            return self._none(Status.NAN_OUTPUT, "the output holds NaN or infinite samples: nothing to transcribe")
        audio = np.zeros(0, np.float32) if item.output is None or item.output.size == 0 else self._audio(item)
        transcript = self._recognizer.transcribe(audio, language)
        return self._compare(item.utterance.text, transcript.text, language)

    def _audio(self, item: ScoreItem) -> np.ndarray:
        return item.output_at(self._spec.sample_rate_hz)

    def _compare(self, text: str | None, written: str, language: str | None) -> list[Measurement]:
        normalizer = normalizer_for(language)
        reference, hypothesis = normalizer.normalize(text or ""), normalizer.normalize(written)
        if not any(character.isalnum() for character in reference):
            reason = "the text holds no word" if (text or "").strip() else "the utterance has no text"
            return self._none(Status.NO_TEXT, reason, self._detail(normalizer, reference, hypothesis))
        words, characters = word_edits(reference, hypothesis), character_edits(reference, hypothesis)
        if language in NO_WORD_SPACES:
            reason = f"'{language}' is written without spaces between words; see CER"
            detail = self._detail(normalizer, reference, hypothesis)
            wer = Measurement("wer", None, Status.NOT_APPLICABLE, reason, component=self._name, detail=detail)
        else:
            wer = self._value("wer", words, self._detail(normalizer, reference, hypothesis, words))
        return [wer, self._value("cer", characters, self._detail(normalizer, "", "", characters))]

    def _value(self, metric: str, edits: Edits, detail: str) -> Measurement:
        return Measurement(
            metric,
            PERCENT * edits.rate,
            numerator=edits.errors,
            denominator=edits.reference_length,
            component=self._name,
            detail=detail,
        )

    def _detail(self, normalizer: Normalizer, reference: str, hypothesis: str, edits: Edits | None = None) -> str:
        return WordDetail(normalizer.name, reference, hypothesis, edits).to_json()

    def _none(self, status: Status, reason: str, detail: str = "") -> list[Measurement]:
        return [
            Measurement(metric, status=status, reason=reason, component=self._name, detail=detail) for metric in METRICS
        ]
