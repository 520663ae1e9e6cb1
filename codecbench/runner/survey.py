"""What is to be done and what the store holds: the counts of a plan, before anything is begun."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from codecbench.runner.messages import ScorerRef
from codecbench.runner.plan import CodecGroup, find_gaps
from codecbench.runner.scoring import PreparedScorer
from codecbench.runner.utterances import UtteranceTable, blocks
from codecbench.store.tokens import TokenStore


@dataclass(frozen=True)
class Amount:
    """Utterances to work on, and their seconds of audio; ``stored``: utterances that need no work."""

    items: int = 0
    audio_s: float = 0.0
    stored: int = 0


@dataclass(frozen=True)
class ScorerWork:
    """What one scorer has to do for one lane."""

    scorer: ScorerRef
    amount: Amount


@dataclass(frozen=True)
class LaneWork:
    """What has to be decoded and scored under one codec name; ``to_score``: utterances with any score missing."""

    label: str
    decodes: Amount
    scorers: tuple[ScorerWork, ...]
    to_score: int


@dataclass(frozen=True)
class GroupWork:
    """What has to be done for the codec names that share one encoding.

    encodes: stored counts the utterances whose tokens are kept. packed_todo: one bit for each utterance.
    """

    group: CodecGroup
    encodes: Amount
    lanes: tuple[LaneWork, ...]
    num_utterances: int
    packed_todo: np.ndarray = field(repr=False, compare=False)

    @property
    def todo(self) -> np.ndarray:
        """Utterances that the codec has to be asked for: bool [utterances]."""
        return np.unpackbits(self.packed_todo, count=self.num_utterances).astype(bool)

    @property
    def num_todo(self) -> int:
        """Utterances that the codec has to be asked for."""
        return int(self.todo.sum())


def survey(
    group: CodecGroup, table: UtteranceTable, scorers: Sequence[PreparedScorer], *, retry: bool = True
) -> GroupWork:
    """Count what the store lacks for one group; ``retry`` as in ``find_gaps``."""
    usable = [scorer for scorer in scorers if scorer.unavailable is None]
    tally = _Tally(len(group.lanes), len(usable))
    tokens = TokenStore(group.token_folder)
    for block in blocks(table.facts()):
        gaps = find_gaps(group, block, usable, retry=retry)
        held = tokens.has_all([group.token_key(planned) for planned in block])
        tally.add(gaps.todo, gaps.todo & ~held, held, gaps.decodes, gaps.scores, [p.duration_s for p in block])
    for lane in group.lanes:
        lane.scores.forget()
    lanes = tuple(
        LaneWork(
            lane.label,
            Amount(int(tally.decodes[row]), float(tally.decode_s[row])),
            tuple(
                ScorerWork(
                    scorer.ref,
                    Amount(
                        int(tally.scores[row, column]),
                        float(tally.score_s[row, column]),
                        tally.size - int(tally.scores[row, column]),
                    ),
                )
                for column, scorer in enumerate(usable)
            ),
            int(tally.to_score[row]),
        )
        for row, lane in enumerate(group.lanes)
    )
    encodes = Amount(tally.encodes, tally.encode_s, tally.held)
    return GroupWork(group, encodes, lanes, tally.size, np.packbits(tally.todo()))


class _Tally:
    """Sums over blocks; the names say of what, ``_s`` the seconds of audio."""

    def __init__(self, num_lanes: int, num_scorers: int) -> None:
        self.size = self.held = self.encodes = 0
        self.encode_s = 0.0
        self.decodes, self.decode_s = np.zeros(num_lanes, int), np.zeros(num_lanes)
        self.scores, self.score_s = np.zeros((num_lanes, num_scorers), int), np.zeros((num_lanes, num_scorers))
        self.to_score = np.zeros(num_lanes, int)
        self._todo: list[np.ndarray] = []

    def add(
        self,
        todo: np.ndarray,
        encodes: np.ndarray,
        held: np.ndarray,
        decodes: np.ndarray,
        scores: np.ndarray,
        durations_s: Sequence[float],
    ) -> None:
        seconds = np.asarray(durations_s)
        self.size += len(todo)
        self.held += int(held.sum())
        self.encodes += int(encodes.sum())
        self.encode_s += float(seconds[encodes].sum())
        self.decodes += decodes.sum(axis=-1)
        self.decode_s += decodes @ seconds
        self.scores += scores.sum(axis=-1)
        self.score_s += scores @ seconds
        self.to_score += scores.any(axis=1).sum(axis=-1)
        self._todo.append(todo)

    def todo(self) -> np.ndarray:
        return np.concatenate(self._todo) if self._todo else np.zeros(0, bool)
