"""Compaction: fewer shards, the same content; whenever it stops, and whoever reads and writes meanwhile."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from codecbench.cli.store import store_command
from codecbench.contracts.metric import Measurement, Status
from codecbench.store import compacting, index
from codecbench.store.compacting import compact
from codecbench.store.identities import Identity, Kind, StoreFolder
from codecbench.store.index import ShardIndex
from codecbench.store.packing import PackedUtterance
from codecbench.store.places import StoreError, StorePath
from codecbench.store.scores import ScoreStore
from codecbench.store.shards import read_shards, shards
from codecbench.store.tokens import TokenStore

KEYS = [hashlib.md5(str(i).encode()).hexdigest() for i in range(200)]


def packed(text: str) -> PackedUtterance:
    return PackedUtterance("bitstream", 16, '{"format":1,"bits":null}', text.encode())


def fill(place: str | Path, seed: int = 0, writes: int = 20) -> StorePath:
    """Write small shards of tokens and scores with keys in several of them, failed scores among them."""
    store, rng = StorePath.of(place), np.random.default_rng(seed)
    tokens, scores = TokenStore(store / "tokens" / "e"), ScoreStore(store / "scores" / "d")
    for write in range(writes):
        chosen = [KEYS[i] for i in rng.permutation(len(KEYS))[:16]]
        tokens.append({key: packed(f"{write} {key}") for key in chosen})
        for key in chosen:
            status = Status.BACKEND_ERROR if rng.random() < 0.4 else Status.OK
            rows = range(int(rng.integers(1, 4)))
            scores.put(key, [Measurement("m", float(write), status, component=str(row)) for row in rows])
        scores.flush()
    return store


def content(store: StorePath) -> tuple[Any, Any, list[bool]]:
    """What a reader that comes now finds."""
    tokens, scores = TokenStore(store / "tokens" / "e"), ScoreStore(store / "scores" / "d")
    return tokens.packed_all(KEYS), scores.get_all(KEYS), scores.done_all(KEYS).tolist()


def num_shards(store: StorePath) -> int:
    return len(shards(store / "tokens" / "e")) + len(shards(store / "scores" / "d"))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards are large from 60 rows on, so that there are several of them."""
    monkeypatch.setattr(compacting, "MAX_ROWS", {Kind.TOKENS: 60, Kind.SCORES: 120})


@pytest.mark.parametrize("place", ["local", "memory"])
@pytest.mark.parametrize("seed", range(3))
def test_there_are_few_shards_and_the_same_content(tmp_path: Path, place: str, seed: int, small: None) -> None:
    store = fill(str(tmp_path) if place == "local" else f"memory://{tmp_path}", seed)
    before, count = content(store), num_shards(store)
    done = list(compact(store))
    assert sum(folder.before for folder in done) == count == 40
    assert sum(folder.after for folder in done) == num_shards(store) < 20
    assert content(store) == before
    fill(store, seed + 10, writes=5)
    newer = content(store)
    list(compact(store))
    assert content(store) == newer


def test_what_is_compact_is_left_alone(tmp_path: Path) -> None:
    store = fill(tmp_path)
    list(compact(store))
    assert num_shards(store) == 2
    names = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}
    assert all(folder.before == folder.after for folder in compact(store))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")} == names
    rows = [table.num_rows for table in read_shards(store / "tokens" / "e")]
    assert rows == [len(content(store)[0])], "duplicates are resolved"


def test_a_shard_that_holds_all_that_its_neighbours_do_is_not_removed(tmp_path: Path) -> None:
    tokens = TokenStore(tmp_path / "tokens" / "e")
    tokens.append({KEYS[0]: packed("a")})
    tokens.append({KEYS[0]: packed("a"), KEYS[1]: packed("b")})
    last = shards(tokens.folder)[1]
    (done,) = compact(StorePath.of(tmp_path))
    assert (done.before, done.after) == (2, 1)
    assert shards(tokens.folder) == [last]
    assert len(TokenStore(tokens.folder).packed_all(KEYS)) == 2


