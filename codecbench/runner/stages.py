"""The stages after scoring: whole-corpus scorers from tokens and records, probes of the codec, timings."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from codecbench.contracts.audio import Utterance
from codecbench.contracts.encoded import Encoded, decoded_part
from codecbench.contracts.metric import CodecView, Measurement, Record, Status
from codecbench.hashing import digest
from codecbench.loading import Settings
from codecbench.registering import Registry
from codecbench.runner.config import available_cores
from codecbench.runner.messages import ProbeTask, TimingResult, TimingTask
from codecbench.runner.plan import CodecGroup, Lane
from codecbench.runner.records import Written, make_record
from codecbench.runner.scoring import PreparedScorer, make_scorer
from codecbench.runner.utterances import PlannedUtterance, UtteranceTable, blocks
from codecbench.store.packing import unpack
from codecbench.store.tokens import TokenStore

# Utterances that a codec is timed on: the ones nearest to the corpus' median length.
TIMED_UTTERANCES = 3


def corpus_key(scorer: PreparedScorer, lane: Lane, records: str, ceiling: str) -> str:
    """Store key of a whole-corpus value; ``records`` and ``ceiling`` are digests of this codec's and the ceiling's."""
    return digest([dict(scorer.identity), lane.decode_id, records, ceiling])


def corpus_records(
    registry: Registry,
    settings: Settings,
    scorer: PreparedScorer,
    group: CodecGroup,
    lane: Lane,
    table: UtteranceTable,
    own: Written,
    ceiling: Written | None,
) -> Iterator[Record]:
    """Score one codec as a whole, or take it from the store where nothing that it rests on has changed."""
    key = corpus_key(scorer, lane, own.digest, ceiling.digest if ceiling else "")
    if not lane.scores.done(key):
        heard = ceiling.records if ceiling else ()
        view = CodecView(lane.label, lane.spec, own.records, heard, encoded_utterances(group, lane, table))
        lane.scores.put(key, _score(registry, settings, scorer, view))
        lane.scores.flush()
    measurements = lane.scores.get(key) or ()
    yield from (make_record(lane.label, key, scorer, m, None) for m in measurements if not m.utterance_id)
    yield from _by_utterance(lane.label, key, scorer, measurements, table)


def _by_utterance(
    label: str, key: str, scorer: PreparedScorer, measurements: Iterable[Measurement], table: UtteranceTable
) -> Iterator[Record]:
    """Yield the records of single utterances in corpus order."""
    waiting: dict[str, list[Measurement]] = {}
    for m in measurements:
        if m.utterance_id:
            waiting.setdefault(m.utterance_id, []).append(m)
    if waiting:
        for planned in table:
            for m in waiting.pop(planned.utterance.id, ()):
                yield make_record(label, key, scorer, m, planned)
    if waiting:
        reason = f"scorer '{scorer.ref.name}' measured the utterance '{next(iter(waiting))}', which the corpus lacks"
        yield from (make_record(label, key, scorer, m, None) for m in scorer.failed(Status.BACKEND_ERROR, reason))


def _score(registry: Registry, settings: Settings, scorer: PreparedScorer, view: CodecView) -> Sequence[Measurement]:
    if scorer.unavailable is not None:
        return scorer.failed(Status.UNAVAILABLE, str(scorer.unavailable))
    try:
        measurements: Sequence[Measurement] = make_scorer(registry, scorer.ref, settings, 1).score(view)
    except Exception as error:  # a scorer's fault costs its own values only
        return scorer.failed(Status.BACKEND_ERROR, f"scorer '{scorer.ref.name}': {type(error).__name__}: {error}")
    return measurements


def encoded_utterances(
    group: CodecGroup, lane: Lane, utterances: Iterable[PlannedUtterance]
) -> Callable[[], Iterator[tuple[Utterance, Encoded]]]:
    """Return a function that walks over the utterances that have tokens, as the lane reads them (B = 1)."""
    codebooks = lane.prepared.resolved.name.codebooks

    def walk() -> Iterator[tuple[Utterance, Encoded]]:
        store = TokenStore(group.token_folder)
        for block in blocks(utterances):
            keys = [group.token_key(planned) for planned in block]
            stored = store.packed_all(keys)
            for planned, key in zip(block, keys, strict=True):
                if key in stored:
                    yield planned.utterance, decoded_part(unpack(stored[key]), codebooks, lane.streams)

    return walk


def timed_lane(group: CodecGroup) -> Lane:
    """The lane whose codec is timed for the whole group: one that decodes all."""
    return next((lane for lane in group.lanes if lane.prepared.resolved.name.mode == "full"), group.lanes[0])


def timing_key(scorer: PreparedScorer, group: CodecGroup, chosen: Sequence[PlannedUtterance], hardware: str) -> str:
    """Store key of timings on one kind of machine (digest ``hardware``)."""
    audio = [planned.audio_sha256 for planned in chosen]
    return digest([dict(scorer.identity), timed_lane(group).decode_id, hardware, available_cores(), audio])


def timing_records(
    time: Callable[[TimingTask], TimingResult],
    scorer: PreparedScorer,
    group: CodecGroup,
    chosen: Sequence[PlannedUtterance],
    hardware: str,
) -> list[Record]:
    """Time the codec of a group on ``chosen``, or take its timings on the same machine from the store."""
    lane, key = timed_lane(group), timing_key(scorer, group, chosen, hardware)
    if not lane.scores.done(key):
        if scorer.unavailable is not None:
            rows = scorer.failed(Status.UNAVAILABLE, str(scorer.unavailable))
        else:
            task = TimingTask(group.codec, scorer.ref, tuple(p.utterance for p in chosen), available_cores())
            result = time(task)
            failure = result.failure
            rows = scorer.failed(failure.status, failure.reason) if failure else result.measurements
        lane.scores.put(key, rows)
        lane.scores.flush()
    return [make_record(lane.label, key, scorer, m, None) for m in lane.scores.get(key) or ()]


def median_length(table: UtteranceTable) -> list[PlannedUtterance]:
    """Return the utterances nearest to the median length, the shortest first; of equal ones the first in the corpus."""
    durations = table.durations_s
    usable = np.flatnonzero(durations > 0)
    order = usable[np.argsort(durations[usable], kind="stable")]
    middle = max(0, (len(order) - TIMED_UTTERANCES) // 2)
    return sorted(
        table.at(order[middle : middle + TIMED_UTTERANCES].tolist()), key=lambda p: (p.duration_s, p.position)
    )


def probed_utterances(table: UtteranceTable, count: int) -> list[PlannedUtterance]:
    """Return ``count`` readable utterances in corpus order, chosen by their audio alone: the same for every codec."""
    readable = (planned for planned in table if planned.duration_s > 0)
    chosen = heapq.nsmallest(count, readable, key=lambda planned: digest(planned.audio_sha256))
    return sorted(chosen, key=lambda planned: planned.position)


def probe_key(scorer: PreparedScorer, lane: Lane, chosen: Sequence[PlannedUtterance]) -> str:
    """Store key of what a scorer of the stage ``codec`` found on ``chosen``."""
    utterances = [(planned.audio_sha256, planned.utterance.id) for planned in chosen]
    return digest([dict(scorer.identity), lane.decode_id, utterances])


def probe_records(
    time: Callable[[TimingTask], TimingResult],
    scorer: PreparedScorer,
    group: CodecGroup,
    lane: Lane,
    chosen: Sequence[PlannedUtterance],
) -> Iterator[Record]:
    """Put the codec of one lane into a scorer's hands, or take what it found from the store."""
    key = probe_key(scorer, lane, chosen)
    if not lane.scores.done(key):
        name = lane.prepared.resolved.name
        utterances = tuple(planned.utterance for planned in chosen)
        task = ProbeTask(
            group.codec, scorer.ref, utterances, available_cores(), lane.label, name.codebooks, name.mode, lane.streams
        )
        if scorer.unavailable is not None:
            rows = scorer.failed(Status.UNAVAILABLE, str(scorer.unavailable))
        else:
            result = time(task)
            failure = result.failure
            rows = scorer.failed(failure.status, failure.reason) if failure else result.measurements
        lane.scores.put(key, rows)
        lane.scores.flush()
    by_id = {planned.utterance.id: planned for planned in chosen}
    for m in lane.scores.get(key) or ():
        yield make_record(lane.label, key, scorer, m, by_id[m.utterance_id] if m.utterance_id else None)
