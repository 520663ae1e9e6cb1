"""Plausibility gates: figures that cannot be right, or that a reader must not take at face value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from codecbench.runinfo import Flag

if TYPE_CHECKING:
    from codecbench.results import RunResults


@dataclass(frozen=True)
class Limits:
    """What is still plausible."""

    delay_ms: float = 1.0
    level_db: float = 1.0


def check_plausibility(results: RunResults, limits: Limits | None = None) -> tuple[Flag, ...]:
    """Return a flag for every gate that a run trips."""
    return ()
