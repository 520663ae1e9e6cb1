"""Long audio in chunks with enough context on either side that the result is that of the whole.

Every encoder and decoder states its receptive field (``context_samples``, ``context_frames``): a chunk is computed with
that much real signal around it, and what the cut could have touched is thrown away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from codecbench_lmspt.encoders import weight_dtype
from codecbench_lmspt.flow import Flow
from codecbench_lmspt.stages import Decoder

if TYPE_CHECKING:
    from codecbench_lmspt.model import LMSPT

Lookup = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Chunk:
    """Frames ``start..stop`` are computed, of which ``keep_from..keep_to`` (counted from 0 of the whole) are kept."""

    start: int
    stop: int
    keep_from: int
    keep_to: int


def plan(frames: int, chunk_frames: int | None, context_frames: int) -> Iterator[Chunk]:
    """Chunks that cover ``frames`` without overlap, each with its context; one chunk if that is cheaper."""
    if chunk_frames is None or frames <= chunk_frames + context_frames:
        yield Chunk(0, frames, 0, frames)
        return
    for first in range(0, frames, chunk_frames):
        last = min(first + chunk_frames, frames)
        yield Chunk(max(0, first - context_frames), min(frames, last + context_frames), first, last)


def _audio_of(audio: Tensor, num_samples: Tensor | None, chunk: Chunk, hop_samples: int) -> Tensor:
    """The chunk's part of ``audio[B, 1, T]``, filled up with zeros to whole frames and silent beyond each row's end."""
    start, stop = chunk.start * hop_samples, chunk.stop * hop_samples
    part = audio[..., start:stop]
    if num_samples is not None:
        part = Flow((num_samples.to(audio.device) - start).clamp_min(0)).mask(part)
    return F.pad(part, (0, stop - start - part.shape[-1]))


def frame_lengths(num_samples: Tensor | None, audio: Tensor, hop_samples: int) -> Tensor | None:
    """Frames per row, or None where all rows fill the batch (then no layer needs to mask)."""
    if num_samples is None:
        return None
    frames = -(-num_samples.to(audio.device) // hop_samples)
    full = -(-audio.shape[-1] // hop_samples)
    return None if bool((frames == full).all()) else frames


def _chunk_frames(model: LMSPT) -> int | None:
    if model.chunk_seconds is None:
        return None
    return max(1, round(model.chunk_seconds * model.frame_rate_hz))


def _part(lengths: Tensor | None, chunk: Chunk, scale: int) -> Tensor | None:
    """Each row's length within a chunk; None where the chunk is full in every row."""
    if lengths is None:
        return None
    inside = (lengths - chunk.start).clamp(0, chunk.stop - chunk.start)
    return None if bool((inside == chunk.stop - chunk.start).all()) else inside * scale


def encode(model: LMSPT, audio: Tensor, num_samples: Tensor | None, books: int) -> Tensor:
    """Codes ``[B, books, ceil(T / hop)]`` of ``audio[B, 1, T]``, rows of ``num_samples[B]`` (None: all T), 0 beyond."""
    hop = model.hop_samples
    context = -(-model.semantic_encoder.context_samples // hop)
    frames = frame_lengths(num_samples, audio, hop)
    frames = None if frames is None else frames.to(model.device)
    kept = []
    for chunk in plan(-(-audio.shape[-1] // hop), _chunk_frames(model), context):
        part = _audio_of(audio, num_samples, chunk, hop).to(model.device)
        semantic, acoustic = model.latents(part, _part(frames, chunk, hop))
        keep = slice(chunk.keep_from - chunk.start, chunk.keep_to - chunk.start)
        kept.append(model.quantizer.encode(semantic[..., keep], acoustic[..., keep], books))
    codes = torch.cat(kept, dim=-1)
    return codes if frames is None else codes * Flow(frames).valid(codes.shape[-1])[:, None]


def decode(model: LMSPT, decoder: Decoder, lookup: Lookup, codes: Tensor, frames: Tensor | None) -> Tensor:
    """Audio ``[B, 1, F * hop]`` in float32 at least; ``lookup`` turns codes into the latent that ``decoder`` reads."""
    hop = decoder.hop_samples
    rows, _, total = codes.shape
    whole = torch.empty(0)
    for chunk in plan(total, _chunk_frames(model), decoder.context_frames):
        flow = Flow(_part(frames, chunk, 1))
        latent = flow.mask(lookup(codes[..., chunk.start : chunk.stop])).to(weight_dtype(decoder))
        audio = decoder(latent, flow)
        # Odd strides of the release lose a few samples at the end: silence, as in its training.
        audio = F.pad(audio, (0, (chunk.stop - chunk.start) * hop - audio.shape[-1]))
        if chunk.keep_from == 0:
            whole = audio.new_empty(rows, 1, total * hop, dtype=torch.promote_types(audio.dtype, torch.float32))
        # Copied at once: the memory behind a CUDA graph's output is used again by the next chunk.
        keep = slice((chunk.keep_from - chunk.start) * hop, (chunk.keep_to - chunk.start) * hop)
        whole[..., chunk.keep_from * hop : chunk.keep_to * hop] = audio[..., keep]
    return whole
