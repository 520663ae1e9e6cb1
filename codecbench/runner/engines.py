"""The engines by name."""

from __future__ import annotations

from codecbench.runner.config import RunConfig
from codecbench.runner.engine import Engine
from codecbench.runner.messages import WorkerSetup
from codecbench.runner.progress import Progress


def make_engine(config: RunConfig, setup: WorkerSetup, progress: Progress) -> Engine:
    """Make the engine that a run asks for; raises Unavailable where its package is not installed."""
    common = (config.timeout_s, progress, config.out / "logs", config.devices)
    if config.engine == "local":
        from codecbench.runner.local import LocalEngine

        return LocalEngine(setup, config.num_workers, *common)
    from codecbench.runner.ray_actors import check_ray
    from codecbench.runner.ray_engine import RayEngine

    check_ray()
    return RayEngine(setup, config.workers, *common, config.address)
