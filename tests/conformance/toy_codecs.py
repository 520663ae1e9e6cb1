"""A codec that keeps every promise, and ones that each break exactly one."""

from __future__ import annotations

import multiprocessing
import os
from dataclasses import replace

import torch

from codecbench import (
    Batch,
    Batching,
    Bitstream,
    Codec,
    CodecSpec,
    DecodeMode,
    Encoded,
    StreamSpec,
    Tokens,
    TokenStream,
    Waveforms,
)
from codecbench.audio.framing import blank_beyond, count_frames, fit_waveforms, pad_to_frames

FRAME = 8
BOOKS = 2 * FRAME
RATE_HZ = 16000
GOOD = CodecSpec(
    "toy",
    description="two stages of 8-bit scalar codes for each sample, in frames of 8",
    sample_rate_hz=RATE_HZ,
    streams=(StreamSpec(RATE_HZ / FRAME, (256,) * BOOKS),),
    causal=True,
    algorithmic_delay_samples=FRAME,
    truncatable=True,
    streaming=True,
    batching=Batching.MASKED,
    decode_modes=(DecodeMode("full"), DecodeMode("half", 8000)),
    licence_code="Apache-2.0",
)


class GoodCodec(Codec):
    """Codebooks 0..7 hold the samples of a frame, 8..15 what their rounding left."""

    spec = GOOD

    def encode(self, batch: Batch) -> Encoded:
        audio = pad_to_frames(batch.audio, FRAME)
        return Tokens((self.stream_of(audio, batch.num_samples),), batch.num_samples)

    def stream_of(self, audio: torch.Tensor, num_samples: torch.Tensor) -> TokenStream:
        frames = audio.nan_to_num().clamp(-1, 1).reshape(len(audio), -1, FRAME).transpose(1, 2)
        coarse = (frames * 127).round()
        fine = ((frames * 127 - coarse) * 254).round()
        codes = (torch.cat([coarse, fine], dim=1) + 128).long()
        num_frames = count_frames(num_samples, FRAME)
        declared = self.spec.streams[0]
        return TokenStream(
            "codes", blank_beyond(codes, num_frames), num_frames, declared.frame_rate_hz, declared.codebook_sizes
        )

    def decode(self, encoded: Encoded, mode: str = "full") -> Waveforms:
        assert isinstance(encoded, Tokens)
        values = encoded.streams[0].codes.float() - 128
        values = torch.nn.functional.pad(values, (0, 0, 0, BOOKS - values.shape[1]))
        frames = (values[:, :FRAME] + values[:, FRAME:] / 254) / 127
        audio = frames.transpose(1, 2).reshape(len(frames), 1, -1)
        if mode == "half":
            return fit_waveforms(audio[..., ::2], (encoded.num_samples + 1) // 2, 8000)
        return fit_waveforms(audio, encoded.num_samples, RATE_HZ)

    def stream(self, batch_size: int = 1) -> Session:
        return Session(self, batch_size)


class Session:
    """Holds back the samples of an unfinished frame."""

    def __init__(self, codec: GoodCodec, batch_size: int) -> None:
        self.codec = codec
        self.held = torch.zeros(batch_size, 1, 0)

    def push(self, audio: torch.Tensor) -> Encoded:
        held = torch.cat([self.held, audio], dim=-1)
        whole = held.shape[-1] // FRAME * FRAME
        self.held = held[..., whole:]
        return self._code(held[..., :whole])

    def flush(self) -> Encoded:
        return self._code(self.held)

    def _code(self, audio: torch.Tensor) -> Encoded:
        lengths = torch.full((len(audio),), audio.shape[-1])
        return self.codec.encode(Batch(audio, lengths, RATE_HZ))


class GoodSingle(GoodCodec):
    spec = replace(GOOD, batching=Batching.SINGLE, streaming=False)

    def stream(self, batch_size: int = 1) -> Session:
        return Codec.stream(self, batch_size)  # type: ignore[return-value]


class GoodEqualFrames(GoodCodec):
    """Mixes the padded number of frames into every code, so only rows of equal frame counts may meet."""

    spec = replace(GOOD, batching=Batching.EQUAL_FRAMES, streaming=False, causal=False, algorithmic_delay_samples=0)

    def encode(self, batch: Batch) -> Encoded:
        return _with_codes(super().encode(batch), lambda codes: (codes + codes.shape[-1]) % 256)

    def decode(self, encoded: Encoded, mode: str = "full") -> Waveforms:
        return super().decode(_with_codes(encoded, lambda codes: (codes - codes.shape[-1]) % 256), mode)

    def stream(self, batch_size: int = 1) -> Session:
        return Codec.stream(self, batch_size)  # type: ignore[return-value]


class GoodEncodeOnly(GoodCodec):
    spec = replace(GOOD, encode_only=True, decode_modes=(), truncatable=False)

    def decode(self, encoded: Encoded, mode: str = "full") -> Waveforms:
        return Codec.decode(self, encoded, mode)


class GoodBitstream(Codec):
    """One byte for each sample."""

    spec = CodecSpec(
        "bytes", description="8-bit samples", sample_rate_hz=RATE_HZ, bitrate_bps=8.0 * RATE_HZ, causal=True,
        licence_code="Apache-2.0",
    )  # fmt: skip

    def encode(self, batch: Batch) -> Encoded:
        rows = [(batch.row(i).nan_to_num().clamp(-1, 1) * 127).round().to(torch.int8) for i in range(len(batch))]
        return Bitstream(tuple(row.numpy().tobytes() for row in rows), batch.num_samples)

    def decode(self, encoded: Encoded, mode: str = "full") -> Waveforms:
        assert isinstance(encoded, Bitstream)
        rows = [torch.tensor(list(payload), dtype=torch.uint8).view(torch.int8) / 127 for payload in encoded.payloads]
        return Waveforms.stack(rows, RATE_HZ)


def _with_codes(encoded: Encoded, change: object) -> Encoded:
    assert isinstance(encoded, Tokens)
    stream = encoded.streams[0]
    changed = blank_beyond(change(stream.codes), stream.num_frames)  # type: ignore[operator]
    return replace(encoded, streams=(replace(stream, codes=changed),))


class NoDescription(GoodCodec):
    spec = replace(GOOD, description="")


class NarrowCodes(GoodCodec):
    def encode(self, batch: Batch) -> Encoded:
        tokens = super().encode(batch)
        assert isinstance(tokens, Tokens)
        stream = tokens.streams[0]
        return replace(tokens, streams=(replace(stream, codes=stream.codes.int()),))


class CodesOutOfRange(GoodCodec):
    spec = replace(GOOD, streams=(StreamSpec(RATE_HZ / FRAME, (128,) * BOOKS),))


class DoublePrecision(GoodCodec):
    def decode(self, encoded: Encoded, mode: str = "full") -> Waveforms:
        waves = super().decode(encoded, mode)
        return replace(waves, audio=waves.audio.double())


class UndeclaredStreaming(GoodCodec):
    spec = replace(GOOD, streaming=False)


class EncodeOnlyThatDecodes(GoodCodec):
    spec = replace(GoodEncodeOnly.spec)


class LosesASample(GoodCodec):
    def decode(self, encoded: Encoded, mode: str = "full") -> Waveforms:
        waves = super().decode(encoded, mode)
        return replace(waves, num_samples=waves.num_samples - 1)


class FailsBelowAFrame(GoodSingle):
    def encode(self, batch: Batch) -> Encoded:
        if batch.audio.shape[-1] < FRAME:
            raise RuntimeError("kernel size can't be greater than actual input size")
        return super().encode(batch)


class ForgetsTheRateOfAMode(GoodCodec):
    def decode(self, encoded: Encoded, mode: str = "full") -> Waveforms:
        return super().decode(encoded, "full")


class NeedsAllCodebooks(GoodCodec):
    def decode(self, encoded: Encoded, mode: str = "full") -> Waveforms:
        assert isinstance(encoded, Tokens)
        if encoded.num_codebooks < BOOKS:
            raise IndexError("index 1 is out of bounds")
        return super().decode(encoded, mode)


class CountsItsCalls(GoodCodec):
    calls = 0

    def encode(self, batch: Batch) -> Encoded:
        self.calls += 1
        return _with_codes(super().encode(batch), lambda codes: (codes + self.calls) % 256)


class KnowsItsProcess(GoodCodec):
    def encode(self, batch: Batch) -> Encoded:
        return _with_codes(super().encode(batch), lambda codes: (codes + _place()) % 251)

    def decode(self, encoded: Encoded, mode: str = "full") -> Waveforms:
        return super().decode(_with_codes(encoded, lambda codes: (codes - _place()) % 251), mode)


def _place() -> int:
    """1 in a child process, else 0: process numbers differ too, but not modulo 251 in one case of 251."""
    return int(multiprocessing.parent_process() is not None)


class DiesElsewhere(GoodCodec):
    def encode(self, batch: Batch) -> Encoded:
        if multiprocessing.parent_process() is not None:
            os._exit(3)
        return super().encode(batch)


class RaisesElsewhere(GoodCodec):
    def encode(self, batch: Batch) -> Encoded:
        if multiprocessing.parent_process() is not None:
            raise RuntimeError("no licence in this process")
        return super().encode(batch)


class KnowsItsNeighbours(GoodCodec):
    def encode(self, batch: Batch) -> Encoded:
        shift = len(batch) - 1
        return _with_codes(super().encode(batch), lambda codes: (codes + shift) % 256)


class LeaksAtTheLastFrame(GoodCodec):
    """Only where rows of unequal lengths meet, the last frame of the shorter ones is wrong."""

    def encode(self, batch: Batch) -> Encoded:
        tokens = super().encode(batch)
        assert isinstance(tokens, Tokens)
        codes = tokens.streams[0].codes.clone()
        if len(batch) > 1:
            for row, frames in enumerate(tokens.streams[0].num_frames.tolist()):
                codes[row, 0, frames - 1] += int(frames < codes.shape[-1])
        return _with_codes(tokens, lambda _: codes % 256)


class IgnoresNumSamples(GoodCodec):
    def encode(self, batch: Batch) -> Encoded:
        alone = len(batch) == 1
        length = torch.full((1,), batch.audio.shape[-1])
        return super().encode(replace(batch, num_samples=length) if alone else batch)


class SlowerThanItSays(GoodCodec):
    spec = replace(GOOD, streams=(StreamSpec(RATE_HZ / FRAME / 2, (256,) * BOOKS),))


class BiggerThanItSays(GoodBitstream):
    spec = replace(GoodBitstream.spec, bitrate_bps=4.0 * RATE_HZ)


class Late(GoodCodec):
    def decode(self, encoded: Encoded, mode: str = "full") -> Waveforms:
        waves = super().decode(encoded, mode)
        delayed = torch.nn.functional.pad(waves.audio, (FRAME, 0))[..., : waves.audio.shape[-1]]
        return replace(waves, audio=delayed)


class LooksAhead(GoodCodec):
    """Each frame's codes take in those of the third frame after it."""

    spec = replace(GOOD, streaming=False)

    def encode(self, batch: Batch) -> Encoded:
        def mix(codes: torch.Tensor) -> torch.Tensor:
            return (codes + torch.nn.functional.pad(codes, (0, 3))[..., 3:] // 16) % 256

        return _with_codes(super().encode(batch), mix)

    def stream(self, batch_size: int = 1) -> Session:
        return Codec.stream(self, batch_size)  # type: ignore[return-value]


class DecoderLooksAhead(GoodCodec):
    def decode(self, encoded: Encoded, mode: str = "full") -> Waveforms:
        waves = super().decode(encoded, mode)
        ahead = torch.nn.functional.pad(waves.audio, (0, 32))[..., 32:]
        return replace(waves, audio=blank_beyond(waves.audio + 0.05 * ahead, waves.num_samples))


class StreamDropsTheRest(GoodCodec):
    def stream(self, batch_size: int = 1) -> Session:
        session = Session(self, batch_size)
        session.flush = lambda: session._code(session.held[..., :0])  # type: ignore[method-assign]
        return session


class DividesByTheLevel(GoodCodec):
    def decode(self, encoded: Encoded, mode: str = "full") -> Waveforms:
        waves = super().decode(encoded, mode)
        silent = waves.audio.shape[-1] > 2 * FRAME and not bool(waves.audio.any())
        return replace(waves, audio=waves.audio * torch.nan) if silent else waves


class ClipsByError(GoodCodec):
    def encode(self, batch: Batch) -> Encoded:
        if bool((batch.audio.abs() >= 0.999).any()):
            raise ValueError("audio must be within (-1, 1)")
        return super().encode(batch)


class DividesByTheDeviation(GoodCodec):
    def decode(self, encoded: Encoded, mode: str = "full") -> Waveforms:
        waves = super().decode(encoded, mode)
        heard = waves.row(0)
        constant = len(heard) > 2 * FRAME and float(heard.std()) == 0 and bool(heard.any())
        return replace(waves, audio=waves.audio / 0.0) if constant else waves


class PoisonedByNan(GoodCodec):
    running_mean = 0.0

    def encode(self, batch: Batch) -> Encoded:
        self.running_mean += 0.0 * float(batch.audio.sum())
        poisoned = self.running_mean != self.running_mean
        return super().encode(replace(batch, audio=batch.audio * 0) if poisoned else batch)


class Seeds(GoodCodec):
    def encode(self, batch: Batch) -> Encoded:
        torch.manual_seed(0)
        return super().encode(batch)


class SetsTheDefaultDtype(GoodCodec):
    def __init__(self) -> None:
        torch.set_default_dtype(torch.float64)


class WritesIntoItsInput(GoodCodec):
    def encode(self, batch: Batch) -> Encoded:
        batch.audio.mul_(0.5)
        return super().encode(batch)


BROKEN: dict[type[Codec], str] = {
    NoDescription: "metadata",
    NarrowCodes: "token-format",
    CodesOutOfRange: "token-format",
    DoublePrecision: "waveform-format",
    UndeclaredStreaming: "capabilities",
    EncodeOnlyThatDecodes: "capabilities",
    LosesASample: "round-trip-length",
    FailsBelowAFrame: "short-input",
    ForgetsTheRateOfAMode: "decode-modes",
    NeedsAllCodebooks: "truncation",
    CountsItsCalls: "determinism-calls",
    KnowsItsProcess: "determinism-processes",
    KnowsItsNeighbours: "batch-equal-lengths",
    LeaksAtTheLastFrame: "batch-unequal-lengths",
    IgnoresNumSamples: "padding-invariance",
    SlowerThanItSays: "frame-rate",
    BiggerThanItSays: "bitrate",
    Late: "output-delay",
    LooksAhead: "prefix-causality",
    DecoderLooksAhead: "algorithmic-delay",
    StreamDropsTheRest: "streaming",
    DividesByTheLevel: "silence",
    ClipsByError: "full-scale",
    DividesByTheDeviation: "constant",
    PoisonedByNan: "nan-input",
    Seeds: "global-state",
    SetsTheDefaultDtype: "global-state",
    WritesIntoItsInput: "input-unchanged",
}
