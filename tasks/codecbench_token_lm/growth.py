"""How the number of different n-grams grows with the number of codes."""

from __future__ import annotations

import numpy as np

from codecbench_token_lm.sequences import Book


def ngram_counts(book: Book, length: int) -> np.ndarray:
    """Return how often each different run of ``length`` codes within an utterance occurs, int64 [types]."""
    index = np.arange(len(book.codes))
    key = book.codes
    for steps in range(1, length):
        key = np.unique(key * (book.size + 1) + book.before(steps), return_inverse=True)[1]
    whole = index - book.starts[book.utterance] >= length - 1
    return np.unique(key[whole], return_counts=True)[1]


def expected_types(counts: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Return the number of types expected among ``draws`` [D] observations drawn without replacement; float64 [D].

    Source: Hurlbert, "The nonconcept of species diversity", Ecology 52, 1971 (rarefaction): exact, whatever the order
    of the corpus.
    """
    from scipy.special import gammaln

    total = int(counts.sum())
    size, number = np.unique(counts, return_counts=True)
    rest = (total - size)[:, None]
    possible = rest >= draws
    log_absent = gammaln(rest + 1) - gammaln(np.where(possible, rest - draws, 0) + 1)
    log_absent += gammaln(total - draws + 1) - gammaln(total + 1)
    absent = np.where(possible, np.exp(log_absent), 0.0)
    return number @ (1 - absent)


def growth_exponent(counts: np.ndarray) -> float:
    """Return Heaps' exponent over the last tenfold growth of the sample: log10 of types at all over types at a tenth.

    1 where every n-gram is new, 0 where all have been seen. Source: Heaps, "Information retrieval", 1978.
    """
    total = int(counts.sum())
    few, many = expected_types(counts, np.array([max(1, total // 10), total]))
    return float(np.log(many / few) / np.log(total / max(1, total // 10)))
