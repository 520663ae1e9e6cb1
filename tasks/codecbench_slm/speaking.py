"""Text-to-speech: what a model says of the test texts, decoded by the codec and heard by the scorers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from codecbench.contracts.audio import Utterance
from codecbench.contracts.encoded import Tokens
from codecbench.contracts.metric import Measurement
from codecbench.hashing import digest
from codecbench.loading import load
from codecbench.runner.scoring import PreparedScorer
from codecbench.store.audio import AudioStore
from codecbench.store.packing import pack
from codecbench.store.scores import ScoreStore
from codecbench.store.tokens import TokenStore
from codecbench_intelligibility import PERCENT
from codecbench_slm.decoding import decode
from codecbench_slm.judging import GENERATION_VERSION, Subject, stored_together
from codecbench_slm.sampling import Sampling
from codecbench_slm.scoring import Spoken, scores_of


def speak(subject: Subject, scorers: Sequence[PreparedScorer], settings: Sequence[str]) -> dict[str, list[Measurement]]:
    """Generate, decode and score what the store lacks; return the measurements of each utterance by id."""
    ended = _generate(subject)
    store = ScoreStore(subject.folder / "tts")
    scores = scores_of(
        subject.place, subject.label, subject.test, scorers, store, settings,
        lambda u: _identity(subject, u), lambda missing: _decoded(subject, missing),
    )  # fmt: skip
    return {u.id: [*(ended.get(speech_key(subject, u)) or ()), *map(as_spoken, scores[u.id])] for u in subject.test}


def as_spoken(measurement: Measurement) -> Measurement:
    """Name a measurement of another plugin's scorer as one of generated speech."""
    own = measurement.metric.startswith("tts_")
    return measurement if own else replace(measurement, metric=f"tts_{measurement.metric}")


def speech_key(subject: Subject, utterance: Utterance) -> str:
    """Store key of what the model says of an utterance's text: its tokens, and its audio."""
    g, config = subject.generation, subject.trained.config
    speaker = utterance.speaker if config.model.speakers else None
    settings = [g.temperature, g.top_k, g.max_speech_s, config.seed]
    return digest([GENERATION_VERSION, "tts", settings, utterance.id, utterance.text, speaker])


def audio_store(subject: Subject) -> AudioStore:
    """Where the decoded speech lies."""
    return AudioStore(subject.folder / "audio")


def _identity(subject: Subject, utterance: Utterance) -> str:
    """What decides the audio: the model (its folder in the store), the tokens, and how they are decoded."""
    decoded_by = dict(subject.encodings.prepared.decode_identity)
    return digest([subject.trained.digest, speech_key(subject, utterance), decoded_by])


def _generate(subject: Subject) -> ScoreStore:
    """Generate the tokens that the store lacks; return what says whether each utterance came to its end."""
    tokens, ended = TokenStore(subject.folder / "tokens"), ScoreStore(subject.folder / "ended")
    keys = {u.id: speech_key(subject, u) for u in subject.test}
    missing = [u for u in subject.test if tokens.packed(keys[u.id]) is None or not ended.done(keys[u.id])]
    g, trained, stage = subject.generation, subject.trained, f"speak {subject.label}"
    subject.place.progress.start(stage, len(missing))
    for part in stored_together(missing):
        prompts = [trained.layout.prompt(subject.example(u), "tts") for u in part]
        ids, frames = [u.id for u in part], trained.speech.frames(g.max_speech_s)
        said = subject.generator.speech(prompts, ids, frames, Sampling(g.temperature, g.top_k), trained.config.seed)
        packed = {}
        for name, (codes, is_ended) in zip(ids, said, strict=True):
            row = pack(trained.speech.tokens(codes))
            assert row is not None
            packed[keys[name]] = row
            cut = float(not is_ended)
            ended.put(keys[name], [Measurement("tts_unfinished", PERCENT * cut, numerator=cut, denominator=1.0)])
        tokens.append(packed)
        ended.flush()
        subject.place.progress.advance(stage, len(part))
    return ended


def _decoded(subject: Subject, utterances: Sequence[Utterance]) -> Iterator[Spoken]:
    prepared = subject.encodings.prepared
    tokens, kept = TokenStore(subject.folder / "tokens"), audio_store(subject)
    codec = load(prepared, subject.place.device)
    for utterance in utterances:
        key = speech_key(subject, utterance)
        encoded = tokens.get(key)
        assert isinstance(encoded, Tokens)
        audio = decode(codec, encoded, prepared.resolved.name.mode, subject.place.device)
        kept.put(key, audio.samples, audio.sample_rate_hz)
        yield Spoken(utterance, audio, _identity(subject, utterance))
