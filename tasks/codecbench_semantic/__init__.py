"""Task ``semantic``: what the codes say of phones, sentences and speakers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from codecbench import TaskSpec, hookimpl
from codecbench_semantic import specs

if TYPE_CHECKING:
    from codecbench import registering as reg
    from codecbench.contracts.metric import ScorerContext


def _phones(context: ScorerContext) -> Any:
    from codecbench_semantic.phones import PhoneScorer

    return PhoneScorer()


def _phones_identity(options: Mapping[str, Any]) -> Mapping[str, Any]:
    from codecbench_semantic.alignment import tool_name

    return {"aligner": tool_name()}


def _speakers(context: ScorerContext) -> Any:
    from codecbench_semantic.speakers import SpeakerScorer

    return SpeakerScorer()


def _sentences(context: ScorerContext) -> Any:
    from codecbench_semantic.sentences import SentenceScorer

    return SentenceScorer()


def _asr(context: ScorerContext) -> Any:
    from codecbench_semantic.asr import AsrScorer

    return AsrScorer(context.options)


def _needs(*modules: str) -> Callable[[Mapping[str, Any]], None]:
    def available(options: Mapping[str, Any]) -> None:
        from codecbench.weights import require_modules

        require_modules(modules, "semantic")

    return available


@hookimpl
def register_metrics(register: reg.RegisterScorer) -> None:
    """Register phones, speakers and sentences in codes, and the light recogniser."""
    register(specs.PHONES, _phones, available=_needs("pocketsphinx"), identity=_phones_identity)
    register(specs.SPEAKERS, _speakers, available=_needs("sklearn"))
    register(specs.SENTENCES, _sentences, available=_needs("datasketch", "sklearn"))
    register(specs.ASR, _asr)


@hookimpl
def register_tasks(register: reg.RegisterTask) -> None:
    """Register ``semantic`` and ``asr_probe``; neither by default: aligning and training take a while."""
    scorers = ("rates", specs.PHONES.name, specs.SPEAKERS.name, specs.SENTENCES.name)
    description = "Phones in the codes (PNMI, purity, ABX), speakers by a linear probe, repeated sentences (SNMI)"
    register(TaskSpec("semantic", description, scorers, default=False))
    probe = "Word and character errors of a small CTC model trained on the codes: what each token budget tells of words"
    register(TaskSpec("asr_probe", probe, ("rates", specs.ASR.name), default=False))
