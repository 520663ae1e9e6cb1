"""Engines: several codec processes, lost workers, lost audio, errors that leave no process behind."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from codecbench.contracts.metric import Status
from codecbench.errors import UsageError
from codecbench.plugins import load_plugins
from codecbench.results import RunResults
from codecbench.runner.codec_worker import CodecWorker
from codecbench.runner.config import RunConfig
from codecbench.runner.desk import RETRIES, Desk
from codecbench.runner.devices import all_visible, parse_devices
from codecbench.runner.job import open_job
from codecbench.runner.local import LocalEngine
from codecbench.runner.messages import CodecResult, WorkerSetup
from codecbench.runner.plan import PlannedTask, plan_group
from codecbench.runner.progress import Quiet
from codecbench.runner.run import RunOutcome, run
from codecbench.runner.score_worker import ScoreWorker
from codecbench.runner.work import Coding, Lost, Scoring
from tests.runner.conftest import TOY, write_corpus

MORTAL = Path(__file__).with_name("mortal_plugin.py")
MortalRun = Callable[..., RunOutcome]


def sorted_records(folder: Path) -> pd.DataFrame:
    """What a run found, without what differs by design: timings, and the order of records."""
    records = RunResults.load(folder).records
    columns = ["codec", "metric", "component", "utterance_id", "key", "value", "status"]
    text = dict.fromkeys(("codec", "metric", "utterance_id"), str)
    return records[columns].astype(text).sort_values(columns[:4]).reset_index(drop=True)


@pytest.fixture
def mortal_run(tmp_path: Path) -> MortalRun:
    """Run the mortal codec and scorer; ``codec`` and ``scorer`` say how often each utterance kills its process."""

    def start(names: list[str], codec: int = 0, scorer: int = 0, delay_s: float = 0.0, **changes: Any) -> RunOutcome:
        folder, notes = tmp_path / "corpus", tmp_path / "notes"
        manifest = folder / "manifest.jsonl"
        if not manifest.exists():  # files written twice differ by the time in their header
            folder.mkdir()
            write_corpus(folder, names)
        notes.mkdir(exist_ok=True)
        common = {"deaths": str(notes), "delay_s": str(delay_s)}
        config = RunConfig(
            out=tmp_path / "run",
            codecs=("toy-ceiling", "mortal"),
            corpus=str(manifest),
            tasks=("mortal-task",),
            settings={"mortal": common | {"limit": str(codec)}, "mortal-level": common | {"limit": str(scorer)}},
            reports=("tables",),
            workers=1,
            plugin_files=(TOY, MORTAL),
        )
        return run(replace(config, **changes))

    return start


def found(outcome: RunOutcome, codec: str = "mortal") -> dict[str, tuple[str, float, str]]:
    records = RunResults.load(outcome.folder).records
    rows = records[records.codec == codec]
    return {u: (s, v, r) for u, s, v, r in zip(rows.utterance_id, rows.status, rows.value, rows.reason, strict=True)}


def test_two_codec_processes_share_the_work_and_give_the_same_records(mortal_run: MortalRun, tmp_path: Path) -> None:
    names = [f"u{i}" for i in range(36)]
    mortal_run(names, out=tmp_path / "one")
    one = len(list((tmp_path / "notes").glob("codec-process-*")))
    mortal_run(names, out=tmp_path / "two", devices=("cpu", "cpu"))
    assert len(list((tmp_path / "notes").glob("codec-process-*"))) == one + 2
    pd.testing.assert_frame_equal(sorted_records(tmp_path / "one"), sorted_records(tmp_path / "two"))
    assert len(found(mortal_run(names, out=tmp_path / "two"))) == 36


def test_a_worker_killed_by_chance_costs_another_attempt_and_nothing_else(mortal_run: MortalRun) -> None:
    # The codec's process dies over the batch of three and once over the utterance alone.
    outcome = mortal_run(["a", "mortal", "b"], codec=1 + RETRIES, scorer=RETRIES)
    assert not outcome.partial
    assert {status for status, _, _ in found(outcome).values()} == {"ok"}
    assert all(value == pytest.approx(-6.02, abs=0.01) for _, value, _ in found(outcome).values())


def test_a_worker_killed_each_time_is_charged_to_its_utterance(mortal_run: MortalRun) -> None:
    for culprit, limits in (("codec", {"codec": 99}), ("scorer", {"scorer": 99})):
        outcome = mortal_run(["a", "mortal", "b"], **limits)  # type: ignore[arg-type]
        values = found(outcome)
        assert (values["a"][0], values["b"][0]) == ("ok", "ok")
        status, _, reason = values["mortal"]
        assert status == "backend_error"
        assert culprit in reason
        assert "SIGKILL" in reason


@pytest.fixture
def planned(tmp_path: Path, corpus: Path) -> PlannedTask:
    """One task of the toy codec under two names."""
    config = RunConfig(
        tmp_path / "run", ("toy", "toy/half-rate"), str(corpus), ("toy-task",), limit=3, plugin_files=(TOY,)
    )
    config.out.mkdir()
    job = open_job(config, load_plugins((TOY,)), config.out / "utterances.parquet")
    group = next(group for group in job.groups if group.codec == "toy")
    return next(plan_group(group, job.table, job.selection.per_utterance()))


def finish(desk: Desk, codec: CodecWorker, scorer: ScoreWorker) -> list[Coding]:
    """Do all that a desk has; return the work of codecs that there was."""
    codings = []
    while (coding := desk.next_coding()) is not None:
        codings.append(coding)
        desk.take(coding, codec(coding.task))  # type: ignore[arg-type]
        while (scoring := desk.next_scoring()) is not None:
            desk.take(scoring, scorer(scoring.task))
    desk.flush()
    return codings


def test_lost_audio_is_decoded_again_from_its_tokens_for_the_scorers_that_miss_it(planned: PlannedTask) -> None:
    setup = WorkerSetup((TOY,), {}, "cpu", 1, 0)
    codec, scorer = CodecWorker(setup), ScoreWorker(setup)
    desk = Desk(iter([planned]), 100, Quiet(), lambda output: output)
    coding = desk.next_coding()
    assert coding is not None
    result = codec(coding.task)
    assert isinstance(result, CodecResult)
    desk.take(coding, result)
    lost = desk.next_scoring()
    assert lost is not None
    desk.take(lost, Lost("its node is gone", output=True))
    while (scoring := desk.next_scoring()) is not None:
        desk.take(scoring, scorer(scoring.task))
    (again,) = finish(desk, codec, scorer)
    assert [job.label for job in again.task.jobs] == [lost.lane.label]
    assert [item.packed for item in again.task.items] == [lost.task.packed]
    for (index, label), scorers in planned.missing.items():
        lane = next(lane for lane in planned.group.lanes if lane.label == label)
        for one in scorers:
            rows = lane.scores.get(lane.key(planned.utterances[index], one))
            assert rows is not None
            assert {row.status for row in rows} == {Status.OK}


def test_audio_that_is_lost_again_and_again_is_charged_in_the_end(planned: PlannedTask) -> None:
    codec = CodecWorker(WorkerSetup((TOY,), {}, "cpu", 1, 0))
    desk = Desk(iter([planned]), 100, Quiet(), lambda output: output)
    rounds, lost = 0, list[Scoring]()
    while (coding := desk.next_coding()) is not None:
        rounds += 1
        desk.take(coding, codec(coding.task))  # type: ignore[arg-type]
        while (scoring := desk.next_scoring()) is not None:
            lost.append(scoring)
            desk.take(scoring, Lost("its node is gone", output=True))
    assert rounds == 1 + RETRIES * len(planned.missing)
    rows = lost[-1].lane.scores.get(lost[-1].task.keys[0])
    assert rows is not None
    assert rows[0].status is Status.BACKEND_ERROR
    assert "its node is gone" in rows[0].reason


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_in_the_run_ends_every_process(
    planned: PlannedTask, tmp_path: Path, error: type[BaseException]
) -> None:
    def tasks() -> Iterator[PlannedTask]:
        yield planned
        assert set(multiprocessing.active_children()) > before
        raise error("between two tasks")

    before = set(multiprocessing.active_children())
    setup = WorkerSetup((TOY,), {"toy-level": {"delay_s": "0.05"}}, "cpu", 1, 0)
    engine = LocalEngine(setup, 2, 60.0, Quiet(), tmp_path / "logs", ("cpu", "cpu"))
    with pytest.raises(error, match="between two tasks"), engine:
        engine.run(tasks())
    assert set(multiprocessing.active_children()) <= before


def test_devices_are_named_one_by_one_or_counted() -> None:
    assert parse_devices("cpu") == ("cpu",)
    assert parse_devices("cuda:0, cuda:2") == ("cuda:0", "cuda:2")
    assert parse_devices("cpu*3") == ("cpu", "cpu", "cpu")
    for wrong in ("", "cpu,", "cpu*0", "cpu*two", "*2"):
        with pytest.raises(UsageError, match="--device"):
            parse_devices(wrong)
    with pytest.raises(UsageError, match="one kind"):
        parse_devices("cpu,cuda")


def test_cuda_alone_means_every_device_that_is_visible() -> None:
    assert all_visible(("cuda",), lambda: 3) == ("cuda:0", "cuda:1", "cuda:2")
    assert all_visible(("cuda:1", "cuda:0"), lambda: 2) == ("cuda:1", "cuda:0")
    assert all_visible(("cpu", "cpu"), lambda: 0) == ("cpu", "cpu")
    for devices in (("cuda",), ("cuda:3",), ("cuda:x",)):
        with pytest.raises(UsageError, match="shows 0 CUDA devices"):
            all_visible(devices, lambda: 0)
