"""Task ``stability``: which codes change when the audio hardly does, and what damaged codes still say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from codecbench import TaskSpec, hookimpl
from codecbench_stability import specs

if TYPE_CHECKING:
    from codecbench import registering as reg
    from codecbench.contracts.metric import ScorerContext


def _edits(context: ScorerContext) -> Any:
    from codecbench_stability.edit_scorer import EditScorer

    return EditScorer()


def _damage(context: ScorerContext) -> Any:
    from codecbench_stability.damage_scorer import DamageScorer

    return DamageScorer()


@hookimpl
def register_metrics(register: reg.RegisterScorer) -> None:
    """Register edits of codes and quality under damage."""
    register(specs.EDITS, _edits)
    register(specs.DAMAGE, _damage)


@hookimpl
def register_tasks(register: reg.RegisterTask) -> None:
    """Register ``stability``; not among the default tasks: it encodes every utterance a dozen times."""
    scorers = ("rates", specs.EDITS.name, specs.DAMAGE.name)
    description = "Codes after re-encoding, shift, gain, noise, band limit and transcoding; loss and errors of codes"
    register(TaskSpec("stability", description, scorers, default=False))
