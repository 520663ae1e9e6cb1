"""Task ``speed``: real-time factors, memory and size of a codec, alone on the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from codecbench import TaskSpec, hookimpl
from codecbench_speed.specs import SPEED

if TYPE_CHECKING:
    from codecbench import registering as reg
    from codecbench.contracts.metric import ScorerContext


def _make(context: ScorerContext) -> Any:
    from codecbench_speed.scorer import SpeedScorer

    return SpeedScorer(float(context.options["budget_s"]))


@hookimpl
def register_metrics(register: reg.RegisterScorer) -> None:
    """Register the timing scorer."""
    register(SPEED, _make)


@hookimpl
def register_tasks(register: reg.RegisterTask) -> None:
    """Register ``speed``."""
    register(TaskSpec("speed", "Real-time factors, first call, memory and parameters", (SPEED.name,)))
