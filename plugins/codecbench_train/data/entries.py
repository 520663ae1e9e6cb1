"""What there is to train on: manifests, LibriSpeech folders and tar shards as one flat list of entries."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codecbench.audio.suffixes import AUDIO_SUFFIXES
from codecbench.errors import UsageError


@dataclass(frozen=True, slots=True)
class Entry:
    """One utterance: a file, or ``size`` bytes at ``offset`` of a tar shard (``size`` 0 = a file of its own)."""

    id: str
    path: str
    duration_s: float
    speaker: str = ""
    language: str = ""
    offset: int = 0
    size: int = 0


@dataclass(frozen=True)
class Listing:
    """The entries of one source, and the ids that were left out because their audio cannot be read."""

    entries: list[Entry]
    unreadable: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Row:
    """A manifest line before its audio was looked at."""

    id: str
    path: Path
    duration_s: float | None
    speaker: str
    language: str


def list_source(path: Path, *, root: Path | None = None, split: str = "train") -> Listing:
    """List a JSONL or CSV manifest, a LibriSpeech-style folder, a folder of audio, or tar shards.

    Args:
        path: ``*.jsonl``, ``*.csv``, a ``*.tar`` file, or a folder (of tar shards, in LibriSpeech's layout, or of audio
            files; a folder's sub-folder names stand for speakers).
        root: folder that a manifest's paths are relative to; the manifest's own folder by default.
        split: rows of a manifest that state another ``split`` are left out.

    Raises:
        UsageError: if nothing usable is there.
    """
    from codecbench_train.data.shards import list_shards

    if path.is_dir():
        shards = sorted(path.rglob("*.tar"))
        listing = list_shards(shards) if shards else _with_durations(_folder_rows(path))
    elif path.suffix == ".tar":
        listing = list_shards([path])
    elif path.suffix in {".jsonl", ".csv"}:
        listing = _with_durations(_manifest_rows(path, root or path.parent, split))
    else:
        raise UsageError(f"training data {path}: expected a .jsonl or .csv manifest, a .tar shard or a folder")
    if not listing.entries:
        broken = f" ({len(listing.unreadable)} unreadable)" if listing.unreadable else ""
        raise UsageError(f"training data {path}: no usable utterance{broken}; split asked for: {split!r}")
    return listing


def _table(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with path.open(encoding="utf-8", newline="") as handle:
        if path.suffix == ".csv":
            yield from enumerate(csv.DictReader(handle), start=2)
            return
        for number, line in enumerate(handle, start=1):
            if line.strip():
                try:
                    yield number, json.loads(line)
                except json.JSONDecodeError as error:
                    raise UsageError(f"{path}, line {number}: not JSON ({error.msg})") from None


def _manifest_rows(path: Path, root: Path, split: str) -> Iterator[_Row]:
    if not path.is_file():
        raise UsageError(f"training data: no manifest {path}")
    base = root.resolve()
    for number, row in _table(path):
        if row.get("split") and row["split"] != split:
            continue
        name = row.get("audio") or row.get("file")
        if not name:
            raise UsageError(f"{path}, line {number}: no 'audio' column; expected id, audio, text, speaker, language")
        audio = (base / str(name)).resolve()
        if not audio.is_relative_to(base):
            raise UsageError(f"{path}, line {number}: {name} lies outside {base}; give root = FOLDER to allow it")
        seconds = row.get("duration_s") or row.get("duration") or row.get("seconds")
        yield _Row(
            str(row.get("id") or audio.stem),
            audio,
            float(seconds) if seconds else None,
            str(row.get("speaker") or ""),
            str(row.get("language") or ""),
        )


def _folder_rows(path: Path) -> Iterator[_Row]:
    """Audio files below a folder; LibriSpeech's ``READER/CHAPTER/READER-CHAPTER-NNNN.flac`` gives the reader."""
    for audio in sorted(p for p in path.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES):
        parts = audio.relative_to(path).parts
        is_libri = audio.stem.count("-") == 2 and len(parts) >= 3 and audio.stem.startswith(f"{parts[-3]}-{parts[-2]}-")
        speaker = parts[-3] if is_libri else (parts[0] if len(parts) > 1 else "")
        yield _Row("/".join(parts), audio, None, speaker, "en" if is_libri else "")


def _with_durations(rows: Iterator[_Row]) -> Listing:
    listing = Listing([])
    for row in rows:
        seconds = row.duration_s if row.duration_s and row.path.is_file() else duration_s(row.path)
        if seconds is None:
            listing.unreadable.append(row.id)
        else:
            listing.entries.append(Entry(row.id, str(row.path), seconds, row.speaker, row.language))
    return listing


def duration_s(source: Any) -> float | None:
    """Seconds of audio by its header, or None where it cannot be read or is empty."""
    import soundfile

    try:
        info = soundfile.info(str(source) if isinstance(source, Path) else source)
    except (soundfile.LibsndfileError, RuntimeError, OSError):
        return None
    seconds = float(info.frames) / float(info.samplerate)
    return seconds if info.frames > 0 else None
