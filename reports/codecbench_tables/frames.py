"""Tables as data frames: the summary one codec a row, all metrics one figure a row, and codebooks."""

from __future__ import annotations

from typing import Any

import pandas as pd

from codecbench.contracts.metric import MetricRole
from codecbench.results import RunResults
from codecbench_tables.model import Column, SummaryTable
from codecbench_tables.text import csv

_CODEBOOK_ROLES = (MetricRole.CODEBOOK_USE, MetricRole.CODEBOOK_ENTROPY)


def summary_frame(table: SummaryTable) -> pd.DataFrame:
    """One row for each codec; for each metric its estimate, interval ends and rank group."""
    rows = []
    for line in table.lines:
        row: dict[str, Any] = {"codec": line.codec.label, "role": line.codec.role}
        for column, cell in zip(table.columns, line.cells, strict=True):
            name, found = _name(column), cell.row
            row[name] = found.estimate if found else None
            row[f"{name}.low"] = found.ci_low if found else None
            row[f"{name}.high"] = found.ci_high if found else None
            row[f"{name}.group"] = found.group if found else None
        row |= {"scored": line.scored, "failed": line.failed, "unavailable": line.codec.unavailable}
        rows.append(row)
    frame = pd.DataFrame(rows)
    groups = [name for name in frame.columns if name.endswith(".group")]
    return frame.astype(dict.fromkeys(groups, "Int64"))


def _name(column: Column) -> str:
    return f"{column.metric.name}.{column.component}" if column.component else column.metric.name


def metrics_frame(results: RunResults) -> pd.DataFrame:
    """One row for each codec, metric and component, with counts, direction and what was resampled."""
    frame = results.summary.frame()
    facts = ("title", "unit", "direction", "version", "stage", "scorer")
    for offset, fact in enumerate(facts):
        known = {name: getattr(metric, fact) for name, metric in results.metrics.items()}
        frame.insert(3 + offset, "metric_" + fact, frame["metric"].map(known))
    return frame


def codebooks_frame(results: RunResults) -> pd.DataFrame:
    """One row for each codec and codebook, a column for each metric that is measured by codebook."""
    metrics = [metric for metric in results.info.metrics if metric.role in _CODEBOOK_ROLES]
    places: dict[tuple[str, str], dict[str, Any]] = {}
    for metric in metrics:
        for row in results.summary.rows:
            if row.metric == metric.name:
                place = places.setdefault((row.codec, row.component), {"codec": row.codec, "codebook": row.component})
                place[metric.name] = row.estimate
                if row.n_failed:
                    place[f"{metric.name}.status"] = " ".join(status for status, _ in row.n_failed)
    order = {label: index for index, label in enumerate(results.codecs)}
    ordered = sorted(places.values(), key=lambda place: (order[place["codec"]], _natural(place["codebook"])))
    return pd.DataFrame(ordered)


def _natural(text: str) -> tuple[tuple[int, int, str], ...]:
    import re

    return tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in re.split(r"(\d+)", text) if p)


def for_csv(frame: pd.DataFrame) -> pd.DataFrame:
    """Return ``frame`` with every text, column names included, made safe for spreadsheets."""
    safe = frame.rename(columns=csv)
    for name, column in zip(safe.columns, frame.columns, strict=True):
        if not pd.api.types.is_numeric_dtype(frame[column]):
            safe[name] = frame[column].map(lambda v: csv(v) if isinstance(v, str) else v)
    return safe
