"""Folders as corpora: LibriSpeech's layout, and any folder of audio files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from codecbench import Corpus, UsageError, Utterance
from codecbench.audio.suffixes import AUDIO_SUFFIXES


def open_librispeech(folder: Path) -> Corpus:
    """Open a LibriSpeech folder (or one subset, or one speaker): SPEAKER/CHAPTER/ID.flac beside *.trans.txt.

    Raises UsageError where no transcript file is found. Source: the LibriSpeech README (openslr.org/12).
    """
    if not folder.is_dir():
        raise UsageError(f"--corpus {folder}: no such folder")
    if next(folder.rglob("*.trans.txt"), None) is None:
        raise UsageError(f"--corpus {folder}: no *.trans.txt below it, so it is not a LibriSpeech folder")

    def walk() -> Iterator[Utterance]:
        for transcripts in sorted(folder.rglob("*.trans.txt")):
            for line in transcripts.read_text("utf-8").splitlines():
                name, _, text = line.strip().partition(" ")
                if name:
                    audio = _existing(transcripts.parent, name)
                    yield Utterance(name, audio, text or None, f"ls-{name.split('-')[0]}", "en")

    return Corpus(folder.name, walk)


def _existing(folder: Path, name: str) -> Path:
    wav = folder / f"{name}.wav"
    return wav if wav.is_file() else folder / f"{name}.flac"


def open_folder(folder: Path, language: str | None = None) -> Corpus:
    """Open any folder of audio files; the id is the path below it, the text that of a ``.txt`` of the same name.

    Raises UsageError where the folder is missing or holds no audio files.
    """
    if not folder.is_dir():
        raise UsageError(f"--corpus {folder}: no such file or folder, and no corpus of this name")
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES and p.is_file())
    if not files:
        raise UsageError(f"--corpus {folder}: no audio files below it ({', '.join(sorted(AUDIO_SUFFIXES))})")

    def walk() -> Iterator[Utterance]:
        for file in files:
            sidecar = file.with_suffix(".txt")
            text = sidecar.read_text("utf-8", errors="replace").strip() if sidecar.is_file() else None
            name = file.relative_to(folder).with_suffix("").as_posix()
            yield Utterance(name, file, text or None, None, language)

    return Corpus(folder.resolve().name, walk, len(files))
