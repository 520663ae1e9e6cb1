"""The local engine: codec processes and a pool of metric processes on this machine, with bounded queues."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from codecbench.contracts.metric import Measurement, Stage, Status
from codecbench.errors import CodecbenchError
from codecbench.runner.codec_worker import CodecWorker
from codecbench.runner.messages import (
    CodecResult,
    CodecTask,
    Failure,
    ItemResult,
    Output,
    ScoreResult,
    ScoreTask,
    TimingResult,
    TimingTask,
    WorkerError,
    WorkerSetup,
)
from codecbench.runner.plan import Lane, PlannedTask, PlannedUtterance
from codecbench.runner.progress import Progress
from codecbench.runner.score_worker import ScoreWorker
from codecbench.runner.scoring import PreparedScorer
from codecbench.runner.workers import Ready, Worker

# Utterances waiting for a metric process, for each process: enough that none runs dry, few enough to stay flat.
WAITING_PER_WORKER = 8
FLUSH_SECONDS = 10.0


@dataclass(frozen=True)
class _Scoring:
    """A score task with the lane whose store takes its measurements."""

    task: ScoreTask
    lane: Lane
    scorers: tuple[PreparedScorer, ...]


@dataclass(frozen=True)
class _Coding:
    """A codec task, whole or one item of it, with the plan that it belongs to."""

    planned: PlannedTask
    task: CodecTask
    indices: tuple[int, ...]


@dataclass
class LocalEngine:
    """Runs planned tasks; measurements go to the lanes' stores as they come."""

    setup: WorkerSetup
    num_workers: int
    timeout_s: float
    progress: Progress
    log_folder: Path
    codec_worker: Worker = field(init=False)
    score_workers: list[Worker] = field(init=False, default_factory=list)

    def __enter__(self) -> Self:
        self.log_folder.mkdir(parents=True, exist_ok=True)
        self.codec_worker = Worker("codec", CodecWorker, self._setup("codec", self.setup.num_threads))
        self._scoring: deque[_Scoring] = deque()
        self._coding: deque[_Coding] = deque()
        self._in_hand: dict[str, Any] = {}
        self._dirty: dict[str, Lane] = {}
        self._flushed = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(CodecbenchError):
            self._flush()
        for worker in [self.codec_worker, *self.score_workers]:
            worker.stop()

    def _setup(self, name: str, num_threads: int) -> WorkerSetup:
        log = self.log_folder / f"{name}.log"
        s = self.setup
        return WorkerSetup(s.plugin_files, s.settings, s.device, num_threads, s.seed, log)

    def run(self, tasks: Iterator[PlannedTask]) -> None:
        """Work through ``tasks``; codec and metric processes overlap, and the queues between them are bounded."""
        more = True
        while True:
            while more and not self._coding and len(self._scoring) < WAITING_PER_WORKER * self.num_workers:
                planned = next(tasks, None)
                more = planned is not None
                if planned is not None:
                    self._coding.append(_Coding(planned, planned.task, tuple(range(len(planned.utterances)))))
                    break
            self._dispatch()
            if not self._in_hand:
                if not more and not self._coding and not self._scoring:
                    break
                continue
            self._wait()
        self._flush()

    def time(self, task: TimingTask) -> TimingResult:
        """Time one codec in a fresh process, so that first call and memory are its own; nothing else is at work."""
        for worker in [*self.score_workers, self.codec_worker]:
            worker.stop()
        self.score_workers = []
        self.codec_worker = Worker("codec", CodecWorker, self._setup("codec", self.setup.num_threads))
        self.codec_worker.give(task, self.timeout_s)
        answer = self._answer(self.codec_worker)
        if isinstance(answer, Ready):
            answer = self._answer(self.codec_worker)
        if isinstance(answer, TimingResult):
            return answer
        reason = answer.message if isinstance(answer, WorkerError) else str(answer)
        return TimingResult(failure=Failure(Status.BACKEND_ERROR, f"codec '{task.codec}': {reason}"))

    def _answer(self, worker: Worker) -> Any:
        """Wait for one worker; a string says how its process ended instead."""
        if not wait([worker.connection], max(0.0, worker.deadline - time.monotonic())):
            return worker.replace()[1]
        try:
            return worker.take()
        except (EOFError, OSError):
            return worker.replace()[1]

    def _dispatch(self) -> None:
        room = len(self._scoring) < WAITING_PER_WORKER * self.num_workers
        if self._coding and self.codec_worker.idle and room:
            coding = self._coding.popleft()
            self._in_hand[self.codec_worker.name] = coding
            note = coding.task.codec
            self.progress.advance("encode", 0, note)
            self.codec_worker.give(coding.task, self.timeout_s * len(coding.task.items))
        while self._scoring:
            worker = self._free_score_worker()
            if worker is None:
                break
            scoring = self._scoring.popleft()
            self._in_hand[worker.name] = scoring
            worker.give(scoring.task, self.timeout_s)

    def _free_score_worker(self) -> Worker | None:
        for worker in self.score_workers:
            if worker.idle:
                return worker
        if len(self.score_workers) < self.num_workers:
            name = f"metrics-{len(self.score_workers)}"
            self.score_workers.append(Worker(name, ScoreWorker, self._setup(name, 1)))
            return self.score_workers[-1]
        return None

    def _wait(self) -> None:
        busy = {w.connection: w for w in [self.codec_worker, *self.score_workers] if not w.idle}
        now = time.monotonic()
        nearest = min(w.deadline for w in busy.values())
        ready = wait(list(busy), max(0.0, min(nearest - now, FLUSH_SECONDS)))
        workers = [busy[c] for c in ready]
        for worker in workers or [w for w in busy.values() if w.deadline <= time.monotonic()]:
            answer = self._answer(worker)
            if isinstance(answer, Ready):
                continue
            held = self._in_hand.pop(worker.name)
            if isinstance(held, _Coding):
                self._coded(held, answer)
            else:
                self._scored(held, answer)
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self._flush()

    def _coded(self, coding: _Coding, answer: Any) -> None:
        if isinstance(answer, CodecResult):
            for index, result in zip(coding.indices, answer.items, strict=True):
                self._queue(coding.planned, index, result)
            return
        if len(coding.indices) > 1:  # find the utterance at fault: each one alone
            self._coding.extend(
                _Coding(coding.planned, coding.task.only(i), (index,)) for i, index in enumerate(coding.indices)
            )
            return
        reason = answer.message if isinstance(answer, WorkerError) else str(answer)
        utterance = coding.task.items[0].utterance.id
        failure = Failure(Status.BACKEND_ERROR, f"codec '{coding.task.codec}' on utterance '{utterance}': {reason}")
        self._queue(coding.planned, coding.indices[0], ItemResult(failure=failure))

    def _queue(self, planned: PlannedTask, index: int, result: ItemResult) -> None:
        """Turn one coded utterance into score tasks, and what failed into measurements that say so."""
        self.progress.advance("encode")
        for lane in planned.group.lanes:
            output = result.outputs.get(lane.label)
            if (index, lane.label) in planned.audio:
                _keep_audio(lane, planned.utterances[index], output)
            missing = planned.missing.get((index, lane.label), ())
            if not missing:
                continue
            ready, failed = [], []
            for scorer in missing:
                failure = _failure(scorer, lane, result, output)
                (ready.append(scorer) if failure is None else failed.append((scorer, failure)))
            for scorer, failure in failed:
                self._put(planned, index, lane, scorer, scorer.failed(failure.status, failure.reason))
            if ready:
                self._scoring.append(_scoring(planned, index, lane, tuple(ready), result, output))
            else:
                self.progress.advance("score", 1, lane.label)

    def _put(
        self, planned: PlannedTask, index: int, lane: Lane, scorer: PreparedScorer, rows: tuple[Measurement, ...]
    ) -> None:
        lane.scores.put(lane.key(planned.utterances[index], scorer), rows)
        self._dirty[lane.label] = lane

    def _scored(self, scoring: _Scoring, answer: Any) -> None:
        if isinstance(answer, ScoreResult):
            for key, rows in zip(scoring.task.keys, answer.measurements, strict=True):
                scoring.lane.scores.put(key, rows)
            self._dirty[scoring.lane.label] = scoring.lane
            self.progress.advance("score", 1, scoring.lane.label)
            return
        if len(scoring.scorers) > 1:  # find the scorer at fault: each one alone
            self.progress.advance("score", 1 - len(scoring.scorers))
            self._scoring.extend(
                _Scoring(scoring.task.only(i), scoring.lane, (scorer,)) for i, scorer in enumerate(scoring.scorers)
            )
            return
        reason = answer.message if isinstance(answer, WorkerError) else str(answer)
        failure = Failure(Status.BACKEND_ERROR, f"scorer '{scoring.scorers[0].ref.name}': {reason}")
        scoring.lane.scores.put(scoring.task.keys[0], scoring.scorers[0].failed(failure.status, failure.reason))
        self._dirty[scoring.lane.label] = scoring.lane
        self.progress.advance("score", 1, scoring.lane.label)

    def _flush(self) -> None:
        for lane in self._dirty.values():
            lane.scores.flush()
        self._dirty, self._flushed = {}, time.monotonic()


