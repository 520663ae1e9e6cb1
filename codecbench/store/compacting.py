"""Many small shards made into few large ones: behind ``codecbench store compact``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from codecbench.store.identities import Identity, Kind, StoreFolder, store_folders
from codecbench.store.index import NeedsRetry, chosen_rows
from codecbench.store.inventory import content_of
from codecbench.store.places import StoredFile, StorePath
from codecbench.store.scores import needs_retry
from codecbench.store.shards import CorruptShard, checked_shard, replace_shards

# Whoever reads one row reads its shard: these take some hundredths of a second.
MAX_ROWS: Mapping[Kind, int] = {Kind.TOKENS: 4096, Kind.SCORES: 1 << 16}
MAX_BYTES = 1 << 26
_NEEDS_RETRY: Mapping[Kind, NeedsRetry | None] = {Kind.TOKENS: None, Kind.SCORES: needs_retry}


@dataclass(frozen=True)
class Compacted:
    """One folder of a store: its shards before and after, and those that were left alone since they are corrupted."""

    kind: Kind
    id: str
    codec: str
    before: int
    after: int
    corrupt: tuple[str, ...] = ()


def compact(store: StorePath) -> Iterator[Compacted]:
    """Merge neighbouring small shards of every codec, so that what the store holds stays the same.

    Safe beside runs and another compaction, and wherever it is killed: a shard is removed only after the one that holds
    its rows is durable, and rows that lie in both are one. Raises StoreError where the store cannot be written.
    """
    for folder in store_folders(store):
        if folder.kind in MAX_ROWS:
            yield _compact_folder(folder)


def _compact_folder(folder: StoreFolder) -> Compacted:
    files = content_of(folder, folder.path.walk())
    corrupt: list[str] = []
    removed = 0
    for group in _groups(files, folder.kind, corrupt):
        if len(group) > 1:
            sources, tables = zip(*group, strict=True)
            removed += replace_shards(sources, merged(tables, _NEEDS_RETRY[folder.kind]))
    codec = (folder.identity or Identity("")).codec
    return Compacted(folder.kind, folder.path.name, codec, len(files), len(files) - removed, tuple(corrupt))


def _groups(
    files: Sequence[StoredFile], kind: Kind, corrupt: list[str]
) -> Iterator[Sequence[tuple[StorePath, pa.Table]]]:
    """Yield neighbours, oldest first, that together make a large shard; what is large already stands between them."""
    group: list[tuple[StorePath, pa.Table]] = []
    rows = num_bytes = 0
    for file in files:
        table = _read(file.path, corrupt) if file.num_bytes < MAX_BYTES // 2 else None
        if table is not None and len(table) < MAX_ROWS[kind] // 2:
            group.append((file.path, table))
            rows, num_bytes = rows + len(table), num_bytes + file.num_bytes
            if rows < MAX_ROWS[kind] and num_bytes < MAX_BYTES:
                continue
        yield group
        group, rows, num_bytes = [], 0, 0
    yield group


def _read(shard: StorePath, corrupt: list[str]) -> pa.Table | None:
    try:
        return checked_shard(shard)
    except FileNotFoundError:  # another compaction was first, or it was put aside
        return None
    except CorruptShard:  # ``verify --repair`` is asked about it first
        corrupt.append(str(shard))
        return None


def merged(tables: Sequence[pa.Table], needs_retry: NeedsRetry | None) -> pa.Table:
    """Return the rows of shards, oldest first, that an index over them would read, in their order."""
    return pa.concat_tables(tables, promote_options="default").take(pa.array(chosen_rows(tables, needs_retry)))
