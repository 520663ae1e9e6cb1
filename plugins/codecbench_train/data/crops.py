"""Reading a crop: seek, read only what is needed, average channels, resample."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from codecbench.audio.resample import resample
from codecbench.errors import BadInput
from codecbench_train.data.entries import Entry


@dataclass(frozen=True)
class Crop:
    """Mono float32 ``audio[T]`` at the wanted rate; shorter than asked for where the utterance is."""

    audio: np.ndarray


@contextmanager
def open_entry(entry: Entry) -> Iterator[Any]:
    """Open an entry as a ``soundfile.SoundFile``; a member of a shard is read whole, still encoded."""
    import soundfile

    source: Any = entry.path
    if entry.size:
        with open(entry.path, "rb") as shard:
            shard.seek(entry.offset)
            source = io.BytesIO(shard.read(entry.size))
    with soundfile.SoundFile(source) as file:
        yield file


def read_crop(entry: Entry, position: float, seconds: float, rate_hz: int, speed: float = 1.0) -> Crop:
    """Read about ``seconds`` of an entry at ``rate_hz``, starting at ``position`` (0 to 1) of what is possible.

    ``speed`` > 1 plays faster and higher: more is read and squeezed into the same time.

    Raises:
        BadInput: naming the utterance, if its audio is missing, corrupt, empty or not finite.
    """
    import soundfile

    try:
        with open_entry(entry) as file:
            wanted = math.ceil(seconds * speed * file.samplerate)
            start = int(position * (max(file.frames - wanted, 0) + 1))
            file.seek(start)
            audio = file.read(wanted, dtype="float32", always_2d=True).mean(axis=1)
            from_hz = round(file.samplerate * speed)
    except (soundfile.LibsndfileError, RuntimeError, OSError, ValueError) as error:
        raise BadInput(f"utterance {entry.id}: audio cannot be read ({error})") from None
    if audio.size == 0 or not np.isfinite(audio).all():
        raise BadInput(f"utterance {entry.id}: audio is empty or not finite")
    return Crop(resample(audio, from_hz, rate_hz)[: round(seconds * rate_hz)])
