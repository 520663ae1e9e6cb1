"""Decoded audio of one decoder identity, for listening: FLAC files by key, written whole and renamed into place."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from codecbench.errors import UsageError
from codecbench.store.places import Place, StoreError, StorePath

SUFFIX = ".flac"
NO_AUDIO = ".none"


class AudioStore:
    """Decoded audio under ``folder``; an empty ``.none`` file says that decoding gave no audio.

    Files are 16-bit and clipped at full scale: they are for listening, scores are made from the float32 output. They
    are opened by path, so the folder has to be a local one: UsageError otherwise.
    """

    def __init__(self, folder: Place) -> None:
        local = StorePath.of(folder).local
        if local is None:
            raise UsageError(
                f"decoded audio is kept in local folders only, not at {folder}: "
                "add --no-audio (tokens and scores can lie there), or give a local --store"
            )
        self.folder: Path = local

    def path(self, key: str) -> Path | None:
        """Return the file under ``key``, or None."""
        file = self.folder / f"{key}{SUFFIX}"
        return file if file.is_file() else None

    def done(self, key: str) -> bool:
        """Whether ``key`` was decoded before, with or without audio as its result."""
        return self.path(key) is not None or (self.folder / f"{key}{NO_AUDIO}").is_file()

    def put(self, key: str, audio: np.ndarray, sample_rate_hz: int) -> None:
        """Write float32 [T]; raises StoreError (disk full, no permission) with nothing left behind."""
        import soundfile

        encoded = io.BytesIO()
        try:
            clipped = np.clip(audio, -1.0, 1.0)
            soundfile.write(encoded, clipped, sample_rate_hz, format="FLAC", subtype="PCM_16")
            StorePath.of(self.folder / f"{key}{SUFFIX}").write(encoded.getbuffer())
        except (StoreError, soundfile.LibsndfileError) as error:
            raise StoreError(f"cannot write audio to {self.folder}: {error}; or use --no-audio") from error

    def put_none(self, key: str) -> None:
        """Note that decoding ``key`` gave no audio, so that it is not tried again; raises StoreError."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / f"{key}{NO_AUDIO}").touch()
        except OSError as error:
            raise StoreError(f"cannot write to {self.folder}: {error}; free space or use --no-audio") from error


def audio_fault(file: Path) -> str:
    """Return what is wrong with a kept audio file, empty where it is sound: every frame of FLAC has a checksum."""
    import soundfile

    if file.name.endswith(NO_AUDIO):
        return ""
    try:
        with soundfile.SoundFile(str(file)) as sound:
            expected, found = sound.frames, len(sound.read(dtype="int16"))
    except (OSError, soundfile.LibsndfileError) as error:
        return str(error)
    return "" if found == expected else f"{found} of {expected} samples can be read"
