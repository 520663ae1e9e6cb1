"""The token store of one encoder identity: packed utterances by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from codecbench.contracts.encoded import Bitstream, Tokens
from codecbench.store.index import ShardIndex
from codecbench.store.packing import PackedUtterance, unpack
from codecbench.store.places import Place, StorePath
from codecbench.store.shards import write_shard

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
    """Packed tokens under ``folder`` (one encoder identity); read by an index of the keys, appended by shards."""

    def __init__(self, folder: Place) -> None:
        self.folder = StorePath.of(folder)
        self._index: ShardIndex | None = None

    def get(self, key: str) -> Tokens | Bitstream | None:
        """Return the utterance under ``key`` (B = 1), or None."""
        packed = self.packed(key)
        return None if packed is None else unpack(packed)

    def has_all(self, keys: Sequence[str]) -> np.ndarray:
        """Say for each key whether it is here: bool [keys]."""
        return self._loaded().has(keys)

    def packed(self, key: str) -> PackedUtterance | None:
        """Return the utterance under ``key`` as it is stored, or None."""
        return self.packed_all([key]).get(key)

    def packed_all(self, keys: Sequence[str]) -> dict[str, PackedUtterance]:
        """Return those utterances that are here as they are stored."""
        return {key: _packed(rows[-1]) for key, rows in self._loaded().read(keys).items()}

    def append(self, rows: Mapping[str, PackedUtterance]) -> None:
        """Write utterances as one shard; of other stores on the folder those read before do not see them."""
        if rows:
            shard = write_shard(self.folder, [{"key": key, **vars(packed)} for key, packed in rows.items()], SCHEMA)
            if self._index is not None:
                self._index.add([shard])

    def _loaded(self) -> ShardIndex:
        if self._index is None:
            self._index = ShardIndex(self.folder)
        return self._index


def _packed(row: dict[str, Any]) -> PackedUtterance:
    row.pop("key")
    return PackedUtterance(**row)
