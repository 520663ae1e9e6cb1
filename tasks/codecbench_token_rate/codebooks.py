"""Use of each codebook over the whole corpus: utilisation, entropy, perplexity, entropy bit rate."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from codecbench.contracts.encoded import Tokens, TokenStream
from codecbench.contracts.metric import CodecView, Measurement, Status
from codecbench.names import parse_name
from codecbench_token_rate.entropy import FRAMES_PER_ENTRY, entropy_bits, plug_in_entropy_bits

PER_CODEBOOK = ("codebook_utilisation", "codebook_entropy_bits", "codebook_perplexity")


@dataclass
class CodebookCount:
    """How often each entry [N] of one codebook occurs."""

    name: str
    counts: np.ndarray

    @property
    def frames(self) -> int:
        """Codes counted."""
        return int(self.counts.sum())

    @property
    def enough(self) -> bool:
        """Whether there are frames enough for its statistics."""
        return self.frames >= FRAMES_PER_ENTRY * len(self.counts)

    @property
    def values(self) -> tuple[float, float, float]:
        """Utilisation, entropy in bits, perplexity."""
        bits = entropy_bits(self.counts)
        return float(np.count_nonzero(self.counts) / len(self.counts)), bits, 2.0**bits

    def detail(self) -> str:
        """Return frames, entries and the estimates as JSON; the only place for them where frames are too few."""
        utilisation, bits, _ = self.values
        fields = {
            "frames": self.frames,
            "entries": len(self.counts),
            "entries_used": int(np.count_nonzero(self.counts)),
            "utilisation": round(utilisation, 6),
            "entropy_bits_miller_madow": round(bits, 6),
            "entropy_bits_plug_in": round(plug_in_entropy_bits(self.counts), 6),
        }
        return json.dumps(fields)


@dataclass
class CorpusCount:
    """Counts of every codebook, seconds of audio and side information over the corpus."""

    codebooks: dict[str, CodebookCount] = field(default_factory=dict)
    seconds: float = 0.0
    side_info_bits: float = 0.0

    def add(self, tokens: Tokens, seconds: float) -> None:
        """Count one utterance (B = 1)."""
        self.seconds += seconds
        for stream in tokens.streams:
            self._add_stream(stream)

    def _add_stream(self, stream: TokenStream) -> None:
        frames = int(stream.num_frames[0])
        if stream.side_info_bits is not None:
            self.side_info_bits += float(stream.side_info_bits[0])
        for k, size in enumerate(stream.codebook_sizes):
            name = f"{stream.name}/{k}"
            book = self.codebooks.setdefault(name, CodebookCount(name, np.zeros(size, np.int64)))
            book.counts += np.bincount(stream.codes[0, k, :frames].cpu().numpy(), minlength=size)


class CodebookScorer:
    """Counts codes over the corpus; with under 20 frames for each entry a value is not given."""

    def score(self, view: CodecView) -> Sequence[Measurement]:
        """Return the nominal bit rate, three measurements for each codebook, and the entropy bit rate."""
        recorded = cache(lambda: {r.utterance_id: r.duration_s for r in view.records if r.utterance_id})
        count = CorpusCount()
        for utterance, encoded in view.encoded():
            if isinstance(encoded, Tokens):
                count.add(encoded, utterance.duration_s or recorded().get(utterance.id, 0.0))
        return [_nominal(view), *_uses(count), _entropy_bitrate(count)]


def _nominal(view: CodecView) -> Measurement:
    if view.spec.streams:
        streams = view.spec.nominal_truncated(parse_name(view.codec).codebooks)
        return Measurement("nominal_bitrate_bps", sum(stream.bitrate_bps for stream in streams))
    if view.spec.nominal_bitrate_bps is None:
        return _none("nominal_bitrate_bps", Status.NOT_APPLICABLE, "the codec declares no bit rate")
    return Measurement("nominal_bitrate_bps", view.spec.nominal_bitrate_bps)


def _uses(count: CorpusCount) -> Iterator[Measurement]:
    if not count.codebooks:
        for metric in PER_CODEBOOK:
            yield _none(metric, Status.NOT_APPLICABLE, "the codec makes no tokens")
    for book in count.codebooks.values():
        for metric, value in zip(PER_CODEBOOK, book.values, strict=True):
            if book.enough:
                yield Measurement(metric, value, component=book.name, detail=book.detail())
            else:
                yield _none(metric, Status.TOO_FEW_FRAMES, _too_few(book), book.name, book.detail())


def _entropy_bitrate(count: CorpusCount) -> Measurement:
    metric, books = "entropy_bitrate_bps", count.codebooks.values()
    if not books:
        return _none(metric, Status.NOT_APPLICABLE, "the codec makes no tokens")
    short = [book for book in books if not book.enough]
    if short:
        return _none(metric, Status.TOO_FEW_FRAMES, _too_few(max(short, key=lambda b: len(b.counts))))
    bits = sum(entropy_bits(book.counts) * book.frames for book in books) + count.side_info_bits
    if count.seconds <= 0:
        return _none(metric, Status.BACKEND_ERROR, "no record states the duration of the utterances")
    return Measurement(metric, bits / count.seconds, numerator=bits, denominator=count.seconds)


def _too_few(book: CodebookCount) -> str:
    wanted = FRAMES_PER_ENTRY * len(book.counts)
    return f"codebook {book.name}: {book.frames} frames; {wanted} needed for {len(book.counts)} entries"


def _none(metric: str, status: Status, reason: str, component: str = "", detail: str = "") -> Measurement:
    return Measurement(metric, status=status, reason=reason, component=component, detail=detail)
