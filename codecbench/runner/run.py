"""One run from beginning to end: select, score, derive, time, write records and reports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from codecbench.artifacts import write_artifacts
from codecbench.contracts.metric import Record, Stage
from codecbench.errors import UsageError
from codecbench.hardware import describe_hardware
from codecbench.hashing import digest
from codecbench.plugins import PluginHost, load_plugins
from codecbench.reporting import check_reports, write_reports
from codecbench.results import RunResults
from codecbench.runinfo import RunInfo
from codecbench.runner.config import RunConfig, save_request
from codecbench.runner.describing import artifact_rows, describe, describe_store
from codecbench.runner.engine import Engine
from codecbench.runner.engines import make_engine
from codecbench.runner.job import Job, open_job
from codecbench.runner.messages import WorkerSetup
from codecbench.runner.plan import plan_group
from codecbench.runner.progress import Progress, Quiet
from codecbench.runner.records import (
    RecordFolder,
    RowsMissingError,
    Shortfall,
    Written,
    find_shortfall,
    utterance_records,
)
from codecbench.runner.stages import corpus_records, median_length, probe_records, probed_utterances, timing_records
from codecbench.runner.survey import GroupWork
from codecbench.runner.utterances import FILE_NAME

# Times that the store is asked again where a corrupted shard was found after the plan was made.
ATTEMPTS = 3


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


@dataclass(frozen=True)
class ShardOutcome:
    """What one shard of a run came to: to be merged with the others; ``unavailable``: codecs with the reason."""

    folder: Path
    num_utterances: int
    failures: Mapping[str, int]
    partial: bool
    unavailable: Mapping[str, str] = field(default_factory=dict)


def run(config: RunConfig, progress: Progress | None = None, host: PluginHost | None = None) -> RunOutcome:
    """Carry out a run; whatever an earlier, interrupted or equal run left in the store is not done again.

    Raises UsageError for a wrong request and StoreError where the output cannot be written.
    """
    if config.shard is not None:
        raise UsageError(f"a run of shard {config.shard} alone has no results yet: run_shard, then merge")
    host = host or load_plugins(config.plugin_files)
    check_reports(host.registry, config.reports)
    return finish(_begin(config, host), progress or Quiet())


def run_shard(config: RunConfig, progress: Progress | None = None, host: PluginHost | None = None) -> ShardOutcome:
    """Encode, decode and score one shard of a corpus; whole-corpus values, timings and reports come with the merge.

    Raises UsageError for a wrong request and StoreError where the output cannot be written.
    """
    host = host or load_plugins(config.plugin_files)
    job = _begin(config, host)
    is_path = config.corpus not in host.registry.corpora and Path(config.corpus).exists()
    save_request(replace(config, corpus=str(Path(config.corpus).absolute())) if is_path else config)
    records = RecordFolder(config.out)
    with _engine(job, progress or Quiet()) as engine:
        written = _score(job, engine, records, progress or Quiet())
    shortfall = find_shortfall(written, job.ceiling)
    failures = _write(job, records, shortfall)
    unavailable = {p.label: str(p.unavailable) for p in job.selection.unavailable} | dict(shortfall.codecs)
    return ShardOutcome(config.out, len(job.table), failures, _is_partial(job, failures, shortfall), unavailable)


def finish(job: Job, progress: Progress, *, work: bool = True) -> RunOutcome:
    """Do what is left of a job and write its records and reports.

    ``work`` is False where the store is known to hold all that there will be: nothing is then encoded or scored.
    """
    config = job.config
    records = RecordFolder(config.out)
    with _engine(job, progress) as engine:
        written = _score(job, engine if work else None, records, progress)
        _derive(job, written, records)
        _probe(job, engine, records, progress)
        _time(job, engine, records, progress)
    shortfall = find_shortfall(written, job.ceiling)
    failures = _write(job, records, shortfall)
    reports, (results,) = write_reports(
        job.host.registry,
        [config.out],
        config.out,
        config.reports,
        config.settings,
        progress.message,
        reuse=config.resume,
    )
    return RunOutcome(config.out, results, reports, failures, _is_partial(job, failures, shortfall))


def make_folder(config: RunConfig) -> None:
    """Make the output folder; raises UsageError where it cannot be written or must not be written again."""
    if config.out.is_file():
        raise UsageError(f"--out {config.out} is a file: give a folder")
    try:
        config.out.mkdir(parents=True, exist_ok=True)
        probe = config.out / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(f"--out {config.out}: cannot write there: {error.strerror or error}") from error
    if not config.resume and (config.out / "records").exists():
        raise UsageError(f"--out {config.out} holds a run already; choose another folder or leave out --no-resume")


def _begin(config: RunConfig, host: PluginHost) -> Job:
    make_folder(config)
    return open_job(config, host, config.out / FILE_NAME)


@contextmanager
def _engine(job: Job, progress: Progress) -> Iterator[Engine]:
    config = job.config
    settings = {owner: dict(values) for owner, values in config.settings.items()}
    files = tuple(Path(f).resolve() for f in config.plugin_files)
    setup = WorkerSetup(files, settings, config.device, config.codec_threads, config.seed)
    setup = replace(setup, memory_limit_bytes=config.worker_memory_bytes)
    try:
        with make_engine(config, setup, progress) as engine:
            yield engine
    finally:
        job.costs.save()


def _score(job: Job, engine: Engine | None, records: RecordFolder, progress: Progress) -> dict[str, Written]:
    """Fill the store and write the utterances' records of every codec, by label."""
    attempts = ATTEMPTS
    describe_store(job.groups)
    while True:
        if engine is not None:
            _work(job, engine, job.survey(), progress)
        try:
            return _write_utterances(job, records)
        except RowsMissingError as missing:
            attempts -= 1
            if not attempts:
                raise
            progress.message(str(missing))


