"""Task ``token_lm``: how predictable the tokens are, and how far they compress."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from codecbench import TaskSpec, hookimpl
from codecbench_token_lm import specs

if TYPE_CHECKING:
    from codecbench import registering as reg
    from codecbench.contracts.metric import ScorerContext


def _ngram(context: ScorerContext) -> Any:
    from codecbench_token_lm.ngram import NgramScorer

    return NgramScorer(context.options)


def _structure(context: ScorerContext) -> Any:
    from codecbench_token_lm.structure import StructureScorer

    return StructureScorer()


def _merges(context: ScorerContext) -> Any:
    from codecbench_token_lm.merging import MergeScorer

    return MergeScorer(context.options)


def _merges_available(options: Mapping[str, Any]) -> None:
    from codecbench.weights import require_modules

    require_modules(["tokenizers"], "wer")


@hookimpl
def register_metrics(register: reg.RegisterScorer) -> None:
    """Register cross-entropy with the range coder, the codes' structure, and byte-pair merges."""
    register(specs.NGRAM, _ngram)
    register(specs.STRUCTURE, _structure)
    register(specs.MERGES, _merges, available=_merges_available)


@hookimpl
def register_tasks(register: reg.RegisterTask) -> None:
    """Register ``token_lm``; ``rates`` of the task ``token_rate`` stands beside what models make of the codes."""
    scorers = ("rates", specs.NGRAM.name, specs.STRUCTURE.name, specs.MERGES.name)
    register(TaskSpec("token_lm", "Cross-entropy, range-coded bit rate, structure and merges of tokens", scorers))
