"""Task ``reconstruction``: how close the decoded audio is to the original."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from codecbench import hookimpl
from codecbench.contracts.task import TaskSpec
from codecbench_reconstruction import specs

if TYPE_CHECKING:
    from codecbench import registering as reg
    from codecbench.contracts.metric import ScorerContext


def _pesq(context: ScorerContext) -> Any:
    from codecbench_reconstruction.perceptual import make_pesq_scorer

    return make_pesq_scorer()


def _stoi(context: ScorerContext) -> Any:
    from codecbench_reconstruction.perceptual import make_stoi_scorer

    return make_stoi_scorer()


def _waveform(context: ScorerContext) -> Any:
    from codecbench_reconstruction.waveform import WaveformScorer

    return WaveformScorer()


@hookimpl
def register_metrics(register: reg.RegisterScorer) -> None:
    """Register the signal metrics, each raw and delay-aligned, and the model-based ones."""
    register(specs.PESQ, _pesq, identity=lambda options: specs.versions("pesq"))
    register(specs.STOI, _stoi, identity=lambda options: specs.versions("pystoi"))
    register(specs.WAVEFORM, _waveform)


@hookimpl
def register_tasks(register: reg.RegisterTask) -> None:
    """Register ``reconstruction``."""
    register(
        TaskSpec(
            "reconstruction",
            "Signal fidelity, speaker and predicted quality of the decoded audio",
            (specs.PESQ.name, specs.STOI.name, specs.WAVEFORM.name),
        )
    )
