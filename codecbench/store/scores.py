"""The score store: measurements by content key, independent of how a run names codecs and utterances."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path

import pyarrow as pa

from codecbench.contracts.metric import Measurement, Status
from codecbench.store.shards import read_shards, write_shard

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
_NAMES = [f.name for f in fields(Measurement)]


class ScoreStore:
    """Measurements under ``folder`` (one decoder identity); written a shard at a time by the driver alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._rows: dict[str, tuple[Measurement, ...]] | None = None
        self._pending: dict[str, tuple[Measurement, ...]] = {}

    def get(self, key: str) -> tuple[Measurement, ...] | None:
        """Return the measurements under ``key``, or None."""
        return self._loaded().get(key)

    def done(self, key: str) -> bool:
        """Say whether ``key`` needs no further attempt."""
        rows = self.get(key)
        return rows is not None and not any(row.status in RETRIED for row in rows)

    def put(self, key: str, measurements: Sequence[Measurement]) -> None:
        """Add measurements; they reach the disk with the next ``flush`` or when a shard is full."""
        self._loaded()[key] = self._pending[key] = tuple(measurements)
        if sum(len(rows) for rows in self._pending.values()) >= ROWS_PER_SHARD:
            self.flush()

    def flush(self) -> None:
        """Write what is pending as one shard."""
        if self._pending:
            write_shard(self.folder, list(_as_rows(self._pending)), SCHEMA)
            self._pending = {}

    def _loaded(self) -> dict[str, tuple[Measurement, ...]]:
        if self._rows is None:
            self._rows = {}
            for table in read_shards(self.folder):
                self._rows.update(_by_key(table.to_pylist()))
        return self._rows


def _as_rows(pending: Mapping[str, tuple[Measurement, ...]]) -> Iterable[dict[str, object]]:
    for key, measurements in pending.items():
        for measurement in measurements:
            yield {"key": key, **asdict(measurement)}


def _by_key(rows: Iterable[dict]) -> dict[str, tuple[Measurement, ...]]:
    grouped: dict[str, list[Measurement]] = {}
    for row in rows:
        row["status"] = Status(row["status"])
        grouped.setdefault(row["key"], []).append(Measurement(**{name: row[name] for name in _NAMES}))
    return {key: tuple(measurements) for key, measurements in grouped.items()}
