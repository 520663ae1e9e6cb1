"""The plan: what a run consists of, what the store holds already, and the codec tasks for the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from codecbench.audio.resample import NAME as RESAMPLER
from codecbench.contracts.audio import Utterance
from codecbench.contracts.codec import CodecSpec
from codecbench.contracts.metric import Stage
from codecbench.hashing import digest, file_sha256
from codecbench.loading import PreparedCodec
from codecbench.runinfo import PROTOCOL_VERSION
from codecbench.runner.messages import CodecItem, CodecTask, DecodeJob
from codecbench.runner.scoring import PreparedScorer
from codecbench.store.audio import AudioStore
from codecbench.store.scores import ScoreStore
from codecbench.store.tokens import TokenStore

# Utterances that travel together: enough to fill batches and token shards, few enough to lose in a crash.
UTTERANCES_PER_TASK = 16


@dataclass(frozen=True)
class PlannedUtterance:
    """An utterance with the facts of its file; duration is 0 where the file cannot be read."""

    utterance: Utterance
    audio_sha256: str
    duration_s: float


@dataclass(frozen=True)
class Lane:
    """One codec name of the run (with its codebooks and mode): where its scores lie and how they are keyed.

    audio: where its decoded audio is kept, None where it is not.
    """

    prepared: PreparedCodec
    decode_id: str
    scores: ScoreStore
    audio: AudioStore | None = None

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

    def key(self, planned: PlannedUtterance, scorer: PreparedScorer) -> str:
        """Store key of one scorer's measurements on one utterance."""
        u = planned.utterance
        return digest([dict(scorer.identity), self.decode_id, planned.audio_sha256, u.text, u.language])

    def audio_key(self, planned: PlannedUtterance) -> str:
        """Store key of the decoded audio of one utterance."""
        return digest([self.decode_id, planned.audio_sha256])

    def lacks_audio(self, planned: PlannedUtterance) -> bool:
        """Whether decoded audio is to be kept and is not in the store."""
        return self.audio is not None and not self.audio.done(self.audio_key(planned))


@dataclass(frozen=True)
class CodecGroup:
    """Lanes that share one encoding: tokens are encoded once and cut or decoded in several ways."""

    codec: str
    encode_id: str
    token_folder: Path
    lanes: tuple[Lane, ...]

    def token_key(self, planned: PlannedUtterance) -> str:
        """Store key of one utterance's tokens."""
        return digest([self.encode_id, planned.audio_sha256])


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


def scan(utterances: Iterable[Utterance]) -> Iterator[PlannedUtterance]:
    """Hash and measure each utterance's file; duplicates of an id become problems, told in the records."""
    import soundfile

    seen: set[str] = set()
    for utterance in utterances:
        if utterance.id in seen:
            problem = f"the id '{utterance.id}' occurs more than once in the corpus"
            utterance = replace(utterance, id=_fresh_id(utterance.id, seen), problem=utterance.problem or problem)
        seen.add(utterance.id)
        try:
            if utterance.problem:
                raise OSError(utterance.problem)
            sha256 = utterance.sha256 or file_sha256(utterance.audio)
            duration = utterance.duration_s or soundfile.info(str(utterance.audio)).duration
        except (OSError, RuntimeError):
            # The codec process meets the same fault and records it under this utterance.
            yield PlannedUtterance(utterance, f"unreadable:{utterance.audio}:{utterance.problem}", 0.0)
            continue
        yield PlannedUtterance(utterance, sha256, duration)


def _fresh_id(name: str, taken: set[str]) -> str:
    return next(f"{name}#{n}" for n in range(2, 10**9) if f"{name}#{n}" not in taken)


def group_codecs(
    codecs: Sequence[PreparedCodec], store: Path, seed: int, keep_audio: bool = False
) -> tuple[CodecGroup, ...]:
    """Put the codecs that share an encoding together, in the order in which they were asked for."""
    groups: dict[str, list[PreparedCodec]] = {}
    for prepared in codecs:
        groups.setdefault(digest([dict(prepared.encode_identity), RESAMPLER, seed]), []).append(prepared)
    return tuple(
        CodecGroup(
            members[0].spec.full_name,
            encode_id,
            store / "tokens" / encode_id,
            tuple(_lane(member, encode_id, store, keep_audio) for member in members),
        )
        for encode_id, members in groups.items()
    )


def _lane(prepared: PreparedCodec, encode_id: str, store: Path, keep_audio: bool) -> Lane:
    decode_id = digest([encode_id, dict(prepared.decode_identity), PROTOCOL_VERSION])
    kept = AudioStore(store / "audio" / decode_id) if keep_audio and not prepared.spec.encode_only else None
    return Lane(prepared, decode_id, ScoreStore(store / "scores" / decode_id), kept)


def plan_group(
    group: CodecGroup, utterances: Sequence[PlannedUtterance], scorers: Sequence[PreparedScorer]
) -> Iterator[PlannedTask]:
    """Yield the codec tasks of one group for which scores or audio are missing, shortest utterances last in each."""
    tokens = TokenStore(group.token_folder)
    chunk: list[tuple[PlannedUtterance, dict[str, tuple[PreparedScorer, ...]]]] = []
    for planned in utterances:
        missing = {lane.label: _missing(lane, planned, scorers) for lane in group.lanes}
        missing = {label: found for label, found in missing.items() if found}
        if missing or any(lane.lacks_audio(planned) for lane in group.lanes):
            chunk.append((planned, missing))
        if len(chunk) == UTTERANCES_PER_TASK:
            yield _task(group, tokens, chunk)
            chunk = []
    if chunk:
        yield _task(group, tokens, chunk)


def _missing(lane: Lane, planned: PlannedUtterance, scorers: Sequence[PreparedScorer]) -> tuple[PreparedScorer, ...]:
    return tuple(s for s in scorers if not lane.scores.done(lane.key(planned, s)))


def _task(
    group: CodecGroup,
    tokens: TokenStore,
    chunk: Sequence[tuple[PlannedUtterance, dict[str, tuple[PreparedScorer, ...]]]],
) -> PlannedTask:
    items = []
    for planned, _ in chunk:
        key = group.token_key(planned)
        items.append(CodecItem(planned.utterance, key, tokens.packed(key)))
    jobs = []
    lacking = frozenset(
        (i, lane.label) for i, (planned, _) in enumerate(chunk) for lane in group.lanes if lane.lacks_audio(planned)
    )
    for lane in group.lanes:
        wanted = frozenset(
            i
            for i, (_, missing) in enumerate(chunk)
            if (i, lane.label) in lacking or any(s.stage is Stage.AUDIO for s in missing.get(lane.label, ()))
        )
        if wanted and not lane.spec.encode_only:
            name = lane.prepared.resolved.name
            jobs.append(DecodeJob(lane.label, name.codebooks, name.mode, wanted))
    missing = {(i, label): scorers for i, (_, lanes) in enumerate(chunk) for label, scorers in lanes.items()}
    task = CodecTask(group.codec, group.token_folder, tuple(items), tuple(jobs))
    return PlannedTask(task, group, tuple(planned for planned, _ in chunk), missing, lacking)
