"""Where the keys of a store lie: sorted digests in numpy arrays, so that a million keys need tens of megabytes."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from codecbench.store.places import Place, StorePath
from codecbench.store.shards import read_shard, shards

KEY_BYTES = 16
# Times that a folder is listed anew where shards are gone when they are to be read.
_LOOKS = 10
# Says for each row of a table whether it needs another attempt: bool [rows].
NeedsRetry = Callable[[pa.Table], np.ndarray]


@dataclass(frozen=True)
class _Run:
    """Keys [N] in ascending order, each once: shard, first row and number of rows, and whether it is done."""

    keys: np.ndarray
    shards: np.ndarray
    rows: np.ndarray
    counts: np.ndarray
    done: np.ndarray

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, chosen: np.ndarray) -> _Run:
        """Return the entries that ``chosen`` (indices or mask) names."""
        return _Run(*(column[chosen] for column in vars(self).values()))


class ShardIndex:
    """An index over the shards of ``folder``: 29 bytes for each key; rows are read back shard by shard.

    A key's rows lie together in one shard. Of several shards that hold a key the newest wins, but never one that
    needs another attempt over one that does not. columns: what ``needs_retry`` looks at, beside ``key``. Where a shard
    is gone the folder is listed again, since a compaction may have merged it into another.
    """

    def __init__(self, folder: Place, columns: Sequence[str] = (), needs_retry: NeedsRetry | None = None) -> None:
        self.folder = folder
        self._columns, self._needs_retry = ["key", *columns], needs_retry
        self._shards: list[StorePath] = []
        self._listed: set[str] = set()
        self._runs: list[_Run] = []
        self._last: tuple[int, pa.Table] | None = None
        self._look()

    def add(self, paths: Sequence[StorePath]) -> bool:
        """Take in shards that were written since, oldest first; says whether all of them could be read."""
        found = [self._part(path) for path in paths]
        parts = [part for part in found if part is not None]
        if parts:
            self._runs.append(_merged(parts))
        # Runs of falling size: each key is moved a logarithmic number of times.
        while len(self._runs) > 1 and len(self._runs[-2]) < 2 * len(self._runs[-1]):
            newer, older = self._runs.pop(), self._runs.pop()
            self._runs.append(_merged([older, newer]))
        return len(parts) == len(found)

    def _look(self) -> None:
        """Take in all shards that were not listed before."""
        for _ in range(_LOOKS):
            if self.add([path for path in shards(self.folder) if path.name not in self._listed]):
                return

    def has(self, keys: Sequence[str]) -> np.ndarray:
        """Say for each key whether it is here: bool [keys]."""
        return self._find(keys).shards >= 0

    def done(self, keys: Sequence[str]) -> np.ndarray:
        """Say for each key whether it is here and needs no further attempt: bool [keys]."""
        return self._find(keys).done

    def read(self, keys: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        """Return the rows of the keys that are here; each shard is opened once."""
        result: dict[str, list[dict[str, Any]]] = {}
        for _ in range(_LOOKS):
            if self._read_into(result, [key for key in keys if key not in result]):
                break
            self._look()
        return result

    def _read_into(self, result: dict[str, list[dict[str, Any]]], keys: Sequence[str]) -> bool:
        """Add the rows of keys; says whether all shards that were to be read are still there."""
        found, gone = self._find(keys), list[int]()
        for shard in np.unique(found.shards[found.shards >= 0]):
            table = self._table(int(shard))
            if table is None:  # put aside as corrupt: what it held is done again; or merged into another one
                gone.append(int(shard))
                continue
            places = np.flatnonzero(found.shards == shard)
            counts = found.counts[places]
            ends = np.cumsum(counts)
            rows = table.take(pa.array(_spread(found.rows[places], counts))).to_pylist()
            for place, start, end in zip(places, ends - counts, ends, strict=True):
                result[keys[int(place)]] = rows[start:end]
        if gone:
            self._runs = [run.take(~np.isin(run.shards, gone)) for run in self._runs]
        return not gone

    def _table(self, shard: int) -> pa.Table | None:
        """Read a shard; the last one is kept, since who asks for a few keys after a few reads large shards often."""
        if self._last is None or self._last[0] != shard:
            table = read_shard(self._shards[shard])
            self._last = None if table is None else (shard, table)
            return table
        return self._last[1]

    def _part(self, path: StorePath) -> _Run | None:
        table = read_shard(path, self._columns)
        self._listed.add(path.name)
        if table is None:
            return None
        self._shards.append(path)
        return _run_of(table, len(self._shards) - 1, self._needs_retry)

    def _find(self, keys: Sequence[str]) -> _Run:
        wanted = as_digests(keys)
        nowhere = np.full(len(wanted), -1, np.int32)
        found = _Run(wanted, nowhere, nowhere.copy(), nowhere.copy(), np.zeros(len(wanted), bool))
        for run in self._runs:
            if not len(run):
                continue
            place = np.minimum(np.searchsorted(run.keys, wanted), len(run) - 1)
            better = (run.keys[place] == wanted) & (run.done[place] | ~found.done)
            for name in ("shards", "rows", "counts", "done"):
                getattr(found, name)[better] = getattr(run, name)[place[better]]
        return found


def chosen_rows(tables: Sequence[pa.Table], needs_retry: NeedsRetry | None) -> np.ndarray:
    """Return the rows, counted over all tables, that an index over such shards, oldest first, would read, in order."""
    firsts = np.cumsum([0, *(len(table) for table in tables[:-1])])
    run = _merged([_run_of(table, number, needs_retry) for number, table in enumerate(tables)])
    return np.sort(_spread(firsts[run.shards] + run.rows, run.counts))


def _run_of(table: pa.Table, shard: int, needs_retry: NeedsRetry | None) -> _Run:
    keys = as_digests(table.column("key").to_pylist())
    starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])[: len(keys)])
    counts = np.diff(np.append(starts, len(keys)))
    retried = np.zeros(len(keys), bool) if needs_retry is None else needs_retry(table)
    done = ~np.logical_or.reduceat(retried, starts) if len(keys) else np.zeros(0, bool)
    shards = np.full(len(starts), shard, np.int32)
    return _Run(keys[starts], shards, starts.astype(np.int32), counts.astype(np.int32), done)


def _spread(firsts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the rows of each key one after another: first row of the key + position among its rows."""
    ends = np.cumsum(counts, dtype=np.int64)
    return np.repeat(firsts - (ends - counts), counts) + np.arange(counts.sum())


def as_digests(keys: Sequence[str]) -> np.ndarray:
    """Return keys as 16-byte strings [N]: 32 hex digits as they are, anything else by its hash."""
    try:
        data = bytes.fromhex("".join(keys))
        whole = all(len(key) == 2 * KEY_BYTES for key in keys)
    except ValueError:
        whole = False
    return np.frombuffer(data if whole else b"".join(map(_digest, keys)), f"S{KEY_BYTES}")


def _digest(key: str) -> bytes:
    with contextlib.suppress(ValueError):
        if len(digits := bytes.fromhex(key)) == KEY_BYTES:
            return digits
    return hashlib.blake2b(key.encode(), digest_size=KEY_BYTES).digest()


def _merged(parts: Sequence[_Run]) -> _Run:
    """Put parts together, oldest first; of equal keys the last that is done stays, else the last."""
    joined = _Run(*(np.concatenate(columns) for columns in zip(*(vars(p).values() for p in parts), strict=True)))
    order = np.argsort(joined.done, kind="stable")
    order = order[np.argsort(joined.keys[order], kind="stable")]
    keys = joined.keys[order]
    return joined.take(order[np.append(keys[1:] != keys[:-1], True)])
