"""Ray actors as workers of an engine: one task at a time, started afresh where they end."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from codecbench.errors import CodecbenchError, Unavailable
from codecbench.runner.memory import watch
from codecbench.runner.messages import (
    CodecResult,
    CodecTask,
    ItemResult,
    Output,
    ScoreResult,
    ScoreTask,
    WorkerError,
    WorkerSetup,
)
from codecbench.runner.work import Lost
from codecbench.runner.workers import START_TIMEOUT_S, Handler, HandlerFactory, Ready
from codecbench.store.places import StoreError

# Starts that may fail one after another (a node that goes as it is used) before the run is given up.
START_ATTEMPTS = 3
_REASON_LENGTH = 300
_NOTHING = np.zeros(0, np.float32)


def check_ray() -> None:
    """Raise Unavailable where Ray is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise Unavailable("the engine 'ray' needs the package ray", "pip install 'codecbench[ray]'")


def import_ray() -> Any:
    """Return the module ``ray``; it takes seconds to import."""
    check_ray()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Ray is to leave the devices of actors that ask for none as they are, which will be its default.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    return importlib.import_module("ray")


@dataclass(frozen=True)
class Resources:
    """What an actor asks the cluster for."""

    cpus: int = 0
    gpus: int = 0


@dataclass(frozen=True)
class RemoteOutput(Output):
    """Decoded audio that lies in Ray's object store; ``audio`` is empty until an actor gets hold of it by ``ref``."""

    ref: Any


class Actor:
    """The process of an actor: it holds one handler, as a local worker process does."""

    def __init__(self, factory: HandlerFactory, setup: WorkerSetup) -> None:
        self._factory, self._setup = factory, setup
        watch(os.getpid(), setup.memory_limit_bytes)

    @cached_property
    def _handler(self) -> Handler:
        return self._factory(self._setup)

    def started(self) -> None:
        """Answer when the process is there and its libraries are imported."""

    def code(self, task: CodecTask) -> Any:
        """Work through a codec task: its result without audio, then each output by ``_places``, or None.

        Each is an object of its own that the driver owns: it outlives this actor and travels where it is scored.
        """
        result: CodecResult = self._handler(task)
        outputs = [result.items[index].outputs.get(label) for index, label in _places(task)]
        slim = replace(result, items=tuple(map(_without_audio, result.items)))
        return (slim, *outputs) if outputs else slim

    def score(self, task: ScoreTask, output: Output | None) -> ScoreResult:
        """Work through a score task."""
        result: ScoreResult = self._handler(replace(task, output=output))
        return result


class RayWorker:
    """An actor and the task that it has, if any; the interface is that of a local worker."""

    def __init__(self, ray: Any, name: str, factory: HandlerFactory, setup: WorkerSetup, resources: Resources) -> None:
        self.name = name
        self.task: Any = None
        self.deadline = float("inf")
        self._ray, self._factory, self._setup, self._resources = ray, factory, setup, resources
        self._limit_s, self._failed_starts, self._reason = 0.0, 0, ""
        self._answers: list[Any] = []
        self._start()

    @property
    def idle(self) -> bool:
        """Whether the worker can take a task."""
        return self.task is None

    @property
    def awaited(self) -> Any:
        """The reference that is ready when there is something to take."""
        return self._answers[0] if self._ready else self._started

    def give(self, task: Any, timeout_s: float) -> None:
        """Hand over a task; its time limit counts from when the actor has started."""
        self.task, self._limit_s = task, timeout_s
        self.deadline = time.monotonic() + (timeout_s if self._ready else START_TIMEOUT_S)
        if isinstance(task, CodecTask):
            count = 1 + len(list(_places(task)))
            answers = self._actor.code.options(num_returns=count).remote(task)
            self._answers = answers if count > 1 else [answers]
        else:
            output = task.output.ref if isinstance(task.output, RemoteOutput) else task.output
            self._answers = [self._actor.score.remote(replace(task, output=None), output)]

    def take(self) -> Any:
        """Return the answer to the task at hand, or Ready; raises EOFError where the actor ended, StoreError."""
        if not self._ready:
            return self._take_start()
        try:
            answer = self._ray.get(self._answers[0])
        except self._ray.exceptions.ObjectLostError as error:
            answer = Lost(f"decoded audio was lost: {_line(error)}", output=True)
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, StoreError):
                raise error.cause from None
            answer = WorkerError(f"{type(error.cause).__name__}: {error.cause}", str(error))
        except self._ray.exceptions.RayError as error:
            self._reason = f"its Ray actor was lost: {_line(error)}"
            raise EOFError from error
        task, outputs = self.task, self._answers[1:]
        self.task, self.deadline, self._answers = None, float("inf"), []
        return _with_references(task, answer, outputs) if isinstance(answer, CodecResult) else answer

    def replace(self) -> tuple[Any, str]:
        """Start a new actor after this one ended or overran; return its task and what happened."""
        if not self._ready:
            raise CodecbenchError(
                f"Ray started no worker '{self.name}' within {START_TIMEOUT_S:g} s: it asks for {self._resources}, and "
                f"Ray has {self._ray.available_resources()} free"
            )
        self.stop()
        how, self._reason = self._reason or "ran past its time limit", ""
        task, self.task, self.deadline, self._answers = self.task, None, float("inf"), []
        self._start()
        return task, how

    def stop(self) -> None:
        """End the actor."""
        with contextlib.suppress(Exception):  # Ray itself may be gone
            self._ray.kill(self._actor)

    def _start(self) -> None:
        remote = self._ray.remote(num_cpus=self._resources.cpus, num_gpus=self._resources.gpus)
        self._actor = remote(Actor).remote(self._factory, replace(self._setup, log_file=None))
        self._started = self._actor.started.remote()
        self._ready = False

    def _take_start(self) -> Ready:
        try:
            self._ray.get(self._started)
        except self._ray.exceptions.RayError as error:
            self._failed_starts += 1
            if self._failed_starts >= START_ATTEMPTS:
                message = f"Ray could not start the worker '{self.name}': {_line(error)}"
                raise CodecbenchError(f"{message}; every node needs the same codecbench and plugins") from error
            self.stop()
            self._start()
            self.give(self.task, self._limit_s)
            return Ready()
        self._ready, self._failed_starts = True, 0
        self.deadline = time.monotonic() + self._limit_s
        return Ready()


def _places(task: CodecTask) -> Iterator[tuple[int, str]]:
    """Item and label of everything that is decoded, in the order in which an actor returns it."""
    for job in task.jobs:
        for index in sorted(job.items):
            yield index, job.label


def _without_audio(item: ItemResult) -> ItemResult:
    outputs = {
        label: replace(output, audio=_NOTHING) if isinstance(output, Output) else output
        for label, output in item.outputs.items()
    }
    return replace(item, outputs=outputs)


def _with_references(task: CodecTask, result: CodecResult, references: list[Any]) -> CodecResult:
    items = [replace(item, outputs=dict(item.outputs)) for item in result.items]
    for (index, label), reference in zip(_places(task), references, strict=True):
        output = items[index].outputs.get(label)
        if isinstance(output, Output):
            items[index].outputs[label] = RemoteOutput(output.audio, output.sample_rate_hz, reference)
    return replace(result, items=tuple(items))


def _line(error: BaseException) -> str:
    """The part of Ray's many lines that says what happened."""
    text = " ".join(str(error).split())
    text = text.partition("The actor is dead because ")[2] or text
    return text.partition(" Some common causes include")[0][:_REASON_LENGTH]
