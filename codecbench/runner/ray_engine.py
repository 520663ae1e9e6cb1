"""The Ray engine: codec and metric workers are actors, on this machine or on every node of a cluster.

Decoded audio goes from codec actors to metric actors through Ray's object store, by reference: the driver sees tokens,
statuses and measurements only, and audio that is to be kept. Who writes to the store is the same in every engine:
tokens the codec worker that made them, a shard for each task; measurements the driver, in large shards. What waits in
the object store is bounded: the outputs of the tasks at work, and ``WAITING_PER_WORKER`` for each metric actor.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, cast

from codecbench.errors import CodecbenchError, UsageError
from codecbench.runner.codec_worker import CodecWorker
from codecbench.runner.config import available_cores
from codecbench.runner.devices import kind
from codecbench.runner.engine import Crew, Engine, TaskWorker
from codecbench.runner.messages import Output
from codecbench.runner.ray_actors import RayWorker, RemoteOutput, Resources, import_ray
from codecbench.runner.score_worker import ScoreWorker
from codecbench.runner.workers import THREAD_VARIABLES

# Decoded audio that waits on one machine; beyond it Ray spills to disk. A minute at 48 kHz is 12 MB.
OBJECT_STORE_BYTES = 2**30


@dataclass
class RayEngine(Engine):
    """Workers are Ray actors; a lost one, or a lost node, costs a second attempt at what it had.

    address: of a running cluster, ``auto`` for the one of this machine, empty for one of this run's own. num_workers: 0
    means one for each core that the codecs leave. A Ray that this process has initialised before is used and left.
    """

    address: str = ""

    def __enter__(self) -> Self:
        self._ray: Any = None
        self._own = False
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            super().__exit__(kind, error, trace)
        finally:
            if self._own:
                self._ray.shutdown()

    def crews(self, devices: Sequence[str]) -> tuple[Crew, Crew]:
        """Return codec actors, one for each device asked for (all of the cluster for ``cuda``), and metric actors."""
        self._ray = import_ray()
        if not self._ray.is_initialized():
            self._own = True
            self._connect()
        found = self._ray.cluster_resources()
        codec, count = self._codec_resources(devices, int(found.get("GPU", 0)))
        cores = int(found.get("CPU", 1) - count * codec.cpus)

        def start_codec(index: int) -> RayWorker:
            setup = self.codec_setup(f"codec-{index}", kind(devices[0]))
            return RayWorker(self._ray, f"codec-{index}", CodecWorker, setup, codec)

        def start_scorer(index: int) -> RayWorker:
            name = f"metrics-{index}"
            return RayWorker(self._ray, name, ScoreWorker, self.scorer_setup(name), Resources(cpus=1))

        return Crew(count, start_codec), Crew(self.num_workers or max(1, cores), start_scorer)

    def wait(self, workers: Sequence[TaskWorker], seconds: float) -> Sequence[TaskWorker]:
        """Wait for the actors' answers."""
        by_ref = {worker.awaited: worker for worker in cast(Sequence[RayWorker], workers)}
        with _connected(self._ray):
            ready, _ = self._ray.wait(list(by_ref), timeout=seconds)
            if ready:  # all that are, not only the first
                ready, _ = self._ray.wait(list(by_ref), num_returns=len(by_ref), timeout=0)
        return [by_ref[ref] for ref in ready]

    def fetch(self, output: Output) -> Output | None:
        """Bring decoded audio to the driver, to be kept; None where it was lost: a later run makes it again."""
        if not isinstance(output, RemoteOutput):
            return output
        try:
            return cast(Output, self._ray.get(output.ref))
        except self._ray.exceptions.ObjectLostError:
            return None

    def _codec_resources(self, devices: Sequence[str], num_gpus: int) -> tuple[Resources, int]:
        if kind(devices[0]) == "cpu":
            return Resources(cpus=self.setup.num_threads), len(devices)
        if any(":" in device for device in devices):
            raise UsageError(
                f"--device {','.join(devices)}: Ray chooses the devices; name cuda, or cuda*N for N of them"
            )
        count = num_gpus if len(devices) == 1 else len(devices)
        if not 0 < count <= num_gpus:
            raise UsageError(f"--device {devices[0]}*{count}: Ray has {num_gpus} GPUs; use cpu, or another cluster")
        return Resources(gpus=1), count

    def _connect(self) -> None:
        environment = {"env_vars": dict.fromkeys(THREAD_VARIABLES, "1")}
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "runtime_env": environment}
        try:
            if self.address:
                self._ray.init(address=self.address, **options)
            else:
                self._ray.init(
                    address="local",
                    num_cpus=self._num_cpus(),
                    include_dashboard=False,
                    object_store_memory=OBJECT_STORE_BYTES,
                    **options,
                )
        except Exception as error:  # Ray raises bare ones too, of a start that takes more than 30 s for example
            if self.address:
                remedy = "start one with 'ray start --head', or leave out --address"
                raise CodecbenchError(f"no Ray could be had at '{self.address}': {error}; {remedy}") from error
            message = f"Ray did not start on this machine: {error}; give the same command again when it is less busy"
            raise CodecbenchError(f"{message}, or use --engine local") from error

    def _num_cpus(self) -> int:
        """Cores that a Ray of our own is told it has: codecs and metrics overlap here as in the local engine."""
        devices = self.devices or (self.setup.device,)
        codecs = len(devices) * self.setup.num_threads if kind(devices[0]) == "cpu" else 0
        return codecs + (self.num_workers or available_cores())


@contextlib.contextmanager
def _connected(ray: Any) -> Iterator[None]:
    try:
        yield
    except ray.exceptions.RayError as error:
        raise CodecbenchError(f"Ray was lost: {error}; give the same command again to go on") from error
