"""``codecbench store``: what is listed, what is found damaged and mended, what goes and what stays."""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from codecbench.cli.store import store_command
from codecbench.errors import UsageError
from codecbench.results import RunResults
from codecbench.runner.config import RunConfig
from codecbench.runner.run import run
from tests.runner.conftest import TOY, write_corpus


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One store of two runs: a small one, and a larger one with another codec and an option."""
    folder = tmp_path_factory.mktemp("store")
    (folder / "corpus").mkdir()
    corpus = str(write_corpus(folder / "corpus", [f"u{i}" for i in range(6)]))
    small = RunConfig(
        folder / "small",
        ("toy-ceiling", "toy"),
        corpus,
        ("toy-task",),
        reports=("tables",),
        workers=1,
        plugin_files=(TOY,),
        limit=3,
        store=folder / "store",
        keep_audio=True,
    )
    run(small)
    codecs, settings = (*small.codecs, "toy@1", "toy-bad"), {"toy-bad": {"fault": "print"}}
    run(replace(small, out=folder / "large", codecs=codecs, limit=None, settings=settings))
    return folder / "small", folder / "large"


@pytest.fixture
def store(made: tuple[Path, Path], tmp_path: Path) -> Path:
    """A copy of the store to be changed."""
    return Path(shutil.copytree(made[0].parent / "store", tmp_path / "store"))


def invoke(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(store_command, [str(a) for a in arguments], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    assert result.return_value == code, result.output
    return result


def as_json(*arguments: object, code: int = 0) -> Any:
    return json.loads(invoke(*arguments, "--json", code=code).output)


def files(store: Path) -> set[Path]:
    return {path for path in store.rglob("*") if path.is_file()}


def test_ls_says_whose_tokens_scores_and_audio_there_are(store: Path) -> None:
    before = files(store)
    found = {(row["kind"], row["codec"]): row for row in as_json("ls", store)}
    assert {codec for kind, codec in found if kind == "tokens"} == {"toy", "toy-bad"}
    assert {codec for kind, codec in found if kind == "scores"} == {"toy-ceiling", "toy", "toy@1", "toy-bad"}
    assert found["tokens", "toy"]["entries"] == found["audio", "toy@1"]["entries"] == 6
    # Six utterances by two scorers, and one whole-corpus value of each run.
    assert found["scores", "toy"]["entries"] == 6 * 2 + 2
    assert found["scores", "toy@1"]["entries"] == 6 * 2 + 1
    assert found["scores", "toy@1"]["facts"]["codebooks"] == 1
    assert found["tokens", "toy-bad"]["facts"]["options"] == {"fault": "print"}
    for row in found.values():
        size = sum(f.stat().st_size for f in (store / row["kind"] / row["id"]).iterdir())
        assert row["num_bytes"] == size
        assert 0 <= row["age_s"] < 3600
        assert row["corrupt"] == 0
    assert "fault=print" in invoke("ls", store).output
    assert files(store) == before


def test_ls_of_a_store_without_descriptions_still_counts(store: Path) -> None:
    for path in store.rglob("identity.json"):
        path.unlink()
    assert {row["codec"] for row in as_json("ls", store)} == {""}
    assert "?" in invoke("ls", store).output.split()


def test_verify_finds_every_damaged_file_and_repair_puts_it_aside(store: Path) -> None:
    assert as_json("verify", store) == []
    shard, other = sorted(store.rglob("*.parquet"))[:2]
    sound = sorted(store.rglob("*.flac"))[0]
    for path in (shard, other, sound):
        data = bytearray(path.read_bytes())
        data[2 * len(data) // 3] ^= 1
        path.write_bytes(bytes(data))
    before = files(store)
    found = as_json("verify", store, code=1)
    assert {Path(row["path"]) for row in found} == {shard, other, sound}
    assert all(row["reason"] and not row["repaired"] for row in found)
    assert files(store) == before
    assert "verify --repair" in invoke("verify", store, code=1).output
    assert all(row["repaired"] for row in as_json("verify", store, "--repair"))
    assert not {shard, other, sound} & files(store)
    assert as_json("verify", store) == []
    assert sum(row["corrupt"] for row in as_json("ls", store)) == 3


def test_gc_says_what_would_go_and_removes_it_only_when_told(store: Path, made: tuple[Path, Path]) -> None:
    small, large = made
    assert as_json("gc", store, "--keep", small, "--keep", large) == []
    before = files(store)
    would = as_json("gc", store, "--keep", small)
    assert would
    assert all(row["why"] == "unreferenced" and not row["removed"] for row in would)
    assert "can be removed with --yes" in invoke("gc", store, "--keep", small).output
    assert files(store) == before
    invoke("gc", store, "--keep", small, "--yes")
    assert files(store) == before - {Path(row["path"]) for row in would}
    left = {(row["kind"], row["codec"]) for row in as_json("ls", store)}
    assert {codec for _, codec in left} == {"toy-ceiling", "toy"}
    assert not any(path.is_dir() and not any(path.iterdir()) for path in (store / "tokens").iterdir())


@pytest.mark.parametrize("command", ["gc", "compact"])
def test_after_gc_or_compact_the_kept_run_is_made_again_without_any_work(
    command: str, store: Path, made: tuple[Path, Path], tmp_path: Path
) -> None:
    small, counter = made[0], tmp_path / "count"
    if command == "gc":
        invoke("gc", store, "--keep", small, "--yes")
    else:
        assert sum(row["after"] - row["before"] for row in as_json("compact", store)) < 0
        assert as_json("verify", store) == []
    config = RunConfig(
        tmp_path / "again",
        ("toy-ceiling", "toy"),
        str(small.parent / "corpus" / "manifest.jsonl"),
        ("toy-task",),
        reports=("tables",),
        plugin_files=(TOY,),
        limit=3,
        store=store,
        keep_audio=True,
        settings={"toy-level": {"counter": str(counter)}},
    )
    again = run(config)
    assert not counter.exists()
    keys = RunResults.load(small).records["key"]
    assert sorted(again.results.records["key"]) == sorted(keys)
    assert again.results.artifacts.audio("toy", "u2") is not None


def test_gc_removes_what_killed_processes_left_but_not_what_is_being_written(
    store: Path, made: tuple[Path, Path]
) -> None:
    folder = next((store / "tokens").iterdir())
    old, new = folder / ".00000001-x.parquet.77-abc.tmp", folder / ".00000002-x.parquet.77-abc.tmp"
    corrupt = folder / "00000003-x.corrupt"
    for path in (old, new, corrupt):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200, time.time() - 7200))
    rows = as_json("gc", store, "--keep", made[0], "--keep", made[1], "--yes")
    assert {(Path(row["path"]).name, row["why"]) for row in rows} == {
        (old.name, "left over"),
        (corrupt.name, "corrupt"),
    }
    assert new in files(store)


def test_gc_refuses_where_it_would_remove_what_is_meant_to_stay(
    store: Path, made: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "unfinished").mkdir()
    with pytest.raises(UsageError, match="not a finished run"):
        invoke("gc", store, "--keep", tmp_path / "unfinished")
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "tokens" / "0").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"rests on nothing in .*elsewhere"):
        invoke("gc", elsewhere, "--keep", made[0])
    with pytest.raises(UsageError, match="is not a store"):
        invoke("ls", tmp_path)
    result = CliRunner().invoke(store_command, ["gc", str(store)])
    assert result.exit_code == 2
    assert "--keep" in result.output
