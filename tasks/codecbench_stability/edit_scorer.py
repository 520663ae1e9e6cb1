"""Scorer of how many codes change when the audio hardly does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from codecbench.audio.resample import resample
from codecbench.contracts.encoded import Encoded, Tokens
from codecbench.contracts.metric import CodecProbe, Measurement, Status
from codecbench_stability.alterations import ALTERATIONS, Alteration, Setting, draws
from codecbench_stability.edits import code_edits
from codecbench_stability.transcoding import make_transcoders

METRIC = "code_edit_pct"
ROUNDS = 3


class EditScorer:
    """Encodes altered audio and the codec's own output again, and compares the codes with the first ones."""

    def __init__(self) -> None:
        """Open the transcoders that can be had."""
        transcoders, self._missing = make_transcoders()
        self._alterations = (*ALTERATIONS, *transcoders)

    def score(self, probe: CodecProbe) -> Sequence[Measurement]:
        """Return one measurement for each alteration and each round of encoding the output again."""
        if not isinstance(probe.encoded, Tokens):
            return [Measurement(METRIC, status=Status.NOT_APPLICABLE, reason="the codec makes no tokens")]
        found = [self._altered(probe, probe.encoded, alteration) for alteration in self._alterations]
        missing = [
            Measurement(METRIC, status=Status.UNAVAILABLE, reason=reason, component=name)
            for name, reason in self._missing.items()
        ]
        return [*found, *missing, *_again(probe, probe.encoded)]

    def _altered(self, probe: CodecProbe, tokens: Tokens, alteration: Alteration) -> Measurement:
        setting = Setting(
            probe.sample_rate_hz,
            frame_samples(tokens, probe.sample_rate_hz),
            draws(probe.utterance.id, alteration.name),
        )
        audio = alteration.apply(probe.audio, setting)
        if len(audio) < probe.spec.min_samples:
            reason = f"{len(audio)} samples are left; {probe.spec.full_name} needs {probe.spec.min_samples}"
            return Measurement(METRIC, status=Status.TOO_SHORT, reason=reason, component=alteration.name)
        return _compared(probe, tokens, probe.encode(audio), alteration.name)


def frame_samples(tokens: Tokens, sample_rate_hz: int) -> int:
    """Return the samples of the longest frame of any stream; 0 where all tokens are global."""
    rates = [stream.frame_rate_hz for stream in tokens.streams if stream.frame_rate_hz > 0]
    return round(sample_rate_hz / min(rates)) if rates else 0


def _again(probe: CodecProbe, tokens: Tokens) -> Iterator[Measurement]:
    """Encode what was decoded, ``ROUNDS`` times over."""
    names = [f"reencoded-{number}" for number in range(1, ROUNDS + 1)]
    if probe.spec.encode_only:
        reason = f"codec '{probe.codec}' is encode-only"
        yield from (Measurement(METRIC, status=Status.NOT_APPLICABLE, reason=reason, component=n) for n in names)
        return
    current: Encoded = tokens
    for name in names:
        output, rate_hz = probe.decode(current)
        current = probe.encode(resample(output, rate_hz, probe.sample_rate_hz))
        yield _compared(probe, tokens, current, name)


def _compared(probe: CodecProbe, before: Tokens, after: Encoded, component: str) -> Measurement:
    assert isinstance(after, Tokens)
    edits = code_edits(before.only(probe.streams), after.only(probe.streams))
    if not edits.total_codes:
        return Measurement(METRIC, status=Status.TOO_SHORT, reason="no codes", component=component)
    return Measurement(
        METRIC,
        100 * edits.total / edits.total_codes,
        numerator=edits.total,
        denominator=edits.total_codes,
        component=component,
        detail=edits.detail(),
    )
