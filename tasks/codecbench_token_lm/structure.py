"""Scorer of what the codes say about each other: entropy given the frame before, mutual information, growth."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import numpy as np

from codecbench.contracts.metric import CodecView, Measurement, Status
from codecbench_token_lm.growth import expected_types, growth_exponent, ngram_counts
from codecbench_token_lm.information import LEAST_COVERAGE, PairEstimate, estimate_pair
from codecbench_token_lm.ngram import NO_TOKENS, nothing
from codecbench_token_lm.sequences import Book, collect

METRICS = ("conditional_entropy_bits", "temporal_information_bits", "codebook_information_bits", "type_growth")
GROWTH_POINTS = 12


class StructureScorer:
    """Entropies of pairs with the correction of Chao and Shen, and the growth of different pairs of codes."""

    def score(self, view: CodecView) -> Sequence[Measurement]:
        """Return three measurements for each codebook, and one for each codebook with the one below it."""
        corpus = collect(view)
        if corpus is None:
            return nothing(METRICS, Status.NOT_APPLICABLE, NO_TOKENS)
        found: list[Measurement] = []
        for book in corpus.books:
            found += [*_in_time(book), *_with_below(book), _growth(book)]
        return found


def _in_time(book: Book) -> Iterator[Measurement]:
    before = book.before(1)
    inner = before < book.size
    pair = estimate_pair(before[inner], book.codes[inner])
    yield _measured("conditional_entropy_bits", pair.conditional_bits, pair, book.name)
    yield _measured("temporal_information_bits", pair.mutual_bits, pair, book.name)


def _with_below(book: Book) -> Iterator[Measurement]:
    if book.below is not None:
        pair = estimate_pair(book.below.codes, book.codes)
        yield _measured("codebook_information_bits", pair.mutual_bits, pair, f"{book.below.name}~{book.name}")


def _measured(metric: str, value: float, pair: PairEstimate, component: str) -> Measurement:
    plug_in = pair.first.plug_in_bits + pair.second.plug_in_bits - pair.joint.plug_in_bits
    fields = {
        "frames": pair.joint.observations,
        "pairs_seen": pair.joint.types,
        "coverage": round(pair.joint.coverage, 4),
        "entropy_bits": round(pair.second.bits, 4),
        "joint_entropy_bits": round(pair.joint.bits, 4),
        "information_bits_plug_in": round(plug_in, 4),
        "estimator": "chao-shen",
    }
    if pair.enough:
        return Measurement(metric, value, component=component, detail=json.dumps(fields))
    reason = (
        f"{pair.joint.observations} frames show an estimated {pair.joint.coverage:.0%} of the pairs of codes; "
        f"{LEAST_COVERAGE:.0%} are needed"
    )
    return Measurement(
        metric, status=Status.TOO_FEW_FRAMES, reason=reason, component=component, detail=json.dumps(fields)
    )


def _growth(book: Book) -> Measurement:
    counts = ngram_counts(book, 2)
    total = int(counts.sum())
    if total < 100:
        reason = f"codebook {book.name}: {total} pairs of successive codes; 100 are needed"
        return nothing(("type_growth",), Status.TOO_FEW_FRAMES, reason, book.name)[0]
    draws = np.unique(np.geomspace(10, total, GROWTH_POINTS).astype(np.int64))
    curve = expected_types(counts, draws)
    detail = json.dumps({"pairs": draws.tolist(), "different": [round(float(v), 1) for v in curve]})
    return Measurement("type_growth", growth_exponent(counts), component=book.name, detail=detail)
