"""Records of a run: the store's measurements under the run's names, written block by block."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import overload

import pyarrow as pa
import pyarrow.parquet as pq

from codecbench.contracts.metric import Measurement, Record, Status
from codecbench.hashing import canonical
from codecbench.runner.messages import ScorerRef
from codecbench.runner.plan import Lane
from codecbench.runner.scoring import PreparedScorer
from codecbench.runner.utterances import BLOCK, PlannedUtterance, blocks
from codecbench.store.shards import StoreError
from codecbench.store.tables import growing_table

_TEXT = ("key", "codec", "scorer", "metric", "metric_version", "component", "utterance_id", "speaker", "language",
         "status", "reason", "detail")  # fmt: skip
SCHEMA = pa.schema(
    [
        (name, pa.string() if name in _TEXT else pa.float64())
        for name in Record.__dataclass_fields__  # columns in the order of the contract
    ]
)
_FAILED = frozenset({Status.BACKEND_ERROR, Status.NAN_OUTPUT, Status.LENGTH_MISMATCH, Status.BAD_INPUT})


class RowsMissingError(StoreError):
    """The store has lost what it had: a corrupted shard was found and put aside."""


def utterance_records(
    lane: Lane,
    utterances: Iterable[PlannedUtterance],
    scorers: Sequence[PreparedScorer],
    *,
    complete: bool = False,
) -> Iterator[Record]:
    """Yield the records of one codec that the store holds, in corpus order; an unavailable scorer's say so.

    ``complete``: raise RowsMissingError where the store holds nothing for an utterance and scorer.
    """
    for block in blocks(utterances):
        keys = [[lane.key(planned, scorer) for scorer in scorers] for planned in block]
        present = [s for s, scorer in enumerate(scorers) if scorer.unavailable is None]
        found = lane.scores.get_all([row[s] for row in keys for s in present])
        if complete and len(found) < len({row[s] for row in keys for s in present}):
            lane.scores.forget()
            raise RowsMissingError(f"scores of '{lane.label}' have gone from {lane.scores.folder}: they are made again")
        for planned, row in zip(block, keys, strict=True):
            for scorer, key in zip(scorers, row, strict=True):
                if scorer.unavailable is None:
                    measurements = found.get(key, ())
                else:
                    measurements = scorer.failed(Status.UNAVAILABLE, str(scorer.unavailable))
                for measurement in measurements:
                    yield make_record(lane.label, key, scorer, measurement, planned)
    lane.scores.forget()


def make_record(
    label: str, key: str, scorer: PreparedScorer, m: Measurement, planned: PlannedUtterance | None
) -> Record:
    """Put a measurement under the run's names; ``planned`` is None for a whole-corpus value."""
    utterance = planned.utterance if planned else None
    return Record(
        key=key,
        codec=label,
        scorer=scorer.ref.name,
        metric=m.metric,
        metric_version=scorer.versions.get(m.metric, ""),
        component=m.component,
        utterance_id=utterance.id if utterance else "",
        speaker=(utterance.speaker if utterance else None) or "",
        language=(utterance.language if utterance else None) or "",
        duration_s=planned.duration_s if planned else 0.0,
        value=m.value,
        numerator=m.numerator,
        denominator=m.denominator,
        status=str(m.status),
        reason=m.reason,
        detail=m.detail,
    )


class RecordDigest:
    """Digest of what a whole-corpus value depends on: key, metric, component and status of records, in order."""

    def __init__(self) -> None:
        self._state = hashlib.blake2b(digest_size=16)

    def add(self, record: Record) -> None:
        """Take in one record."""
        self._state.update(canonical([record.key, record.metric, record.component, record.status]))

    def __str__(self) -> str:
        return self._state.hexdigest()


class RecordFile(Sequence[Record]):
    """Records in a file; each walk reads them anew, a block at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __len__(self) -> int:
        return int(pq.read_metadata(self._path).num_rows)

    def __iter__(self) -> Iterator[Record]:
        with pq.ParquetFile(self._path) as file:
            for batch in file.iter_batches(batch_size=BLOCK):
                for row in batch.to_pylist():
                    yield Record(**row)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | Sequence[Record]:
        if isinstance(index, slice):
            return list(islice(self, *index.indices(len(self))))
        place = range(len(self))[index]
        return next(islice(self, place, None))


@dataclass(frozen=True)
class Written:
    """Records of one codec that were written; ``digest`` as in RecordDigest.

    num_ok: records with a value. unavailable: records by scorer (its title) that say ``unavailable``; why: the first
    one's reason.
    """

    records: RecordFile
    digest: str
    num_records: int
    num_failed: int
    num_ok: int = 0
    unavailable: Mapping[str, int] = field(default_factory=dict)
    why: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Shortfall:
    """What turned out to be unavailable only when it was used.

    codecs: reason by label, of those without any value. records: by label, of those that have values all the same.
    scorers: reason by title, of those that the ceiling lacks too.
    """

    codecs: Mapping[str, str]
    records: Mapping[str, int]
    scorers: Mapping[str, str] = field(default_factory=dict)


def find_shortfall(written: Mapping[str, Written], ceiling: str) -> Shortfall:
    """Compare each codec with the ceiling: what is unavailable there too is a scorer's or the corpus' affair."""
    usual = written[ceiling].unavailable if ceiling in written else {}
    scorers = {title: written[ceiling].why[title] for title in usual}
    codecs, records = {}, {}
    for label, own in written.items():
        lost = {s: count - usual.get(s, 0) for s, count in own.unavailable.items() if count > usual.get(s, 0)}
        if lost and not own.num_ok:
            codecs[label] = own.why[next(iter(lost))]
        elif lost:
            records[label] = sum(lost.values())
    return Shortfall(codecs, records, scorers)


class RecordFolder:
    """The records of a run while they are written: beside the final folder, put in its place by ``publish``."""

    def __init__(self, out: Path) -> None:
        self._final, self._folder = out / "records", out / ".records"
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        self.failures: Counter[str] = Counter()

    def write(self, name: str, records: Iterable[Record]) -> Written:
        """Write one file, a block in memory at a time; one of the same name is replaced."""
        path, digest = self._folder / f"{name}.parquet", RecordDigest()
        count, num_ok, failed, walk = 0, 0, Counter[str](), iter(records)
        unavailable, why = Counter[str](), dict[str, str]()
        with growing_table(path, SCHEMA) as table:
            while block := list(islice(walk, BLOCK)):
                for record in block:
                    digest.add(record)
                    failed[record.codec] += record.status in _FAILED
                    num_ok += record.status == Status.OK
                    if record.status == Status.UNAVAILABLE:
                        title = ScorerRef(record.scorer, record.component).title
                        unavailable[title] += 1
                        why.setdefault(title, record.reason)
                table.rows([vars(record) for record in block])
                count += len(block)
        self.failures += failed
        return Written(RecordFile(path), str(digest), count, failed.total(), num_ok, unavailable, why)

    def publish(self) -> None:
        """Put the files in place of those of an earlier state of the run."""
        self._final.mkdir(exist_ok=True)
        written = sorted(path.name for path in self._folder.glob("*.parquet"))
        for name in written:
            (self._folder / name).replace(self._final / name)
        for stale in self._final.glob("*.parquet"):
            if stale.name not in written:
                stale.unlink()
        shutil.rmtree(self._folder, ignore_errors=True)
