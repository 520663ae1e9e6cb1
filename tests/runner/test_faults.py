"""Plugins that break their contract or their process: the damage is theirs, named and counted, and nobody else's."""

from __future__ import annotations

import multiprocessing
import os
import random
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import cycle
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from codecbench.contracts.audio import Utterance
from codecbench.results import RunResults
from codecbench.runner.codec_worker import CodecWorker
from codecbench.runner.config import RunConfig
from codecbench.runner.messages import (
    CodecItem,
    CodecResult,
    CodecTask,
    DecodeJob,
    Failure,
    ItemResult,
    Output,
    WorkerSetup,
)
from codecbench.runner.run import RunOutcome, run
from codecbench.store.places import StorePath
from tests.runner.conftest import TOY, write_corpus

FAULTY = Path(__file__).resolve().parent.parent / "faulty_plugin.py"
CODECS = ("toy-ceiling", "toy", "toy@1")
Start = Callable[..., RunOutcome]


@pytest.fixture
def faulty_run(toy_run: Start, tmp_path: Path) -> Start:
    """Run the faulty plugin's codecs on a few utterances, one of them called ``culprit``."""
    folder = tmp_path / "few"
    folder.mkdir()
    corpus = str(write_corpus(folder, ["a", "b", "culprit", "c", "d"]))

    def start(**changes: Any) -> RunOutcome:
        codecs = ("toy-ceiling", "faulty")
        return toy_run(**{"codecs": codecs, "corpus": corpus, "plugin_files": (TOY, FAULTY)} | changes)

    return start


def outcomes(outcome: RunOutcome, codec: str, metric: str = "toy_error") -> dict[str, tuple[str, str]]:
    """Status and reason of each utterance."""
    records = RunResults.load(outcome.folder).records
    rows = records[(records.codec == codec) & (records.metric == metric)]
    return {u: (s, r) for u, s, r in zip(rows.utterance_id, rows.status, rows.reason, strict=True)}


def values(folder: Path, codec: str = "") -> pd.DataFrame:
    """What a run found, in one order; of one codec or of all."""
    records = RunResults.load(folder).records
    columns = ["codec", "metric", "component", "utterance_id", "value", "status"]
    rows = records[records.codec == codec] if codec else records
    text = dict.fromkeys(("codec", "metric", "component", "utterance_id", "status"), str)
    return rows[columns].astype(text).sort_values(columns[:4]).reset_index(drop=True)


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """What an undisturbed run over the corpus of ``toy_run`` finds."""
    return undisturbed(tmp_path_factory.mktemp("truth"))


def undisturbed(folder: Path) -> pd.DataFrame:
    """Run the toy codecs over what the fixture ``corpus`` holds."""
    (folder / "corpus").mkdir()
    corpus = write_corpus(folder / "corpus", [f"u{i}" for i in range(10)])
    config = RunConfig(folder / "run", CODECS, str(corpus), ("toy-task",), reports=("tables",), plugin_files=(TOY,))
    return values(run(config).folder)


def coded(folder: Path, names: list[str], options: dict[str, str]) -> tuple[ItemResult, ...]:
    """What a codec worker makes of utterances with the faulty codec."""
    write_corpus(folder, names)
    worker = CodecWorker(WorkerSetup((FAULTY,), {"faulty": options}, "cpu", 1, 0))
    items = tuple(CodecItem(Utterance(name, folder / f"{name}.wav"), name * 8) for name in names)
    found: list[ItemResult] = []
    for start in range(0, len(items), 16):  # tasks as a run has them
        part = items[start : start + 16]
        jobs = (DecodeJob("faulty", None, "full", frozenset(range(len(part)))),)
        result = worker(CodecTask("faulty", StorePath.of(folder / "tokens"), part, jobs))
        assert isinstance(result, CodecResult)
        found += result.items
    return tuple(found)


