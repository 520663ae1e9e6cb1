"""The codec that finds its output in files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from codecbench import (
    AudioPassthrough,
    BadInput,
    Batch,
    Codec,
    CodecSpec,
    Encoded,
    Unavailable,
    UsageError,
    Utterance,
    Waveforms,
)
from codecbench.audio.pcm import fit_length
from codecbench.audio.reading import read_audio
from codecbench.audio.resample import resample
from codecbench.errors import unknown_name
from codecbench.hashing import file_sha256
from codecbench_recorded import ENVIRONMENT
from codecbench_recorded.manifest import Recording, Recordings, read_recordings


def recordings_of(spec: CodecSpec, options: Mapping[str, Any]) -> tuple[Recording, ...]:
    """Return the recordings of the system that ``spec`` names.

    Raises Unavailable where no manifest is given, UsageError for a system that it lacks or an utterance that it
    has twice.
    """
    if options["manifest"] is None:
        raise Unavailable(
            "no manifest of recorded outputs was given", f"--set recorded.manifest=PATH or {ENVIRONMENT}=PATH"
        )
    recordings = read_recordings(options["manifest"], options["root"], options["allow_outside"])
    system = spec.variant or _only_system(recordings)
    if system not in recordings.systems:
        raise unknown_name(f"system in {recordings.source}", system, recordings.systems)
    found = recordings.of(system)
    ids = [entry.utterance_id for entry in found]
    twice = next((i for i in ids if ids.count(i) > 1), None)
    if twice is not None:
        raise UsageError(f"{recordings.source}: system '{system}' has more than one recording of '{twice}'")
    return found


def _only_system(recordings: Recordings) -> str:
    """What the bare name ``recorded`` means; raises Unavailable unless there is exactly one system."""
    systems = recordings.systems
    if not systems:
        reason = recordings.problems[0].reason if recordings.problems else "no recordings"
        raise Unavailable(f"nothing in {recordings.source} can be used: {reason}")
    if len(systems) > 1:
        raise Unavailable(f"{recordings.source} holds {len(systems)} systems", f"name one, as in recorded:{systems[0]}")
    return systems[0]


def digest(recordings: Sequence[Recording]) -> str:
    """Return the SHA-256 over ids, stated rates and file contents; a missing file counts as missing."""
    total = hashlib.sha256()
    for entry in sorted(recordings, key=lambda r: r.utterance_id):
        content = file_sha256(entry.file) if entry.file.is_file() else "missing"
        total.update(f"{entry.utterance_id}\0{entry.bitrate_bps}\0{content}\n".encode())
    return total.hexdigest()


class Recorded(Codec):
    """Returns for each utterance what one system was recorded to make of it, at the original's sample rate."""

    def __init__(self, spec: CodecSpec, recordings: Sequence[Recording], length_tolerance_s: float) -> None:
        self.spec = spec
        self.recordings = {entry.utterance_id: entry for entry in recordings}
        self.length_tolerance_s = length_tolerance_s

    def encode(self, batch: Batch) -> AudioPassthrough:
        """Look the utterances up; raises BadInput for unnamed audio, Unavailable where there is no recording."""
        if len(batch.utterances) != len(batch):
            raise BadInput(f"codec '{self.spec.full_name}' needs named utterances: it finds recordings by their id")
        found = [self._find(utterance) for utterance in batch.utterances]
        rows = [self._read(found[i], int(batch.num_samples[i]), batch.sample_rate_hz) for i in range(len(batch))]
        return AudioPassthrough(
            Waveforms.stack(rows, batch.sample_rate_hz),
            batch.num_samples,
            tuple(entry.bitrate_bps for entry in found),
            found[0].bitrate_source,
        )

    def decode(self, encoded: Encoded, mode: str = "full") -> Waveforms:
        """Return the recordings."""
        assert isinstance(encoded, AudioPassthrough)
        return encoded.waveforms

    def _find(self, utterance: Utterance) -> Recording:
        if utterance.id not in self.recordings:
            raise Unavailable(f"system '{self.spec.variant}' has no recording of utterance '{utterance.id}'")
        return self.recordings[utterance.id]

    def _read(self, entry: Recording, num_samples: int, sample_rate_hz: int) -> np.ndarray:
        """Read a recording at the original's rate and, where it is about as long, at its length."""
        audio, native_hz = read_audio(Utterance(entry.utterance_id, entry.file))
        audio = resample(audio, native_hz, sample_rate_hz)
        if abs(len(audio) - num_samples) > self.length_tolerance_s * sample_rate_hz:
            return audio  # the runner finds the length mismatch and records it
        return fit_length(audio, num_samples)
