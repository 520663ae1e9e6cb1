"""Scorer of phones in codes: PNMI, purities, held-out accuracy, ABX."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from codecbench.contracts.audio import Utterance
from codecbench.contracts.encoded import Tokens
from codecbench.contracts.metric import CodecView, Measurement, Status
from codecbench_semantic.abx import abx_error
from codecbench_semantic.alignment import PhoneAligner
from codecbench_semantic.frames import Segment, codes_of, phone_of_frames, segments
from codecbench_semantic.measures import held_out_hits, phone_measures
from codecbench_token_lm.information import LEAST_COVERAGE
from codecbench_token_lm.sequences import assign_folds

OBSERVED = ("pnmi", "phone_purity", "cluster_purity")
METRICS = (*OBSERVED, "phone_accuracy_pct", "abx_error_pct")


@dataclass
class _Book:
    """Frames of one codebook with their phones, and the segments that phones make of it."""

    utterances: list[int] = field(default_factory=list)
    phones: list[str] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)


class PhoneScorer:
    """Aligns the corpus' English utterances once for all codecs, and compares each codebook with the phones."""

    def __init__(self, aligner: PhoneAligner | None = None) -> None:
        self._aligner = aligner or PhoneAligner()

    def score(self, view: CodecView) -> Sequence[Measurement]:
        """Return five measurements for each codebook (ABX for the first of each stream)."""
        rows = [(u, e) for u, e in view.encoded() if isinstance(e, Tokens)]
        if not rows:
            return _none(METRICS, Status.NOT_APPLICABLE, "the codec makes no tokens")
        books, aligned, problem = self._collect(rows)
        if not aligned:
            return _none(METRICS, Status.NO_TEXT, f"no utterance could be aligned: {problem}")
        fold_of, _ = assign_folds([u for u, _ in rows])
        facts = {"aligner": self._aligner.name, "utterances": aligned, "not_aligned": len(rows) - aligned}
        return [m for name, book in books.items() for m in _measure(name, book, fold_of, facts)]

    def _collect(self, rows: Sequence[tuple[Utterance, Tokens]]) -> tuple[dict[str, _Book], int, str]:
        books: dict[str, _Book] = {}
        aligned, problem = 0, ""
        for index, (utterance, tokens) in enumerate(rows):
            found = self._aligner.align(utterance)
            if found.problem:
                problem = problem or f"{utterance.id}: {found.problem}"
                continue
            aligned += 1
            for stream in tokens.streams:
                if stream.frame_rate_hz <= 0 or stream.durations is not None:
                    continue
                labels = phone_of_frames(found.phones, int(stream.num_frames[0]), stream.frame_rate_hz)
                kept = [i for i, label in enumerate(labels) if label]
                for k in range(stream.num_codebooks):
                    book = books.setdefault(f"{stream.name}/{k}", _Book())
                    codes = codes_of(stream, k)
                    book.utterances += [index] * len(kept)
                    book.phones += [labels[i] for i in kept]
                    book.codes += codes[kept].tolist()
                    if k == 0:
                        speaker = utterance.speaker or ""
                        book.segments += segments(found.phones, codes, stream.frame_rate_hz, speaker)
        return books, aligned, problem


def _measure(name: str, book: _Book, fold_of: np.ndarray, facts: dict[str, object]) -> Iterator[Measurement]:
    names, phones = np.unique(book.phones, return_inverse=True)
    codes = np.array(book.codes)
    found = phone_measures(phones, codes)
    coverage = found.pair.joint.coverage
    detail = json.dumps(
        {**facts, "frames": len(codes), "phones": len(names), "coverage": round(coverage, 4)}
        | {"pnmi_plug_in": round(found.pnmi_plug_in, 4)}
    )
    for metric, value in zip(OBSERVED, (found.pnmi, found.phone_purity, found.cluster_purity), strict=True):
        if found.pair.enough:
            yield Measurement(metric, value, component=name, detail=detail)
        else:
            reason = f"{len(codes)} frames show {coverage:.0%} of phones with codes; {LEAST_COVERAGE:.0%} are needed"
            yield Measurement(metric, status=Status.TOO_FEW_FRAMES, reason=reason, component=name, detail=detail)
    folds = fold_of[book.utterances]
    if len(np.unique(folds)) < 2:
        yield from _none(("phone_accuracy_pct",), Status.TOO_FEW_FRAMES, "too few utterances to hold some apart", name)
    else:
        hits = held_out_hits(phones, codes, folds)
        yield Measurement("phone_accuracy_pct", 100 * float(hits.mean()), component=name, detail=detail)
    if name.endswith("/0"):
        yield _abx(name, book, facts)


def _abx(name: str, book: _Book, facts: dict[str, object]) -> Measurement:
    found = abx_error(book.segments)
    if found is None:
        return _none(("abx_error_pct",), Status.TOO_FEW_FRAMES, "no speaker says two phones, one of them twice", name)[
            0
        ]
    detail = {**facts, "phone_pairs": found.pairs, "speakers": found.speakers, "segments": found.segments}
    return Measurement("abx_error_pct", 100 * found.error, component=name, detail=json.dumps(detail))


def _none(metrics: Sequence[str], status: Status, reason: str, component: str = "") -> list[Measurement]:
    return [Measurement(name, status=status, reason=reason, component=component) for name in metrics]
