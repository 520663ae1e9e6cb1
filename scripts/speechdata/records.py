"""Utterances on disk: 16 kHz mono FLAC and the JSONL manifests that list them."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

SAMPLE_RATE_HZ = 16_000

Int16Samples = npt.NDArray[np.int16]
FloatSamples = npt.NDArray[np.float32]


class SpeechDataError(RuntimeError):
    """A source that is missing or not as expected; the message says how to get it."""


@dataclasses.dataclass(frozen=True)
class Utterance:
    """One line of a manifest; `audio` is relative to the manifest's folder, `text` None where nobody wrote it."""

    id: str
    audio: str
    text: str | None
    speaker: str
    language: str
    seconds: float
    sha256: str
    licence: str
    source: str
    text_note: str | None = None

    def to_json(self) -> str:
        """One JSON object on one line; fields without a value are left out, except `text`."""
        fields = {k: v for k, v in dataclasses.asdict(self).items() if v is not None or k == "text"}
        return json.dumps(fields, ensure_ascii=False)


def write_flac(path: Path, samples: Int16Samples) -> str:
    """Write (T,) int16 samples at 16,000 Hz losslessly as mono FLAC and return the file's sha256."""
    if samples.dtype != np.int16 or samples.ndim != 1:
        raise ValueError(f"{path}: expected (T,) int16 samples, received {samples.shape} {samples.dtype}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    # Written whole or not at all, so that a file that is there can be trusted after a stop.
    partial = path.with_name(path.name + ".partial")
    soundfile.write(partial, samples, SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
    partial.replace(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_manifest(path: Path, utterances: Iterable[Utterance]) -> int:
    """Write a manifest whole, sorted by id, and return its number of lines; duplicate ids raise `SpeechDataError`."""
    ordered = sorted(utterances, key=lambda utterance: utterance.id)
    for first, second in itertools.pairwise(ordered):
        if first.id == second.id:
            raise SpeechDataError(f"{path}: the id {first.id!r} occurs twice; ids must be unique in a manifest.")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text("".join(u.to_json() + "\n" for u in ordered), encoding="utf-8")
    partial.replace(path)
    return len(ordered)


def read_manifest(path: Path) -> list[Utterance]:
    """Read a manifest written by `write_manifest`; a malformed line raises `SpeechDataError` with its number."""
    utterances = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            utterances.append(Utterance(**json.loads(line)))
        except (json.JSONDecodeError, TypeError) as error:
            raise SpeechDataError(f"{path}, line {number}: not an utterance of this project ({error}).") from error
    return utterances
