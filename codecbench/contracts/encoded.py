"""What lies between encode and decode: tokens, a bit stream, or (where nothing is coded) the audio itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import torch

    from codecbench.contracts.audio import Waveforms


@dataclass(frozen=True, eq=False)
class TokenStream:
    """One stream of codes.

    codes: int64 [B, K, F]; entries beyond a row's ``num_frames`` (int64 [B]) are 0 and mean nothing.
    codebook_sizes: K entry counts. frame_rate_hz: frames per second; 0 for a stream of global tokens, whose
    number does not grow with duration. durations: int64 [B, F], frames of input that each token stands for,
    where the rate is variable; their entropy is not free, so the codec declares it in ``side_info_bits``.
    side_info_bits: bits per utterance (float [B]) sent beside the codes.
    """

    name: str
    codes: torch.Tensor
    num_frames: torch.Tensor
    frame_rate_hz: float
    codebook_sizes: tuple[int, ...]
    durations: torch.Tensor | None = None
    side_info_bits: torch.Tensor | None = None

    @property
    def num_codebooks(self) -> int:
        """K, the number of codebooks of this stream."""
        return int(self.codes.shape[1])

    def row(self, index: int) -> TokenStream:
        """Return utterance ``index`` alone, cut to its true number of frames (B = 1)."""
        rows, frames = slice(index, index + 1), int(self.num_frames[index])
        return replace(
            self,
            codes=self.codes[rows, :, :frames],
            num_frames=self.num_frames[rows],
            durations=None if self.durations is None else self.durations[rows, :frames],
            side_info_bits=None if self.side_info_bits is None else self.side_info_bits[rows],
        )


@dataclass(frozen=True, eq=False)
class Tokens:
    """One or more token streams of the same utterances, most important first; ``num_samples`` is int64 [B]."""

    streams: tuple[TokenStream, ...]
    num_samples: torch.Tensor

    @property
    def num_codebooks(self) -> int:
        """Codebooks over all streams, in decoding order."""
        return sum(stream.num_codebooks for stream in self.streams)

    def truncated(self, num_codebooks: int) -> Tokens:
        """Keep the first ``num_codebooks`` codebooks over all streams; streams left empty are dropped."""
        kept, left = [], num_codebooks
        for stream in self.streams:
            k = min(left, stream.num_codebooks)
            if k > 0:
                kept.append(replace(stream, codes=stream.codes[:, :k], codebook_sizes=stream.codebook_sizes[:k]))
            left -= k
        return replace(self, streams=tuple(kept))

    def only(self, names: Sequence[str]) -> Tokens:
        """Keep the streams called ``names``; all of them where there are no names."""
        return replace(self, streams=tuple(s for s in self.streams if s.name in names)) if names else self

    def row(self, index: int) -> Tokens:
        """Return utterance ``index`` alone (B = 1), each stream cut to its true frames."""
        return Tokens(tuple(s.row(index) for s in self.streams), self.num_samples[index : index + 1])

    def num_bits(self, index: int) -> float:
        """Bits that utterance ``index`` costs at fixed length per code: real token counts times log2(size)."""
        return sum(
            int(s.num_frames[index]) * sum(math.log2(size) for size in s.codebook_sizes)
            + (0.0 if s.side_info_bits is None else float(s.side_info_bits[index]))
            for s in self.streams
        )

    def num_tokens(self, index: int) -> int:
        """Number of codes in utterance ``index`` over all streams and codebooks."""
        return sum(int(s.num_frames[index]) * s.num_codebooks for s in self.streams)


@dataclass(frozen=True, eq=False)
class Bitstream:
    """Real coded bytes, one payload per utterance; container overhead is not counted in ``bits``.

    bits: exact bits per utterance where payloads are padded to bytes; else 8 bits per byte.
    num_samples: int64 [B], samples at the codec's rate to return.
    """

    payloads: tuple[bytes, ...]
    num_samples: torch.Tensor
    bits: tuple[int, ...] | None = None

    def num_bits(self, index: int) -> float:
        """Bits that utterance ``index`` costs."""
        return float(self.bits[index] if self.bits is not None else 8 * len(self.payloads[index]))

    def row(self, index: int) -> Bitstream:
        """Return utterance ``index`` alone."""
        bits = None if self.bits is None else self.bits[index : index + 1]
        return Bitstream(self.payloads[index : index + 1], self.num_samples[index : index + 1], bits)


@dataclass(frozen=True, eq=False)
class AudioPassthrough:
    """Nothing coded: the audio itself (identity, noise, outputs recorded elsewhere).

    bitrate_bps: what the source of a recorded output states, one per row, or None.
    bitrate_source: who states it.
    """

    waveforms: Waveforms
    num_samples: torch.Tensor
    bitrate_bps: tuple[float | None, ...] | None = None
    bitrate_source: str = ""

    def row(self, index: int) -> AudioPassthrough:
        """Return utterance ``index`` alone."""
        rows = slice(index, index + 1)
        waves = replace(
            self.waveforms,
            audio=self.waveforms.audio[rows, :, : int(self.waveforms.num_samples[index])],
            num_samples=self.waveforms.num_samples[rows],
        )
        bitrate = None if self.bitrate_bps is None else self.bitrate_bps[rows]
        return AudioPassthrough(waves, self.num_samples[rows], bitrate, self.bitrate_source)


Encoded: TypeAlias = Tokens | Bitstream | AudioPassthrough


def decoded_part(encoded: Encoded, codebooks: int | None, streams: Sequence[str]) -> Encoded:
    """Return what a codec name's ``@codebooks`` and decode mode read of an encoded form."""
    if isinstance(encoded, Tokens):
        kept = encoded if codebooks is None else encoded.truncated(codebooks)
        return kept.only(streams)
    return encoded


def single_stream(
    codes: torch.Tensor,
    *,
    num_frames: torch.Tensor,
    num_samples: torch.Tensor,
    frame_rate_hz: float,
    codebook_sizes: Sequence[int],
    name: str = "codes",
) -> Tokens:
    """Wrap plain codes [B, K, F] as ``Tokens`` of one stream."""
    stream = TokenStream(name, codes, num_frames, frame_rate_hz, tuple(codebook_sizes))
    return Tokens((stream,), num_samples)
