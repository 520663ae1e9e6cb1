"""Scoring a checkpoint with codecbench itself, into the ordinary store."""

from __future__ import annotations

from pathlib import Path

from codecbench_train.config import TrainConfig
from codecbench_train.trainable import TrainableModule


def score(config: TrainConfig, model: TrainableModule, out: Path, step: int) -> None:
    """Score ``model`` at ``step`` by the configured tasks."""
    raise NotImplementedError("wired when the runner's public interface exists")
