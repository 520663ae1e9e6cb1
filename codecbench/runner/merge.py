"""Merging the shards of a run: their stores made one, what is missing told, and the rest of the run done over it."""

from __future__ import annotations

import heapq
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from codecbench.errors import Unavailable, UsageError
from codecbench.plugins import PluginHost
from codecbench.runinfo import RunInfo
from codecbench.runner.config import RunConfig, load_request
from codecbench.runner.job import Job, open_job
from codecbench.runner.progress import Progress
from codecbench.runner.run import RunOutcome, finish, make_folder
from codecbench.runner.utterances import FILE_NAME, PlannedUtterance, UtteranceTable
from codecbench.store.places import StorePath

# What two shards of one run may differ in: where they lie, how they were worked off, and what is drawn at the end.
_OWN = frozenset(
    {"out", "store", "shard", "workers", "devices", "engine", "address", "memory_limit_bytes", "timeout_s", "resume",
     "strict", "reports", "command"}
)  # fmt: skip


@dataclass(frozen=True)
class Merged:
    """What merging came to: the run's outcome, or lines that say what is missing and how to get it."""

    outcome: RunOutcome | None
    missing: tuple[str, ...] = ()


def merge(
    out: Path,
    folders: Sequence[Path],
    host: PluginHost,
    progress: Progress,
    *,
    complete: bool = False,
    reports: tuple[str, ...] = (),
) -> Merged:
    """Make one run in ``out`` of shards: no utterance twice, and none missing unless that is said.

    ``complete``: what is missing is done here; otherwise nothing is encoded or scored. Raises UsageError for folders
    that are no shards or not of one run.
    """
    requests = [load_request(folder) for folder in folders]
    _refuse_unlike(folders, requests)
    config = replace(requests[0], out=out, store=_one_store(out, requests), shard=None, resume=True, reports=reports)
    make_folder(config)
    for request in requests:
        _bring(StorePath.of(request.store_folder), StorePath.of(config.store_folder))
    job = open_job(config, host, lambda _: _one_table(out / FILE_NAME, folders))
    _refuse_unavailable(job, folders[0])
    missing = (*_missing_utterances(job, requests), *_missing_scores(job))
    if missing and not complete:
        return Merged(None, missing)
    if len(job.table) < job.table.num_walked:
        job = open_job(config, host, out / FILE_NAME)
    return Merged(finish(job, progress, work=complete), missing)


def _refuse_unlike(folders: Sequence[Path], requests: Sequence[RunConfig]) -> None:
    for folder, request in zip(folders, requests, strict=True):
        if request.shard is None:
            raise UsageError(f"{folder} is no shard of a run; give the --out folders of 'codecbench run --shard I/N'")
        for name, value in vars(request).items():
            if name not in _OWN and value != getattr(requests[0], name):
                raise UsageError(
                    f"{folders[0]} and {folder} are not shards of one run: {name} is {getattr(requests[0], name)!r} in "
                    f"the first and {value!r} in the other"
                )


def _refuse_unavailable(job: Job, folder: Path) -> None:
    known = {codec.label for codec in RunInfo.load(folder).codecs if not codec.unavailable}
    for prepared in job.selection.unavailable:
        if prepared.label in known:
            raise Unavailable(
                f"'{prepared.label}' cannot be had here, and what the shards did with it is found by its identity: "
                f"{prepared.unavailable}",
                "merge on a machine like the shards', with the same plugins and weights",
            )


def _one_store(out: Path, requests: Sequence[RunConfig]) -> str | Path | None:
    """The store that all shards share, or None for one of the run's own."""
    shared = {str(StorePath.of(request.store_folder)) for request in requests}
    return requests[0].store if len(shared) == 1 and requests[0].store else None


def _bring(source: StorePath, target: StorePath) -> None:
    """Link or copy the files that ``target`` lacks: a shard's name says what is in it, so that none is there twice."""
    if source == target:
        return
    if source.local is None or target.local is None:
        raise UsageError(f"{source} cannot be merged into {target}: shards of a remote store share one --store")
    for path in sorted(source.local.rglob("*")):
        final = target.local / path.relative_to(source.local)
        if path.is_file() and not path.name.startswith(".") and not final.exists():
            final.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(path, final)
            except OSError:  # another file system
                temporary = final.with_name(f".{final.name}.{os.getpid()}.tmp")
                shutil.copyfile(path, temporary)
                temporary.replace(final)


def _one_table(path: Path, folders: Sequence[Path]) -> UtteranceTable:
    tables = [UtteranceTable(folder / FILE_NAME) for folder in folders]
    sizes = {table.num_walked for table in tables}
    if len(sizes) > 1:
        found = " and ".join(map(str, sorted(sizes)))
        raise UsageError(f"the corpus changed between the shards: it had {found} utterances")
    return UtteranceTable.write(path, _once(heapq.merge(*tables, key=lambda planned: planned.position)), sizes.pop())


def _once(utterances: Iterable[PlannedUtterance]) -> Iterator[PlannedUtterance]:
    """Leave out what shards of different numbers have in common; raises UsageError where they disagree."""
    last: PlannedUtterance | None = None
    for planned in utterances:
        if last is None or planned.position != last.position:
            yield planned
        elif planned != last:
            raise UsageError(
                f"the corpus changed between the shards: utterance {planned.position + 1} is '{last.utterance.id}' in "
                f"one and '{planned.utterance.id}' in another, or its audio is not the same"
            )
        last = planned


def _missing_utterances(job: Job, requests: Sequence[RunConfig]) -> Iterator[str]:
    lacking = job.table.num_walked - len(job.table)
    if lacking:
        yield f"{lacking} of {job.table.num_walked} utterances are in none of the shards given"
        shards = [request.shard for request in requests if request.shard]
        if len({shard.count for shard in shards}) == 1:
            present = {shard.index for shard in shards}
            absent = [f"{i}/{shards[0].count}" for i in range(1, shards[0].count + 1) if i not in present]
            yield f"shards that were not given: {', '.join(absent)}"


def _missing_scores(job: Job) -> Iterator[str]:
    for work in job.survey(retry=False):
        for lane in work.lanes:
            for scorer in lane.scorers:
                if scorer.amount.items:
                    name = scorer.scorer.title
                    yield f"{lane.label}: {scorer.amount.items} utterances without scores by {name}"