def _keep_audio(lane: Lane, planned: PlannedUtterance, output: Output | Failure | None) -> None:
    assert lane.audio is not None
    if isinstance(output, Output):
        lane.audio.put(lane.audio_key(planned), output.audio, output.sample_rate_hz)
    else:
        lane.audio.put_none(lane.audio_key(planned))


def _failure(scorer: PreparedScorer, lane: Lane, result: ItemResult, output: Output | Failure | None) -> Failure | None:
    if scorer.unavailable is not None:
        return Failure(Status.UNAVAILABLE, str(scorer.unavailable))
    if result.failure is not None:
        return result.failure
    if scorer.stage is not Stage.AUDIO:
        return None
    if lane.spec.encode_only:
        return Failure(Status.NOT_APPLICABLE, f"codec '{lane.label}' is encode-only")
    if output is None:
        return Failure(Status.BACKEND_ERROR, f"codec '{lane.label}' returned no audio")
    return output if isinstance(output, Failure) else None


def _scoring(
    planned: PlannedTask,
    index: int,
    lane: Lane,
    scorers: tuple[PreparedScorer, ...],
    result: ItemResult,
    output: Output | Failure | None,
) -> _Scoring:
    utterance = planned.utterances[index]
    task = ScoreTask(
        lane.label,
        utterance.utterance,
        tuple(s.ref for s in scorers),
        tuple(lane.key(utterance, s) for s in scorers),
        output if isinstance(output, Output) else None,
        result.packed,
        result.stated,
        lane.prepared.resolved.name.codebooks,
        lane.streams,
    )
    return _Scoring(task, lane, scorers)
