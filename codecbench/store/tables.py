"""Parquet files that are written block by block and appear whole: a reader sees all of one or nothing."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from codecbench.store.shards import StoreError


class TableWriter:
    """Takes rows; made by ``growing_table``."""

    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema, final: Path) -> None:
        self._writer, self._schema, self._final = writer, schema, final

    def rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows as one row group."""
        if rows:
            table = pa.Table.from_pylist(list(rows), schema=self._schema)
            with _told(self._final):
                self._writer.write_table(table)

    def note(self, name: str, text: str) -> None:
        """Put a fact about the whole table into the file's metadata."""
        self._writer.add_key_value_metadata({name: text})


@contextlib.contextmanager
def growing_table(final: Path, schema: pa.Schema) -> Iterator[TableWriter]:
    """Open a table to be written; when the block ends it is synced and renamed to ``final``, on an error removed.

    Raises StoreError where it cannot be written (disk full, no permission).
    """
    temporary = final.with_name(f".{final.name}.{os.getpid()}.tmp")
    with _told(final):
        file = temporary.open("wb")
    try:
        writer = pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True)
        yield TableWriter(writer, schema, final)
        with _told(final):
            writer.close()
            file.flush()
            os.fsync(file.fileno())
            file.close()
            temporary.replace(final)
    except BaseException:
        with contextlib.suppress(OSError):
            file.close()
        temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _told(final: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"cannot write {final}: {error.strerror or error}; free space or give another --out"
        ) from error
