"""The score store: measurements by content key, independent of how a run names codecs and utterances."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from codecbench.contracts.metric import Measurement, Status
from codecbench.store.index import ShardIndex
from codecbench.store.places import Place, StorePath
from codecbench.store.shards import write_shard

# Outcomes that another attempt may mend: kept for this run's records, tried again by the next.
RETRIED = frozenset({Status.BACKEND_ERROR, Status.UNAVAILABLE})
ROWS_PER_SHARD = 2000

SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("metric", pa.string()),
        ("value", pa.float64()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("numerator", pa.float64()),
        ("denominator", pa.float64()),
        ("component", pa.string()),
        ("detail", pa.string()),
        ("utterance_id", pa.string()),
    ]
)


class ScoreStore:
    """Measurements under ``folder`` (one decoder identity); written a shard at a time by the driver alone.

    Memory: an index of the keys, loaded when first asked and let go by ``forget``; measurements are read back.
    """

    def __init__(self, folder: Place) -> None:
        self.folder = StorePath.of(folder)
        self._index: ShardIndex | None = None
        self._pending: dict[str, tuple[Measurement, ...]] = {}
        self._pending_rows = 0

    def get(self, key: str) -> tuple[Measurement, ...] | None:
        """Return the measurements under ``key``, or None."""
        return self.get_all([key]).get(key)

    def get_all(self, keys: Sequence[str]) -> dict[str, tuple[Measurement, ...]]:
        """Return the measurements of those keys that are here."""
        read = self._loaded().read([key for key in keys if key not in self._pending])
        found = {key: tuple(map(_measurement, rows)) for key, rows in read.items()}
        return found | {key: self._pending[key] for key in keys if key in self._pending}

    def done(self, key: str) -> bool:
        """Say whether ``key`` needs no further attempt."""
        return bool(self.done_all([key])[0])

    def done_all(self, keys: Sequence[str]) -> np.ndarray:
        """Say for each key whether it needs no further attempt: bool [keys]."""
        done = self._loaded().done(keys)
        if self._pending:
            pending = (self._pending.get(key) for key in keys)
            done |= np.array([rows is not None and not any(r.status in RETRIED for r in rows) for rows in pending])
        return done

    def has_all(self, keys: Sequence[str]) -> np.ndarray:
        """Say for each key whether it has measurements, failed ones among them: bool [keys]."""
        return self._loaded().has(keys) | np.array([key in self._pending for key in keys], bool)

    def put(self, key: str, measurements: Sequence[Measurement]) -> None:
        """Add measurements; they reach the disk with the next ``flush`` or when a shard is full."""
        self._pending_rows += len(measurements) - len(self._pending.get(key, ()))
        self._pending[key] = tuple(measurements)
        if self._pending_rows >= ROWS_PER_SHARD:
            self.flush()

    def flush(self) -> None:
        """Write what is pending as one shard."""
        if self._pending_rows:
            shard = write_shard(self.folder, list(_as_rows(self._pending)), SCHEMA)
            if self._index is not None:
                self._index.add([shard])
        self._pending, self._pending_rows = {}, 0

    def forget(self) -> None:
        """Let the index go; the next question loads it again, with what others have written meanwhile."""
        self._index = None

    def _loaded(self) -> ShardIndex:
        if self._index is None:
            self._index = ShardIndex(self.folder, ["status"], needs_retry)
        return self._index


def needs_retry(table: pa.Table) -> np.ndarray:
    """Say for each row of a shard whether its outcome is tried again: bool [rows]."""
    retried = pc.is_in(table.column("status"), value_set=pa.array(sorted(RETRIED)))
    return np.asarray(retried.to_numpy(), bool)


def _as_rows(pending: Mapping[str, tuple[Measurement, ...]]) -> Iterable[dict[str, object]]:
    for key, measurements in pending.items():
        for measurement in measurements:
            yield {"key": key, **vars(measurement)}


def _measurement(row: dict[str, Any]) -> Measurement:
    row.pop("key")
    return Measurement(**row | {"status": Status(row["status"])})
