"""What in a store no run needs any more: behind ``codecbench store gc``."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from codecbench.artifacts import FILE_NAME as ARTIFACTS
from codecbench.errors import CodecbenchError, UsageError
from codecbench.results import RECORDS_FOLDER
from codecbench.runinfo import FILE_NAME as RUN_FILE
from codecbench.store.identities import FILE_NAME as IDENTITY
from codecbench.store.identities import StoreFolder, store_folders
from codecbench.store.index import as_digests
from codecbench.store.inventory import content_of, file_keys
from codecbench.store.places import StoredFile, StorePath
from codecbench.store.shards import CORRUPT_SUFFIX

# A temporary file that is older was left by a process that was killed; a younger one may be being written.
LEFT_OVER_S = 3600.0


class Why(StrEnum):
    """Why a file can go."""

    UNREFERENCED = "unreferenced"
    LEFT_OVER = "left over"
    CORRUPT = "corrupt"


@dataclass(frozen=True)
class Waste:
    """A file that can go."""

    path: StorePath
    num_bytes: int
    why: Why


def find_waste(store: StorePath, keep: Sequence[Path]) -> list[Waste]:
    """Return what none of the run folders ``keep`` rests on; nothing is changed.

    A shard stays as a whole where one of its rows is needed. Raises UsageError for a folder that is not a finished run
    or that rests on nothing here: then it is another store that is meant.
    """
    kept = [_run_keys(run) for run in keep]
    needed = np.unique(np.concatenate(kept)) if kept else as_digests([])
    used = np.zeros(len(needed), bool)
    waste = []
    for folder in store_folders(store):
        waste += _folder_waste(folder, needed, used)
    for run, keys in zip(keep, kept, strict=True):
        if not np.isin(keys, needed[used]).any():
            raise UsageError(f"run {run} rests on nothing in {store}: name the store that it was made with")
    return waste


def remove(waste: Iterable[Waste]) -> Iterator[Waste]:
    """Remove files, and local folders that are left empty; yields each when it is gone."""
    for item in waste:
        item.path.remove()
        item.path.parent.remove_if_empty()
        yield item


def _folder_waste(folder: StoreFolder, needed: np.ndarray, used: np.ndarray) -> list[Waste]:
    """Find the waste of one folder, and mark in ``used`` [needed] the keys that it holds."""
    files = folder.path.walk()
    content = content_of(folder, files)
    waste = []
    for file in content:
        keys = file_keys(folder.kind, file.path)
        if keys is None:
            continue  # corrupted: ``verify --repair`` is asked about it first
        found = keys[np.isin(keys, needed)]
        used[np.searchsorted(needed, found)] = True
        if not len(found):
            waste.append(Waste(file.path, file.num_bytes, Why.UNREFERENCED))
    waste += [Waste(file.path, file.num_bytes, why) for file in files if (why := _why(file)) is not None]
    if waste and len(waste) == sum(file.path.name != IDENTITY for file in files):
        waste += [Waste(f.path, f.num_bytes, Why.UNREFERENCED) for f in files if f.path.name == IDENTITY]
    return waste


def _why(file: StoredFile) -> Why | None:
    name = file.path.name
    if name.endswith(CORRUPT_SUFFIX):
        return Why.CORRUPT
    left_over = name.startswith(".") and name.endswith(".tmp")
    old = file.modified_s is not None and time.time() - file.modified_s > LEFT_OVER_S
    return Why.LEFT_OVER if left_over and old else None


def _run_keys(run: Path) -> np.ndarray:
    """Return the digests of all store keys that a finished run rests on: of scores, tokens and kept audio."""
    if not (run / RUN_FILE).is_file():
        raise UsageError(f"{run} is not a finished run (no {RUN_FILE}): finish it, or leave out --keep {run}")
    try:
        parts = [pq.read_table(path, columns=["key"]).column("key") for path in _tables(run / RECORDS_FOLDER)]
        if (run / ARTIFACTS).is_file():
            table = pq.read_table(run / ARTIFACTS, columns=["token_key", "audio"])
            parts += [table.column("token_key")]
            audio = [Path(path).stem for path in table.column("audio").to_pylist() if path]
            parts += [pa.chunked_array([audio], pa.string())]
    except (OSError, pa.ArrowException) as error:
        raise CodecbenchError(f"run {run} cannot be read ({error}); run it again first") from error
    keys = {key for part in parts for key in part.unique().to_pylist()}
    return as_digests(sorted(keys))


def _tables(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.parquet"))
