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
    needs another attempt over one that does not. columns: what ``needs_retry`` looks at, beside ``key``.
    """

    def __init__(self, folder: Place, columns: Sequence[str] = (), needs_retry: NeedsRetry | None = None) -> None:
        self.folder = folder
        self._columns, self._needs_retry = ["key", *columns], needs_retry
        self._shards: list[StorePath] = []
        self._runs: list[_Run] = []
        self.add(shards(folder))

    def add(self, paths: Sequence[StorePath]) -> None:
        """Take in shards that were written since, oldest first."""
        parts = [part for path in paths if (part := self._part(path)) is not None]
        if parts:
            self._runs.append(_merged(parts))
        # Runs of falling size: each key is moved a logarithmic number of times.
        while len(self._runs) > 1 and len(self._runs[-2]) < 2 * len(self._runs[-1]):
            newer, older = self._runs.pop(), self._runs.pop()
            self._runs.append(_merged([older, newer]))

    def has(self, keys: Sequence[str]) -> np.ndarray:
        """Say for each key whether it is here: bool [keys]."""
        return self._find(keys).shards >= 0

    def done(self, keys: Sequence[str]) -> np.ndarray:
        """Say for each key whether it is here and needs no further attempt: bool [keys]."""
        return self._find(keys).done

    def read(self, keys: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        """Return the rows of the keys that are here; each shard is opened once."""
        found = self._find(keys)
        result: dict[str, list[dict[str, Any]]] = {}
        for shard in np.unique(found.shards[found.shards >= 0]):
            table = read_shard(self._shards[shard])
            if table is None:  # put aside as corrupt: what it held is done again
                self._runs = [run.take(run.shards != shard) for run in self._runs]
                continue
            places = np.flatnonzero(found.shards == shard)
            counts = found.counts[places]
            ends = np.cumsum(counts)
            # Rows of each key one after another: first row of the key + position among its rows.
            wanted = np.repeat(found.rows[places] - (ends - counts), counts) + np.arange(counts.sum())
            rows = table.take(pa.array(wanted)).to_pylist()
            for place, start, end in zip(places, ends - counts, ends, strict=True):
                result[keys[int(place)]] = rows[start:end]
        return result

    def _part(self, path: StorePath) -> _Run | None:
        table = read_shard(path, self._columns)
        if table is None or not len(table):
            return None
        self._shards.append(path)
        keys = as_digests(table.column("key").to_pylist())
        starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
        counts = np.diff(np.append(starts, len(keys)))
        retried = np.zeros(len(keys), bool) if self._needs_retry is None else self._needs_retry(table)
        shard = np.full(len(starts), len(self._shards) - 1, np.int32)
        done = ~np.logical_or.reduceat(retried, starts)
        return _Run(keys[starts], shard, starts.astype(np.int32), counts.astype(np.int32), done)

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
