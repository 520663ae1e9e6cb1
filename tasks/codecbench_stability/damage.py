"""What a channel does to tokens: frames that do not arrive, codes that arrive as others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from codecbench.contracts.encoded import Tokens, TokenStream


def lose_frames(tokens: Tokens, share: float, rng: np.random.Generator) -> Tokens:
    """Lose each span of the longest frame with probability ``share``; the receiver repeats the last codes it has.

    The same spans are lost in all streams (B = 1). Losses of a smaller ``share`` by an equally seeded ``rng`` are
    among those of a larger one. Global tokens are never lost.
    """
    rates = [s.frame_rate_hz for s in tokens.streams if s.frame_rate_hz > 0]
    if not rates:
        return tokens
    slowest = min(rates)
    spans = max(int(s.num_frames[0] * slowest / s.frame_rate_hz) + 1 for s in tokens.streams if s.frame_rate_hz > 0)
    lost = rng.random(spans) < share
    return replace(tokens, streams=tuple(_conceal(s, lost, slowest) for s in tokens.streams))


def _conceal(stream: TokenStream, lost: np.ndarray, slowest_hz: float) -> TokenStream:
    frames = int(stream.num_frames[0])
    if stream.frame_rate_hz == 0 or frames == 0:
        return stream
    span = np.minimum((np.arange(frames) * slowest_hz / stream.frame_rate_hz).astype(np.int64), len(lost) - 1)
    arrived = ~lost[span]
    if not arrived.any():
        return stream
    source = np.maximum.accumulate(np.where(arrived, np.arange(frames), -1))
    source = np.where(source < 0, np.argmax(arrived), source)  # before the first that arrives: that one
    codes = stream.codes.clone()
    codes[:, :, :frames] = stream.codes[:, :, torch.from_numpy(source).to(stream.codes.device)]
    return replace(stream, codes=codes)


def corrupt_codes(tokens: Tokens, share: float, rng: np.random.Generator) -> Tokens:
    """Replace each code with probability ``share`` by another of its codebook, all equally likely (B = 1)."""
    return replace(tokens, streams=tuple(_corrupt(s, share, rng) for s in tokens.streams))


def _corrupt(stream: TokenStream, share: float, rng: np.random.Generator) -> TokenStream:
    frames = int(stream.num_frames[0])
    codes = stream.codes.clone()
    for k, size in enumerate(stream.codebook_sizes):
        struck = rng.random(frames) < share
        step = rng.integers(1, size, frames) if size > 1 else np.zeros(frames, np.int64)
        moved = torch.from_numpy(np.where(struck, step, 0)).to(codes.device)
        codes[0, k, :frames] = (codes[0, k, :frames] + moved) % size
    return replace(stream, codes=codes)
