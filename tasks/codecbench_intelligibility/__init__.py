"""Task ``intelligibility``: word and character error rates of a recogniser on the decoded audio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from codecbench import OptionSpec, TaskSpec, hookimpl
from codecbench.contracts.metric import Direction, MetricSpec, Reducer, ScorerSpec, Stage

if TYPE_CHECKING:
    from codecbench import registering as reg
    from codecbench.contracts.metric import ScorerContext

PERCENT = 100.0
_JIWER = "Levenshtein alignment by jiwer"

WER = ScorerSpec(
    "wer",
    (
        MetricSpec(
            "wer",
            "WER",
            Direction.LOWER,
            bounds=(0.0, None),
            reducer=Reducer.RATIO,
            headline=True,
            unit="%",
            scale=PERCENT,
            decimals=2,
            description="Word errors over reference words, after text normalisation; corpus value: ratio of sums.",
            source=_JIWER,
        ),
        MetricSpec(
            "cer",
            "CER",
            Direction.LOWER,
            bounds=(0.0, None),
            reducer=Reducer.RATIO,
            unit="%",
            scale=PERCENT,
            decimals=2,
            description="Character errors (spaces count) over reference characters, after text normalisation.",
            source=_JIWER,
        ),
    ),
    needs_recognizer=True,
    options=(OptionSpec("language", "ISO 639-1 code of utterances that state none"),),
    requirements=("jiwer", "whisper-normalizer"),
    cost=0.3,
)
DWER = ScorerSpec(
    "dwer",
    (
        MetricSpec(
            "dwer",
            "dWER",
            Direction.LOWER,
            bounds=(0.0, None),
            reducer=Reducer.RATIO,
            ceiling=0.0,
            unit="%",
            scale=PERCENT,
            decimals=2,
            description="Word errors against the recogniser's own transcript of the original; needs no text.",
            source=_JIWER,
        ),
    ),
    stage=Stage.CORPUS,
    requirements=("jiwer",),
    cost=0.0,
)


def _versions(*names: str) -> Mapping[str, str]:
    from importlib import metadata

    return {name: metadata.version(name) for name in names}


def _available(options: Mapping[str, Any]) -> None:
    from importlib.util import find_spec

    from codecbench.errors import Unavailable

    if find_spec("jiwer") is None or find_spec("whisper_normalizer") is None:
        raise Unavailable("needs jiwer and the text normaliser of Whisper", "pip install jiwer whisper-normalizer")


def _wer(context: ScorerContext) -> Any:
    from codecbench_intelligibility.scorer import WordErrorScorer

    return WordErrorScorer(context)


def _dwer(context: ScorerContext) -> Any:
    from codecbench_intelligibility.dwer import DifferentialScorer

    return DifferentialScorer()


@hookimpl
def register_metrics(register: reg.RegisterScorer) -> None:
    """Register WER and CER, and dWER."""
    register(WER, _wer, available=_available, identity=lambda options: _versions("jiwer", "whisper-normalizer"))
    register(DWER, _dwer, identity=lambda options: _versions("jiwer"))


@hookimpl
def register_tasks(register: reg.RegisterTask) -> None:
    """Register ``intelligibility``."""
    register(TaskSpec("intelligibility", "What a speech recogniser still understands", (WER.name, DWER.name)))
