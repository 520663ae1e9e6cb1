"""Training of neural codecs: ``codecbench train MODEL --preset NAME --data MANIFEST... --out DIR``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from codecbench import ReportSpec, hookimpl

if TYPE_CHECKING:
    from pathlib import Path

    from codecbench.registering import RegisterCommand, RegisterReport
    from codecbench.results import RunResults


@hookimpl
def register_commands(register: RegisterCommand) -> None:
    """Register ``codecbench train``."""
    register("train", "Train a codec on manifests of speech, or resume a run.", "codecbench_train.cli:train")


@hookimpl
def register_reports(register: RegisterReport) -> None:
    """Register the curves of scores over training steps; made on request only."""
    register(
        ReportSpec("training-curves", "Scores of a training run's checkpoints against the step.", default=False),
        _training_curves,
    )


def _training_curves(runs: Sequence[RunResults], folder: Path, options: Mapping[str, Any]) -> Sequence[Path]:
    from codecbench_train.curves import render

    return render(runs, folder, options)
