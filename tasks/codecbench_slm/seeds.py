"""Several models of one codec, trained from different seeds, as one row of the results."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from codecbench.contracts.metric import Measurement, MetricSpec, Status


@dataclass(frozen=True)
class SeedValue:
    """What one seed's model scored on one utterance; a mean's denominator is 1."""

    seed: int
    numerator: float
    denominator: float


def merged(by_seed: Mapping[int, Sequence[Measurement]], metrics: Mapping[str, MetricSpec]) -> Iterator[Measurement]:
    """Put the seeds' measurements of one utterance together, metric by metric.

    A ratio's parts are summed, other values averaged; each seed's figures stand in the detail. A figure that one seed
    lacks is lacked by all: an average over the seeds that happened to succeed would flatter the codec.
    """
    places = dict.fromkeys((m.metric, m.component) for rows in by_seed.values() for m in rows)
    for metric, component in places:
        rows = {
            seed: next((m for m in found if (m.metric, m.component) == (metric, component)), None)
            for seed, found in by_seed.items()
        }
        yield _merged_one(metrics[metric], component, rows)


def _merged_one(metric: MetricSpec, component: str, rows: Mapping[int, Measurement | None]) -> Measurement:
    failed = next(((seed, m) for seed, m in rows.items() if m is None or m.status is not Status.OK), None)
    if failed is not None:
        seed, row = failed
        status = row.status if row else Status.NOT_APPLICABLE
        reason = row.reason if row else "this model was not trained for the task"
        return Measurement(metric.name, status=status, reason=f"seed {seed}: {reason}", component=component)
    found = [(seed, m) for seed, m in rows.items() if m is not None]
    values = [_value(seed, m) for seed, m in found]
    top, bottom = sum(v.numerator for v in values), sum(v.denominator for v in values)
    is_ratio = found[0][1].numerator is not None
    return Measurement(
        metric.name,
        metric.scale * top / bottom if is_ratio else top / bottom,
        numerator=top if is_ratio else None,
        denominator=bottom if is_ratio else None,
        component=component,
        detail=json.dumps({"seeds": [_shown(v, m) for v, (_, m) in zip(values, found, strict=True)]}),
    )


def _value(seed: int, m: Measurement) -> SeedValue:
    if m.numerator is not None and m.denominator is not None:
        return SeedValue(seed, float(m.numerator), float(m.denominator))
    assert m.value is not None
    return SeedValue(seed, m.value, 1.0)


def _shown(value: SeedValue, m: Measurement) -> dict[str, Any]:
    own = json.loads(m.detail) if m.detail else {}
    return own | {"seed": value.seed, "numerator": value.numerator, "denominator": value.denominator}


def seed_values(detail: str) -> tuple[SeedValue, ...]:
    """Read each seed's figures back from a record's detail; nothing where it carries none."""
    rows = json.loads(detail).get("seeds", ()) if detail else ()
    return tuple(SeedValue(int(r["seed"]), float(r["numerator"]), float(r["denominator"])) for r in rows)


def renamed(measurements: Sequence[Measurement], utterance_id: str) -> list[Measurement]:
    """The measurements as those of ``utterance_id``."""
    return [replace(m, utterance_id=utterance_id) for m in measurements]
