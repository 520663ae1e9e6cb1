"""Frame, token and bit rates of one utterance, from real counts over real duration."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from codecbench.contracts.encoded import AudioPassthrough, Bitstream, Encoded, Tokens
from codecbench.contracts.metric import Measurement, ScoreItem, Status

NOTHING_CODED = "nothing is coded: the codec hands the audio through"


class RateScorer:
    """Rates as ratios, so that the corpus value is the sum of counts over the sum of seconds."""

    def score(self, item: ScoreItem) -> Sequence[Measurement]:
        """Return frame rate for each stream, token rate, bit rate and tokens per word."""
        if isinstance(item.encoded, Tokens):
            return list(_of_tokens(item.encoded, item))
        reason = "a bit stream has no tokens" if isinstance(item.encoded, Bitstream) else NOTHING_CODED
        tokenless = [_none(name, reason) for name in ("frame_rate_hz", "token_rate", "tokens_per_word")]
        return [*tokenless, _bitrate(item.encoded, item.duration_s)]


def _of_tokens(tokens: Tokens, item: ScoreItem) -> Iterator[Measurement]:
    seconds, count = item.duration_s, tokens.num_tokens(0)
    for stream in tokens.streams:
        if stream.frame_rate_hz == 0:
            reason = f"stream '{stream.name}' holds global tokens, whose number does not grow with duration"
            yield _none("frame_rate_hz", reason, stream.name)
        else:
            yield ratio("frame_rate_hz", int(stream.num_frames[0]), seconds, component=stream.name)
    yield ratio("token_rate", count, seconds)
    yield _bitrate(tokens, seconds)
    words = len((item.utterance.text or "").split())
    yield ratio("tokens_per_word", count, words) if words else no_text("tokens_per_word")


def _bitrate(encoded: Encoded | None, seconds: float) -> Measurement:
    if isinstance(encoded, Tokens | Bitstream):
        return ratio("bitrate_bps", encoded.num_bits(0), seconds)
    stated = encoded.bitrate_bps[0] if isinstance(encoded, AudioPassthrough) and encoded.bitrate_bps else None
    if encoded is None or stated is None:
        return _none("bitrate_bps", f"{NOTHING_CODED}, and no bit rate is stated for it")
    detail = json.dumps({"stated_by": encoded.bitrate_source}, ensure_ascii=False)
    return ratio("bitrate_bps", stated * seconds, seconds, detail=detail)


def ratio(metric: str, numerator: float, denominator: float, *, component: str = "", detail: str = "") -> Measurement:
    """Return a ratio-of-sums measurement of one utterance."""
    return Measurement(
        metric,
        numerator / denominator,
        numerator=numerator,
        denominator=denominator,
        component=component,
        detail=detail,
    )


def no_text(metric: str) -> Measurement:
    """Return the measurement of an utterance without text."""
    return Measurement(metric, status=Status.NO_TEXT, reason="the utterance has no text")


def _none(metric: str, reason: str, component: str = "") -> Measurement:
    return Measurement(metric, status=Status.NOT_APPLICABLE, reason=reason, component=component)
