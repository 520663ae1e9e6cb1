"""Interpolated Kneser-Ney smoothing over integer symbols, with arrays throughout.

Chen & Goodman, "An empirical study of smoothing techniques for language modeling", 1998 (modified discounts);
the lowest order is interpolated with the uniform distribution, so that every code has a probability. What is
conditioned on need not be the past alone: the lower orders leave out the last conditions first, as in the factored
language models of Bilmes & Kirchhoff, 2003.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Discounts = Callable[[np.ndarray], np.ndarray]
# A discount of nothing would leave unseen codes without probability.
LEAST_DISCOUNT = 0.01


def modified_discounts(counts: np.ndarray) -> np.ndarray:
    """Return the discounts [4] of n-grams seen 0, 1, 2 and at least 3 times, from ``counts`` [types] of an order.

    Source: Chen & Goodman 1998, equation 26. Where a count of counts is zero (a small alphabet, seen often), one half
    for all: the estimate does not exist, and hardly matters.
    """
    n1, n2, n3, n4 = (np.count_nonzero(counts == c) for c in (1, 2, 3, 4))
    if 0 in (n1, n2, n3, n4):
        return np.array([0.0, 0.5, 0.5, 0.5])
    y = n1 / (n1 + 2 * n2)
    raw = np.array([0.0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
    return np.array([0.0, *np.clip(raw[1:], LEAST_DISCOUNT, np.array([1, 2, 3]) - LEAST_DISCOUNT)])


@dataclass(frozen=True, eq=False)
class _Order:
    """The n-grams of one order, sorted by context and symbol.

    contexts: int64 [C], sorted keys of the known contexts (shorter context × ``width`` + last condition).
    grams: int64 [G], sorted keys context × symbols + symbol. share: float64 [G], discounted relative frequency.
    left: float64 [C], weight left for the lower order. starts: int64 [C + 1], bounds of each context in ``grams``.
    """

    width: int
    contexts: np.ndarray
    grams: np.ndarray
    share: np.ndarray
    left: np.ndarray
    starts: np.ndarray

    def descend(self, shorter: np.ndarray, condition: np.ndarray) -> np.ndarray:
        """Return the index of the context that adds ``condition`` to ``shorter``; -1 where it is unknown."""
        found = _locate(self.contexts, shorter * self.width + condition)
        return np.where(shorter >= 0, found, -1)


@dataclass(frozen=True, eq=False)
class KneserNey:
    """Probabilities of ``num_symbols`` codes given the conditions of a fixed number, most telling first."""

    num_symbols: int
    orders: tuple[_Order, ...]
    unigram: np.ndarray

    @property
    def order(self) -> int:
        """Codes in the longest n-gram, the predicted one included."""
        return len(self.orders)

    @classmethod
    def fit(
        cls,
        symbols: np.ndarray,
        conditions: Sequence[np.ndarray],
        num_symbols: int,
        discounts: Discounts = modified_discounts,
    ) -> KneserNey:
        """Fit to ``symbols`` [n] in 0 … num_symbols - 1, each with its value in every one of ``conditions`` ([n] ≥ 0).

        The highest order counts occurrences, the others the different conditions that a code was seen with.
        """
        widths = [1, *(int(c.max(initial=0)) + 1 for c in conditions)]
        indices, keys = [np.zeros(len(symbols), np.int64)], [np.zeros(1, np.int64)]
        for width, condition in zip(widths[1:], conditions, strict=True):
            known, index = np.unique(indices[-1] * width + condition, return_inverse=True)
            indices.append(index)
            keys.append(known)
        grams, counts = np.unique(indices[-1] * num_symbols + symbols, return_counts=True)
        orders: list[_Order] = []
        for width, known in zip(widths[::-1], keys[::-1], strict=True):
            orders.insert(0, _order(width, known, grams, counts, num_symbols, discounts(counts)))
            parents = known[grams // num_symbols] // width
            grams, counts = np.unique(parents * num_symbols + grams % num_symbols, return_counts=True)
        return cls(num_symbols, tuple(orders), _unigram(orders[0], num_symbols))

    def probability(self, symbols: np.ndarray, conditions: Sequence[np.ndarray]) -> np.ndarray:
        """Return the probability of each of ``symbols`` [n] given its ``conditions`` (as many as were fitted)."""
        value = self.unigram[symbols]
        for order, context in self._contexts(conditions, len(symbols)):
            found = _locate(order.grams, context * self.num_symbols + symbols)
            share = np.where(found >= 0, order.share[found], 0.0)
            value = np.where(context >= 0, share + order.left[context] * value, value)
        return value

    def distributions(self, conditions: Sequence[np.ndarray], rows: int) -> np.ndarray:
        """Return the distribution over all codes for each of ``rows`` positions, float64 [rows, num_symbols]."""
        table = np.tile(self.unigram, (rows, 1))
        for order, context in self._contexts(conditions, rows):
            table *= np.where(context >= 0, order.left[context], 1.0)[:, None]
            known = np.flatnonzero(context >= 0)
            first, last = order.starts[context[known]], order.starts[context[known] + 1]
            row = np.repeat(known, last - first)
            gram = _ranges(first, last)
            table[row, order.grams[gram] % self.num_symbols] += order.share[gram]
        return table

    def _contexts(self, conditions: Sequence[np.ndarray], rows: int) -> list[tuple[_Order, np.ndarray]]:
        context, found = np.zeros(rows, np.int64), []
        for order, condition in zip(self.orders[1:], conditions, strict=True):
            if not len(order.grams):
                break
            # A value beyond those fitted would name another context's key.
            context = np.where(condition < order.width, order.descend(context, condition), -1)
            found.append((order, context))
        return found


def _order(
    width: int, contexts: np.ndarray, grams: np.ndarray, counts: np.ndarray, num_symbols: int, discounts: np.ndarray
) -> _Order:
    context = grams // num_symbols
    taken = discounts[np.minimum(counts, 3)]
    totals = np.maximum(np.bincount(context, counts, len(contexts)), 1)
    left = np.bincount(context, taken, len(contexts)) / totals
    starts = np.searchsorted(context, np.arange(len(contexts) + 1))
    return _Order(width, contexts, grams, (counts - taken) / totals[context], left, starts)


def _unigram(order: _Order, num_symbols: int) -> np.ndarray:
    if not len(order.grams):
        return np.full(num_symbols, 1 / num_symbols)
    value = np.full(num_symbols, order.left[0] / num_symbols)
    value[order.grams] += order.share
    return value


def _locate(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the place of each of ``wanted`` in the sorted ``keys``, -1 where it is not there."""
    if not len(keys):
        return np.full(len(wanted), -1)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, place, -1)


def _ranges(first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Return the numbers first … last - 1 of every pair, one after another."""
    lengths = last - first
    offset = np.concatenate([[0], np.cumsum(lengths)])[:-1]
    return np.arange(int(lengths.sum())) - np.repeat(offset - first, lengths)
