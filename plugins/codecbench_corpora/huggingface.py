"""Hugging Face datasets as corpora; audio is kept as FLAC in the cache, so that every process can read it."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from codecbench import BadInput, Corpus, Unavailable, Utterance
from codecbench.audio.reading import open_sound, read_blocks
from codecbench.cache import cache_folder
from codecbench.hashing import digest


def open_huggingface(argument: str, options: Mapping[str, Any]) -> Corpus:
    """Open ``NAME[:CONFIG[:SPLIT]]`` (split ``test`` where none is given); NAME may be a local folder.

    Raises Unavailable where ``datasets`` is not installed or the dataset cannot be had.
    """
    try:
        import datasets
    except ImportError as error:
        raise Unavailable(
            "reading a Hugging Face dataset needs 'datasets'", "pip install 'codecbench[huggingface]'"
        ) from error
    name, _, rest = argument.partition(":")
    config, _, split = rest.partition(":")
    try:
        data = datasets.load_dataset(name, config or None, split=split or "test", revision=options["revision"])
    except Exception as error:
        raise Unavailable(
            f"dataset '{name}' cannot be loaded: {error}", "check the name, the split and the network"
        ) from error
    column = options["audio"]
    if column not in data.column_names:
        raise Unavailable(
            f"dataset '{name}' has no column '{column}' (it has {', '.join(data.column_names)})",
            "--set huggingface.audio=COLUMN",
        )
    data = data.cast_column(column, datasets.Audio(decode=False))
    folder = cache_folder() / "huggingface" / digest([argument, options["revision"], str(data.info.version)])

    def walk() -> Iterator[Utterance]:
        for index, row in enumerate(data):
            yield _utterance(row, index, column, folder, options)

    return Corpus(name.rstrip("/").split("/")[-1], walk, len(data))


def _utterance(row: Mapping[str, Any], index: int, column: str, folder: Path, options: Mapping[str, Any]) -> Utterance:
    def field(option: str) -> str | None:
        value = row.get(options[option])
        return None if value is None else str(value)

    name = field("id") or f"{index:07d}"
    target = folder / f"{index:07d}.flac"
    problem = None if target.is_file() else _store(row[column], target)
    return Utterance(name, target, field("text"), field("speaker"), options["language"], problem=problem)


def _store(audio: Mapping[str, Any], target: Path) -> str | None:
    """Write one row's audio as FLAC, whole or not at all; return what is wrong with it, or None."""
    try:
        source = io.BytesIO(audio["bytes"]) if audio.get("bytes") else Path(audio["path"])
        with open_sound(source, "its bytes") as file:
            samples = np.concatenate([np.zeros((0, file.channels), np.int16), *read_blocks(file, "its bytes", "int16")])
            rate_hz = file.samplerate
    except (BadInput, TypeError, KeyError) as error:
        return f"row {target.stem}: audio cannot be read ({error})"
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_suffix(".tmp")
    soundfile.write(str(temporary), samples, rate_hz, format="FLAC", subtype="PCM_16")
    temporary.replace(target)
    return None
