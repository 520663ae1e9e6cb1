"""Tokens to audio by the codec, and the codec alone: what recognisers hear of its own tokens of the recordings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from codecbench.contracts.audio import Utterance
from codecbench.contracts.codec import Codec
from codecbench.contracts.encoded import Encoded
from codecbench.contracts.metric import Measurement
from codecbench.hashing import digest
from codecbench.loading import load
from codecbench.runner.batching import moved
from codecbench.runner.scoring import PreparedScorer
from codecbench.store.scores import ScoreStore
from codecbench_slm.encoding import Encodings, Workplace
from codecbench_slm.scoring import Audio, Spoken, score_key, score_spoken
from codecbench_slm.specs import RESYNTHESIS_WER, TTS_WORDS


def decode(codec: Codec, encoded: Encoded, mode: str, device: str) -> Audio:
    """Decode the tokens of one utterance."""
    with torch.inference_mode():
        waves = codec.decode(moved(encoded, device), mode)
    return Audio(waves.row(0).float().cpu().numpy(), waves.sample_rate_hz)


def resynthesis(
    place: Workplace,
    encodings: Encodings,
    test: Sequence[Utterance],
    scorers: Sequence[PreparedScorer],
    settings: Sequence[str],
) -> dict[str, list[Measurement]]:
    """Word errors of each recogniser on the recordings as the codec alone gives them back, by utterance id.

    A model on its tokens cannot be expected to say more clearly what the tokens do not carry.
    """
    words = [scorer for scorer in scorers if scorer.spec.name == TTS_WORDS.name]
    store = ScoreStore(place.store / "slm" / "generated" / "resynthesis")
    keys = {u.id: [score_key(scorer, _identity(encodings, u), u) for scorer in words] for u in test}
    missing = [u for u in test if not all(store.done(key) for key in keys[u.id])]
    label = f"{encodings.label} resynthesis"
    place.progress.start(f"score {label}", len(missing) * len(words))
    if missing:
        score_spoken(place, label, _decoded(place, encodings, missing), words, store, settings)
    return {name: list(_word_errors(store, own)) for name, own in keys.items()}


def _word_errors(store: ScoreStore, keys: Sequence[str]) -> Iterator[Measurement]:
    rate = TTS_WORDS.metrics[0].name
    for key in keys:
        yield from (replace(m, metric=RESYNTHESIS_WER.name) for m in store.get(key) or () if m.metric == rate)


def _identity(encodings: Encodings, utterance: Utterance) -> str:
    """What decides the audio: the codec, its weights and options on both sides, and the recording."""
    prepared = encodings.prepared
    made_by = [prepared.label, dict(prepared.encode_identity), dict(prepared.decode_identity)]
    return digest(["resynthesis", made_by, utterance.sha256])


def _decoded(place: Workplace, encodings: Encodings, utterances: Sequence[Utterance]) -> Iterator[Spoken]:
    prepared = encodings.prepared
    codec = load(prepared, place.device)
    for utterance in utterances:
        encoded = encodings.get(utterance)
        assert encoded is not None
        audio = decode(codec, encoded, prepared.resolved.name.mode, place.device)
        yield Spoken(utterance, audio, _identity(encodings, utterance))
