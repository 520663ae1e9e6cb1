"""One run from beginning to end: select, score, derive, time, write records and reports."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from codecbench.artifacts import Artifact, relative, write_artifacts
from codecbench.contracts.codec import Role
from codecbench.contracts.metric import Record, Stage, Status
from codecbench.errors import UsageError
from codecbench.hardware import describe_hardware, versions
from codecbench.hashing import digest
from codecbench.loading import PreparedCodec
from codecbench.plugins import PluginHost, load_plugins
from codecbench.reporting import check_reports, write_reports
from codecbench.results import RunResults
from codecbench.runinfo import CodecInfo, CorpusInfo, MetricInfo, RunInfo
from codecbench.runner.config import RunConfig
from codecbench.runner.local import LocalEngine
from codecbench.runner.messages import WorkerSetup
from codecbench.runner.plan import CodecGroup, group_codecs, plan_group
from codecbench.runner.progress import Progress, Quiet
from codecbench.runner.records import utterance_records, write_records
from codecbench.runner.selection import Selection, select
from codecbench.runner.stages import corpus_records, timing_records

# Decoded audio up to this length over all codecs together is kept unless --no-audio says otherwise.
KEEP_AUDIO_UP_TO_S = 30 * 60.0
_FAILED = frozenset({Status.BACKEND_ERROR, Status.NAN_OUTPUT, Status.LENGTH_MISMATCH, Status.BAD_INPUT})


@dataclass(frozen=True)
class RunOutcome:
    """What a run came to; ``partial`` where something asked for was unavailable or failed."""

    folder: Path
    results: RunResults
    reports: tuple[Path, ...]
    failures: Mapping[str, int]
    partial: bool

    @property
    def info(self) -> RunInfo:
        """What the run was, with its flags."""
        return self.results.info


def run(config: RunConfig, progress: Progress | None = None, host: PluginHost | None = None) -> RunOutcome:
    """Carry out a run; whatever an earlier, interrupted or equal run left in the store is not done again.

    Raises UsageError for a wrong request and StoreError where the output cannot be written.
    """
    progress = progress or Quiet()
    host = host or load_plugins(config.plugin_files)
    check_reports(host.registry, config.reports)
    _make_folder(config)
    selection = select(host.registry, config)
    groups = group_codecs(selection.codecs, config.store_folder, config.seed, _keeps_audio(config, selection))
    records = _execute(config, host, selection, groups, progress)
    write_records(config.out / "records", records)
    write_artifacts(config.out, _artifacts(config.out, selection, groups))
    _describe(config, selection).save(config.out)
    written, (results,) = write_reports(
        host.registry, [config.out], config.out, config.reports, config.settings, progress.message, reuse=config.resume
    )
    failures = _count_failures(records)
    return RunOutcome(config.out, results, written, failures, _is_partial(config, selection, failures))


def _make_folder(config: RunConfig) -> None:
    try:
        config.out.mkdir(parents=True, exist_ok=True)
        probe = config.out / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(f"--out {config.out}: cannot write there: {error.strerror or error}") from error
    if not config.resume and (config.out / "records").exists():
        raise UsageError(f"--out {config.out} holds a run already; choose another folder or leave out --no-resume")


def _keeps_audio(config: RunConfig, selection: Selection) -> bool:
    if config.keep_audio is not None:
        return config.keep_audio
    decoding = sum(not prepared.spec.encode_only for prepared in selection.codecs)
    return decoding * sum(p.duration_s for p in selection.utterances) <= KEEP_AUDIO_UP_TO_S


def _artifacts(folder: Path, selection: Selection, groups: tuple[CodecGroup, ...]) -> Iterator[Artifact]:
    """Say where the audio and the tokens of every utterance and codec lie."""
    for group in groups:
        tokens = relative(group.token_folder, folder)
        for lane in group.lanes:
            for planned in selection.utterances:
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
                )


def _execute(
    config: RunConfig,
    host: PluginHost,
    selection: Selection,
    groups: tuple[CodecGroup, ...],
    progress: Progress,
) -> list[list[Record]]:
    settings = {owner: dict(values) for owner, values in config.settings.items()}
    files = tuple(Path(f).resolve() for f in config.plugin_files)
    setup = WorkerSetup(files, settings, config.device, config.codec_threads, config.seed)
    planned = [list(plan_group(group, selection.utterances, selection.per_utterance())) for group in groups]
    progress.start("encode", sum(len(task.utterances) for tasks in planned for task in tasks))
    progress.start("score", sum(len(task.missing) for tasks in planned for task in tasks))
    engine = LocalEngine(setup, config.num_workers, config.timeout_s, progress, config.out / "logs")
    with engine:
        if any(planned):
            engine.run(chain.from_iterable(planned))
        records = {
            lane.label: list(utterance_records(lane, selection.utterances, selection.per_utterance()))
            for group in groups
            for lane in group.lanes
        }
        _derive(config, host, selection, groups, records)
        _time(engine, config, selection, groups, records, progress)
    return [records[p.label] for p in selection.codecs]


def _derive(
    config: RunConfig,
    host: PluginHost,
    selection: Selection,
    groups: tuple[CodecGroup, ...],
    records: dict[str, list[Record]],
) -> None:
    """Add what corpus scorers make of all utterances of a codec."""
    ceiling = next((p.label for p in selection.codecs if p.spec.role is Role.CEILING), "")
    scored = {label: tuple(rows) for label, rows in records.items()}
    for scorer in selection.at(Stage.CORPUS):
        for group in groups:
            for lane in group.lanes:
                records[lane.label] += corpus_records(
                    host.registry,
                    config.settings,
                    scorer,
                    group,
                    lane,
                    selection.utterances,
                    scored[lane.label],
                    scored.get(ceiling, ()),
                )


def _time(
    engine: LocalEngine,
    config: RunConfig,
    selection: Selection,
    groups: tuple[CodecGroup, ...],
    records: dict[str, list[Record]],
    progress: Progress,
) -> None:
    """Add timings, taken one codec after another while nothing else is at work."""
    scorers = selection.at(Stage.TIMING)
    progress.start("time", len(groups) * len(scorers))
    hardware = digest(describe_hardware(config.device))
    for scorer in scorers:
        for group in groups:
            rows = timing_records(engine, scorer, group, selection.utterances, hardware)
            for row in rows:
                records[row.codec].append(row)
            progress.advance("time", 1, group.codec)


def _describe(config: RunConfig, selection: Selection) -> RunInfo:
    from codecbench import __version__

    everything = (*selection.codecs, *selection.unavailable)
    return RunInfo(
        name=config.out.name,
        command=config.command,
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        codecbench_version=__version__,
        corpus=_corpus_info(selection),
        codecs=tuple(_codec_info(p) for p in everything),
        metrics=tuple(_metric_infos(selection)),
        tasks=selection.tasks,
        recognizers={r.name: {"family": r.entry.spec.family, **dict(r.identity)} for r in selection.recognizers},
        hardware=describe_hardware(config.device),
        versions=versions(),
        settings={owner: dict(values) for owner, values in config.settings.items()},
        seed=config.seed,
        complete=True,
    )


def _corpus_info(selection: Selection) -> CorpusInfo:
    utterances = [p.utterance for p in selection.utterances]
    return CorpusInfo(
        name=selection.corpus.name,
        num_utterances=len(utterances),
        duration_s=round(sum(p.duration_s for p in selection.utterances), 3),
        num_speakers=len({u.speaker for u in utterances if u.speaker}),
        languages=tuple(sorted({u.language for u in utterances if u.language})),
        notes=selection.corpus.notes,
    )


def _codec_info(prepared: PreparedCodec) -> CodecInfo:
    problem = prepared.unavailable
    return CodecInfo(
        label=prepared.label,
        role=str(prepared.spec.role),
        spec=json.loads(json.dumps(asdict(prepared.spec), default=str)),
        options={name: str(value) for name, value in prepared.options.items() if value is not None},
        identity=dict(prepared.encode_identity),
        unavailable=problem.reason if problem else "",
        remedy=problem.remedy if problem else "",
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


def _count_failures(records: list[list[Record]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for rows in records:
        for row in rows:
            if row.status in _FAILED:
                counts[row.codec] = counts.get(row.codec, 0) + 1
    return counts


def _is_partial(config: RunConfig, selection: Selection, failures: Mapping[str, int]) -> bool:
    asked_codec = bool(config.codecs) and bool(selection.unavailable)
    asked_task = bool(config.tasks or config.recognizers) and any(s.unavailable for s in selection.scorers)
    return asked_codec or asked_task or bool(failures)
