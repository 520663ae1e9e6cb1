"""Shards and their merging: the records of one whole run, none twice, and what is missing is said."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from codecbench.cli.report import report_command
from codecbench.errors import UsageError
from codecbench.plugins import load_plugins
from codecbench.results import RunResults
from codecbench.runner.config import RunConfig, Shard
from codecbench.runner.merge import Merged, merge
from codecbench.runner.progress import Quiet
from codecbench.runner.run import run, run_shard
from tests.runner.conftest import TOY, write_corpus

RunPart = Callable[..., Path]


@pytest.fixture
def part(tmp_path: Path, corpus: Path) -> RunPart:
    """Run one shard, or all without one; keyword arguments change the configuration."""
    return partial(_run, tmp_path, corpus)


@dataclass(frozen=True)
class Done:
    """Shards with stores of their own, and the whole run, of the ten utterances; count: the file of scorings."""

    thirds: tuple[Path, ...]
    whole: Path
    count: Path


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """Runs that several tests merge; they write nowhere near them."""
    folder = tmp_path_factory.mktemp("done")
    (folder / "corpus").mkdir()
    manifest = write_corpus(folder / "corpus", [f"u{i}" for i in range(10)])
    tasks = ("toy-task", "toy-speed")
    thirds = tuple(_run(folder, manifest, f"{i}/3", tasks=tasks) for i in (1, 2, 3))
    return Done(thirds, _run(folder, manifest, tasks=tasks), folder / "count")


def _run(folder: Path, manifest: Path, shard: str = "", **changes: Any) -> Path:
    config = RunConfig(
        out=folder / (f"shard-{shard.replace('/', '-of-')}" if shard else "whole"),
        codecs=("toy-ceiling", "toy", "toy@1"),
        corpus=str(manifest),
        tasks=("toy-task",),
        reports=("tables",),
        settings={"toy-level": {"counter": str(folder / "count")}},
        workers=1,
        plugin_files=(TOY,),
        shard=Shard.parse(shard) if shard else None,
    )
    config = replace(config, **changes)
    if config.shard:
        return run_shard(config).folder
    return run(config).folder


def _merge(out: Path, *folders: Path, complete: bool = False) -> Merged:
    return merge(out, folders, load_plugins((TOY,)), Quiet(), complete=complete, reports=("tables",))


def _records(folder: Path) -> pd.DataFrame:
    """All records but what a clock has measured."""
    frame = RunResults.load(folder).records.astype(str)
    frame.loc[frame.metric == "toy_seconds", "value"] = "measured"
    return frame


@given(st.text(max_size=8), st.integers(1, 40))
def test_an_utterance_is_in_exactly_one_shard(name: str, count: int) -> None:
    name = name.encode("utf-8", "replace").decode()
    assert sum(Shard(i, count).holds(name) for i in range(1, count + 1)) == 1


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "a/b", "-1/4", "1/4/2"])
def test_a_shard_is_one_of_n(text: str) -> None:
    with pytest.raises(UsageError, match="--shard must be I/N"):
        Shard.parse(text)


def test_merged_shards_are_the_whole_run(done: Done, tmp_path: Path) -> None:
    scored = done.count.read_text()
    merged = _merge(tmp_path / "merged", *done.thirds)
    assert merged.missing == ()
    assert merged.outcome is not None
    assert not merged.outcome.partial
    assert done.count.read_text() == scored, "merging scores nothing again"
    pd.testing.assert_frame_equal(_records(tmp_path / "merged"), _records(done.whole))
    artifacts, expected = (RunResults.load(folder).artifacts for folder in (tmp_path / "merged", done.whole))
    assert artifacts.utterances == expected.utterances
    assert artifacts.tokens("toy", "u3") is not None
    assert RunResults.load(tmp_path / "merged").info.corpus == RunResults.load(done.whole).info.corpus


def test_a_report_on_one_shard_says_so_and_one_on_the_merged_run_does_not(done: Done, tmp_path: Path) -> None:
    shard = shutil.copytree(done.thirds[1], tmp_path / "shard")
    for folder, is_part in ((shard, True), (done.whole, False)):
        arguments = ["--reports", "tables", "--plugin", str(TOY), "--out", str(tmp_path / "out")]
        told = CliRunner().invoke(report_command, [str(folder), *arguments], standalone_mode=False)
        assert told.exception is None, told.output
        assert ("One shard only (2 of 3), not merged" in told.stderr) is is_part
        written = (tmp_path / "out" / "tables" / "summary.md").read_text("utf-8")
        assert ("One shard only (2 of 3)" in written) is is_part
        assert ("one_shard" in {flag.gate for flag in RunResults.load(folder).info.flags}) is is_part


def test_any_number_of_shards_on_one_store_does_nothing_twice(part: RunPart, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shards = [part(shard, store=store) for shard in ("1/2", "2/2")]
    scored = (tmp_path / "count").read_text()
    assert len(scored.splitlines()) == 30
    shards.append(part("1/3", store=store))
    assert _merge(tmp_path / "merged", *shards).missing == (), "utterances in two shards are taken once"
    whole = part(store=store)
    assert (tmp_path / "count").read_text() == scored
    pd.testing.assert_frame_equal(_records(tmp_path / "merged"), _records(whole))


def test_a_missing_shard_is_told_and_can_be_made_up_for(done: Done, tmp_path: Path) -> None:
    shards = done.thirds[::2]
    absent = 10 - sum(len(RunResults.load(folder).records.query("metric == 'toy_error'")) // 3 for folder in shards)
    assert absent
    merged = _merge(tmp_path / "merged", *shards)
    assert merged.outcome is None
    assert merged.missing == (
        f"{absent} of 10 utterances are in none of the shards given",
        "shards that were not given: 2/3",
    )
    assert not (tmp_path / "merged" / "run.json").exists()
    assert _merge(tmp_path / "merged", *shards, complete=True).outcome is not None
    pd.testing.assert_frame_equal(_records(tmp_path / "merged"), _records(done.whole))


def test_scores_that_a_shard_lacks_are_told(done: Done, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(done.thirds[0], tmp_path / "copy"))
    request = (copy / "request.json").read_text()
    (copy / "request.json").write_text(request.replace(str(done.thirds[0]), str(copy)))
    shutil.rmtree(copy / "store" / "scores")
    merged = _merge(tmp_path / "merged", copy, *done.thirds[1:])
    assert merged.outcome is None
    lacking = [line.split(": ") for line in merged.missing]
    assert {label for label, _ in lacking} == {"toy-ceiling", "toy", "toy@1"}
    assert {told.split(" by ")[1] for _, told in lacking} == {"toy-level", "toy-tokens"}


def test_what_failed_in_a_shard_is_not_missing(part: RunPart, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    manifest = write_corpus(folder, ["a", "bad-metric", "c", "d"])
    merged = _merge(tmp_path / "merged", *(part(f"{i}/2", corpus=str(manifest)) for i in (1, 2)))
    assert merged.missing == ()
    assert merged.outcome is not None
    assert merged.outcome.failures == {"toy-ceiling": 2, "toy": 2, "toy@1": 2}


def test_shards_of_other_runs_are_refused(done: Done, part: RunPart, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no shard of a run"):
        _merge(tmp_path / "merged", done.thirds[0], done.whole)
    first, other = part("1/2", limit=2), part("2/2", limit=2, seed=1)
    with pytest.raises(UsageError, match="seed is 0 in the first and 1 in the other"):
        _merge(tmp_path / "merged", first, other)


def test_a_corpus_that_changed_between_shards_is_refused(part: RunPart, tmp_path: Path, corpus: Path) -> None:
    first = part("1/2")
    lines = corpus.read_text().splitlines()
    corpus.write_text("\n".join(lines[:-1]))
    with pytest.raises(UsageError, match="corpus changed between the shards"):
        _merge(tmp_path / "merged", first, part("2/2"))
