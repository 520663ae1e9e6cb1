"""The local engine: a codec process for each device and a pool of metric processes on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from multiprocessing.connection import wait
from typing import cast

from codecbench.runner.codec_worker import CodecWorker
from codecbench.runner.devices import all_visible
from codecbench.runner.engine import Crew, Engine, TaskWorker
from codecbench.runner.score_worker import ScoreWorker
from codecbench.runner.workers import Worker


class LocalEngine(Engine):
    """Workers are processes of a fork server; tasks and answers go through pipes."""

    def crews(self, devices: Sequence[str]) -> tuple[Crew, Crew]:
        """Return one codec process for each device, and ``num_workers`` metric processes."""
        visible = all_visible(tuple(devices), _count_accelerators)

        def codec(index: int) -> Worker:
            name = f"codec-{index}"
            return Worker(name, CodecWorker, self.codec_setup(name, visible[index]))

        return Crew(len(visible), codec), Crew(self.num_workers, self._scorer)

    def wait(self, workers: Sequence[TaskWorker], seconds: float) -> Sequence[TaskWorker]:
        """Wait for the pipes."""
        by_connection = {worker.connection: worker for worker in cast(Sequence[Worker], workers)}
        return [by_connection[connection] for connection in wait(list(by_connection), seconds)]

    def _scorer(self, index: int) -> Worker:
        name = f"metrics-{index}"
        return Worker(name, ScoreWorker, self.scorer_setup(name))


def _count_accelerators() -> int:
    import torch

    return torch.cuda.device_count()
