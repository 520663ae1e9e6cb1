"""Work on its way through an engine: what a codec or a scorer is asked for, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from codecbench.runner.messages import CodecResult, CodecTask, ItemResult, Output, ScoreResult, ScoreTask, WorkerError
from codecbench.runner.plan import Lane, PlannedTask
from codecbench.runner.scoring import PreparedScorer


@dataclass(frozen=True)
class Lost:
    """The end of a worker that gave no answer.

    overran: it was at work beyond its time limit, so that another attempt would only cost the same again. output: the
    worker is well, but the decoded audio that it was to score is gone.
    """

    reason: str
    overran: bool = False
    output: bool = False


Answer: TypeAlias = CodecResult | ScoreResult | WorkerError | Lost


@dataclass(frozen=True)
class Coding:
    """Utterances for a codec.

    losses: workers that were lost with just this. recoded: how often decoded audio was lost before it was scored.
    """

    planned: PlannedTask
    losses: int = 0
    recoded: int = 0

    @property
    def task(self) -> CodecTask:
        """What the codec process is told."""
        return self.planned.task

    @property
    def name(self) -> str:
        """Whom a failure is charged to."""
        return f"codec '{self.task.codec}' on utterance '{self.task.items[0].utterance.id}'"

    def parts(self) -> list[Coding]:
        """Each utterance alone."""
        return [Coding(alone(self.planned, i), recoded=self.recoded) for i in range(len(self.task.items))]


@dataclass(frozen=True)
class Scoring:
    """One coded utterance, item ``index`` of ``planned``, for scorers; losses, recoded: as in Coding."""

    planned: PlannedTask
    index: int
    lane: Lane
    scorers: tuple[PreparedScorer, ...]
    task: ScoreTask
    losses: int = 0
    recoded: int = 0

    @classmethod
    def of(
        cls, coding: Coding, index: int, lane: Lane, scorers: tuple[PreparedScorer, ...], result: ItemResult
    ) -> Scoring:
        """Make it of what a codec gave for one item and lane."""
        utterance = coding.planned.utterances[index]
        output = result.outputs.get(lane.label)
        task = ScoreTask(
            lane.label,
            utterance.utterance,
            tuple(s.ref for s in scorers),
            tuple(lane.key(utterance, s) for s in scorers),
            output if isinstance(output, Output) else None,
            result.packed,
            result.stated,
            lane.prepared.resolved.name.codebooks,
            lane.streams,
        )
        return cls(coding.planned, index, lane, scorers, task, recoded=coding.recoded)

    @property
    def name(self) -> str:
        """Whom a failure is charged to."""
        return f"scorer '{self.scorers[0].ref.name}'"

    def parts(self) -> list[Scoring]:
        """Each scorer alone."""
        return [replace(self, scorers=(s,), task=self.task.only(i)) for i, s in enumerate(self.scorers)]

    def coding(self) -> Coding:
        """What decodes this utterance again, for these scorers only."""
        single = alone(self.planned, self.index)
        items = tuple(replace(item, packed=self.task.packed) for item in single.task.items)
        jobs = tuple(job for job in single.task.jobs if job.label == self.lane.label)
        planned = replace(
            single,
            task=replace(single.task, items=items, jobs=jobs),
            group=replace(single.group, lanes=(self.lane,)),
            missing={(0, self.lane.label): self.scorers},
            audio=frozenset(),
        )
        return Coding(planned, recoded=self.recoded + 1)


Work: TypeAlias = Coding | Scoring


def alone(planned: PlannedTask, index: int) -> PlannedTask:
    """Return the task of one utterance."""
    return replace(
        planned,
        task=planned.task.only(index),
        utterances=(planned.utterances[index],),
        missing={(0, label): scorers for (i, label), scorers in planned.missing.items() if i == index},
        audio=frozenset((0, label) for i, label in planned.audio if i == index),
    )
