"""The Ray engine: the records of the local one, actors killed at work, resumed from one engine to the other."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from codecbench.errors import Unavailable, UsageError
from codecbench.results import RunResults
from codecbench.runner import ray_actors
from codecbench.runner.config import RunConfig
from codecbench.runner.engines import make_engine
from codecbench.runner.messages import Output, ScoreTask, WorkerSetup
from codecbench.runner.progress import Quiet
from codecbench.runner.ray_actors import RayWorker, RemoteOutput, Resources, import_ray
from codecbench.runner.run import RunOutcome, run
from codecbench.runner.score_worker import ScoreWorker
from codecbench.runner.work import Lost
from codecbench.runner.workers import Ready
from tests.runner.conftest import TOY, write_corpus
from tests.runner.test_engine import MORTAL, sorted_records

ToyRun = Callable[..., RunOutcome]


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """Ray on this machine for all tests here: engines use the one that is there."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'codecbench[ray]'")
    module = import_ray()
    module.init(
        address="local", num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level="ERROR",
        object_store_memory=2**28,
    )  # fmt: skip
    yield module
    module.shutdown()


def descendants(pid: int) -> set[int]:
    """Processes that ``pid`` started, and those that they started."""
    found: set[int] = set()
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            for child in map(int, children.read_text().split()):
                found |= {child} | descendants(child)
    return found


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def assert_gone(pids: set[int], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while (left := {pid for pid in pids if is_running(pid)}) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not left


@pytest.mark.usefixtures("ray")
def test_killed_actors_cost_another_attempt_and_the_records_are_those_of_the_local_engine(tmp_path: Path) -> None:
    notes, corpus = tmp_path / "notes", tmp_path / "corpus"
    notes.mkdir()
    corpus.mkdir()
    common = {"deaths": str(notes), "delay_s": "0.02"}
    config = RunConfig(
        out=tmp_path / "local",
        codecs=("toy-ceiling", "toy", "toy/half-rate", "mortal"),
        corpus=str(write_corpus(corpus, [f"u{i}" for i in range(18)] + ["mortal"])),
        tasks=("toy-task", "mortal-task"),
        reports=("tables",),
        workers=1,
        plugin_files=(TOY, MORTAL),
    )
    run(config)
    # The metric process kills itself over the utterance 'mortal', the codec's is killed from outside.
    settings = {"mortal": common, "mortal-level": common | {"limit": "1"}}
    killed: list[int] = []

    def kill_once() -> None:
        while not (found := list(notes.glob("codec-process-*"))):
            time.sleep(0.01)
        killed.append(int(found[0].name.rpartition("-")[2]))
        os.kill(killed[0], signal.SIGKILL)

    thread = threading.Thread(target=kill_once, daemon=True)
    thread.start()
    outcome = run(replace(config, out=tmp_path / "ray", engine="ray", settings=settings))
    assert killed
    assert len(list(notes.glob("codec-process-*"))) == 2
    assert len(list(notes.glob("scorer-mortal-*"))) == 1
    assert not outcome.partial
    pd.testing.assert_frame_equal(sorted_records(tmp_path / "local"), sorted_records(tmp_path / "ray"))
    assert sorted(p.name for p in (tmp_path / "ray").iterdir()) == sorted(
        p.name for p in (tmp_path / "local").iterdir()
    )
    for utterance in ("u0", "mortal"):
        kept = [RunResults.load(tmp_path / name).artifacts.audio("toy", utterance) for name in ("local", "ray")]
        assert None not in kept
        assert kept[0].read_bytes() == kept[1].read_bytes()  # type: ignore[union-attr]


@pytest.mark.usefixtures("ray")
def test_a_run_goes_on_from_one_engine_to_the_other(toy_run: ToyRun, tmp_path: Path) -> None:
    counter = tmp_path / "count"
    settings = {"toy-level": {"counter": str(counter)}}
    for engine, limit, scored in (("local", 4, 8), ("ray", 8, 16), ("local", 10, 20), ("ray", 10, 20)):
        outcome = toy_run(engine=engine, limit=limit, settings=settings)
        assert len(counter.read_text().splitlines()) == scored
        assert not outcome.partial
    toy_run(out=tmp_path / "whole")
    pd.testing.assert_frame_equal(sorted_records(tmp_path / "whole"), sorted_records(tmp_path / "run"))


def test_lost_audio_is_told_apart_from_a_lost_actor(ray: Any, tmp_path: Path) -> None:
    @ray.remote(num_cpus=0)
    class Owner:
        def hold(self) -> list[Any]:
            import numpy as np

            return [ray.put(Output(np.zeros(100_000, np.float32), 16000))]

    owner = Owner.remote()
    (reference,) = ray.get(owner.hold.remote())
    ray.kill(owner)
    worker = RayWorker(ray, "metrics-0", ScoreWorker, WorkerSetup((TOY,), {}, "cpu", 1, 0), Resources(cpus=1))
    output = RemoteOutput(ray_actors._NOTHING, 16000, reference)
    task = ScoreTask("toy", None, (), (), output, None, None, None)  # type: ignore[arg-type]
    try:
        worker.give(task, 60.0)
        assert isinstance(worker.take(), Ready)
        answer = worker.take()
        assert isinstance(answer, Lost)
        assert answer.output
        assert worker.idle
    finally:
        worker.stop()


def test_one_command_on_a_machine_without_ray_running_leaves_nothing_behind(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'codecbench[ray]'")
    command = [
        *(sys.executable, "-m", "codecbench", "run", "--codecs", "identity,mulaw", "--tasks", "reconstruction"),
        *("--limit", "2", "--workers", "1", "--reports", "tables", "--no-audio"),
    ]
    started: set[int] = set()
    for engine in ("local", "ray"):
        process = subprocess.Popen([*command, "--engine", engine, "--out", str(tmp_path / engine)])
        while process.poll() is None:
            started |= descendants(process.pid)
            time.sleep(0.05)
        assert process.returncode == 0
    assert len(started) > 5
    assert_gone(started, seconds=10.0)
    assert len(sorted_records(tmp_path / "ray")) > 20
    pd.testing.assert_frame_equal(sorted_records(tmp_path / "local"), sorted_records(tmp_path / "ray"))


@pytest.mark.slow
def test_a_lost_node_of_a_cluster_costs_another_attempt(tmp_path: Path) -> None:
    """The first node that can run tasks goes, with all its actors and their audio, while another one comes."""
    cluster_utils = pytest.importorskip("ray.cluster_utils", reason="Ray is not installed")
    folder, notes = tmp_path / "corpus", tmp_path / "notes"
    folder.mkdir()
    notes.mkdir()
    corpus = write_corpus(folder, [f"u{i}" for i in range(20)])
    facts: dict[str, Any] = {"include_dashboard": False, "object_store_memory": 2**28}
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 0} | facts)
    try:
        first = cluster.add_node(num_cpus=2, **facts)
        command = [
            *(sys.executable, "-m", "codecbench", "run", "--codecs", "toy-ceiling,toy", "--tasks", "mortal-task"),
            *("--corpus", str(corpus), "--workers", "1", "--plugin", str(TOY), "--plugin", str(MORTAL)),
            *("--set", "mortal-level.delay_s=0.2", "--set", f"mortal-level.deaths={notes}", "--reports", "tables"),
        ]
        ray_run = [*command, "--engine", "ray", "--address", cluster.address, "--out", str(tmp_path / "ray")]
        process = subprocess.Popen(ray_run, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        while not list(notes.glob("scorer-process-*")):
            assert process.poll() is None
            time.sleep(0.1)
        time.sleep(1.0)
        cluster.add_node(num_cpus=2, **facts)
        cluster.remove_node(first, allow_graceful=False)
        output, _ = process.communicate()
        assert process.returncode == 0, output
    finally:
        cluster.shutdown()
    assert len(list(notes.glob("scorer-process-*"))) == 2
    subprocess.run([*command, "--out", str(tmp_path / "local")], check=True, capture_output=True)
    pd.testing.assert_frame_equal(sorted_records(tmp_path / "local"), sorted_records(tmp_path / "ray"))


def test_a_killed_driver_leaves_no_process_of_its_ray_behind(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'codecbench[ray]'")
    folder, notes = tmp_path / "corpus", tmp_path / "notes"
    folder.mkdir()
    notes.mkdir()
    command = [
        *(sys.executable, "-m", "codecbench", "run", "--engine", "ray", "--codecs", "toy", "--tasks", "mortal-task"),
        *("--corpus", str(write_corpus(folder, ["a", "b", "c"])), "--out", str(tmp_path / "run"), "--workers", "1"),
        *("--plugin", str(TOY), "--plugin", str(MORTAL)),
        *("--set", "mortal-level.delay_s=60", "--set", f"mortal-level.deaths={notes}"),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not list(notes.glob("scorer-process-*")):  # a metric actor is at work
            assert process.poll() is None
            time.sleep(0.1)
        # Ray's own agents, which hold nothing, look for their cluster for another minute before they end.
        started = {pid for pid in descendants(process.pid) if b"Agent" not in command_line(pid)}
    finally:
        process.kill()
        process.wait()
    (scorer,) = (int(note.name.rpartition("-")[2]) for note in notes.glob("scorer-process-*"))
    assert scorer in started
    assert_gone(started, seconds=30.0)


@pytest.mark.usefixtures("ray")
def test_devices_that_ray_lacks_or_that_it_chooses_itself_are_refused(toy_run: ToyRun) -> None:
    with pytest.raises(UsageError, match="Ray has 0 GPUs"):
        toy_run(engine="ray", devices=("cuda", "cuda"))
    with pytest.raises(UsageError, match="Ray chooses the devices"):
        toy_run(engine="ray", devices=("cuda:0", "cuda:1"))


def test_without_ray_the_way_to_get_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_actors.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Unavailable, match=r"pip install 'codecbench\[ray\]'"):
        make_engine(RunConfig(tmp_path, engine="ray"), WorkerSetup((), {}, "cpu", 1, 0), Quiet())
    with pytest.raises(UsageError, match="is for --engine ray"):
        RunConfig(tmp_path, address="auto")
