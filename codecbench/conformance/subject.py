"""What is examined: one codec, opened as a run opens it, with the signals and helpers that checks share."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch

from codecbench.audio.resample import resampled_length
from codecbench.conformance.signals import Speech, find_speech
from codecbench.contracts.audio import Batch, Utterance, Waveforms
from codecbench.contracts.codec import Codec, CodecSpec
from codecbench.contracts.encoded import Encoded
from codecbench.errors import CodecbenchError
from codecbench.loading import open_codec, prepare
from codecbench.plugins import load_plugins
from codecbench.registering import Registry

OpenCodec = Callable[[], Codec]
_FALLBACK_RATE_HZ = 16000
_FALLBACK_FRAME_S = 0.02


@dataclass(eq=False)
class Subject:
    """A codec under examination.

    open: makes the codec anew; picklable (a module's function, or a ``partial`` of one) where determinism over
    processes is to be judged. All audio is made at ``rate_hz``: the codec's own rate, or 16 kHz where it takes any.
    """

    spec: CodecSpec
    open: OpenCodec
    speech: Speech = field(default_factory=lambda: find_speech(None))
    device: str = "cpu"

    @cached_property
    def codec(self) -> Codec:
        """The codec, opened once."""
        return self.open()

    @property
    def is_open(self) -> bool:
        """Whether the codec has been opened."""
        return "codec" in vars(self)

    @property
    def rate_hz(self) -> int:
        """Sample rate of everything that is fed in."""
        return self.spec.sample_rate_hz or _FALLBACK_RATE_HZ

    @property
    def frame_samples(self) -> int:
        """Samples in the longest declared frame; 20 ms where none is declared."""
        if self.spec.frame_samples:
            return self.spec.frame_samples
        rates = [s.frame_rate_hz for s in self.spec.streams if s.frame_rate_hz > 0]
        if rates:
            return round(self.rate_hz / min(rates))
        return self.spec.frame_samples or round(_FALLBACK_FRAME_S * self.rate_hz)

    @cached_property
    def voice(self) -> np.ndarray:
        """The speech at the codec's rate, float32 [T]."""
        return self.speech.at(self.rate_hz)

    def cut(self, num_samples: int, start: int = 0) -> np.ndarray:
        """Return ``num_samples`` of the speech from ``start`` on, repeated where it is too short."""
        return np.take(self.voice, np.arange(start, start + num_samples), mode="wrap")

    def batch(self, *rows: np.ndarray, padding: int = 0) -> Batch:
        """Make a batch of rows, each float32 [T], right-padded with ``padding`` more zeros than needed."""
        lengths = [len(row) for row in rows]
        audio = torch.zeros(len(rows), 1, max(lengths) + padding)
        for index, row in enumerate(rows):
            audio[index, 0, : len(row)] = torch.from_numpy(np.ascontiguousarray(row))
        names = tuple(
            Utterance(f"probe-{i}", Path(f"probe-{i}.wav"), "a probe", "probe", "en") for i in range(len(rows))
        )
        return Batch(audio.to(self.device), torch.tensor(lengths, device=self.device), self.rate_hz, names)

    def encode(self, *rows: np.ndarray, padding: int = 0) -> Encoded:
        """Encode rows as one batch."""
        with torch.inference_mode():
            return self.codec.encode(self.batch(*rows, padding=padding))

    def decode(self, encoded: Encoded, mode: str | None = None) -> Waveforms:
        """Decode by ``mode``, the first declared one by default."""
        with torch.inference_mode():
            return self.codec.decode(encoded, mode or self.spec.decode_modes[0].name)

    def output(self, *rows: np.ndarray, padding: int = 0) -> Waveforms:
        """Encode and decode rows as one batch."""
        return self.decode(self.encode(*rows, padding=padding))

    def expected_length(self, num_samples: int, mode: str | None = None) -> int:
        """Return the length that ``num_samples`` must come back with."""
        out_hz = self.spec.output_rate_hz(mode or self.spec.decode_modes[0].name, self.rate_hz)
        return resampled_length(num_samples, self.rate_hz, out_hz)

    @cached_property
    def crosses_processes(self) -> bool:
        """Whether ``open`` can be sent to another process."""
        try:
            pickle.dumps(self.open)
        except (pickle.PicklingError, AttributeError, TypeError):
            return False
        return True


def open_by_name(
    name: str, settings: Mapping[str, Mapping[str, str]], device: str, plugin_files: tuple[Path, ...]
) -> Codec:
    """Open a registered codec in this process or another; raises UsageError, Unavailable or PluginError."""
    return open_codec(load_plugins(plugin_files).registry, name, settings, device)


def subject_by_name(
    registry: Registry,
    name: str,
    *,
    settings: Mapping[str, Mapping[str, str]] | None = None,
    device: str = "cpu",
    plugin_files: Sequence[Path] = (),
) -> Subject:
    """Make the subject for a codec name; raises UsageError for a wrong name, Unavailable where it cannot be had.

    Codebooks and decode mode in the name are refused: every one of them is checked anyway.
    """
    prepared = prepare(registry, name, settings or {}, device)
    if prepared.unavailable is not None:
        raise prepared.unavailable
    if prepared.label != prepared.spec.full_name:
        raise CodecbenchError(f"'{name}': check '{prepared.spec.full_name}'; every @K and /mode is checked with it")
    files = tuple(Path(f).resolve() for f in plugin_files)
    recipe = partial(open_by_name, prepared.label, dict(settings or {}), device, files)
    return Subject(prepared.spec, recipe, find_speech(registry), device)


def subject_of(codec: Codec | OpenCodec) -> Subject:
    """Make the subject for a codec object, or better for a function that makes one."""
    made = codec if isinstance(codec, Codec) else codec()
    opener = (lambda: made) if isinstance(codec, Codec) else codec
    return Subject(made.spec, opener)