@pytest.mark.parametrize(
    ("fault", "status", "says"),
    [
        ("few", "length_mismatch", r"1 frames for \d+ samples at 16000 Hz, 100 Hz makes 2\d\.\d"),
        ("many", "backend_error", r"num_frames is \[10\d\d\] for codes of \d+ frames"),
        ("books", "backend_error", r"codes have the shape \[1, 1, \d+\], \[1, 160, F\] is meant"),
        ("square", "backend_error", r"codes have the shape \[160, \d+\]"),
        ("float", "backend_error", r"codes are torch.float32, int64 is meant"),
        ("range", "backend_error", r"codebook 0 holds codes \d+\.\.\d+, its size is 256"),
        ("length", "backend_error", r"encode returned num_samples \[\d+\], given were \[\d+\]"),
        ("nothing", "backend_error", r"encode returned NoneType"),
        ("stereo", "backend_error", r"decoded audio has the shape \[\d+, 2, \d+\], \[B, 1, T\] is meant"),
        ("flat", "backend_error", r"decoded audio has the shape \[\d+, \d+\]"),
    ],
)
def test_what_breaks_the_contract_is_named_with_what_was_meant(
    tmp_path: Path, fault: str, status: str, says: str
) -> None:
    for item in coded(tmp_path, ["a", "b"], {"fault": fault}):
        failure = item.failure or item.outputs["faulty"]
        assert isinstance(failure, Failure)
        assert failure.status == status
        assert re.search(says, failure.reason)


def test_broken_contracts_are_counted_and_cost_no_other_codec(faulty_run: Start) -> None:
    outcome = faulty_run(settings={"faulty": {"fault": "few"}})
    assert {s for s, _ in outcomes(outcome, "faulty").values()} == {"length_mismatch"}
    assert {s for s, _ in outcomes(outcome, "toy-ceiling").values()} == {"ok"}
    assert outcome.failures == {"faulty": 15}  # three metrics of five utterances
    assert outcome.partial


def test_a_plugin_that_eats_memory_is_ended_at_the_limit(faulty_run: Start) -> None:
    outcome = faulty_run(settings={"faulty": {"fault": "memory"}}, memory_limit_bytes=1_000_000_000)
    found = outcomes(outcome, "faulty")
    assert {u for u, (s, _) in found.items() if s == "ok"} == {"a", "b", "c", "d"}
    status, reason = found["culprit"]
    assert status == "backend_error"
    assert "culprit" in reason
    assert "the limit is 1.00 GB (--memory-limit)" in reason


def test_seeds_dtype_threads_and_folder_are_put_back_for_the_next_plugin(faulty_run: Start, tmp_path: Path) -> None:
    draws = {"neighbour": {"fault": "draws"}}
    alone = faulty_run(codecs=("toy-ceiling", "neighbour"), settings=draws)
    behind = faulty_run(
        codecs=("toy-ceiling", "faulty", "neighbour"),
        settings=draws | {"faulty": {"fault": "state"}},
        out=tmp_path / "behind",
    )
    assert {s for s, _ in outcomes(behind, "faulty").values()} == {"ok"}
    pd.testing.assert_frame_equal(values(alone.folder, "neighbour"), values(behind.folder, "neighbour"))
    assert "past Python" in next((behind.folder / "logs").glob("codec*.log")).read_text()


def test_out_of_memory_halves_the_batch_and_the_size_is_remembered(tmp_path: Path) -> None:
    log = tmp_path / "rows"
    names = [f"u{i:02d}" for i in range(24)]
    found = coded(tmp_path, names, {"fault": "rows", "log": str(log), "rows": "2"})
    assert all(isinstance(item.outputs["faulty"], Output) for item in found)
    rows = [int(line.split()[1]) for line in log.read_text().splitlines()]
    assert sum(count for count in rows if count <= 2) == 24  # each utterance encoded once
    too_many = [count for count in rows if count > 2]
    assert too_many == [8, 4]  # halved until it fits, and then never tried again
    assert rows[:2] == too_many


