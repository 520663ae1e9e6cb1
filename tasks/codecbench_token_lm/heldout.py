"""Cross-validation: every utterance is measured by a model that was fitted without it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from codecbench_token_lm import coder
from codecbench_token_lm.kneser_ney import KneserNey
from codecbench_token_lm.sequences import Book, TokenCorpus, assign_folds


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Cost of a corpus under models of its other folds.

    bits: float64 [U, books], -log2 of the probability of an utterance's codes. coded_bits: int64 [U], size of the
    range coder's output. decoded: bool [U], whether that output was decoded again and compared. half_bits,
    full_bits: of fold 0 under models of half and of all the other folds. folds: how many; split: what was held apart.
    """

    bits: np.ndarray
    coded_bits: np.ndarray
    decoded: np.ndarray
    half_bits: float
    full_bits: float
    folds: int
    split: str


class NotDecodableError(RuntimeError):
    """The range coder's output did not decode back to the codes that went in."""


def evaluate(corpus: TokenCorpus, max_order: int, decode_codes: int) -> HeldOut | None:
    """Fit, measure and code fold by fold; None where fewer than two folds hold utterances.

    decode_codes: at least this many codes (or all) are decoded again, a share of them in each fold. Raises
    NotDecodableError where that gives other codes.
    """
    fold_of, split = assign_folds(corpus.utterances)
    folds = np.unique(fold_of)
    if len(folds) < 2:
        return None
    bits = np.zeros((len(corpus.utterances), len(corpus.books)))
    coded, decoded = np.zeros(len(bits), np.int64), np.zeros(len(bits), bool)
    for fold in folds:
        models = fit(corpus.books, fold_of, fold_of != fold, max_order)
        held = np.flatnonzero(fold_of == fold)
        bits[held] = code_bits(models, corpus.books, fold_of == fold)[held]
        words = [coder.encode(models, corpus.books, int(u)) for u in held]
        coded[held] = [coder.WORD_BITS * len(w) for w in words]
        checked = _within(corpus, held, decode_codes // len(folds))
        _decode_back(models, corpus.books, held[:checked], words[:checked])
        decoded[held[:checked]] = True
    half = fit(corpus.books, fold_of, (fold_of != folds[0]) & (fold_of % 2 == 1), max_order)
    first = fold_of == folds[0]
    half_bits = float(code_bits(half, corpus.books, first).sum())
    return HeldOut(bits, coded, decoded, half_bits, float(bits[first].sum()), len(folds), split)


def fit(books: Sequence[Book], fold_of: np.ndarray, train: np.ndarray, max_order: int) -> list[KneserNey]:
    """Fit one model for each book to the utterances in ``train`` (bool [U]) of the folds ``fold_of`` (int64 [U]).

    The order of each is the one of 1 … ``max_order`` that predicts the last of the training folds best from the
    others, so that a codebook of noise is not charged for long contexts that tell nothing.
    """
    tried = train & (fold_of == fold_of[train].max(initial=-1))
    shown = train & ~tried
    return [_fit_book(book, shown, tried, train, max_order) for book in books]


def _fit_book(book: Book, shown: np.ndarray, tried: np.ndarray, train: np.ndarray, max_order: int) -> KneserNey:
    costs = []
    for order in range(1, max_order + 1):
        model = KneserNey.fit(*_examples(book, shown, order), book.size)
        costs.append(code_bits([model], [book], tried).sum())
    best = int(np.argmin(costs)) + 1
    return KneserNey.fit(*_examples(book, train, best), book.size)


def code_bits(models: Sequence[KneserNey], books: Sequence[Book], held: np.ndarray) -> np.ndarray:
    """Return the bits of each utterance in ``held`` (bool [U]) and book, 0 for the others; float64 [U, books]."""
    bits = np.zeros((len(held), len(books)))
    for k, (model, book) in enumerate(zip(models, books, strict=True)):
        symbols, conditions = _examples(book, held, model.order)
        cost = -np.log2(model.probability(symbols, conditions))
        bits[:, k] = np.bincount(book.utterance[held[book.utterance]], cost, len(held))
    return bits


def _examples(book: Book, chosen: np.ndarray, order: int) -> tuple[np.ndarray, list[np.ndarray]]:
    kept = chosen[book.utterance]
    return book.codes[kept], [condition[kept] for condition in book.contexts(order)]


def _within(corpus: TokenCorpus, held: np.ndarray, budget: int) -> int:
    """How many of the utterances ``held`` it takes to reach ``budget`` codes."""
    if budget <= 0:
        return 0
    codes = np.sum([np.diff(book.starts)[held] for book in corpus.books], axis=0)
    return min(int(np.searchsorted(np.cumsum(codes), budget)) + 1, len(held))


def _decode_back(
    models: Sequence[KneserNey], books: Sequence[Book], held: np.ndarray, words: Sequence[np.ndarray]
) -> None:
    frames = np.array([np.diff(book.starts)[held] for book in books])
    for book, codes in zip(books, coder.decode(models, books, words, frames), strict=True):
        for row, (u, original) in enumerate(_originals(book, held)):
            if not np.array_equal(codes[row, : len(original)], original):
                raise NotDecodableError(f"codebook {book.name}: utterance number {u} does not decode to its own codes")


def _originals(book: Book, held: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    for u in held:
        yield int(u), book.codes[book.of(int(u))]
