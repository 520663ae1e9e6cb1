"""Synthetic languages of codes with known entropy, as a scorer sees them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from task_testing import RATE_HZ, record

from codecbench import CodecSpec, CodecView, Measurement, Tokens, TokenStream, Utterance


def markov_matrix(size: int, sharpness: float, seed: int = 0) -> np.ndarray:
    """A transition matrix [size, size]; the sharper, the more predictable."""
    return np.random.default_rng(seed).dirichlet(np.full(size, 1 / sharpness), size)


def stationary(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eig(matrix.T)
    share = np.real(vectors[:, np.argmax(np.real(values))])
    return share / share.sum()


def entropy(share: np.ndarray) -> float:
    seen = share[share > 0]
    return float(-np.sum(seen * np.log2(seen)))


def entropy_rate(matrix: np.ndarray) -> float:
    """Bits per step of the Markov chain."""
    return float(sum(p * entropy(row) for p, row in zip(stationary(matrix), matrix, strict=True)))


def sample_chain(matrix: np.ndarray, frames: int, rng: np.random.Generator) -> np.ndarray:
    limits = np.cumsum(matrix, axis=1)
    limits[:, -1] = 1.0
    draws, codes = rng.random(frames), np.zeros(frames, np.int64)
    codes[0] = np.searchsorted(np.cumsum(stationary(matrix)), draws[0])
    for t in range(1, frames):
        codes[t] = np.searchsorted(limits[codes[t - 1]], draws[t], side="right")
    return codes


def ideal_bits(matrix: np.ndarray, codes: np.ndarray) -> float:
    """What ``codes`` [F] cost under the source itself: no code can be shorter on average."""
    return float(-np.log2(stationary(matrix)[codes[0]]) - np.log2(matrix[codes[:-1], codes[1:]]).sum())


def tokens(codes: np.ndarray, sizes: Sequence[int], rate_hz: float, extra: Sequence[TokenStream] = ()) -> Tokens:
    """One stream of codes [K, F], with padding beyond the true frames."""
    padded = torch.nn.functional.pad(torch.from_numpy(codes[None]), (0, 5))
    stream = TokenStream("codes", padded, torch.tensor([codes.shape[1]]), rate_hz, tuple(sizes))
    return Tokens((stream, *extra), torch.tensor([RATE_HZ]))


def view(
    utterances: Sequence[Tokens], frame_rate_hz: float, *, speakers: Sequence[str] | None = None, name: str = "codec"
) -> CodecView:
    """Utterances whose duration follows from their first stream's frames."""
    rows = [
        (Utterance(f"u{i:04d}", Path("x.wav"), speaker=speakers[i] if speakers else None), encoded)
        for i, encoded in enumerate(utterances)
    ]
    seconds = [int(e.streams[0].num_frames[0]) / frame_rate_hz for e in utterances]
    records = [record("token_rate", u.id, duration_s=s) for (u, _), s in zip(rows, seconds, strict=True)]
    return CodecView(name, CodecSpec(name), records, (), lambda: iter(rows))


def total(measurements: Sequence[Measurement], metric: str) -> float:
    """Corpus value of a ratio."""
    rows = [m for m in measurements if m.metric == metric and m.value is not None]
    return sum(m.numerator for m in rows) / sum(m.denominator for m in rows)
