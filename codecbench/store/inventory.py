"""What a store holds, and whether it is sound: behind ``codecbench store ls`` and ``verify``."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from codecbench.store.audio import NO_AUDIO, audio_fault
from codecbench.store.audio import SUFFIX as AUDIO_SUFFIX
from codecbench.store.identities import Identity, Kind, StoreFolder, store_folders
from codecbench.store.index import as_digests
from codecbench.store.places import StoredFile, StorePath
from codecbench.store.shards import CORRUPT_SUFFIX, SUFFIX, CorruptShard, checked_shard, put_aside

_CONTENT = {Kind.TOKENS: (SUFFIX,), Kind.SCORES: (SUFFIX,), Kind.AUDIO: (AUDIO_SUFFIX, NO_AUDIO)}


@dataclass(frozen=True)
class Holding:
    """What one folder of a store holds.

    entries: utterances of tokens and audio; of scores, utterances times scorers. num_bytes: of all its files. age_s:
    since the last one was written, None where the place does not say. corrupt: files that are corrupted or were put
    aside as such. facts: what the content hash is made of.
    """

    kind: Kind
    id: str
    codec: str
    entries: int
    num_bytes: int
    age_s: float | None
    corrupt: int
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Fault:
    """A corrupted file of a store and what is wrong with it; repaired: whether it was put aside."""

    path: str
    reason: str
    repaired: bool = False


def holdings(store: StorePath) -> Iterator[Holding]:
    """Describe every folder that holds something; shards are read for their keys, nothing is changed."""
    for folder in store_folders(store):
        files = folder.path.walk()
        content = content_of(folder, files)
        identity = folder.identity or Identity("")
        keys = [file_keys(folder.kind, file.path) for file in content]
        found = [part for part in keys if part is not None]
        put_aside_before = sum(file.path.name.endswith(CORRUPT_SUFFIX) for file in files)
        if not content and not put_aside_before:
            continue
        yield Holding(
            folder.kind,
            folder.path.name,
            identity.codec,
            len(np.unique(np.concatenate(found))) if found else 0,
            sum(file.num_bytes for file in files),
            _age_s(files),
            put_aside_before + len(keys) - len(found),
            identity.facts,
        )


def verify(store: StorePath, *, repair: bool = False) -> Iterator[Fault]:
    """Check every shard and audio file against its checksums; ``repair`` puts the corrupted ones aside."""
    for folder in store_folders(store):
        for file in content_of(folder, folder.path.walk()):
            reason = _fault(folder.kind, file.path)
            if reason and repair:
                put_aside(file.path)
            if reason:
                yield Fault(str(file.path), reason, repair)


def content_of(folder: StoreFolder, files: Sequence[StoredFile]) -> list[StoredFile]:
    """Return the files of a folder that hold its content: shards, or kept audio."""
    suffixes = _CONTENT[folder.kind]
    return [f for f in files if f.path.name.endswith(suffixes) and not f.path.name.startswith(".")]


def file_keys(kind: Kind, file: StorePath) -> np.ndarray | None:
    """Return the digests of the keys that a file holds, [keys]; None where it is corrupted or gone."""
    if kind is Kind.AUDIO:
        return as_digests([file.name.partition(".")[0]])
    try:
        return as_digests(checked_shard(file, ["key"]).column("key").to_pylist())
    except (CorruptShard, FileNotFoundError):
        return None


def _fault(kind: Kind, file: StorePath) -> str:
    if kind is Kind.AUDIO:
        return audio_fault(file.local) if file.local is not None else ""
    try:
        checked_shard(file)
    except CorruptShard as fault:
        return str(fault)
    except FileNotFoundError:  # put aside or collected meanwhile
        return ""
    return ""


def _age_s(files: Sequence[StoredFile]) -> float | None:
    times = [file.modified_s for file in files if file.modified_s is not None]
    return max(0.0, time.time() - max(times)) if times else None  # never negative, even where a clock was set back
