"""Tasks: named choices of what to measure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TaskSpec:
    """A question put to every codec, answered by the metrics of its scorers (by scorer name)."""

    name: str
    description: str
    scorers: tuple[str, ...]
    default: bool = True