def test_one_utterance_that_memory_never_suffices_for_is_named(tmp_path: Path) -> None:
    for name, item in zip("ab", coded(tmp_path, ["a", "b"], {"fault": "rows", "rows": "0"}), strict=True):
        assert item.failure is not None
        assert item.failure.status == "backend_error"
        assert f"utterance '{name}': OutOfMemoryError: CUDA out of memory: 1 rows" in item.failure.reason


def test_a_recogniser_that_fails_on_one_utterance_costs_its_words_there(faulty_run: Start) -> None:
    pytest.importorskip("whisper_normalizer")
    # Peaks of the corpus are 0.1, 0.2, 0.3 …: the first utterance is too quiet for this recogniser.
    outcome = faulty_run(tasks=("intelligibility",), recognizers=("deaf",), codecs=("toy-ceiling",))
    found = outcomes(outcome, "toy-ceiling", "wer")
    assert {u for u, (s, _) in found.items() if s == "ok"} == {"b", "culprit", "c", "d"}
    status, reason = found["a"]
    assert status == "backend_error"
    assert "too quiet to be recognised" in reason


def test_a_clock_that_goes_backwards_changes_nothing(
    toy_run: Start, truth: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [time.time()]

    def backwards() -> float:
        now[0] -= 3600.0
        return now[0]

    monkeypatch.setattr(time, "time", backwards)
    store = Path(toy_run(codecs=CODECS, limit=5).folder) / "store"
    for age, shard in enumerate(sorted(store.rglob("*.parquet"))):
        os.utime(shard, (4e9 - age, 4e9 - age))  # from the future
    pd.testing.assert_frame_equal(truth, values(toy_run(codecs=CODECS).folder))


@contextmanager
def killing(seed: int) -> Iterator[Counter[str]]:
    """Kill codec and metric processes in turn at random moments; counts the killed by kind."""
    killed, done, rng = Counter[str](), threading.Event(), random.Random(seed)
    enough = 3  # of a kind: on a slow machine a worker that is killed again and again would never get to work

    def kill() -> None:
        kinds = cycle(("codec", "metrics"))
        while not done.wait(0.2 + 0.6 * rng.random()):
            kind = next(kinds)
            if killed[kind] == enough:
                continue
            running = [p for p in list(multiprocessing.process._children) if p.name.startswith(kind)]  # type: ignore[attr-defined]
            with suppress(ProcessLookupError):  # it was faster
                for process in rng.sample(running, min(1, len(running))):
                    os.kill(process.pid or 0, signal.SIGKILL)
                    killed[kind] += 1

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        done.set()
        thread.join()


def test_workers_killed_at_random_cost_nothing_after_a_resume(toy_run: Start, truth: pd.DataFrame) -> None:
    with killing(3) as killed:
        hurt = toy_run(codecs=CODECS, workers=2, settings={"toy-level": {"delay_s": "0.2"}})
    assert min(killed["codec"], killed["metrics"]) > 0, "none of a kind was killed: the test did not test"
    assert not values(hurt.folder).duplicated(["codec", "metric", "component", "utterance_id"]).any()
    resumed = toy_run(codecs=CODECS, workers=1)
    assert not resumed.partial
    pd.testing.assert_frame_equal(truth, values(resumed.folder))


def test_damaged_shards_are_found_and_what_they_held_is_done_again(toy_run: Start, tmp_path: Path) -> None:
    first = toy_run(out=tmp_path / "run")
    whole, shards = values(first.folder), sorted((tmp_path / "run" / "store").rglob("*.parquet"))
    assert len(shards) >= 3
    for shard, damage in zip(shards, cycle(("flip", "cut", "empty"))):
        data = bytearray(shard.read_bytes())
        data[len(data) // 3] ^= 0x10
        shard.write_bytes({"flip": bytes(data), "cut": bytes(data[:-30]), "empty": b""}[damage])
    again = toy_run(out=tmp_path / "run", workers=2)
    pd.testing.assert_frame_equal(whole, values(again.folder))
    assert len(list((tmp_path / "run" / "store").rglob("*.corrupt"))) == len(shards)
    assert again.results.artifacts.tokens("toy", "u3") is not None
