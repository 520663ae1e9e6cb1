"""The stages after scoring: whole-corpus scorers from tokens and records, and timings on a quiet machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from codecbench.contracts.audio import Utterance
from codecbench.contracts.encoded import Encoded, decoded_part
from codecbench.contracts.metric import CodecView, Measurement, Record, Status
from codecbench.hashing import digest
from codecbench.loading import Settings
from codecbench.registering import Registry
from codecbench.runner.config import available_cores
from codecbench.runner.local import LocalEngine
from codecbench.runner.messages import TimingTask
from codecbench.runner.plan import CodecGroup, Lane, PlannedUtterance
from codecbench.runner.records import make_record
from codecbench.runner.scoring import PreparedScorer, make_scorer
from codecbench.store.tokens import TokenStore

# Utterances that a codec is timed on: the ones nearest to the corpus' median length.
TIMED_UTTERANCES = 3


def corpus_records(
    registry: Registry,
    settings: Settings,
    scorer: PreparedScorer,
    group: CodecGroup,
    lane: Lane,
    utterances: Sequence[PlannedUtterance],
    records: Sequence[Record],
    ceiling: Sequence[Record],
) -> list[Record]:
    """Score one codec as a whole, or take it from the store where nothing that it rests on has changed."""
    inputs = [(r.key, r.metric, r.component, r.status) for rows in (records, ceiling) for r in rows]
    key = digest([dict(scorer.identity), lane.decode_id, inputs])
    if not lane.scores.done(key):
        view = CodecView(lane.label, lane.spec, records, ceiling, _encoded(group, lane, utterances))
        lane.scores.put(key, _score(registry, settings, scorer, view))
        lane.scores.flush()
    by_id = {planned.utterance.id: planned for planned in utterances}
    return [
        make_record(lane.label, key, scorer, m, by_id[m.utterance_id] if m.utterance_id else None)
        for m in lane.scores.get(key) or ()
    ]


def _score(registry: Registry, settings: Settings, scorer: PreparedScorer, view: CodecView) -> Sequence[Measurement]:
    if scorer.unavailable is not None:
        return scorer.failed(Status.UNAVAILABLE, str(scorer.unavailable))
    try:
        measurements: Sequence[Measurement] = make_scorer(registry, scorer.ref, settings, 1).score(view)
    except Exception as error:  # a scorer's fault costs its own values only
        return scorer.failed(Status.BACKEND_ERROR, f"scorer '{scorer.ref.name}': {type(error).__name__}: {error}")
    return measurements


def _encoded(
    group: CodecGroup, lane: Lane, utterances: Sequence[PlannedUtterance]
) -> Callable[[], Iterator[tuple[Utterance, Encoded]]]:
    codebooks = lane.prepared.resolved.name.codebooks

    def walk() -> Iterator[tuple[Utterance, Encoded]]:
        store = TokenStore(group.token_folder)
        for planned in utterances:
            encoded = store.get(group.token_key(planned))
            if encoded is not None:
                yield planned.utterance, decoded_part(encoded, codebooks, lane.streams)

    return walk


def timing_records(
    engine: LocalEngine,
    scorer: PreparedScorer,
    group: CodecGroup,
    utterances: Sequence[PlannedUtterance],
    hardware: str,
) -> list[Record]:
    """Time the codec of a group, or take its timings on the same machine from the store."""
    lane = next((lane for lane in group.lanes if lane.prepared.resolved.name.mode == "full"), group.lanes[0])
    chosen = _median_length(utterances)
    threads = available_cores()
    key = digest([dict(scorer.identity), lane.decode_id, hardware, threads, [p.audio_sha256 for p in chosen]])
    if not lane.scores.done(key):
        if scorer.unavailable is not None:
            rows = scorer.failed(Status.UNAVAILABLE, str(scorer.unavailable))
        else:
            task = TimingTask(group.codec, scorer.ref, tuple(p.utterance for p in chosen), threads)
            result = engine.time(task)
            failure = result.failure
            rows = scorer.failed(failure.status, failure.reason) if failure else result.measurements
        lane.scores.put(key, rows)
        lane.scores.flush()
    return [make_record(lane.label, key, scorer, m, None) for m in lane.scores.get(key) or ()]


def _median_length(utterances: Sequence[PlannedUtterance]) -> list[PlannedUtterance]:
    usable = sorted((p for p in utterances if p.duration_s > 0), key=lambda p: (p.duration_s, p.utterance.id))
    middle = max(0, (len(usable) - TIMED_UTTERANCES) // 2)
    return usable[middle : middle + TIMED_UTTERANCES]
