"""Task ``slm``: are a codec's tokens good for a language model? Trained on both ways and judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from codecbench import ReportSpec, TaskSpec, hookimpl

if TYPE_CHECKING:
    from pathlib import Path

    from codecbench import registering as reg
    from codecbench.contracts.metric import ScorerContext
    from codecbench.results import RunResults

TASK = "slm"


def _words(context: ScorerContext) -> Any:
    from codecbench_slm.scorers import SpokenWordsScorer

    return SpokenWordsScorer(context)


def _voice(context: ScorerContext) -> Any:
    from codecbench_slm.scorers import SpokenVoiceScorer

    return SpokenVoiceScorer()


def _words_available(options: Mapping[str, Any]) -> None:
    from codecbench.weights import require_modules

    require_modules(("jiwer", "whisper_normalizer"), "wer")


def _voice_available(options: Mapping[str, Any]) -> None:
    from codecbench.weights import require_modules

    require_modules(("resemblyzer",), "speaker")


def _versions(*names: str) -> Mapping[str, str]:
    from importlib import metadata

    return {name: metadata.version(name) for name in names}


@hookimpl
def register_metrics(register: reg.RegisterScorer) -> None:
    """Register the scorers of generated speech."""
    from codecbench_slm import specs

    register(
        specs.TTS_WORDS,
        _words,
        available=_words_available,
        identity=lambda options: _versions("jiwer", "whisper-normalizer"),
    )
    register(specs.TTS_SPEAKER, _voice, available=_voice_available, identity=lambda options: _versions("resemblyzer"))


@hookimpl
def register_tasks(register: reg.RegisterTask) -> None:
    """Register the task by which ``codecbench slm`` has tokens made; models are judged by ``codecbench slm eval``."""
    register(
        TaskSpec(TASK, "Tokens for speech language models (codecbench slm) and their rates", ("rates",), default=False)
    )


@hookimpl
def register_commands(register: reg.RegisterCommand) -> None:
    """Register ``codecbench slm``."""
    register("slm", "Train and judge speech language models on the tokens of codecs.", "codecbench_slm.cli:slm_command")


@hookimpl
def register_reports(register: reg.RegisterReport) -> None:
    """Register the table of speech language models; made by ``codecbench slm`` or on request."""
    register(
        ReportSpec("slm", "Speech language models: STT and TTS by codec, intervals over seeds", default=False), _table
    )


def _table(runs: Sequence[RunResults], folder: Path, options: Mapping[str, Any]) -> Sequence[Path]:
    from codecbench_slm.table import write_table

    return write_table(runs, folder)
