"""The plan: what a run consists of, what the store holds already, and the codec tasks for the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from codecbench.audio.resample import NAME as RESAMPLER
from codecbench.contracts.codec import CodecSpec
from codecbench.contracts.metric import Stage
from codecbench.hashing import KeyMaker, digest
from codecbench.loading import PreparedCodec
from codecbench.runinfo import PROTOCOL_VERSION
from codecbench.runner.costs import Costs
from codecbench.runner.messages import CodecItem, CodecTask, DecodeJob, ScorerRef
from codecbench.runner.scoring import PreparedScorer
from codecbench.runner.utterances import Keyed, PlannedUtterance, blocks
from codecbench.store.audio import AudioStore
from codecbench.store.places import Place, StorePath
from codecbench.store.scores import ScoreStore
from codecbench.store.tokens import TokenStore

# Utterances that travel together: enough to fill batches and token shards, few enough to lose in a crash.
UTTERANCES_PER_TASK = 16


@dataclass(frozen=True)
class Lane:
    """One codec name of the run (with its codebooks and mode): where its scores lie and how they are keyed.

    audio: where its decoded audio is kept, None where it is not. costs: what engines tell the cost of scoring to.
    """

    prepared: PreparedCodec
    decode_id: str
    scores: ScoreStore
    audio: AudioStore | None = None
    costs: Costs | None = None
    _makers: dict[ScorerRef, KeyMaker] = field(default_factory=dict, repr=False, compare=False)

    @property
    def label(self) -> str:
        """The codec's full name in the records."""
        return self.prepared.label

    @property
    def spec(self) -> CodecSpec:
        """The codec's specification."""
        return self.prepared.spec

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of the token streams that the decode mode reads; empty for all."""
        mode = self.spec.mode(self.prepared.resolved.name.mode)
        return mode.streams if mode else ()

    def key(self, planned: Keyed, scorer: PreparedScorer) -> str:
        """Store key of one scorer's measurements on one utterance."""
        maker = self._makers.get(scorer.ref)
        if maker is None:
            maker = self._makers[scorer.ref] = KeyMaker([dict(scorer.identity), self.decode_id])
        return maker.key(planned.score_members)

    def audio_key(self, planned: Keyed) -> str:
        """Store key of the decoded audio of one utterance."""
        return digest([self.decode_id, planned.audio_sha256])

    def lacks_audio(self, planned: Keyed) -> bool:
        """Whether decoded audio is to be kept and is not in the store."""
        return self.audio is not None and not self.audio.done(self.audio_key(planned))


@dataclass(frozen=True)
class CodecGroup:
    """Lanes that share one encoding: tokens are encoded once and cut or decoded in several ways.

    costs: what engines tell the cost of encoding and decoding to.
    """

    codec: str
    encode_id: str
    token_folder: StorePath
    lanes: tuple[Lane, ...]
    costs: Costs | None = None

    @cached_property
    def _maker(self) -> KeyMaker:
        return KeyMaker([self.encode_id])

    def token_key(self, planned: Keyed) -> str:
        """Store key of one utterance's tokens."""
        return self._maker.key(planned.audio_members)


@dataclass(frozen=True)
class Gaps:
    """What the store lacks of a block of utterances for one group, bool.

    scores: [lanes, scorers, utterances]. audio: [lanes, utterances], where it is to be kept.
    decodes: [lanes, utterances], what has to be decoded for both.
    """

    scores: np.ndarray
    audio: np.ndarray
    decodes: np.ndarray

    @property
    def todo(self) -> np.ndarray:
        """Utterances that the codec has to be asked for: bool [utterances]."""
        return np.asarray(self.scores.any(axis=(0, 1)) | self.audio.any(axis=0))


@dataclass(frozen=True)
class PlannedTask:
    """A codec task with, for each item and lane, the scorers whose values are missing.

    audio: the (item, lane's label) pairs whose decoded audio is to be kept.
    """

    task: CodecTask
    group: CodecGroup
    utterances: tuple[PlannedUtterance, ...]
    missing: Mapping[tuple[int, str], tuple[PreparedScorer, ...]] = field(default_factory=dict)
    audio: frozenset[tuple[int, str]] = frozenset()


def group_codecs(
    codecs: Sequence[PreparedCodec], store: Place, seed: int, keep_audio: bool = False, costs: Costs | None = None
) -> tuple[CodecGroup, ...]:
    """Put the codecs that share an encoding together, in the order in which they were asked for."""
    store = StorePath.of(store)
    groups: dict[str, list[PreparedCodec]] = {}
    for prepared in codecs:
        groups.setdefault(digest([dict(prepared.encode_identity), RESAMPLER, seed]), []).append(prepared)
    return tuple(
        CodecGroup(
            sharing[0].spec.full_name,
            encode_id,
            store / "tokens" / encode_id,
            tuple(_lane(prepared, encode_id, store, keep_audio, costs) for prepared in sharing),
            costs,
        )
        for encode_id, sharing in groups.items()
    )


