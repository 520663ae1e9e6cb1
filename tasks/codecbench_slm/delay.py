"""The delay pattern: how K codebooks of F frames lie on one sequence of positions.

Position p holds codebook k of frame p - k, so that every code is predicted from all coarser codes of its own frame and
one pass of the language model gives one code of each book (Copet et al., "Simple and Controllable Music Generation",
2023, section 2.2, "delay"). The first book is the semantic stream of codecs that have one: it comes undelayed, in the
order of the text.

Places outside the utterance hold the book's *empty* entry, ``size`` (one past its last code). In the first book this
entry is the end of speech: it stands at position F, and again until the slowest book is done. An utterance takes
``F + max(1, K - 1)`` positions; with one codebook that is its codes and the end.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def num_positions(num_frames: int, num_codebooks: int) -> int:
    """Positions that ``num_frames`` frames take."""
    return num_frames + max(1, num_codebooks - 1)


def delayed(codes: np.ndarray, codebook_sizes: Sequence[int]) -> np.ndarray:
    """Lay codes [K, F] out as positions [P, K], int64; empty places hold the book's size."""
    books, frames = codes.shape
    rows = np.tile(np.asarray(codebook_sizes, np.int64), (num_positions(frames, books), 1))
    for book in range(books):
        rows[book : book + frames, book] = codes[book]
    return rows


def undelayed(rows: np.ndarray, codebook_sizes: Sequence[int]) -> tuple[np.ndarray, bool]:
    """Return the codes [K, F] of positions [P, K], and whether the end of speech was among them.

    Without an end, the frames that are complete in every book are returned. Raises ValueError where a code of a
    complete frame is empty: the positions were not made by this pattern.
    """
    books = rows.shape[1]
    ends = np.flatnonzero(rows[:, 0] == codebook_sizes[0])
    complete = max(0, len(rows) - (books - 1))
    frames = min(int(ends[0]), complete) if len(ends) else complete
    codes = np.stack([rows[book : book + frames, book] for book in range(books)])
    if (codes >= np.asarray(codebook_sizes)[:, None]).any():
        raise ValueError("a frame holds an empty place: these positions do not follow the delay pattern")
    return codes, bool(len(ends))
