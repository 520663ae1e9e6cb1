"""Which utterances may share a batch, and how rows are put together and taken apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from codecbench.contracts.audio import Batch, Utterance, Waveforms
from codecbench.contracts.codec import Batching, CodecSpec
from codecbench.contracts.encoded import AudioPassthrough, Bitstream, Encoded, Tokens, TokenStream

# Seconds of padded audio in one batch, and rows at most.
BATCH_SECONDS = {"cpu": 40.0, "cuda": 960.0}
MAX_ROWS = {"cpu": 8, "cuda": 128}


def num_frames(spec: CodecSpec, num_samples: int) -> int:
    """Frames of the slowest stream that ``num_samples`` at the codec's rate need; 0 where nothing is framed."""
    rates = [s.frame_rate_hz for s in spec.streams if s.frame_rate_hz > 0]
    if not rates or not spec.sample_rate_hz:
        return 0
    return math.ceil(num_samples * min(rates) / spec.sample_rate_hz)


def group_rows(spec: CodecSpec, lengths: Sequence[int], sample_rate_hz: int, device: str) -> list[list[int]]:
    """Split row indices into batches by the codec's declared batching, longest first."""
    if spec.batching is Batching.SINGLE:
        return [[i] for i in range(len(lengths))]
    kind = "cuda" if device.startswith("cuda") else "cpu"
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    groups: list[list[int]] = []
    for index in order:
        group = groups[-1] if groups else []
        longest = lengths[group[0]] if group else 0
        fits = group and len(group) < MAX_ROWS[kind]
        fits = fits and longest * (len(group) + 1) <= BATCH_SECONDS[kind] * sample_rate_hz
        if fits and spec.batching is Batching.EQUAL_FRAMES:
            fits = num_frames(spec, longest) == num_frames(spec, lengths[index]) > 0
        if fits:
            group.append(index)
        else:
            groups.append([index])
    return groups


def collate_audio(audio: Sequence[np.ndarray], sample_rate_hz: int, utterances: Sequence[Utterance]) -> Batch:
    """Right-pad float32 [T] rows with zeros into one batch."""
    lengths = [len(a) for a in audio]
    padded = torch.zeros(len(audio), 1, max(lengths))
    for row, samples in enumerate(audio):
        padded[row, 0, : len(samples)] = torch.from_numpy(np.ascontiguousarray(samples))
    return Batch(padded, torch.tensor(lengths), sample_rate_hz, tuple(utterances))


def collate_encoded(rows: Sequence[Encoded]) -> Encoded:
    """Put single utterances (B = 1) of one codec back together."""
    if len(rows) == 1:
        return rows[0]
    num_samples = torch.cat([row.num_samples for row in rows])
    first = rows[0]
    if isinstance(first, Tokens):
        tokens = [row for row in rows if isinstance(row, Tokens)]
        streams = [_collate_streams([row.streams[i] for row in tokens]) for i in range(len(first.streams))]
        return Tokens(tuple(streams), num_samples)
    if isinstance(first, Bitstream):
        parts = [row for row in rows if isinstance(row, Bitstream)]
        bits = None if first.bits is None else tuple(b for row in parts for b in row.bits or ())
        return Bitstream(tuple(p for row in parts for p in row.payloads), num_samples, bits)
    passed = [row for row in rows if isinstance(row, AudioPassthrough)]
    audio = _pad_last([row.waveforms.audio for row in passed])
    lengths = torch.cat([row.waveforms.num_samples for row in passed])
    waves = Waveforms(audio, lengths, first.waveforms.sample_rate_hz)
    return replace(first, waveforms=waves, num_samples=num_samples, bitrate_bps=None)


def _collate_streams(streams: Sequence[TokenStream]) -> TokenStream:
    first = streams[0]
    durations = [s.durations for s in streams if s.durations is not None]
    side = [s.side_info_bits for s in streams if s.side_info_bits is not None]
    return replace(
        first,
        codes=_pad_last([s.codes for s in streams]),
        num_frames=torch.cat([s.num_frames for s in streams]),
        durations=_pad_last(durations) if durations else None,
        side_info_bits=torch.cat(side) if side else None,
    )


def _pad_last(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    longest = max(part.shape[-1] for part in parts)
    return torch.cat([torch.nn.functional.pad(part, (0, longest - part.shape[-1])) for part in parts])


def moved(encoded: Encoded, device: str) -> Encoded:
    """Return the encoded form with its tensors on ``device``."""
    if isinstance(encoded, Tokens):
        streams = tuple(
            replace(
                s,
                codes=s.codes.to(device),
                num_frames=s.num_frames.to(device),
                durations=None if s.durations is None else s.durations.to(device),
                side_info_bits=None if s.side_info_bits is None else s.side_info_bits.to(device),
            )
            for s in encoded.streams
        )
        return Tokens(streams, encoded.num_samples.to(device))
    return encoded


def moved_batch(batch: Batch, device: str) -> Batch:
    """Return the batch with its tensors on ``device``."""
    if device == "cpu":
        return batch
    return replace(batch, audio=batch.audio.to(device), num_samples=batch.num_samples.to(device))
