"""Task ``token_rate``: what the tokens cost, measured, and how well the codebooks are used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from codecbench import TaskSpec, hookimpl
from codecbench_token_rate import specs

if TYPE_CHECKING:
    from codecbench import registering as reg
    from codecbench.contracts.metric import ScorerContext


def _rates(context: ScorerContext) -> Any:
    from codecbench_token_rate.rates import RateScorer

    return RateScorer()


def _text_tokens(context: ScorerContext) -> Any:
    from codecbench_token_rate.text_tokens import TextTokenScorer

    return TextTokenScorer(context.options)


def _text_tokens_available(options: Mapping[str, Any]) -> None:
    from codecbench_token_rate import text_tokens

    text_tokens.locate(options)


def _text_tokens_identity(options: Mapping[str, Any]) -> Mapping[str, Any]:
    from codecbench_token_rate import text_tokens

    return text_tokens.identity(options)


def _codebooks(context: ScorerContext) -> Any:
    from codecbench_token_rate.codebooks import CodebookScorer

    return CodebookScorer()


@hookimpl
def register_metrics(register: reg.RegisterScorer) -> None:
    """Register rates, tokens per text token, and codebook use."""
    register(specs.RATES, _rates)
    register(specs.TEXT_TOKENS, _text_tokens, available=_text_tokens_available, identity=_text_tokens_identity)
    register(specs.CODEBOOKS, _codebooks)


@hookimpl
def register_tasks(register: reg.RegisterTask) -> None:
    """Register ``token_rate``."""
    scorers = (specs.RATES.name, specs.TEXT_TOKENS.name, specs.CODEBOOKS.name)
    register(TaskSpec("token_rate", "Tokens and bits per second, per word, and how the codebooks are used", scorers))