@pytest.mark.parametrize("method", ["write", "settle", "read", "remove"])
def test_stopped_between_any_two_steps_the_content_is_the_same(
    tmp_path: Path, method: str, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = fill(tmp_path)
    before = content(store)
    real, stopped = getattr(StorePath, method), 0
    for steps in (0, 1, 2, 5, 15, 30, 45):
        left = [steps]

        def step(path: StorePath, *arguments: Any, left: list[int] = left) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise StoreError("the power is gone")
            return real(path, *arguments)

        with monkeypatch.context() as patch:
            patch.setattr(StorePath, method, step)
            try:
                list(compact(store))
            except StoreError:
                stopped += 1
        assert content(store) == before
    assert stopped > 1
    list(compact(store))
    assert content(store) == before


def _compact_always(store: str, started: multiprocessing.synchronize.Event) -> None:
    compacting.MAX_ROWS = {Kind.TOKENS: 60, Kind.SCORES: 120}
    started.set()
    while True:
        list(compact(StorePath.of(store)))


def test_killed_at_any_time_the_content_is_the_same(tmp_path: Path) -> None:
    context, rng = multiprocessing.get_context("fork"), np.random.default_rng(0)
    store = fill(tmp_path)
    for attempt in range(5):
        fill(store, seed=attempt, writes=4)
        before = content(store)
        started = context.Event()
        process = context.Process(target=_compact_always, args=(str(tmp_path), started))
        process.start()
        assert started.wait(60)
        time.sleep(float(rng.uniform(0, 0.3)))
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert content(store) == before
    list(compact(store))
    assert content(store) == before
    assert num_shards(store) == 2


def test_a_reader_that_finds_its_shards_gone_looks_again(tmp_path: Path) -> None:
    store = fill(tmp_path)
    tokens, scores = TokenStore(store / "tokens" / "e"), ScoreStore(store / "scores" / "d")
    expected = content(store)
    tokens.packed(KEYS[0])
    scores.done(KEYS[0])
    list(compact(store))
    assert (tokens.packed_all(KEYS), scores.get_all(KEYS), scores.done_all(KEYS).tolist()) == expected
    tokens.append({KEYS[0]: packed("new")})
    list(compact(store))
    assert tokens.packed(KEYS[0]) == packed("new")


def test_an_index_that_is_loaded_while_shards_are_merged_misses_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = fill(tmp_path)
    expected = content(store)[0]

    def listed_then_merged(folder: Any) -> Sequence[StorePath]:
        found = shards(folder)
        monkeypatch.setattr(index, "shards", shards)
        list(compact(store))
        return found

    monkeypatch.setattr(index, "shards", listed_then_merged)
    found = ShardIndex(store / "tokens" / "e")
    assert found.has(KEYS).tolist() == [key in expected for key in KEYS]
    assert set(found.read(KEYS)) == set(expected)


def _write_and_read(folder: str, name: str) -> None:
    tokens, keys = TokenStore(folder), [hashlib.md5(f"{name}{i}".encode()).hexdigest() for i in range(60)]
    for count, key in enumerate(keys, 1):
        tokens.append({key: packed(key)})
        tokens.has_all(keys)
        assert set(tokens.packed_all(keys)) == set(keys[:count])


def test_runs_may_write_and_read_meanwhile(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    folder = str(tmp_path / "tokens" / "e")
    (tmp_path / "tokens").mkdir()
    started = context.Event()
    compactors = [context.Process(target=_compact_always, args=(str(tmp_path), started)) for _ in range(2)]
    writers = [context.Process(target=_write_and_read, args=(folder, name)) for name in "ab"]
    for process in (*compactors, *writers):
        process.start()
    for writer in writers:
        writer.join()
    for compactor in compactors:
        assert compactor.is_alive()
        compactor.kill()
        compactor.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    keys = [hashlib.md5(f"{name}{i}".encode()).hexdigest() for name in "ab" for i in range(60)]
    assert TokenStore(folder).packed_all(keys) == {key: packed(key) for key in keys}


def test_a_corrupted_shard_is_told_and_left_alone(tmp_path: Path) -> None:
    store = fill(tmp_path, writes=9)
    StoreFolder(Kind.TOKENS, store / "tokens" / "e").describe(Identity("opus"))
    broken = shards(store / "tokens" / "e")[4].local
    assert broken is not None
    broken.write_bytes(broken.read_bytes()[:-9])
    result = CliRunner().invoke(store_command, ["compact", str(tmp_path)], standalone_mode=False)
    assert result.return_value == 1, result.output
    assert "tokens opus e: 9 shards, now 3" in result.output
    assert f"{broken} is corrupted and was left alone" in result.output.replace("\n", "")
    assert broken.is_file()
    again = CliRunner().invoke(store_command, ["verify", str(tmp_path), "--repair"], standalone_mode=False)
    assert again.return_value == 0
    done = CliRunner().invoke(store_command, ["compact", str(tmp_path), "--json"], standalone_mode=False)
    assert done.return_value == 0
    assert '"after": 1' in done.output
