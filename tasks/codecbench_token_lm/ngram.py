"""Scorer of held-out cross-entropy and of the range coder's output."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from codecbench.contracts.metric import CodecView, Measurement, Record, Status
from codecbench.errors import UsageError
from codecbench_token_lm.heldout import HeldOut, evaluate
from codecbench_token_lm.sequences import TokenCorpus, collect

RATES = ("ngram_bps", "coded_bitrate_bps")
NO_TOKENS = "the codec makes no tokens"


class NgramScorer:
    """Measures each utterance by an interpolated Kneser-Ney model of the other folds, and codes it with the same."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        """Take the options ``max_order`` and ``decode_codes``; raises UsageError where there is no such n-gram."""
        self._max_order = int(options["max_order"])
        if self._max_order < 1:
            raise UsageError(f"token_ngram.max_order={self._max_order}: an n-gram holds at least the predicted code, 1")
        self._decode_codes = int(options["decode_codes"])

    def score(self, view: CodecView) -> Sequence[Measurement]:
        """Return both rates for every utterance, bits per code for every codebook, and what half the data costs."""
        corpus = collect(view)
        if corpus is None:
            return nothing((*RATES, "ngram_bits_per_code", "ngram_half_data_pct"), Status.NOT_APPLICABLE, NO_TOKENS)
        held = evaluate(corpus, self._max_order, self._decode_codes)
        if held is None:
            reason = f"{len(corpus.utterances)} utterances, too few to hold some apart"
            return nothing((*RATES, "ngram_bits_per_code", "ngram_half_data_pct"), Status.TOO_FEW_FRAMES, reason)
        return [
            *self._rates(corpus, held),
            *_without_tokens(view, corpus),
            *_books(corpus, held),
            _half(corpus, held),
        ]

    def _rates(self, corpus: TokenCorpus, held: HeldOut) -> Iterator[Measurement]:
        frames = np.sum([np.diff(book.starts) for book in corpus.books], axis=0)
        for u, utterance in enumerate(corpus.utterances):
            facts: dict[str, object] = {
                "codes": int(frames[u]),
                "codes_of_the_corpus": corpus.num_codes,
                "max_order": self._max_order,
            }
            facts |= {"folds": held.folds, "held_apart_by": held.split}
            coded = facts | {"decoded_back": bool(held.decoded[u])}
            costs = (held.bits[u].sum(), facts), (held.coded_bits[u], coded)
            for metric, (cost, detail) in zip(RATES, costs, strict=True):
                total, seconds = float(cost + corpus.fixed_bits[u]), float(corpus.seconds[u])
                if seconds > 0:
                    yield Measurement(
                        metric,
                        total / seconds,
                        numerator=total,
                        denominator=seconds,
                        detail=json.dumps(detail),
                        utterance_id=utterance.id,
                    )
                else:
                    reason = "no record states the duration of the utterance"
                    yield Measurement(metric, status=Status.BACKEND_ERROR, reason=reason, utterance_id=utterance.id)


def nothing(metrics: Sequence[str], status: Status, reason: str, component: str = "") -> list[Measurement]:
    """Return a measurement without value for each of ``metrics``."""
    return [Measurement(name, status=status, reason=reason, component=component) for name in metrics]


def _without_tokens(view: CodecView, corpus: TokenCorpus) -> Iterator[Measurement]:
    failed: dict[str, Record] = {r.utterance_id: r for r in view.records if r.status != Status.OK}
    for name in corpus.missing:
        record = failed.get(name)
        status = Status(record.status) if record else Status.BACKEND_ERROR
        reason = record.reason if record else "the store holds no tokens of this utterance"
        for metric in RATES:
            yield Measurement(metric, status=status, reason=reason, utterance_id=name)


def _books(corpus: TokenCorpus, held: HeldOut) -> Iterator[Measurement]:
    metric = "ngram_bits_per_code"
    for k, book in enumerate(corpus.books):
        if len(book.codes):
            detail = json.dumps({"codes": len(book.codes), "entries": book.size})
            yield Measurement(
                metric, float(held.bits[:, k].sum() / len(book.codes)), component=book.name, detail=detail
            )
        else:
            yield from nothing((metric,), Status.TOO_FEW_FRAMES, "no codes", book.name)


def _half(corpus: TokenCorpus, held: HeldOut) -> Measurement:
    detail = json.dumps({"codes_of_the_corpus": corpus.num_codes, "bits_half": held.half_bits, "bits": held.full_bits})
    if held.folds < 4 or held.full_bits <= 0:
        return nothing(("ngram_half_data_pct",), Status.TOO_FEW_FRAMES, "fewer than four folds hold utterances")[0]
    return Measurement("ngram_half_data_pct", 100 * (held.half_bits / held.full_bits - 1), detail=detail)
