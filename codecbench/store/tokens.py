"""The token store of one encoder identity: packed utterances by key."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from codecbench.contracts.encoded import Bitstream, Tokens
from codecbench.store.packing import PackedUtterance, unpack
from codecbench.store.shards import read_shards, write_shard

SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("kind", pa.string()),
        ("num_samples", pa.int64()),
        ("header", pa.string()),
        ("payload", pa.binary()),
    ]
)


class TokenStore:
    """Packed tokens under ``folder`` (one encoder identity); loaded once, appended by shards."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._rows: dict[str, PackedUtterance] | None = None

    def get(self, key: str) -> Tokens | Bitstream | None:
        """Return the utterance under ``key`` (B = 1), or None."""
        packed = self.packed(key)
        return None if packed is None else unpack(packed)

    def packed(self, key: str) -> PackedUtterance | None:
        """Return the utterance under ``key`` as it is stored, or None."""
        return self._loaded().get(key)

    def append(self, rows: Mapping[str, PackedUtterance]) -> None:
        """Write utterances as one shard; a store that was read before does not see them."""
        if rows:
            write_shard(self.folder, [{"key": key, **vars(packed)} for key, packed in rows.items()], SCHEMA)

    def _loaded(self) -> dict[str, PackedUtterance]:
        if self._rows is None:
            self._rows = {
                row.pop("key"): PackedUtterance(**row)
                for table in read_shards(self.folder)
                for row in table.to_pylist()
            }
        return self._rows
