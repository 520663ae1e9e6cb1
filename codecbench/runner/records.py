"""Records of a run: the store's measurements under the run's names, one Parquet file for each codec."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa

from codecbench.contracts.metric import Measurement, Record
from codecbench.runner.plan import Lane, PlannedUtterance
from codecbench.runner.scoring import PreparedScorer
from codecbench.store.shards import write_whole

_TEXT = ("key", "codec", "scorer", "metric", "metric_version", "component", "utterance_id", "speaker", "language",
         "status", "reason", "detail")  # fmt: skip
SCHEMA = pa.schema(
    [
        (name, pa.string() if name in _TEXT else pa.float64())
        for name in Record.__dataclass_fields__  # columns in the order of the contract
    ]
)


def utterance_records(
    lane: Lane, utterances: Sequence[PlannedUtterance], scorers: Sequence[PreparedScorer]
) -> Iterator[Record]:
    """Yield the records of one codec that the store holds, in corpus order."""
    for planned in utterances:
        for scorer in scorers:
            key = lane.key(planned, scorer)
            for measurement in lane.scores.get(key) or ():
                yield make_record(lane.label, key, scorer, measurement, planned)


def make_record(
    label: str, key: str, scorer: PreparedScorer, m: Measurement, planned: PlannedUtterance | None
) -> Record:
    """Put a measurement under the run's names; ``planned`` is None for a whole-corpus value."""
    versions = {metric.name: metric.version for metric in scorer.metrics}
    utterance = planned.utterance if planned else None
    return Record(
        key=key,
        codec=label,
        scorer=scorer.ref.name,
        metric=m.metric,
        metric_version=versions.get(m.metric, ""),
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


def write_records(folder: Path, records: Sequence[Sequence[Record]]) -> None:
    """Write one file for each codec's records, in order; files of an earlier state of the run are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    written = set()
    for index, rows in enumerate(records):
        final = folder / f"{index:04d}.parquet"
        write_whole(pa.Table.from_pylist([asdict(row) for row in rows], schema=SCHEMA), final)
        written.add(final.name)
    for stale in folder.glob("*.parquet"):
        if stale.name not in written:
            stale.unlink()
