"""Speech-to-text: what a model writes of the test utterances, and its word and character errors."""

from __future__ import annotations

from collections.abc import Sequence

from codecbench.contracts.audio import Utterance
from codecbench.contracts.metric import Measurement, Status
from codecbench.hashing import digest
from codecbench.store.scores import ScoreStore
from codecbench_intelligibility import PERCENT
from codecbench_intelligibility.details import WordDetail
from codecbench_intelligibility.edits import Edits, character_edits, word_edits
from codecbench_intelligibility.normalizers import base_language, normalizer_for
from codecbench_slm.judging import GENERATION_VERSION, Subject, stored_together


def transcribe(subject: Subject) -> dict[str, list[Measurement]]:
    """Have the test utterances written, those that the store lacks; return the measurements of each by id."""
    store = ScoreStore(subject.folder / "stt")
    keys = {u.id: _key(subject, u) for u in subject.test}
    missing = [u for u in subject.test if not store.done(keys[u.id])]
    stage = f"write {subject.label}"
    subject.place.progress.start(stage, len(missing))
    for part in stored_together(missing):
        prompts = [subject.trained.layout.prompt(subject.example(u), "stt") for u in part]
        written = subject.generator.text(prompts, subject.generation.max_text_tokens)
        for utterance, ids in zip(part, written, strict=True):
            store.put(keys[utterance.id], _compared(subject, utterance, ids))
        store.flush()
        subject.place.progress.advance(stage, len(part))
    return {name: list(store.get(key) or ()) for name, key in keys.items()}


def _key(subject: Subject, utterance: Utterance) -> str:
    normalizer = normalizer_for(base_language(utterance.language)).name
    limit, example = subject.generation.max_text_tokens, subject.example(utterance)
    return digest([GENERATION_VERSION, "stt", limit, normalizer, example.digest, utterance.text])


def _compared(subject: Subject, utterance: Utterance, ids: Sequence[int]) -> list[Measurement]:
    normalizer = normalizer_for(base_language(utterance.language))
    reference = normalizer.normalize(utterance.text or "")
    hypothesis = normalizer.normalize(subject.trained.text.decode(ids))
    cut = float(len(ids) >= subject.generation.max_text_tokens)
    unfinished = Measurement("stt_unfinished", PERCENT * cut, numerator=cut, denominator=1.0)
    if not any(character.isalnum() for character in reference):
        names = ("stt_wer", "stt_cer")
        return [*(Measurement(n, status=Status.NO_TEXT, reason="the text holds no word") for n in names), unfinished]
    words, characters = word_edits(reference, hypothesis), character_edits(reference, hypothesis)
    detail = WordDetail(normalizer.name, reference, hypothesis, words).to_json()
    return [_rate("stt_wer", words, detail), _rate("stt_cer", characters, ""), unfinished]


def _rate(metric: str, edits: Edits, detail: str) -> Measurement:
    return Measurement(
        metric, PERCENT * edits.rate, numerator=edits.errors, denominator=edits.reference_length, detail=detail
    )
