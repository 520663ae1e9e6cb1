"""Task ``reconstruction``: how close the decoded audio is to the original."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from codecbench import hookimpl
from codecbench.contracts.task import TaskSpec
from codecbench_reconstruction import model_specs, specs

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


def _speaker(context: ScorerContext) -> Any:
    from codecbench_reconstruction.models import SpeakerScorer

    return SpeakerScorer()


def _distillmos(context: ScorerContext) -> Any:
    from codecbench_reconstruction.models import DistillMosScorer

    return DistillMosScorer()


def _p808(context: ScorerContext) -> Any:
    from codecbench_reconstruction.dnsmos import P808Scorer

    return P808Scorer()


def _p835(context: ScorerContext) -> Any:
    from codecbench_reconstruction.dnsmos import P835Scorer

    return P835Scorer()


def _needs(extra: str, *modules: str) -> Callable[[Mapping[str, Any]], None]:
    def available(options: Mapping[str, Any]) -> None:
        from codecbench.weights import require_modules

        require_modules(modules, extra)

    return available


def _identity(*distributions: str) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    return lambda options: specs.versions(*distributions)


@hookimpl
def register_metrics(register: reg.RegisterScorer) -> None:
    """Register the signal metrics, each raw and delay-aligned, and the model-based ones."""
    register(specs.PESQ, _pesq, identity=_identity("pesq"))
    register(specs.STOI, _stoi, identity=_identity("pystoi"))
    register(specs.WAVEFORM, _waveform)
    register(
        model_specs.SPEAKER,
        _speaker,
        available=_needs("speaker", "resemblyzer"),
        identity=_identity("resemblyzer"),
    )
    register(
        model_specs.DISTILLMOS,
        _distillmos,
        available=_needs("mos", "distillmos"),
        identity=_identity("distillmos"),
    )
    for spec, make in ((model_specs.P808, _p808), (model_specs.P835, _p835)):
        register(
            spec,
            make,
            available=_needs("mos", "speechmos", "onnxruntime", "librosa"),
            identity=_identity("speechmos", "onnxruntime"),
        )


@hookimpl
def register_tasks(register: reg.RegisterTask) -> None:
    """Register ``reconstruction``."""
    signals = (specs.PESQ, specs.STOI, specs.WAVEFORM)
    models = (model_specs.SPEAKER, model_specs.DISTILLMOS, model_specs.P808)
    register(
        TaskSpec(
            "reconstruction",
            "Signal fidelity, speaker and predicted quality of the decoded audio",
            tuple(scorer.name for scorer in (*signals, *models)),
        )
    )
    p835 = "DNSMOS P.835 (overall, speech, background): far dearer than the rest, and little apart between vocoders"
    register(TaskSpec("dnsmos_p835", p835, (model_specs.P835.name,), default=False))
