"""Parquet shards: written whole, numbered (never by the clock), their checksum in their name."""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from codecbench.errors import CodecbenchError
from codecbench.store.places import Place, StoreError, StorePath

SUFFIX = ".parquet"
CORRUPT_SUFFIX = ".corrupt"
_CHECKSUM_BYTES = 8
# The last number that this process gave in each folder: a listing for each shard would cost more and more.
_numbers: dict[StorePath, int] = {}


class CorruptShard(CodecbenchError):  # noqa: N818 - reads as what it is
    """The bytes of a shard are not those that were written."""


def write_shard(folder: Place, rows: Sequence[dict[str, Any]], schema: pa.Schema) -> StorePath:
    """Write ``rows`` as the next shard of ``folder``; a reader sees all of it or nothing.

    Several processes may write to one folder: a shard's name holds the checksum of its content, so that two of one name
    are one. Raises StoreError (disk full, no permission) with nothing left behind.
    """
    folder = StorePath.of(folder)
    data = _bytes_of(pa.Table.from_pylist(list(rows), schema=schema))
    final = folder / f"{_next_number(folder):08d}-{_checksum(data)}{SUFFIX}"
    final.write(data)
    return final


def replace_shards(sources: Sequence[StorePath], table: pa.Table) -> int:
    """Write ``table`` as one shard in place of ``sources`` (neighbours, oldest first); return how many fewer there are.

    Killed at any time it leaves each row in one of them at least. Its number is that of the last source, so that what
    was newer than they is newer than it. Raises StoreError, with all sources left where it cannot be written.
    """
    data = _bytes_of(table)
    final = sources[-1].parent / f"{sources[-1].name.partition('-')[0]}-{_checksum(data)}{SUFFIX}"
    final.write(data)
    final.settle()
    try:
        checked_shard(final)
    except FileNotFoundError:  # put aside; or merged further by another compaction, and the sources wait for the next
        return 0
    old = [source for source in sources if source != final]  # equal where one source holds all that the others do
    for source in old:
        source.remove()
    return len(old) - (final not in sources)


def write_whole(table: pa.Table, final: Path) -> None:
    """Write a table beside ``final`` under a hidden name, sync it to disk, and rename it into place."""
    temporary = final.with_name(f".{final.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")
    try:
        with temporary.open("wb") as file:
            pq.write_table(table, file, compression="zstd", write_page_checksum=True)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(final)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def shards(folder: Place) -> list[StorePath]:
    """Return the shards of ``folder``, oldest first."""
    folder = StorePath.of(folder)
    return [folder / name for name in folder.names() if name.endswith(SUFFIX) and not name.startswith(".")]


def read_shards(folder: Place, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """Read shards oldest first; a corrupted one is put aside (``*.corrupt``), so that its work is done again."""
    for shard in shards(folder):
        table = read_shard(shard, columns)
        if table is not None:
            yield table


def read_shard(shard: StorePath, columns: Sequence[str] | None = None) -> pa.Table | None:
    """Read one shard; a corrupted one is put aside (``*.corrupt``), and None returned.

    None also for one that is gone, since another process may have put it aside or merged it into another one. Raises
    StoreError where the store cannot be read: that is no fault of the shard.
    """
    try:
        return checked_shard(shard, columns)
    except FileNotFoundError:
        return None
    except CorruptShard:
        with contextlib.suppress(FileNotFoundError, StoreError):  # another process was first; or it may only be read
            put_aside(shard)
        return None


def checked_shard(shard: StorePath, columns: Sequence[str] | None = None) -> pa.Table:
    """Read one shard; all of it is checked, whatever the columns, so that what an index lists can be read later.

    Raises CorruptShard, StoreError, or FileNotFoundError where it is gone.
    """
    data = shard.read()
    stated, found = shard.name.removesuffix(SUFFIX).rpartition("-")[2], _checksum(data)
    # Shards of the first stores have eight random digits there: only their pages carry checksums.
    if len(stated) == 2 * _CHECKSUM_BYTES and stated != found:
        raise CorruptShard(f"its checksum is {found}, its name says {stated} ({len(data)} bytes)")
    try:
        return pq.read_table(pa.BufferReader(data), columns=columns, page_checksum_verification=True)
    except (OSError, pa.ArrowException) as error:
        raise CorruptShard(str(error).partition("\n")[0]) from error


def put_aside(file: StorePath) -> None:
    """Rename a corrupted file, so that no run reads it and what it held is done again."""
    file.move(file.parent / f"{file.name.removesuffix(SUFFIX)}{CORRUPT_SUFFIX}")


def _bytes_of(table: pa.Table) -> memoryview:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    return memoryview(sink.getvalue())


def _checksum(data: bytes | memoryview) -> str:
    return hashlib.blake2b(data, digest_size=_CHECKSUM_BYTES).hexdigest()


def _next_number(folder: StorePath) -> int:
    if folder not in _numbers:
        numbers = (shard.name.partition("-")[0] for shard in shards(folder))
        _numbers[folder] = max((int(number) for number in numbers if number.isdigit()), default=0)
    _numbers[folder] += 1
    return _numbers[folder]
