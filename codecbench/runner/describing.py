"""What is written down of a run: ``run.json``, and where the audio and tokens of every utterance and codec lie."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from codecbench.artifacts import Artifact, relative, relative_store
from codecbench.hardware import describe_hardware, versions
from codecbench.loading import PreparedCodec
from codecbench.runinfo import CodecInfo, CorpusInfo, MetricInfo, RunInfo
from codecbench.runner.config import RunConfig
from codecbench.runner.plan import CodecGroup
from codecbench.runner.selection import Selection
from codecbench.runner.utterances import PlannedUtterance, UtteranceTable
from codecbench.store.identities import Identity, Kind, StoreFolder
from codecbench.store.places import StorePath


def describe(
    config: RunConfig, selection: Selection, table: UtteranceTable, found_unavailable: Mapping[str, str]
) -> RunInfo:
    """Describe a run; one shard alone is not complete.

    found_unavailable: reasons by label, of codecs that turned out to be unavailable only when they were opened.
    """
    from codecbench import __version__

    everything = (*selection.codecs, *selection.unavailable)
    return RunInfo(
        name=config.out.name,
        command=config.command,
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        codecbench_version=__version__,
        corpus=_corpus_info(selection, table),
        codecs=tuple(_codec_info(p, found_unavailable.get(p.label, "")) for p in everything),
        metrics=tuple(_metric_infos(selection)),
        tasks=selection.tasks,
        recognizers={r.name: {"family": r.entry.spec.family, **dict(r.identity)} for r in selection.recognizers},
        hardware=describe_hardware(config.device),
        versions=versions(),
        settings={owner: dict(values) for owner, values in config.settings.items()},
        seed=config.seed,
        complete=config.shard is None,
        shard=str(config.shard or ""),
    )


def describe_store(groups: Iterable[CodecGroup]) -> None:
    """Write into the folders of the store what their content hashes are made of; raises StoreError."""
    for group in groups:
        first = group.lanes[0].prepared
        encoder = Identity(group.codec, first.encode_identity)
        StoreFolder(Kind.TOKENS, group.token_folder).describe(encoder)
        for lane in group.lanes:
            decoder = Identity(lane.label, lane.prepared.decode_identity)
            StoreFolder(Kind.SCORES, lane.scores.folder).describe(decoder)
            if lane.audio is not None:
                StoreFolder(Kind.AUDIO, StorePath.of(lane.audio.folder)).describe(decoder)


def artifact_rows(
    folder: Path, utterances: Iterable[PlannedUtterance], groups: Iterable[CodecGroup]
) -> Iterator[Artifact]:
    """Say where the audio and the tokens of every utterance and codec lie."""
    for group in groups:
        tokens = relative_store(group.token_folder, folder)
        for lane in group.lanes:
            for planned in utterances:
                u = planned.utterance
                kept = lane.audio.path(lane.audio_key(planned)) if lane.audio else None
                yield Artifact(
                    lane.label,
                    u.id,
                    u.text,
                    relative(u.audio, folder),
                    relative(kept, folder) if kept else "",
                    tokens,
                    group.token_key(planned),
                    lane.prepared.resolved.name.codebooks,
                    lane.streams,
                    planned.audio_sha256,
                )


def _corpus_info(selection: Selection, table: UtteranceTable) -> CorpusInfo:
    return CorpusInfo(
        name=selection.corpus.name,
        num_utterances=len(table),
        duration_s=round(float(table.durations_s.sum()), 3),
        num_speakers=table.num_speakers,
        languages=table.languages,
        notes=selection.corpus.notes,
    )


def _codec_info(prepared: PreparedCodec, found_unavailable: str) -> CodecInfo:
    problem = prepared.unavailable
    return CodecInfo(
        label=prepared.label,
        role=str(prepared.spec.role),
        spec=json.loads(json.dumps(asdict(prepared.spec), default=str)),
        options={name: str(value) for name, value in prepared.options.items() if value is not None},
        identity=dict(prepared.encode_identity),
        unavailable=problem.reason if problem else found_unavailable,
        remedy=problem.remedy if problem else "",
        notes=prepared.spec.notes,
    )


def _metric_infos(selection: Selection) -> Iterator[MetricInfo]:
    seen: set[str] = set()
    for scorer in selection.scorers:
        for metric in scorer.metrics:
            if metric.name not in seen:
                seen.add(metric.name)
                facts: dict[str, Any] = {
                    name: value for name, value in vars(metric).items() if name in MetricInfo.__dataclass_fields__
                }
                facts |= {"direction": str(metric.direction), "reducer": str(metric.reducer)}
                yield MetricInfo(**facts, scorer=scorer.ref.name, stage=str(scorer.stage))
