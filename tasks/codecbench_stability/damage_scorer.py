"""Scorer of how quality falls as tokens are lost or damaged: a curve over the share, for each kind."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from codecbench.audio.delay import align, measure_delay
from codecbench.audio.resample import resample
from codecbench.contracts.encoded import Tokens
from codecbench.contracts.metric import CodecProbe, Measurement, Status
from codecbench_stability.alterations import draws
from codecbench_stability.damage import corrupt_codes, lose_frames

METRICS = ("damaged_stoi", "damaged_pesq_wb")
SHARES_PCT = (1, 3, 10)
QUALITY_RATE_HZ = 16000
KINDS: tuple[tuple[str, Callable[[Tokens, float, np.random.Generator], Tokens]], ...] = (
    ("lost", lose_frames),
    ("errors", corrupt_codes),
)


class DamageScorer:
    """Decodes damaged tokens and compares with the original audio at 16 kHz."""

    def score(self, probe: CodecProbe) -> Sequence[Measurement]:
        """Return STOI and PESQ-WB for undamaged tokens and for each kind and share of damage."""
        reason = _not_applicable(probe)
        if reason:
            return [Measurement(name, status=Status.NOT_APPLICABLE, reason=reason) for name in METRICS]
        assert isinstance(probe.encoded, Tokens)
        reference = resample(probe.audio, probe.sample_rate_hz, QUALITY_RATE_HZ)
        whole = _decoded(probe, probe.encoded)
        # One lag for all: damage must not pass for a delay.
        lag = measure_delay(reference, whole, QUALITY_RATE_HZ)
        found = list(_quality(reference, whole, lag, "clean", 0))
        for kind, damage in KINDS:
            for share in SHARES_PCT:
                damaged = damage(probe.encoded, share / 100, draws(probe.utterance.id, kind))
                changed = _changed(probe.encoded, damaged)
                found += _quality(reference, _decoded(probe, damaged), lag, f"{kind}-{share}%", changed)
        return found


def _not_applicable(probe: CodecProbe) -> str:
    if not isinstance(probe.encoded, Tokens):
        return "the codec makes no tokens"
    if probe.spec.encode_only:
        return f"codec '{probe.codec}' is encode-only"
    if any(stream.durations is not None for stream in probe.encoded.streams):
        return "tokens of variable duration: a lost one has no fixed place in time"
    return ""


def _decoded(probe: CodecProbe, tokens: Tokens) -> np.ndarray:
    output, rate_hz = probe.decode(tokens)
    return resample(output, rate_hz, QUALITY_RATE_HZ)


def _changed(before: Tokens, after: Tokens) -> int:
    return sum(int((a.codes != b.codes).sum()) for a, b in zip(before.streams, after.streams, strict=True))


def _quality(
    reference: np.ndarray, output: np.ndarray, lag: int, component: str, changed: int
) -> Iterator[Measurement]:
    from codecbench_reconstruction.pairs import NoValue
    from codecbench_reconstruction.perceptual import pesq, stoi

    pair = align(reference, output, lag)
    detail = json.dumps({"codes_changed": changed, "lag_samples_16k": lag})
    for metric, measure in zip(METRICS, (lambda: stoi(*pair, False), lambda: pesq(*pair, "wb")), strict=True):
        try:
            yield Measurement(metric, measure(), component=component, detail=detail)
        except NoValue as none:
            yield Measurement(metric, status=none.status, reason=none.reason, component=component, detail=detail)
