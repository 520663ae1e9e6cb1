"""Parquet shards: written whole under a hidden name, synced, renamed; numbered, never by the clock."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from codecbench.errors import CodecbenchError


class StoreError(CodecbenchError):
    """The store cannot be read or written."""


def write_shard(folder: Path, rows: Sequence[dict[str, Any]], schema: pa.Schema) -> Path:
    """Write ``rows`` as the next shard of ``folder``; a reader sees all of it or nothing.

    Raises StoreError (disk full, no permission) with nothing left behind.
    """
    table = pa.Table.from_pylist(list(rows), schema=schema)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        final = folder / f"{_next_number(folder):08d}-{uuid.uuid4().hex[:8]}.parquet"
        write_whole(table, final)
    except OSError as error:
        raise StoreError(f"cannot write to the store at {folder}: {error}; free space or give another --out") from error
    return final


def write_whole(table: pa.Table, final: Path) -> None:
    """Write a table beside ``final`` under a hidden name, sync it to disk, and rename it into place."""
    temporary = final.with_name(f".{final.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            pq.write_table(table, file, compression="zstd", write_page_checksum=True)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(final)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def shards(folder: Path) -> list[Path]:
    """Return the shards of ``folder``, oldest first."""
    return sorted(p for p in folder.glob("*.parquet") if not p.name.startswith("."))


def read_shards(folder: Path, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """Read shards oldest first; a corrupted one is put aside (``*.corrupt``), so that its work is done again."""
    for shard in shards(folder):
        table = read_shard(shard, columns)
        if table is not None:
            yield table


def read_shard(shard: Path, columns: Sequence[str] | None = None) -> pa.Table | None:
    """Read one shard; a corrupted one is put aside (``*.corrupt``), and None returned."""
    try:
        return pq.read_table(shard, columns=columns, page_checksum_verification=True)
    except (OSError, pa.ArrowException):
        shard.replace(shard.with_suffix(".corrupt"))
        return None


def _next_number(folder: Path) -> int:
    existing = shards(folder)
    return int(existing[-1].name.split("-")[0]) + 1 if existing else 1
