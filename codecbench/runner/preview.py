"""The dry run: what a run would do and about how long it would take, with nothing written."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from codecbench.contracts.metric import Stage
from codecbench.hardware import describe_hardware
from codecbench.hashing import digest
from codecbench.plugins import PluginHost
from codecbench.runner.config import RunConfig
from codecbench.runner.costs import Work
from codecbench.runner.job import Job, open_job
from codecbench.runner.plan import Lane
from codecbench.runner.records import RecordDigest, utterance_records
from codecbench.runner.stages import (
    corpus_key,
    median_length,
    probe_key,
    probed_utterances,
    timed_lane,
    timing_key,
)
from codecbench.runner.survey import GroupWork
from codecbench.runner.utterances import FILE_NAME


@dataclass(frozen=True)
class LateWork:
    """A whole-corpus scorer, a probe of the codec or a timing that has to be done at the end."""

    stage: str
    label: str
    scorer: str


@dataclass(frozen=True)
class Estimate:
    """Seconds of work as earlier runs on this store took them; unknown: what was never done on it.

    Codec and metrics overlap, so that the longer of the two is the least time; loading and timings come on top.
    """

    codec_s: float
    metric_s: float
    num_workers: int
    unknown: tuple[str, ...]

    @property
    def wall_s(self) -> float:
        """Seconds that the known part takes at least."""
        return max(self.codec_s, self.metric_s / self.num_workers)


@dataclass(frozen=True)
class Preview:
    """What a run would do."""

    corpus: str
    num_utterances: int
    audio_s: float
    works: tuple[GroupWork, ...]
    late: tuple[LateWork, ...]
    unavailable: Mapping[str, str]
    estimate: Estimate

    def plain(self) -> dict[str, Any]:
        """Return everything as plain data, for JSON."""
        groups = [
            {
                "codec": work.group.codec,
                "encodes": asdict(work.encodes),
                "codecs": [asdict(lane) for lane in work.lanes],
            }
            for work in self.works
        ]
        return {
            "corpus": self.corpus,
            "num_utterances": self.num_utterances,
            "audio_s": self.audio_s,
            "groups": groups,
            "late": [asdict(late) for late in self.late],
            "unavailable": dict(self.unavailable),
            "estimate": {**asdict(self.estimate), "wall_s": self.estimate.wall_s},
        }


def preview(config: RunConfig, host: PluginHost) -> Preview:
    """Say what ``run`` would do; the corpus is walked and the store is read, and neither is written.

    Raises UsageError for a wrong request.
    """
    with tempfile.TemporaryDirectory() as folder:
        job = open_job(config, host, Path(folder) / FILE_NAME)
        works = job.survey()
        late = () if config.shard else (*_corpus_work(job, works), *_probe_work(job), *_timing_work(job))
        return Preview(
            job.selection.corpus.name,
            len(job.table),
            float(job.table.durations_s.sum()),
            works,
            late,
            {p.label: str(p.unavailable) for p in job.selection.unavailable}
            | {s.title: str(s.unavailable) for s in job.selection.scorers if s.unavailable},
            estimate(job, works),
        )


def estimate(job: Job, works: Sequence[GroupWork]) -> Estimate:
    """Estimate the time of ``works`` from what such work has cost on this store."""
    codec = [(Work.ENCODE, w.group.codec, w.encodes.audio_s) for w in works]
    codec += [(Work.DECODE, lane.label, lane.decodes.audio_s) for w in works for lane in w.lanes]
    titles = {scorer.ref: scorer.title for scorer in job.selection.per_utterance()}
    scoring = [
        (Work.SCORE, titles[scorer.scorer], scorer.amount.audio_s)
        for w in works
        for lane in w.lanes
        for scorer in lane.scorers
    ]
    seconds = {item: job.costs.seconds(*item) for item in [*codec, *scoring]}
    unknown = dict.fromkeys(f"{work} {name}" for (work, name, _), known in seconds.items() if known is None)
    return Estimate(
        sum(seconds[item] or 0.0 for item in codec),
        sum(seconds[item] or 0.0 for item in scoring),
        job.config.num_workers,
        tuple(unknown),
    )


def _corpus_work(job: Job, works: Sequence[GroupWork]) -> Iterator[LateWork]:
    scorers = job.selection.at(Stage.CORPUS)
    if not scorers:
        return
    changed = {lane.label for work in works for lane in work.lanes if lane.to_score}
    digests: dict[str, str] = {}
    for _, lane in job.lanes:
        for scorer in scorers:
            redone = lane.label in changed or job.ceiling in changed
            if not redone:
                own, ceiling = (_digest(job, label, digests) for label in (lane.label, job.ceiling))
                redone = not lane.scores.done(corpus_key(scorer, lane, own, ceiling))
            if redone:
                yield LateWork("corpus", lane.label, scorer.title)
        lane.scores.forget()


def _digest(job: Job, label: str, known: dict[str, str]) -> str:
    if label and label not in known:
        lane: Lane = next(lane for _, lane in job.lanes if lane.label == label)
        found = RecordDigest()
        for record in utterance_records(lane, job.table, job.selection.per_utterance()):
            found.add(record)
        known[label] = str(found)
    return known.get(label, "")


def _probe_work(job: Job) -> Iterator[LateWork]:
    for scorer in job.selection.at(Stage.CODEC):
        chosen = probed_utterances(job.table, scorer.spec.max_utterances)
        for _, lane in job.lanes:
            if not lane.scores.done(probe_key(scorer, lane, chosen)):
                yield LateWork("codec", lane.label, scorer.title)
            lane.scores.forget()


def _timing_work(job: Job) -> Iterator[LateWork]:
    scorers = job.selection.at(Stage.TIMING)
    if scorers:
        hardware, chosen = digest(describe_hardware(job.config.device)), median_length(job.table)
        for group in job.groups:
            lane = timed_lane(group)
            for scorer in scorers:
                if not lane.scores.done(timing_key(scorer, group, chosen, hardware)):
                    yield LateWork("timing", lane.label, scorer.title)
            lane.scores.forget()
