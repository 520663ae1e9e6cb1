"""Engines: the loop that keeps codec and metric workers busy; where the workers live is the engine's own."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from codecbench.contracts.metric import Status
from codecbench.runner.codec_worker import CodecWorker
from codecbench.runner.desk import FLUSH_SECONDS, Desk
from codecbench.runner.messages import Failure, Output, TimingResult, TimingTask, WorkerError, WorkerSetup
from codecbench.runner.plan import PlannedTask
from codecbench.runner.progress import Progress
from codecbench.runner.work import Lost, Work
from codecbench.runner.workers import Ready, Worker

# Utterances waiting for a metric worker, for each worker: enough that none runs dry, few enough to stay flat.
WAITING_PER_WORKER = 8


class TaskWorker(Protocol):
    """A worker as an engine sees it: one task at a time; a worker that ends is started afresh."""

    name: str
    deadline: float

    @property
    def idle(self) -> bool:
        """Whether it can take a task."""

    def give(self, task: Any, timeout_s: float) -> None:
        """Hand over a task; its time limit counts from when the worker has started."""

    def take(self) -> Any:
        """Return the answer to the task at hand, or Ready.

        Raises EOFError where the worker ended, and the error itself where the worker met one that ends the run.
        """

    def replace(self) -> tuple[Any, str]:
        """Start afresh after it ended or overran; return its task and what happened."""

    def stop(self) -> None:
        """End it."""


@dataclass
class Crew:
    """Up to ``size`` workers of one kind, each started when there is work for it."""

    size: int
    start: Callable[[int], TaskWorker]
    workers: list[TaskWorker] = field(default_factory=list)

    @property
    def has_room(self) -> bool:
        """Whether one can take a task."""
        return len(self.workers) < self.size or any(worker.idle for worker in self.workers)

    def give(self, task: Any, timeout_s: float) -> TaskWorker:
        """Hand a task to one that is idle, or to a new one."""
        worker = next((worker for worker in self.workers if worker.idle), None)
        if worker is None:
            worker = self.start(len(self.workers))
            self.workers.append(worker)
        worker.give(task, timeout_s)
        return worker

    def stop(self) -> None:
        """End all."""
        while self.workers:
            self.workers.pop().stop()


@dataclass
class Engine(ABC):
    """Runs planned tasks; measurements go to the lanes' stores as they come. To be entered before it is used.

    devices: one codec worker for each; empty for the one of ``setup``. timeout_s: for one utterance.
    """

    setup: WorkerSetup
    num_workers: int
    timeout_s: float
    progress: Progress
    log_folder: Path
    devices: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        self.log_folder.mkdir(parents=True, exist_ok=True)
        self._crews: tuple[Crew, Crew] | None = None
        self._in_hand: dict[str, Work] = {}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    @abstractmethod
    def crews(self, devices: Sequence[str]) -> tuple[Crew, Crew]:
        """Return the codec workers and the metric workers, none started yet; asked for once, when there is work."""

    @abstractmethod
    def wait(self, workers: Sequence[TaskWorker], seconds: float) -> Sequence[TaskWorker]:
        """Wait until some of ``workers`` have something to take; none after ``seconds``."""

    def fetch(self, output: Output) -> Output | None:
        """Get hold of decoded audio that a codec worker gave; None where it is lost."""
        return output

    def run(self, tasks: Iterator[PlannedTask]) -> None:
        """Work through ``tasks``; codecs and scorers overlap, and what waits between them is bounded."""
        if self._crews is None:
            self._crews = self.crews(self.devices or (self.setup.device,))
        codecs, scorers = self._crews
        desk = Desk(tasks, WAITING_PER_WORKER * scorers.size, self.progress, self.fetch)
        try:
            while self._hand_out(desk, codecs, scorers):
                self._take_in(desk, [*codecs.workers, *scorers.workers])
        finally:
            desk.flush()

    def time(self, task: TimingTask) -> TimingResult:
        """Time one codec in a fresh process, so that first call and memory are its own; nothing else is at work.

        With every engine on this machine, which is the one that the run describes.
        """
        self._stop()
        worker = Worker("timing", CodecWorker, self.codec_setup("timing", self.setup.device))
        try:
            worker.give(task, self.timeout_s * max(1, len(task.utterances)))
            while isinstance(answer := _answer(worker, not worker.connection.poll(_left_s([worker]))), Ready):
                pass
        finally:
            worker.stop()
        if isinstance(answer, TimingResult):
            return answer
        reason = answer.message if isinstance(answer, WorkerError) else answer.reason
        return TimingResult(failure=Failure(Status.BACKEND_ERROR, f"codec '{task.codec}': {reason}"))

    def codec_setup(self, name: str, device: str) -> WorkerSetup:
        """What a codec worker is told."""
        return replace(self.setup, device=device, log_file=self.log_folder / f"{name}.log")

    def scorer_setup(self, name: str) -> WorkerSetup:
        """What a metric worker is told: one thread, since there is one for each core."""
        return replace(self.setup, num_threads=1, log_file=self.log_folder / f"{name}.log")

    def _stop(self) -> None:
        for crew in self._crews or ():
            crew.stop()
        self._in_hand = {}

    def _hand_out(self, desk: Desk, codecs: Crew, scorers: Crew) -> bool:
        """Give work to whoever is free; say whether anything is at work."""
        while codecs.has_room and (coding := desk.next_coding()) is not None:
            worker = codecs.give(coding.task, self.timeout_s * len(coding.task.items))
            self._in_hand[worker.name] = coding
        while scorers.has_room and (scoring := desk.next_scoring()) is not None:
            worker = scorers.give(scoring.task, self.timeout_s)
            self._in_hand[worker.name] = scoring
        return bool(self._in_hand)

    def _take_in(self, desk: Desk, workers: Sequence[TaskWorker]) -> None:
        busy = [worker for worker in workers if not worker.idle]
        ready = self.wait(busy, min(_left_s(busy), FLUSH_SECONDS))
        now = time.monotonic()
        late = [worker for worker in busy if worker.deadline <= now and worker not in ready]
        for worker in (*ready, *late):
            answer = _answer(worker, worker in late)
            if not isinstance(answer, Ready):
                desk.take(self._in_hand.pop(worker.name), answer)


def _answer(worker: TaskWorker, late: bool) -> Any:
    if late:
        return Lost(worker.replace()[1], overran=True)
    try:
        return worker.take()
    except (EOFError, OSError):
        return Lost(worker.replace()[1])


def _left_s(workers: Sequence[TaskWorker]) -> float:
    """Seconds until the first deadline."""
    return max(0.0, min(worker.deadline for worker in workers) - time.monotonic())