def _work(job: Job, engine: Engine, works: Sequence[GroupWork], progress: Progress) -> None:
    progress.start("encode", sum(work.num_todo for work in works))
    progress.start("score", sum(lane.to_score for work in works for lane in work.lanes))
    scorers = job.selection.per_utterance()
    tasks = chain.from_iterable(
        plan_group(work.group, job.table.walk(work.todo), scorers) for work in works if work.num_todo
    )
    if any(work.num_todo for work in works):
        engine.run(tasks)


def _write_utterances(job: Job, records: RecordFolder) -> dict[str, Written]:
    scorers = job.selection.per_utterance()
    return {
        lane.label: records.write(f"{place:04d}", utterance_records(lane, job.table, scorers, complete=True))
        for place, (_, lane) in enumerate(job.lanes)
    }


def _derive(job: Job, written: Mapping[str, Written], records: RecordFolder) -> None:
    """Write what corpus scorers make of all utterances of each codec."""
    scorers = job.selection.at(Stage.CORPUS)
    if not scorers:
        return
    registry, settings, ceiling = job.host.registry, job.config.settings, written.get(job.ceiling)
    for place, (group, lane) in enumerate(job.lanes):
        own = written[lane.label]
        rows = (corpus_records(registry, settings, s, group, lane, job.table, own, ceiling) for s in scorers)
        records.write(f"{place:04d}_corpus", chain.from_iterable(rows))
        lane.scores.forget()


def _probe(job: Job, engine: Engine, records: RecordFolder, progress: Progress) -> None:
    """Write what scorers find that have the codec itself in hand."""
    scorers = job.selection.at(Stage.CODEC)
    if not scorers:
        return
    progress.start("probe", len(job.lanes) * len(scorers))
    for place, (group, lane) in enumerate(job.lanes):
        rows: list[Record] = []
        for scorer in scorers:
            chosen = probed_utterances(job.table, scorer.spec.max_utterances)
            rows += probe_records(engine.time, scorer, group, lane, chosen)
            progress.advance("probe", 1, lane.label)
        records.write(f"{place:04d}_codec", rows)


def _time(job: Job, engine: Engine, records: RecordFolder, progress: Progress) -> None:
    """Write timings, taken one codec after another while nothing else is at work."""
    scorers = job.selection.at(Stage.TIMING)
    progress.start("time", len(job.groups) * len(scorers))
    if not scorers:
        return
    hardware, chosen = digest(describe_hardware(job.config.device)), median_length(job.table)
    for place, group in enumerate(job.groups):
        rows = []
        for scorer in scorers:
            rows += timing_records(engine.time, scorer, group, chosen, hardware)
            progress.advance("time", 1, group.codec)
        records.write(f"timing_{place:04d}", rows)


def _write(job: Job, records: RecordFolder, shortfall: Shortfall) -> dict[str, int]:
    """Put records, index and description in place; return how many records of each codec say that something failed."""
    records.failures.update(shortfall.records)
    records.publish()
    write_artifacts(job.config.out, artifact_rows(job.config.out, job.table, job.groups))
    describe(job.config, job.selection, job.table, shortfall.codecs).save(job.config.out)
    return {label: count for label, count in records.failures.items() if count}


def _is_partial(job: Job, failures: Mapping[str, int], shortfall: Shortfall) -> bool:
    config, selection = job.config, job.selection
    asked_codec = bool(config.codecs) and bool(selection.unavailable)
    lost_scorer = any(s.unavailable for s in selection.scorers) or bool(shortfall.scorers)
    asked_task = bool(config.tasks or config.recognizers) and lost_scorer
    return asked_codec or asked_task or bool(failures) or bool(shortfall.codecs)