def _lane(prepared: PreparedCodec, encode_id: str, store: StorePath, keep_audio: bool, costs: Costs | None) -> Lane:
    decode_id = digest([encode_id, dict(prepared.decode_identity), PROTOCOL_VERSION])
    kept = AudioStore(store / "audio" / decode_id) if keep_audio and not prepared.spec.encode_only else None
    return Lane(prepared, decode_id, ScoreStore(store / "scores" / decode_id), kept, costs)


def find_gaps(
    group: CodecGroup, block: Sequence[Keyed], scorers: Sequence[PreparedScorer], *, retry: bool = True
) -> Gaps:
    """Ask the store what it lacks of a block; ``retry``: a value that failed by a fault that may pass is lacking."""
    scores = np.zeros((len(group.lanes), len(scorers), len(block)), bool)
    audio = np.zeros((len(group.lanes), len(block)), bool)
    for row, lane in enumerate(group.lanes):
        ask = lane.scores.done_all if retry else lane.scores.has_all
        for column, scorer in enumerate(scorers):
            if scorer.unavailable is None:  # else there is nothing to wait for
                scores[row, column] = ~ask([lane.key(planned, scorer) for planned in block])
        if lane.audio is not None:
            audio[row] = [lane.lacks_audio(planned) for planned in block]
    heard = np.array([s.stage is Stage.AUDIO for s in scorers], bool)
    decoding = np.array([not lane.spec.encode_only for lane in group.lanes], bool)
    return Gaps(scores, audio, (scores[:, heard].any(axis=1) | audio) & decoding[:, None])


def plan_group(
    group: CodecGroup, utterances: Iterable[PlannedUtterance], scorers: Sequence[PreparedScorer]
) -> Iterator[PlannedTask]:
    """Yield the codec tasks of one group for which scores or audio are missing; at any time one block is in memory."""
    tokens = TokenStore(group.token_folder)
    waiting: list[_Lacking] = []
    for block in blocks(utterances):
        gaps = find_gaps(group, block, scorers)
        for place in np.flatnonzero(gaps.todo):
            waiting.append(_lacking(group, block[place], scorers, gaps, int(place)))
            if len(waiting) == UTTERANCES_PER_TASK:
                yield _task(group, tokens, waiting)
                waiting = []
    if waiting:
        yield _task(group, tokens, waiting)
    for lane in group.lanes:
        lane.scores.forget()


@dataclass(frozen=True)
class _Lacking:
    """One utterance and what it lacks, by label of the lane."""

    planned: PlannedUtterance
    scorers: Mapping[str, tuple[PreparedScorer, ...]]
    decodes: frozenset[str]
    audio: frozenset[str]


def _lacking(
    group: CodecGroup, planned: PlannedUtterance, scorers: Sequence[PreparedScorer], gaps: Gaps, place: int
) -> _Lacking:
    missing = {
        lane.label: tuple(scorers[int(i)] for i in np.flatnonzero(gaps.scores[row, :, place]))
        for row, lane in enumerate(group.lanes)
    }
    labels = np.array([lane.label for lane in group.lanes], object)
    return _Lacking(
        planned,
        {label: found for label, found in missing.items() if found},
        frozenset(labels[gaps.decodes[:, place]]),
        frozenset(labels[gaps.audio[:, place]]),
    )


def _task(group: CodecGroup, tokens: TokenStore, chunk: Sequence[_Lacking]) -> PlannedTask:
    keys = [group.token_key(lacking.planned) for lacking in chunk]
    stored = tokens.packed_all(keys)
    items = tuple(
        CodecItem(lacking.planned.utterance, key, stored.get(key)) for lacking, key in zip(chunk, keys, strict=True)
    )
    jobs = []
    for lane in group.lanes:
        wanted = frozenset(i for i, lacking in enumerate(chunk) if lane.label in lacking.decodes)
        if wanted:
            name = lane.prepared.resolved.name
            jobs.append(DecodeJob(lane.label, name.codebooks, name.mode, wanted))
    missing = {(i, label): found for i, lacking in enumerate(chunk) for label, found in lacking.scorers.items()}
    audio = frozenset((i, label) for i, lacking in enumerate(chunk) for label in lacking.audio)
    task = CodecTask(group.codec, group.token_folder, items, tuple(jobs))
    return PlannedTask(task, group, tuple(lacking.planned for lacking in chunk), missing, audio)
