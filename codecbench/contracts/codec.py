"""What a codec plugin declares (``CodecSpec``) and does (``Codec``)."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from codecbench.errors import CodecbenchError

if TYPE_CHECKING:
    import torch

    from codecbench.contracts.audio import Batch, Waveforms
    from codecbench.contracts.encoded import Encoded


class Batching(StrEnum):
    """How utterances may share a batch without changing their codes."""

    MASKED = "masked"  # any lengths together: the codec masks padding after every layer
    EQUAL_FRAMES = "equal-frames"  # only utterances with the same number of frames
    SINGLE = "single"  # one at a time


class Role(StrEnum):
    """What a codec stands for in a comparison."""

    CODEC = "codec"
    CEILING = "ceiling"  # what a perfect codec scores; in every run
    FLOOR = "floor"  # a known degradation, to calibrate the scale


@dataclass(frozen=True)
class StreamSpec:
    """One declared token stream: frames per second (0 = global tokens) and the entries of each codebook."""

    frame_rate_hz: float
    codebook_sizes: tuple[int, ...]
    name: str = "codes"

    @property
    def bitrate_bps(self) -> float:
        """Nominal bits per second: frame rate times the summed log2 of the codebook sizes."""
        return self.frame_rate_hz * sum(math.log2(size) for size in self.codebook_sizes)


@dataclass(frozen=True)
class DecodeMode:
    """One way to decode.

    sample_rate_hz: its output rate where it differs from the codec's. streams: names of the token streams that it
    reads, for the rates of what it decodes; empty for all.
    """

    name: str
    sample_rate_hz: int | None = None
    description: str = ""
    streams: tuple[str, ...] = ()


@dataclass(frozen=True)
class OptionSpec:
    """One option settable by ``--set family.name=VALUE`` (or the environment variable ``env``).

    type: ``str``, ``int``, ``float``, ``bool`` or ``Path`` by name. affects: ``encode`` (codes change, so
    does everything after), ``decode`` (audio changes) or ``nothing`` (speed only; not part of the identity).
    """

    name: str
    help: str
    type: str = "str"
    default: Any = None
    env: str = ""
    affects: str = "encode"
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class KnownFailure:
    """A conformance property that this codec is known not to have, and why."""

    property: str
    reason: str


FULL = DecodeMode("full", description="all streams, main decoder")


@dataclass(frozen=True)
class CodecSpec:
    """Everything known of a codec without loading its model; declared here, verified by ``codecbench check``.

    sample_rate_hz: rate in and out; None takes the corpus' own rate. streams: empty for bit streams and
    uncoded audio. bitrate_bps: nominal rate where no streams are declared. output_delay_samples: offset of the
    decoded audio against the input that the codec leaves in. algorithmic_delay_samples: look-ahead plus frame,
    at ``sample_rate_hz``. frame_samples: input of one packet of a bit stream; 0 where streams say it.
    setup_bytes: what a decoder needs besides the payloads, the same for every utterance at this setting and so
    no part of the rate (Vorbis' codebooks); it is stated beside the codec's figures.
    min_samples: shortest input. version: raised when the codec's output changes. teacher: model whose features
    the codec was trained on, to flag a recogniser of the same family. system: whose settings form one curve over
    rates, where that is not every codec of this name (recordings of many systems).
    """

    name: str
    variant: str = ""
    description: str = ""
    sample_rate_hz: int | None = None
    streams: tuple[StreamSpec, ...] = ()
    bitrate_bps: float | None = None
    version: str = "1"
    role: Role = Role.CODEC
    default: bool = False
    causal: bool = False
    algorithmic_delay_samples: int = 0
    output_delay_samples: int = 0
    frame_samples: int = 0
    setup_bytes: int = 0
    min_samples: int = 1
    truncatable: bool = False
    encode_only: bool = False
    streaming: bool = False
    trainable: bool = False
    deterministic: bool = True
    batching: Batching = Batching.SINGLE
    decode_modes: tuple[DecodeMode, ...] = (FULL,)
    options: tuple[OptionSpec, ...] = ()
    known_failures: tuple[KnownFailure, ...] = ()
    licence_code: str = ""
    licence_weights: str = ""
    training_data: tuple[str, ...] = ()
    teacher: str = ""
    system: str = ""
    paper: str = ""
    requirements: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """``family:variant``, or the family alone."""
        return f"{self.name}:{self.variant}" if self.variant else self.name

    @property
    def num_codebooks(self) -> int:
        """Codebooks over all streams."""
        return sum(len(s.codebook_sizes) for s in self.streams)

    @property
    def nominal_bitrate_bps(self) -> float | None:
        """Declared bit rate: of the streams where there are some, else ``bitrate_bps``."""
        return sum(s.bitrate_bps for s in self.streams) if self.streams else self.bitrate_bps

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know beside this codec's figures."""
        if not self.setup_bytes:
            return ()
        return (
            f"the bit rate leaves out a setup of {self.setup_bytes} bytes, the same for every utterance; "
            f"sent with each, it would add {8 * self.setup_bytes / 5:.0f} bit/s to one of 5 s",
        )

    def nominal_truncated(self, num_codebooks: int | None) -> tuple[StreamSpec, ...]:
        """Return the declared streams cut to the first ``num_codebooks`` codebooks."""
        kept, left = [], self.num_codebooks if num_codebooks is None else num_codebooks
        for stream in self.streams:
            k = min(left, len(stream.codebook_sizes))
            if k > 0:
                kept.append(StreamSpec(stream.frame_rate_hz, stream.codebook_sizes[:k], stream.name))
            left -= k
        return tuple(kept)

    def mode(self, name: str) -> DecodeMode | None:
        """Return the decode mode called ``name``, or None."""
        return next((m for m in self.decode_modes if m.name == name), None)

    def output_rate_hz(self, mode: str, input_rate_hz: int) -> int:
        """Sample rate of the audio that ``mode`` returns."""
        chosen = self.mode(mode)
        return (chosen.sample_rate_hz if chosen else None) or self.sample_rate_hz or input_rate_hz


@dataclass(frozen=True)
class CodecContext:
    """What a codec factory is given: where to run and the resolved options of its family."""

    device: str = "cpu"
    options: Mapping[str, Any] = field(default_factory=dict)


class CapabilityError(CodecbenchError):
    """A codec was asked for what its specification does not declare."""


class StreamSession(Protocol):
    """A streaming codec's state: push samples, get codes; flush returns what is left."""

    def push(self, audio: torch.Tensor) -> Encoded:
        """Take audio [B, 1, T] and return the codes that are complete so far."""

    def flush(self) -> Encoded:
        """Return the codes of the remaining samples, padded as offline encoding pads."""


class Codec(abc.ABC):
    """An encoder and decoder on one device.

    The codec pads to its own frame and returns exactly ``num_samples`` (scaled to the mode's output rate,
    rounded up); the runner resamples, batches, moves, times and checks, the same for all codecs.
    """

    spec: CodecSpec

    @abc.abstractmethod
    def encode(self, batch: Batch) -> Encoded:
        """Turn a batch at the codec's sample rate into tokens, a bit stream or passed-through audio."""

    def decode(self, encoded: Encoded, mode: str = "full") -> Waveforms:
        """Turn what ``encode`` returned (perhaps cut to fewer codebooks) back into audio."""
        raise CapabilityError(f"codec '{self.spec.full_name}' is encode-only: it cannot decode")

    def stream(self, batch_size: int = 1) -> StreamSession:
        """Open a streaming session for ``batch_size`` rows."""
        raise CapabilityError(f"codec '{self.spec.full_name}' does not declare streaming")

    def num_parameters(self) -> int | None:
        """Parameters used for inference, or None where the notion does not apply."""
        return None


CodecFactory = Callable[[CodecSpec, CodecContext], Codec]
# Raises Unavailable where the codec cannot be made here; must not load the model.
AvailabilityCheck = Callable[[CodecSpec, Mapping[str, Any]], None]
# Facts beside spec and options that decide the output (weights digest, library version), as JSON values.
IdentityCheck = Callable[[CodecSpec, Mapping[str, Any]], Mapping[str, Any]]
# Turns the text after the colon into a specification; raises UsageError with the allowed form.
VariantParser = Callable[[str], CodecSpec]
