"""Codecs held to their contract: what encode and decode return is checked before anything is made of it."""

from __future__ import annotations

import numpy as np
import torch

from codecbench.audio.resample import resampled_length
from codecbench.contracts.audio import Batch, Waveforms
from codecbench.contracts.codec import CodecSpec
from codecbench.contracts.encoded import AudioPassthrough, Bitstream, Encoded, Tokens, TokenStream
from codecbench.contracts.metric import Status
from codecbench.errors import CodecbenchError

# Frames that a stream may hold less than its rate says: a share, and as many for what is lost at the ends.
FRAME_SHARE, FRAME_SLACK = 0.1, 2.0


class BrokenContractError(CodecbenchError):
    """A codec returned what its contract rules out; ``status`` is that of the records."""

    def __init__(self, message: str, status: Status = Status.BACKEND_ERROR) -> None:
        super().__init__(message)
        self.status = status


def check_encoded(spec: CodecSpec, batch: Batch, encoded: Encoded) -> None:
    """Raise BrokenContractError where shapes, lengths or codes are not what the contract says.

    Too few frames are LENGTH_MISMATCH: rates count frames, and would come out too good.
    """
    if not isinstance(encoded, Tokens | Bitstream | AudioPassthrough):
        raise BrokenContractError(f"encode returned {type(encoded).__name__}, not an encoded form")
    if encoded.num_samples.tolist() != batch.num_samples.tolist():
        lengths = f"{encoded.num_samples.tolist()}, given were {batch.num_samples.tolist()}"
        raise BrokenContractError(f"encode returned num_samples {lengths}")
    if isinstance(encoded, Bitstream) and len(encoded.payloads) != len(batch):
        raise BrokenContractError(f"encode returned {len(encoded.payloads)} payloads for {len(batch)} utterances")
    if isinstance(encoded, Tokens):
        for stream in encoded.streams:
            _check_stream(stream, batch)


def _check_stream(stream: TokenStream, batch: Batch) -> None:
    where, codes, sizes = f"stream '{stream.name}'", stream.codes, stream.codebook_sizes
    if codes.dim() != 3 or codes.shape[:2] != (len(batch), len(sizes)):
        meant = f"[{len(batch)}, {len(sizes)}, F] is meant"
        raise BrokenContractError(f"{where}: codes have the shape {list(codes.shape)}, {meant}")
    if codes.is_floating_point() or codes.is_complex():
        raise BrokenContractError(f"{where}: codes are {codes.dtype}, int64 is meant")
    frames = stream.num_frames.tolist()
    if len(frames) != len(batch) or min(frames) < 0 or max(frames) > codes.shape[-1]:
        raise BrokenContractError(f"{where}: num_frames is {frames} for codes of {codes.shape[-1]} frames")
    inside = torch.arange(codes.shape[-1]) < stream.num_frames[:, None]
    for book, size in enumerate(sizes):
        used = codes[:, book][inside]
        if used.numel() and not 0 <= int(used.min()) <= int(used.max()) < size:
            found = f"{int(used.min())}..{int(used.max())}, its size is {size}"
            raise BrokenContractError(f"{where}: codebook {book} holds codes {found}")
    if stream.frame_rate_hz > 0 and stream.durations is None:
        _check_frames(stream, batch, frames)


def _check_frames(stream: TokenStream, batch: Batch, frames: list[int]) -> None:
    for found, samples in zip(frames, batch.num_samples.tolist(), strict=True):
        expected = samples / batch.sample_rate_hz * stream.frame_rate_hz
        if found < (1 - FRAME_SHARE) * expected - FRAME_SLACK:
            raise BrokenContractError(
                f"stream '{stream.name}': {found} frames for {samples} samples at {batch.sample_rate_hz} Hz, "
                f"{stream.frame_rate_hz:g} Hz makes {expected:.1f}",
                Status.LENGTH_MISMATCH,
            )


def checked_row(
    spec: CodecSpec, mode: str, waves: Waveforms, row: int, num_samples: int, sample_rate_hz: int
) -> np.ndarray:
    """Return row ``row`` of decoded audio as float32 [T]; num_samples, sample_rate_hz: of the input.

    Raises BrokenContractError for another rate or length than the contract says, or samples that are not finite.
    """
    rate_hz = spec.output_rate_hz(mode, sample_rate_hz)
    if waves.sample_rate_hz != rate_hz:
        raise BrokenContractError(f"decoded at {waves.sample_rate_hz} Hz, the specification says {rate_hz} Hz")
    if waves.audio.dim() != 3 or waves.audio.shape[1] != 1:
        raise BrokenContractError(f"decoded audio has the shape {list(waves.audio.shape)}, [B, 1, T] is meant")
    audio: np.ndarray = waves.row(row).detach().to("cpu", torch.float32).numpy()
    expected = resampled_length(num_samples, sample_rate_hz, rate_hz)
    if len(audio) != expected:
        message = f"decoded {len(audio)} samples, expected {expected} at {rate_hz} Hz"
        raise BrokenContractError(message, Status.LENGTH_MISMATCH)
    if not np.isfinite(audio).all():
        bad = int((~np.isfinite(audio)).sum())
        message = f"{bad} of {len(audio)} decoded samples are NaN or infinite"
        raise BrokenContractError(message, Status.NAN_OUTPUT)
    return audio
