"""The speech with text that models are trained and judged on: read, filtered by seconds, and split by text."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from codecbench.audio.reading import read_audio
from codecbench.contracts.audio import Utterance
from codecbench.errors import BadInput, UsageError
from codecbench.hashing import digest, file_sha256
from codecbench.registering import Registry
from codecbench.runner.config import RunConfig
from codecbench.runner.selection import open_corpus
from codecbench_slm.config import DataConfig
from codecbench_slm.text import spoken


@dataclass(frozen=True)
class Split:
    """Utterances by what they are for, in a fixed order; each with the digest and the seconds of its file."""

    train: tuple[Utterance, ...]
    dev: tuple[Utterance, ...]
    test: tuple[Utterance, ...]

    @property
    def everything(self) -> tuple[Utterance, ...]:
        """All of them."""
        return self.train + self.dev + self.test


def read_sources(registry: Registry, data: DataConfig) -> Split:
    """Read every source, leave out what has no text or not the right length, and split by a hash of the texts.

    Utterances whose text is held out are not trained on, whoever speaks them: a model that has learnt a sentence by
    heart writes it from a syllable. Raises UsageError for a source that is too small and an id that occurs twice.
    """
    train: list[Utterance] = []
    dev: list[Utterance] = []
    test: list[Utterance] = []
    for source in data.sources:
        kept = list(usable(registry, source.path, data))
        held = source.dev + source.test
        if len(kept) <= held:
            raise UsageError(
                f"data {source.path}: {len(kept)} utterances have text and the right length, no more than are held out "
                f"(dev = {source.dev}, test = {source.test})"
            )
        ranked = sorted(kept, key=lambda u: (hashlib.sha256(_text(u).encode()).digest(), u.id))
        dev += ranked[: source.dev]
        test += ranked[source.dev : held]
        train += ranked[held:]
    held_texts = {_text(u) for u in dev + test}
    left = sorted((u for u in train if _text(u) not in held_texts), key=lambda u: u.id)
    if not left:
        raise UsageError("nothing is left to train on: every text is held out; lower dev and test of the sources")
    _require_unique([*left, *dev, *test])
    return Split(tuple(left), tuple(dev), tuple(test))


def usable(registry: Registry, path: str, data: DataConfig) -> Iterator[Utterance]:
    """Walk over the utterances of one corpus that have text, the right length and are not excluded."""
    corpus = open_corpus(registry, RunConfig(out=Path(), corpus=path))
    for utterance in corpus.utterances():
        if utterance.id in data.exclude or not any(character.isalnum() for character in utterance.text or ""):
            continue
        if utterance.problem:
            raise UsageError(f"data {path}: {utterance.problem}; mend it, or leave it out by data.exclude")
        try:
            seconds = utterance.duration_s or _measured_s(utterance)
        except BadInput as error:
            raise UsageError(f"data {path}: {error}; mend it, or leave it out by data.exclude") from error
        if data.min_duration_s <= seconds <= data.max_duration_s:
            yield replace(utterance, duration_s=seconds, sha256=utterance.sha256 or file_sha256(utterance.audio))


def _measured_s(utterance: Utterance) -> float:
    """Decode the file: what its header says of its length is not believed."""
    audio, rate_hz = read_audio(utterance)
    return len(audio) / rate_hz


def seconds_of(utterance: Utterance) -> float:
    """Seconds of an utterance that was read here."""
    assert utterance.duration_s is not None
    return utterance.duration_s


def write_manifest(folder: Path, utterances: Sequence[Utterance]) -> Path:
    """Write utterances as a manifest that ``codecbench run`` reads; one set of them has one name, in any order."""
    rows = [
        {
            "id": u.id, "audio": str(u.audio.absolute()), "text": u.text, "speaker": u.speaker, "language": u.language,
            "sha256": u.sha256,
        }
        for u in sorted(utterances, key=lambda u: u.id)
    ]  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{digest(rows)[:16]}.jsonl"
    temporary = path.with_suffix(".tmp")
    temporary.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    temporary.replace(path)
    return path


def _text(utterance: Utterance) -> str:
    return spoken(utterance.text or "")


def _require_unique(utterances: Sequence[Utterance]) -> None:
    seen: set[str] = set()
    for utterance in utterances:
        if utterance.id in seen:
            raise UsageError(f"the id '{utterance.id}' occurs more than once in the data; rename one of them")
        seen.add(utterance.id)
