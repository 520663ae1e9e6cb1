"""Decoded audio of one decoder identity, for listening: FLAC files by key, written whole and renamed into place."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import numpy as np

from codecbench.store.shards import StoreError


class AudioStore:
    """Decoded audio under ``folder``; an empty ``.none`` file says that decoding gave no audio.

    Files are 16-bit and clipped at full scale: they are for listening, scores are made from the float32 output.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: str) -> Path | None:
        """Return the file under ``key``, or None."""
        file = self.folder / f"{key}.flac"
        return file if file.is_file() else None

    def done(self, key: str) -> bool:
        """Whether ``key`` was decoded before, with or without audio as its result."""
        return self.path(key) is not None or (self.folder / f"{key}.none").is_file()

    def put(self, key: str, audio: np.ndarray, sample_rate_hz: int) -> None:
        """Write float32 [T]; raises StoreError (disk full, no permission) with nothing left behind."""
        import soundfile

        temporary = self.folder / f".{key}.{os.getpid()}.tmp"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            clipped = np.clip(audio, -1.0, 1.0)
            soundfile.write(str(temporary), clipped, sample_rate_hz, format="FLAC", subtype="PCM_16")
            temporary.replace(self.folder / f"{key}.flac")
        except (OSError, soundfile.LibsndfileError) as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise StoreError(f"cannot write audio to {self.folder}: {error}; free space or use --no-audio") from error

    def put_none(self, key: str) -> None:
        """Note that decoding ``key`` gave no audio, so that it is not tried again."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{key}.none").touch()
