"""A range coder driven by the n-gram model: real bytes that decode back to the same codes.

The coder is that of ``constriction`` (Bamler, "Understanding entropy coding with asymmetric numeral systems (ANS): a
statistician's perspective", 2022); each utterance is coded by itself, codebook after codebook, in words of 32 bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from codecbench_token_lm.kneser_ney import KneserNey
from codecbench_token_lm.sequences import Book

WORD_BITS = 32
# Entries of the table of probabilities that is held at a time.
TABLE_ENTRIES = 1 << 22


def encode(models: Sequence[KneserNey], books: Sequence[Book], index: int) -> np.ndarray:
    """Return utterance ``index`` as uint32 words; ``models`` holds one model for each of ``books``."""
    import constriction

    coder, family = constriction.stream.queue.RangeEncoder(), _family()
    for model, book in zip(models, books, strict=True):
        place = book.of(index)
        symbols = book.codes[place].astype(np.int32)
        conditions = [c[place] for c in book.contexts(model.order)]
        step = max(1, TABLE_ENTRIES // book.size)
        for start in range(0, len(symbols), step):
            part = slice(start, start + step)
            table = model.distributions([c[part] for c in conditions], len(symbols[part]))
            coder.encode(symbols[part], family, table.astype(np.float32))
    return np.asarray(coder.get_compressed())


def decode(
    models: Sequence[KneserNey], books: Sequence[Book], words: Sequence[np.ndarray], frames: np.ndarray
) -> list[np.ndarray]:
    """Return the codes [U, F] of each book for utterances coded as ``words``, from nothing but those and ``frames``.

    frames: int64 [books, U]. Of ``books`` only sizes and which of them stand on the one below are read. Codes
    beyond an utterance's frames are 0.
    """
    import constriction

    coders = [constriction.stream.queue.RangeDecoder(w) for w in words]
    decoded: list[np.ndarray] = []
    for model, book, lengths in zip(models, books, frames, strict=True):
        below = decoded[-1] if book.below is not None else None
        decoded.append(_decode_book(model, book.size, coders, lengths, below))
    return decoded


def _decode_book(
    model: KneserNey, size: int, coders: Sequence[Any], lengths: np.ndarray, below: np.ndarray | None
) -> np.ndarray:
    family = _family()
    codes = np.zeros((len(coders), int(lengths.max(initial=0))), np.int64)
    for frame in range(codes.shape[1]):
        rows = np.flatnonzero(lengths > frame)
        conditions = [] if below is None else [below[rows, frame]]
        conditions += [_earlier(codes, rows, frame - steps, size) for steps in range(1, model.order)]
        table = model.distributions(conditions[: model.order - 1], len(rows)).astype(np.float32)
        for row, share in zip(rows, table, strict=True):
            codes[row, frame] = coders[int(row)].decode(family, share[None])[0]
    return codes


def _earlier(codes: np.ndarray, rows: np.ndarray, frame: int, size: int) -> np.ndarray:
    return codes[rows, frame] if frame >= 0 else np.full(len(rows), size)


def _family() -> object:
    import constriction

    # Not the optimal rounding of probabilities to 24 bits, but the same one in time linear in the alphabet.
    return constriction.stream.model.Categorical(perfect=False)
