"""What follows from each answer, the same wherever tasks run: more work, another attempt, or measurements to keep."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from codecbench.contracts.metric import Measurement, Stage, Status
from codecbench.runner.messages import CodecResult, Failure, ItemResult, Output, ScoreResult, WorkerError
from codecbench.runner.plan import Lane, PlannedTask
from codecbench.runner.progress import Progress
from codecbench.runner.scoring import PreparedScorer
from codecbench.runner.work import Answer, Coding, Lost, Scoring, Work

FLUSH_SECONDS = 10.0
# A worker may be lost for a reason that is not its task's (killed from outside, its machine gone): what stands alone is
# tried once more before the loss is charged to it.
RETRIES = 1


class Desk:
    """Takes planned tasks apart into work, and puts what comes back into the lanes' stores.

    room: utterances that may wait for a scorer before the codecs are held up, so that memory stays flat.
    fetch: gets hold of decoded audio that lies elsewhere; None where it is lost.
    """

    def __init__(
        self, tasks: Iterator[PlannedTask], room: int, progress: Progress, fetch: Callable[[Output], Output | None]
    ) -> None:
        self._tasks, self._room, self._progress, self._fetch = tasks, room, progress, fetch
        self._coding: deque[Coding] = deque()
        self._scoring: deque[Scoring] = deque()
        self._dirty: dict[str, Lane] = {}
        self._flushed = time.monotonic()

    def next_coding(self) -> Coding | None:
        """Hand out work for a codec; None where nothing is left or enough waits to be scored."""
        if len(self._scoring) >= self._room:
            return None
        if not self._coding:
            planned = next(self._tasks, None)
            if planned is None:
                return None
            self._coding.append(Coding(planned))
        coding = self._coding.popleft()
        self._progress.advance("encode", 0, coding.task.codec)
        return coding

    def next_scoring(self) -> Scoring | None:
        """Hand out work for scorers; None where nothing waits."""
        return self._scoring.popleft() if self._scoring else None

    def take(self, work: Work, answer: Answer) -> None:
        """Take in what became of ``work``; raises StoreError where the store cannot be written."""
        if isinstance(work, Coding) and isinstance(answer, CodecResult):
            self._all_coded(work, answer)
        elif isinstance(work, Scoring) and isinstance(answer, ScoreResult):
            self._scored(work, answer)
        elif again := self._another_attempt(work, answer):
            self._queue(again)
        else:
            self._charge(work, answer)
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what the stores hold in memory; raises StoreError."""
        for lane in self._dirty.values():
            lane.scores.flush()
        self._dirty, self._flushed = {}, time.monotonic()

    def _another_attempt(self, work: Work, answer: Answer) -> Sequence[Work]:
        """Return what may succeed where ``work`` did not: its parts, to find the one at fault, or itself once more."""
        if isinstance(answer, Lost) and answer.output and isinstance(work, Scoring):
            if work.recoded >= RETRIES:
                return []
            self._progress.advance("encode", -1)
            return [work.coding()]
        parts = work.parts()
        if len(parts) > 1:
            if isinstance(work, Scoring):
                self._progress.advance("score", 1 - len(parts))
            return parts
        chance = isinstance(answer, Lost) and not answer.overran and work.losses < RETRIES
        return [replace(work, losses=work.losses + 1)] if chance else []

    def _queue(self, work: Sequence[Work]) -> None:
        for one in work:
            if isinstance(one, Coding):
                self._coding.append(one)
            else:
                self._scoring.append(one)

    def _charge(self, work: Work, answer: Answer) -> None:
        """Hold the one utterance or scorer that is left responsible."""
        reason = answer.message if isinstance(answer, WorkerError) else getattr(answer, "reason", "no answer")
        failure = Failure(Status.BACKEND_ERROR, f"{work.name}: {reason}")
        if isinstance(work, Coding):
            self._coded(work, 0, ItemResult(failure=failure))
            return
        for key, scorer in zip(work.task.keys, work.scorers, strict=True):
            self._put(work.lane, key, scorer.failed(failure.status, failure.reason))
        self._progress.advance("score", 1, work.lane.label)

    def _scored(self, work: Scoring, answer: ScoreResult) -> None:
        if work.lane.costs is not None:
            work.lane.costs.scored(work.task, answer)
        for key, rows in zip(work.task.keys, answer.measurements, strict=True):
            self._put(work.lane, key, rows)
        self._progress.advance("score", 1, work.lane.label)

    def _all_coded(self, work: Coding, answer: CodecResult) -> None:
        costs = work.planned.group.costs
        if costs is not None:
            costs.coded(work.task, answer)
        for index, result in enumerate(answer.items):
            self._coded(work, index, result)

    def _coded(self, coding: Coding, index: int, result: ItemResult) -> None:
        """Turn one coded utterance into work for scorers, and what failed into measurements that say so."""
        planned = coding.planned
        self._progress.advance("encode")
        for lane in planned.group.lanes:
            if (index, lane.label) in planned.audio:
                self._keep_audio(planned, index, lane, result)
            ready = []
            for scorer in (missing := planned.missing.get((index, lane.label), ())):
                if (failure := _failure(scorer, lane, result)) is None:
                    ready.append(scorer)
                else:
                    key = lane.key(planned.utterances[index], scorer)
                    self._put(lane, key, scorer.failed(failure.status, failure.reason))
            if ready:
                self._scoring.append(Scoring.of(coding, index, lane, tuple(ready), result))
            elif missing:
                self._progress.advance("score", 1, lane.label)

    def _put(self, lane: Lane, key: str, rows: tuple[Measurement, ...]) -> None:
        lane.scores.put(key, rows)
        self._dirty[lane.label] = lane

    def _keep_audio(self, planned: PlannedTask, index: int, lane: Lane, result: ItemResult) -> None:
        assert lane.audio is not None
        key, output = lane.audio_key(planned.utterances[index]), result.outputs.get(lane.label)
        if not isinstance(output, Output):
            lane.audio.put_none(key)
        elif (found := self._fetch(output)) is not None:  # else the next run decodes it again
            lane.audio.put(key, found.audio, found.sample_rate_hz)


def _failure(scorer: PreparedScorer, lane: Lane, result: ItemResult) -> Failure | None:
    """Why a scorer cannot be applied to what a codec gave, or None."""
    if scorer.unavailable is not None:
        return Failure(Status.UNAVAILABLE, str(scorer.unavailable))
    if result.failure is not None:
        return result.failure
    if scorer.stage is not Stage.AUDIO:
        return None
    if lane.spec.encode_only:
        return Failure(Status.NOT_APPLICABLE, f"codec '{lane.label}' is encode-only")
    output = result.outputs.get(lane.label)
    if output is None:
        return Failure(Status.BACKEND_ERROR, f"codec '{lane.label}' returned no audio")
    return output if isinstance(output, Failure) else None
