"""The index of a store against a dictionary, over any history of shards."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa

from codecbench.store.index import ShardIndex, as_digests
from codecbench.store.shards import shards, write_shard

SCHEMA = pa.schema([("key", pa.string()), ("value", pa.int64()), ("status", pa.string())])
KEYS = [hashlib.md5(str(i).encode()).hexdigest() for i in range(50)] + ["a key that is no digest"]


def _is_bad(table: pa.Table) -> np.ndarray:
    return np.array([status == "bad" for status in table.column("status").to_pylist()])


def _rows(rng: np.random.Generator, key: str) -> list[dict[str, object]]:
    status = "bad" if rng.random() < 0.4 else "ok"
    count = int(rng.integers(1, 4))
    return [{"key": key, "value": int(rng.integers(10**6)), "status": status} for _ in range(count)]


def test_the_newest_rows_win_but_never_failed_ones_over_good_ones(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth: dict[str, list[dict[str, object]]] = {}
    grown = ShardIndex(tmp_path, ["status"], _is_bad)
    for _ in range(30):
        chosen = {KEYS[i]: _rows(rng, KEYS[i]) for i in rng.permutation(len(KEYS))[:7]}
        for key, rows in chosen.items():
            if key not in truth or rows[0]["status"] == "ok" or truth[key][0]["status"] == "bad":
                truth[key] = rows
        grown.add([write_shard(tmp_path, [row for rows in chosen.values() for row in rows], SCHEMA)])
        for index in (grown, ShardIndex(tmp_path, ["status"], _is_bad)):
            assert index.read(KEYS) == truth
            assert index.has(KEYS).tolist() == [key in truth for key in KEYS]
            assert index.done(KEYS).tolist() == [key in truth and truth[key][0]["status"] == "ok" for key in KEYS]


def test_a_shard_that_breaks_later_is_put_aside_and_its_keys_are_gone(tmp_path: Path) -> None:
    for key in KEYS[:3]:
        write_shard(tmp_path, [{"key": key, "value": 1, "status": "ok"}], SCHEMA)
    index = ShardIndex(tmp_path)
    broken = shards(tmp_path)[1].local
    assert broken is not None
    broken.write_bytes(broken.read_bytes()[:-20])
    assert set(index.read(KEYS[:3])) == {KEYS[0], KEYS[2]}
    assert index.has(KEYS[:3]).tolist() == [True, False, True]
    assert broken.with_suffix(".corrupt").is_file()


def test_digests_keep_their_order_and_take_sixteen_bytes() -> None:
    digests = as_digests(sorted(KEYS[:50]))
    assert digests.itemsize == 16
    assert (digests[1:] > digests[:-1]).all()
    assert len(as_digests([])) == 0
