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
from codecbench_slm.scoring import Audio, Spoken, scores_of
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
    found = scores_of(
        place, f"{encodings.label} resynthesis", test, words, store, settings,
        lambda u: _identity(encodings, u), lambda missing: _decoded(place, encodings, missing),
    )  # fmt: skip
    rate = TTS_WORDS.metrics[0].name
    return {
        name: [replace(m, metric=RESYNTHESIS_WER.name) for m in own if m.metric == rate] for name, own in found.items()
    }


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
