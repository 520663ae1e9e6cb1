"""Reading audio files as mono float32, with errors that name the file; what a header claims is never believed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from codecbench.contracts.audio import Utterance
from codecbench.errors import BadInput, UsageError

if TYPE_CHECKING:
    import soundfile

# Every stage holds an utterance in memory: an hour at 48 kHz takes 0.7 GB.
DEFAULT_MAX_DURATION_S = 3600.0
MAX_DURATION_ENV = "CODECBENCH_MAX_AUDIO_S"
SAMPLE_RATES_HZ = (1000, 768_000)
MAX_CHANNELS = 64
# Samples over all channels that are decoded at once, whatever the header says.
_BLOCK_SAMPLES = 1 << 20
# libsndfile's length of a stream that does not state its own; it cannot seek in one, and so not read it in pieces.
_UNKNOWN_FRAMES = 1 << 62


def max_duration_s() -> float:
    """Return the longest audio that is read, in seconds; raises UsageError where the variable is no such number."""
    text = os.environ.get(MAX_DURATION_ENV, "")
    try:
        limit = float(text) if text else DEFAULT_MAX_DURATION_S
    except ValueError:
        limit = 0.0
    if not 0 < limit < float("inf"):
        raise UsageError(f"{MAX_DURATION_ENV}={text}: expected a number of seconds above 0")
    return limit


def read_audio(utterance: Utterance) -> tuple[np.ndarray, int]:
    """Read an utterance as float32 [T] and its sample rate in Hz; channels are averaged.

    Raises BadInput where the file is missing, unreadable, empty, too long or holds NaN or infinity.
    """
    if utterance.problem:
        raise BadInput(utterance.problem)
    path = utterance.audio
    with open_sound(path) as file:
        blocks = [block.mean(axis=1) for block in read_blocks(file, path)]
        rate_hz = int(file.samplerate)
    audio = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    if audio.size == 0:
        raise BadInput(f"audio file holds no samples: {path}")
    if not np.isfinite(audio).all():
        raise BadInput(f"audio holds NaN or infinite samples: {path}")
    return audio, rate_hz


def stated_duration_s(path: Path) -> float:
    """Return the length that a file states, in seconds; raises BadInput where it is missing, unreadable or too long."""
    with open_sound(path) as file:
        return float(file.frames / file.samplerate)


@contextmanager
def open_sound(source: Path | IO[bytes], name: object = None) -> Iterator[soundfile.SoundFile]:
    """Open audio whose stated rate, channels and length are within the limits; ``name`` is that of a stream.

    Raises BadInput, also for what goes wrong in the body of the ``with`` statement while decoding.
    """
    import soundfile

    name = source if name is None else name
    try:
        if isinstance(source, Path) and not source.is_file():
            raise BadInput(f"audio file not found: {name}")
        with soundfile.SoundFile(str(source) if isinstance(source, Path) else source) as file:
            _check_claims(file, name)
            yield file
    except soundfile.LibsndfileError as error:
        raise BadInput(f"audio file cannot be read ({error.error_string}): {name}") from error
    except (OSError, RuntimeError, MemoryError, ValueError, TypeError) as error:
        raise BadInput(f"audio file cannot be read ({error}): {str(name)[:500]}") from error


def read_blocks(file: soundfile.SoundFile, name: object, dtype: str = "float32") -> Iterator[np.ndarray]:
    """Decode piece by piece, each [T, C]; raises BadInput as soon as there is more than the longest duration."""
    limit = int(max_duration_s() * file.samplerate)
    size, total = max(1, _BLOCK_SAMPLES // file.channels), 0
    while len(block := _next_block(file, size, dtype)):
        total += len(block)
        if total > limit:
            raise _too_long(f"more than {limit / file.samplerate / 3600:.2g} h", name)
        yield block


def _next_block(file: soundfile.SoundFile, size: int, dtype: str) -> np.ndarray:
    block: np.ndarray = file.read(size, dtype=dtype, always_2d=True)
    return block


def _check_claims(file: Any, name: object) -> None:
    low, high = SAMPLE_RATES_HZ
    if not low <= file.samplerate <= high:
        raise BadInput(f"audio states a sample rate of {file.samplerate} Hz, expected {low} to {high} Hz: {name}")
    if not 1 <= file.channels <= MAX_CHANNELS:
        raise BadInput(f"audio states {file.channels} channels, expected 1 to {MAX_CHANNELS}: {name}")
    if file.frames >= _UNKNOWN_FRAMES:
        raise BadInput(f"audio does not state its length, like a FLAC that was written to a pipe; convert it: {name}")
    if file.frames > max_duration_s() * file.samplerate:
        raise _too_long(f"{file.frames / file.samplerate / 3600:.3g} h", name)


def _too_long(length: str, name: object) -> BadInput:
    limit_s = max_duration_s()
    return BadInput(
        f"audio is {length} long, the limit is {limit_s:g} s ({limit_s / 3600:.3g} h): {name}; "
        f"split it, or set {MAX_DURATION_ENV}"
    )
