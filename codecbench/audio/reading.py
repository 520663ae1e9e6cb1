"""Reading audio files as mono float32, with errors that name the utterance."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from codecbench.contracts.audio import Utterance
from codecbench.errors import BadInput

# Longer files are refused: every stage holds an utterance in memory, and PESQ is defined for short excerpts.
MAX_DURATION_S = 4 * 3600.0


def read_audio(utterance: Utterance) -> tuple[np.ndarray, int]:
    """Read an utterance as float32 [T] and its sample rate in Hz; channels are averaged.

    Raises BadInput where the file is missing, unreadable, empty, too long or holds NaN or infinity.
    """
    if utterance.problem:
        raise BadInput(utterance.problem)
    path = utterance.audio
    if not path.is_file():
        raise BadInput(f"audio file not found: {path}")
    audio, rate_hz = _read_checked(path)
    if audio.size == 0:
        raise BadInput(f"audio file holds no samples: {path}")
    if not np.isfinite(audio).all():
        raise BadInput(f"audio holds NaN or infinite samples: {path}")
    return audio, rate_hz


def _read_checked(path: Path) -> tuple[np.ndarray, int]:
    import soundfile

    try:
        with soundfile.SoundFile(str(path)) as file:
            if file.frames > MAX_DURATION_S * file.samplerate:
                hours = file.frames / file.samplerate / 3600
                raise BadInput(f"audio is {hours:.1f} h long, the limit is {MAX_DURATION_S / 3600:g} h: {path}")
            audio = file.read(dtype="float32", always_2d=True)
            return np.ascontiguousarray(audio.mean(axis=1)), int(file.samplerate)
    except soundfile.LibsndfileError as error:
        raise BadInput(f"audio file cannot be read ({error.error_string}): {path}") from error
    except (RuntimeError, MemoryError, ValueError) as error:
        raise BadInput(f"audio file cannot be read ({error}): {path}") from error
