"""Folders as corpora: LibriSpeech's layout, and any folder of audio files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from codecbench import BadInput, Corpus, UsageError, Utterance
from codecbench.audio.suffixes import AUDIO_SUFFIXES
from codecbench.hashing import digest

MAX_TEXT_BYTES = 1 << 24
# No separator of folders: a name cannot lead out of the one that its transcript file lies in.
_NAME = re.compile(r"[\w.-]{1,200}")


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
            try:
                lines = _text(transcripts).splitlines()
            except BadInput as error:
                yield Utterance(transcripts.name, transcripts, problem=str(error))
                continue
            for line in lines:
                name, _, text = line.strip().partition(" ")
                if name:
                    yield _transcribed(transcripts.parent, name, text)

    return Corpus(folder.name, walk)


def _transcribed(folder: Path, name: str, text: str) -> Utterance:
    if not _NAME.fullmatch(name):
        reason = f"'{name[:80]}' in a transcript file is not the name of an utterance (SPEAKER-CHAPTER-NUMBER)"
        return Utterance(f"{folder.name}/{digest(name)}", folder, problem=reason)
    wav = folder / f"{name}.wav"
    audio = wav if wav.is_file() else folder / f"{name}.flac"
    return Utterance(name, audio, text or None, f"ls-{name.split('-')[0]}", "en")


def _text(file: Path) -> str:
    """Read a text file; raises BadInput for one that cannot be read or is larger than any transcript."""
    try:
        if not file.is_file() or file.stat().st_size > MAX_TEXT_BYTES:
            raise BadInput(f"{file} is no file of at most {MAX_TEXT_BYTES} bytes, so it is no transcript")
        data = file.read_bytes()
    except OSError as error:
        raise BadInput(f"{file} cannot be read ({error.strerror})") from error
    return data.decode("utf-8", errors="replace").replace("\0", "\ufffd")


def open_folder(folder: Path, language: str | None = None) -> Corpus:
    """Open any folder of audio files; the id is the path below it, the text that of a ``.txt`` of the same name.

    Raises UsageError where the folder is missing or holds no audio files.
    """
    if folder.is_file():
        said = "is a file: give its folder, or a manifest, whose name ends in .jsonl or .csv"
        raise UsageError(f"--corpus {folder} {said}")
    if not folder.is_dir():
        raise UsageError(f"--corpus {folder}: no such file or folder, and no corpus of this name")
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES and p.is_file())
    if not files:
        raise UsageError(f"--corpus {folder}: no audio files below it ({', '.join(sorted(AUDIO_SUFFIXES))})")

    def walk() -> Iterator[Utterance]:
        for file in files:
            sidecar = file.with_suffix(".txt")
            name = file.relative_to(folder).with_suffix("").as_posix()
            try:
                text = _text(sidecar).strip() if sidecar.is_file() else None
                yield Utterance(name, file, text or None, None, language)
            except BadInput as error:
                yield Utterance(name, file, problem=str(error))

    return Corpus(folder.resolve().name, walk, len(files))
