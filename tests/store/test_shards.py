"""Shards: whole or not there, found when damaged wherever, safe for several writers, in no order of the clock."""

from __future__ import annotations

import errno
import multiprocessing
import os
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codecbench.store.places import StoreError, StorePath
from codecbench.store.shards import CorruptShard, checked_shard, read_shard, read_shards, shards, write_shard

SCHEMA = pa.schema([("key", pa.string()), ("value", pa.int64())])
MEMORY = StorePath.of("memory://test-shards")


def _keys(folder: StorePath | Path) -> list[str]:
    return [key for table in read_shards(folder) for key in table.column("key").to_pylist()]


@pytest.mark.parametrize("place", ["local", "file", "memory"])
def test_a_shard_is_read_back_and_numbered_in_the_order_of_writing(tmp_path: Path, place: str) -> None:
    folder = {"local": str(tmp_path), "file": f"file://{tmp_path}", "memory": f"memory://{tmp_path}"}[place]
    for value in range(12):
        write_shard(folder, [{"key": f"k{value}", "value": value}], SCHEMA)
    assert _keys(StorePath.of(folder)) == [f"k{value}" for value in range(12)]
    assert [table.column_names for table in read_shards(folder, ["value"])] == [["value"]] * 12


@settings(max_examples=60)
@given(st.data())
def test_damage_anywhere_is_found_by_the_checksum_whatever_columns_are_read(data: st.DataObject) -> None:
    rows = [{"key": f"k{i}", "value": i * 7919} for i in range(50)]
    shard = write_shard(MEMORY, rows, SCHEMA)
    whole = shard.read()
    if data.draw(st.booleans(), "cut"):
        damaged = whole[: data.draw(st.integers(0, len(whole) - 1), "length")]
    else:
        place = data.draw(st.integers(0, len(whole) - 1), "place")
        flipped = whole[place] ^ data.draw(st.integers(1, 255), "mask")
        damaged = whole[:place] + bytes([flipped]) + whole[place + 1 :]
    shard.write(damaged)
    with pytest.raises(CorruptShard, match="checksum"):
        checked_shard(shard, ["value"])
    assert read_shard(shard, ["value"]) is None
    assert shard.name not in [found.name for found in shards(MEMORY)]
    assert read_shard(shard) is None  # gone: another process may have been first


def test_a_shard_of_before_checksums_in_names_is_still_judged_by_its_pages(tmp_path: Path) -> None:
    shard = write_shard(tmp_path, [{"key": "k" * 40, "value": 1}] * 500, SCHEMA)
    old = StorePath.of(tmp_path / "00000009-0123abcd.parquet")
    old.write(shard.read())
    assert read_shard(old) is not None
    data = bytearray(shard.read())
    data[len(data) // 6] ^= 0xFF
    old.write(bytes(data))
    assert read_shard(old) is None
    assert (tmp_path / "00000009-0123abcd.corrupt").is_file()


def test_a_store_that_cannot_be_read_is_an_error_not_a_damaged_shard(tmp_path: Path) -> None:
    (tmp_path / "00000001-0123456789abcdef.parquet").mkdir()
    with pytest.raises(StoreError, match="cannot read"):
        list(read_shards(tmp_path))
    assert (tmp_path / "00000001-0123456789abcdef.parquet").is_dir()


def test_a_full_disk_is_told_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"No space left on device.*free space"):
        write_shard(tmp_path, [{"key": "k", "value": 1}], SCHEMA)
    assert list(tmp_path.iterdir()) == []


def test_the_order_of_shards_is_not_that_of_the_clock(tmp_path: Path) -> None:
    for value in range(5):
        shard = write_shard(tmp_path, [{"key": f"k{value}", "value": value}], SCHEMA).local
        assert shard is not None
        os.utime(shard, (2e9 - 1e6 * value, 2e9 - 1e6 * value))
    assert _keys(tmp_path) == [f"k{value}" for value in range(5)]


def _write_many(folder: Path, name: str, start: multiprocessing.synchronize.Event) -> None:
    start.wait()
    for value in range(40):
        write_shard(folder, [{"key": f"{name}{value}", "value": value}], SCHEMA)


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    start = context.Event()
    writers = [context.Process(target=_write_many, args=(tmp_path, name, start)) for name in "abc"]
    for writer in writers:
        writer.start()
    start.set()
    for writer in writers:
        writer.join()
    assert sorted(_keys(tmp_path)) == sorted(f"{name}{value}" for name in "abc" for value in range(40))
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".parquet"]
