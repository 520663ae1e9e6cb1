"""Scorer of byte-pair encoding on held-out utterances."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from codecbench.contracts.metric import CodecView, Measurement, Status
from codecbench_token_lm.bpe import MOST_CODES, as_text, learn
from codecbench_token_lm.ngram import NO_TOKENS, nothing
from codecbench_token_lm.sequences import Book, TokenCorpus, assign_folds, collect

METRICS = ("bpe_token_rate", "bpe_compression")


class MergeScorer:
    """Learns merges of each stream's first codebook on four fifths of the corpus and applies them to the last."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        """Take the option ``merges``."""
        self._merges = int(options["merges"])

    def score(self, view: CodecView) -> Sequence[Measurement]:
        """Return tokens per second and compression for the first codebook of each stream, the curve in the detail."""
        corpus = collect(view)
        if corpus is None:
            return nothing(METRICS, Status.NOT_APPLICABLE, NO_TOKENS)
        first = [book for book in corpus.books if book.name.endswith("/0")]
        return [m for book in first for m in self._measure(corpus, book)]

    def _measure(self, corpus: TokenCorpus, book: Book) -> Sequence[Measurement]:
        if book.size > MOST_CODES:
            reason = f"codebook {book.name}: {book.size} entries, more than there are characters ({MOST_CODES})"
            return nothing(METRICS, Status.NOT_APPLICABLE, reason, book.name)
        fold_of, split = assign_folds(corpus.utterances)
        held = fold_of == fold_of.max(initial=0)
        texts = [as_text(book.codes[book.of(u)]) for u in range(len(held))]
        before, seconds = sum(len(t) for t, h in zip(texts, held, strict=True) if h), float(corpus.seconds[held].sum())
        if held.all() or not before or seconds <= 0:
            return nothing(METRICS, Status.TOO_FEW_FRAMES, "too few utterances to hold some apart", book.name)
        merges = learn([t for t, h in zip(texts, held, strict=True) if not h], book.size, self._merges)
        apart = [t for t, h in zip(texts, held, strict=True) if h]
        steps = _steps(len(merges.merges))
        curve = [int(merges.lengths(apart, count).sum()) for count in steps]
        facts = {
            "merges": steps,
            "tokens_per_second": [round(length / seconds, 3) for length in curve],
            "codes_held_out": before,
            "codes_of_the_corpus": len(book.codes),
            "held_apart_by": split,
        }
        detail = json.dumps(facts)
        return [
            Measurement("bpe_token_rate", curve[-1] / seconds, component=book.name, detail=detail),
            Measurement("bpe_compression", before / curve[-1], component=book.name, detail=detail),
        ]


def _steps(most: int) -> list[int]:
    """Return 0, powers of two from 16, and ``most``."""
    powers = [2**p for p in range(4, 32) if 2**p < most]
    return sorted({0, *powers, most})
